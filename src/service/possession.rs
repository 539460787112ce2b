//! Proofs of possession, as requests bring them: each is looked at once, and is good once.
//!
//! What is good of a proof by itself is for [`crate::identity::dpop`]. Here is what it takes beside: our names, our clock and nonces, and which proofs were
//! used. That record is this replica's alone, and bounded: a second use at another replica, or after [`MOST`] others, is met by what stands behind it, the
//! nonce chain above all. [Why](docs/decisions/2026-11-27-dpop.md).

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use jiff::Timestamp;

use super::edge::Edge;
use crate::{
    domain::refusal::{Code, Refusal},
    identity::dpop::{self, Check, Expected, LEEWAY, NONCE_AGE, Proven},
    keys::{Signers, nonce::NonceKeys},
};

pub use crate::identity::dpop::ALGORITHMS;

/// A proof, and the request that it came with.
#[derive(Debug)]
pub struct Possession {
    proof: String,
    method: String,
    path: String,
    /// Whose key it proves, or why it proves nothing.
    judged: OnceLock<Result<String, Refusal>>,
}

impl Possession {
    /// What came in the header `DPoP` of a request of this method for this path.
    #[must_use]
    pub const fn new(proof: String, method: String, path: String) -> Self {
        Self { proof, method, path, judged: OnceLock::new() }
    }

    /// What came.
    #[cfg(test)]
    pub(crate) fn proof(&self) -> &str {
        &self.proof
    }

    /// The thumbprint of the key of which possession was found to be proven.
    pub(super) fn proven(&self) -> Option<&str> {
        self.judged.get()?.as_ref().ok().map(String::as_str)
    }
}

/// So many used proofs are remembered, twice: some 10 MB at most.
pub const MOST: usize = 131_072;
/// After so many seconds a proof is too old, by whichever clock.
const REMEMBERED: i64 = NONCE_AGE + 2 * LEEWAY;

/// Judges proofs.
pub struct Proofs {
    edge: Arc<dyn Edge>,
    signers: Arc<Signers>,
    nonces: Arc<OnceLock<NonceKeys>>,
    names: Vec<String>,
    used: Mutex<Used>,
}

impl Proofs {
    /// For a server of these names, without ports; the hosts of issuers are names of it, too.
    #[must_use]
    pub fn new(
        edge: Arc<dyn Edge>,
        signers: Arc<Signers>,
        nonces: Arc<OnceLock<NonceKeys>>,
        names: Vec<String>,
    ) -> Self {
        Self { edge, signers, nonces, names, used: Mutex::default() }
    }

    /// The nonce for the next proof, once nonces can be made.
    #[must_use]
    pub fn nonce(&self) -> Option<String> {
        self.nonces.get().map(|nonces| nonces.proof_nonce(self.edge.now().as_second()))
    }

    /// The thumbprint of the key of which possession is proven, with this token or none beside. The same proof of the same request is judged once.
    ///
    /// # Errors
    /// When nothing is proven.
    pub fn judge(&self, possession: &Possession, token: Option<&str>) -> Result<String, Refusal> {
        possession.judged.get_or_init(|| self.judge_anew(possession, token)).clone()
    }

    fn judge_anew(&self, possession: &Possession, token: Option<&str>) -> Result<String, Refusal> {
        let (now, issuers) = (self.edge.now(), self.signers.issuers());
        let of_issuers = issuers.iter().filter_map(|issuer| host(issuer.as_str()));
        let names: Vec<String> = self.names.iter().cloned().chain(of_issuers).collect();
        let expected = Expected {
            method: &possession.method,
            path: &possession.path,
            names: &names,
            token,
            now,
            nonce_made: &|nonce| self.nonces.get()?.proof_nonce_made(nonce),
        };
        let Proven { thumbprint, id } = dpop::verify(&possession.proof, &expected).map_err(refused)?;
        if !self.used.lock().unwrap_or_else(PoisonError::into_inner).is_first(id, now) {
            return Err(Refusal::new(Code::ProofInvalid, "The proof was used already: its jti is not new."));
        }
        Ok(thumbprint)
    }
}

fn refused(check: Check) -> Refusal {
    let code = if check == Check::Stale { Code::ProofStale } else { Code::ProofInvalid };
    Refusal::new(code, format!("The proof of possession does not hold: {check}."))
}

/// The host of an issuer, which is an https URL.
fn host(issuer: &str) -> Option<String> {
    let authority = issuer.strip_prefix("https://")?.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host.to_owned())
}

/// Proofs that were used, in two generations: the older one is forgotten when nothing in it is good any more, or when the newer one is full.
#[derive(Debug, Default)]
struct Used {
    newer: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
    began: Option<Timestamp>,
}

impl Used {
    fn is_first(&mut self, id: [u8; 32], now: Timestamp) -> bool {
        let began = *self.began.get_or_insert(now);
        let is_over = !(0..REMEMBERED).contains(&now.as_second().saturating_sub(began.as_second()));
        if is_over || self.newer.len() >= MOST {
            self.older = mem::take(&mut self.newer);
            self.began = Some(now);
        }
        !self.older.contains(&id) && self.newer.insert(id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use ed25519_dalek::{Signer as _, SigningKey};
    use serde_json::json;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::domain::license::tests::at;

    /// A proof by the key of this seed for this request, made at this second.
    pub(crate) fn proven(
        seed: u8,
        (method, path): (&str, &str),
        token: Option<&str>,
        (iat, jti): (i64, &str),
    ) -> Possession {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let x = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes());
        let header =
            json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}});
        let ath = token.map(|token| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        let htu = format!("https://usher.acme.example{path}");
        let claims = json!({"jti": jti, "htm": method, "htu": htu, "iat": iat, "ath": ath});
        let text = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes());
        Possession::new(format!("{text}.{signature}"), method.into(), path.into())
    }

    fn id(number: u64) -> [u8; 32] {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn a_proof_is_good_once_as_long_as_it_could_be_shown_again() {
        let mut used = Used::default();
        assert!(used.is_first(id(1), at(0)));
        assert!(!used.is_first(id(1), at(0)));
        assert!(used.is_first(id(2), at(REMEMBERED - 1)));
        assert!(
            !used.is_first(id(1), at(REMEMBERED)),
            "what was new at the end of one generation lasts for another"
        );
        assert!(!used.is_first(id(2), at(2 * REMEMBERED - 2)));
    }

    #[test]
    fn proofs_that_are_too_old_to_be_shown_are_forgotten_and_there_are_never_too_many() {
        let mut used = Used::default();
        for number in 0..3 * u64::try_from(MOST).unwrap() {
            assert!(used.is_first(id(number), at(0)));
        }
        assert!(used.newer.len() <= MOST && used.older.len() <= MOST);
        used.is_first(id(u64::MAX), at(REMEMBERED));
        used.is_first(id(u64::MAX - 1), at(2 * REMEMBERED));
        assert_eq!(used.newer.len() + used.older.len(), 2);
    }

    #[test]
    fn an_issuer_is_a_name_of_this_server() {
        assert_eq!(host("https://usher.acme.example/a/default").as_deref(), Some("usher.acme.example"));
        assert_eq!(host("https://usher.acme.example:8443").as_deref(), Some("usher.acme.example"));
        assert_eq!(host("https://[::1]:8443/a").as_deref(), Some("::1"));
    }
}
