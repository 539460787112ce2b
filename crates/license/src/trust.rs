//! What a verifier believes before it sees a document: some keys, one issuer, one product.

use crate::{
    claims::{Claims, State},
    error::{Error, Expiry, quoted},
    jwk::Thumbprint,
    key_set::KeySet,
    keys::Keys,
    license::Verified,
};

/// The most that [`Trust::with_leeway`] grants. Clocks that time servers keep differ by less than a second; a minute bears with
/// those that nobody keeps, and does not lengthen a lease noticeably.
pub const MAX_LEEWAY_SECONDS: u64 = 60;

/// Whose documents are believed, and for what.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(crate) keys: Keys,
    issuer: String,
    product: String,
    pub(crate) leeway: u64,
}

impl Trust {
    /// Trusts the authority whose root key has the thumbprint `root`, by the key set (`keys.jws`) that this root signed.
    ///
    /// # Errors
    /// As [`KeySet::verify`], and `no-usable-key` if every key of the set has reached its not-after.
    pub fn pinned(
        root: &Thumbprint,
        keys_jws: &[u8],
        issuer: &str,
        product: &str,
        now: u64,
    ) -> Result<Self, Error> {
        Self::key_set(KeySet::verify(keys_jws, root, issuer)?, product, now)
    }

    /// Trusts the keys of a verified set: the way for programs that remember the highest serial, see
    /// [`KeySet::require_serial`].
    ///
    /// # Errors
    /// `no-usable-key`.
    pub fn key_set(set: KeySet<Verified>, product: &str, now: u64) -> Result<Self, Error> {
        let (issuer, keys) = set.into_parts();
        keys.require_usable("key set", now)?;
        Ok(Self { keys, issuer, product: product.to_owned(), leeway: 0 })
    }

    /// Trusts the keys of a JWK set, which must come from a place that is trusted by other means, never from beside the
    /// document.
    ///
    /// # Errors
    /// As [`Keys::from_jwks`].
    pub fn jwks(jwks_json: &[u8], issuer: &str, product: &str) -> Result<Self, Error> {
        let keys = Keys::from_jwks(jwks_json)?;
        Ok(Self { keys, issuer: issuer.to_owned(), product: product.to_owned(), leeway: 0 })
    }

    /// Bears with clocks that differ by `seconds`, at most [`MAX_LEEWAY_SECONDS`], in `nbf`, `exp` and the keys' not-after.
    #[must_use]
    pub fn with_leeway(self, seconds: u64) -> Self {
        Self { leeway: seconds.min(MAX_LEEWAY_SECONDS), ..self }
    }

    /// The last step: issuer, product, times, state.
    pub(crate) fn check(&self, claims: &Claims, now: u64) -> Result<(), Error> {
        if claims.iss != self.issuer {
            return Err(Error::WrongIssuer { expected: self.issuer.clone(), found: quoted(&claims.iss) });
        }
        if claims.aud != self.product {
            return Err(Error::WrongProduct { expected: self.product.clone(), found: quoted(&claims.aud) });
        }
        let (nbf, exp) = (claims.nbf, claims.exp);
        if now.saturating_add(self.leeway) < nbf {
            return Err(Error::NotYetValid { nbf, now });
        }
        if now >= exp.saturating_add(self.leeway) {
            // A renewed document of a License that is over would say the same: that is what to tell.
            let over = claims.state == State::Expired;
            let cause = if over { Expiry::License } else { Expiry::Document { exp, now } };
            return Err(Error::Expired { cause });
        }
        match claims.state {
            State::Active => Ok(()),
            State::Suspended => Err(Error::Suspended),
            State::Expired => Err(Error::Expired { cause: Expiry::License }),
        }
    }
}
