//! The verdict on a document. Pure: bytes and the time are arguments.
//!
//! ```text
//!   believed                      checks                                            verdict
//!   a root key's thumbprint ──► key set under that root, document under its keys ──► Proven, or Refused
//!   a JWK set ────────────────► document under its keys ───────────────────────────► Proven, or Refused
//!   nothing ──────────────────► the same under the root that the key set names ────► Unproven, or Refused
//! ```
//! Without belief everything but the root is checked all the same: what would be refused under any root is refused.

use usher_license::{Error, KeySet, License, Thumbprint, Trust, Unproven, Verified, check_signature, verify};

use crate::cmd::Exit;

/// What is believed before the document is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Belief<'a> {
    /// The root key, by its thumbprint, and whatever key set it signed.
    Root { root: &'a Thumbprint, key_set: &'a [u8], expected: Expected<'a> },
    /// The keys of a JWK set.
    Jwks { jwks: &'a [u8], expected: Expected<'a> },
    /// Nothing; but an issuer and a product may be expected.
    Nothing { key_set: &'a [u8], issuer: Option<&'a str>, product: Option<&'a str> },
}

/// Whose document it has to be, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) product: &'a str,
}

/// What became of a document.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It may be used.
    Proven(License<Verified>),
    /// It is in order, if the root that its key set names is the right one.
    Unproven { license: License<Unproven>, unproven_root: Thumbprint },
    /// It may not be used.
    Refused(Error),
}

impl Verdict {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Proven(_) => Exit::Done,
            Self::Unproven { .. } => Exit::Unproven,
            Self::Refused(_) => Exit::Refused,
        }
    }
}

/// Judges `document` at `now`, in Unix seconds.
pub(super) fn judge(document: &[u8], belief: Belief<'_>, now: u64) -> Verdict {
    let verdict = match belief {
        Belief::Root { root, key_set, expected: Expected { issuer, product } } => {
            Trust::pinned(root, key_set, issuer, product, now)
                .and_then(|trust| verify(document, &trust, now))
                .map(Verdict::Proven)
        }
        Belief::Jwks { jwks, expected: Expected { issuer, product } } => Trust::jwks(jwks, issuer, product)
            .and_then(|trust| verify(document, &trust, now))
            .map(Verdict::Proven),
        Belief::Nothing { key_set, issuer, product } => unproven(document, key_set, issuer, product, now),
    };
    verdict.unwrap_or_else(Verdict::Refused)
}

fn unproven(
    document: &[u8],
    key_set: &[u8],
    issuer: Option<&str>,
    product: Option<&str>,
    now: u64,
) -> Result<Verdict, Error> {
    let set = KeySet::read_unproven(key_set)?;
    let license = check_signature(document, set.unproven_keys())?;
    let (unproven_root, unproven_issuer) = (set.unproven_root().clone(), set.unproven_issuer());
    let issuer = issuer.unwrap_or(unproven_issuer);
    let product = product.unwrap_or(&license.unproven_claims().aud);
    let as_it_says = Trust::pinned(&unproven_root, key_set, issuer, product, now)?;
    verify(document, &as_it_says, now)?;
    Ok(Verdict::Unproven { license, unproven_root })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::verify::vectors::{Documents, documents};

    fn code(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Proven(_) => "ok",
            Verdict::Unproven { .. } => "unproven",
            Verdict::Refused(error) => error.code(),
        }
    }

    fn nothing<'a>(file: &'a Documents, issuer: Option<&'a str>, product: Option<&'a str>) -> Belief<'a> {
        Belief::Nothing { key_set: file.trust.keys.as_bytes(), issuer, product }
    }

    #[test]
    fn every_vector_is_judged_as_it_expects_under_a_root_and_under_a_jwk_set() {
        let file = documents();
        for belief in [file.by_root(), file.by_jwks()] {
            for case in &file.cases {
                let verdict = judge(case.document.as_bytes(), belief, file.now);
                assert_eq!(code(&verdict), case.expect, "{}", case.name);
                assert_eq!(
                    verdict.exit(),
                    if case.expect == "ok" { Exit::Done } else { Exit::Refused },
                    "{}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn without_belief_nothing_is_proven_and_what_is_refused_anyway_is_refused() {
        let file = documents();
        for case in &file.cases {
            let verdict = judge(case.document.as_bytes(), nothing(&file, None, None), file.now);
            let exit = verdict.exit();
            match case.expect.as_str() {
                "ok" | "wrong-product" => assert_eq!(exit, Exit::Unproven, "{}", case.name),
                _ => assert_eq!(exit, Exit::Refused, "{}", case.name),
            }
        }
    }

    #[test]
    fn without_belief_an_issuer_and_a_product_may_still_be_expected() {
        let file = documents();
        let document = file.good().as_bytes();
        let judged = |issuer, product| code(&judge(document, nothing(&file, issuer, product), file.now));
        assert_eq!(judged(Some(file.trust.issuer.as_str()), Some("cad")), "unproven");
        assert_eq!(judged(Some("https://other.example"), None), "wrong-issuer");
        assert_eq!(judged(None, Some("cam")), "wrong-product");
    }

    #[test]
    fn the_key_set_of_another_root_proves_nothing() {
        let file = documents();
        let other: Thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap();
        let Belief::Root { key_set, expected, .. } = file.by_root() else { unreachable!() };
        let verdict =
            judge(file.good().as_bytes(), Belief::Root { root: &other, key_set, expected }, file.now);
        assert_eq!((code(&verdict), verdict.exit()), ("wrong-root", Exit::Refused));
    }
}
