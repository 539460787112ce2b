//! A license document, by how far it has been checked. The crate's documentation gives the steps and their order.

use std::marker::PhantomData;

use crate::{
    claims::{Claims, Feature},
    encode::Typ,
    error::Error,
    jws::Jws,
    keys::Keys,
    trust::Trust,
};

/// Only read. Anybody may have written it.
#[derive(Clone, Copy, Debug)]
pub enum Unverified {}

/// The signature is that of a key about which nothing is known.
#[derive(Clone, Copy, Debug)]
pub enum Unproven {}

/// Everything is proven, at the time that was given.
#[derive(Clone, Copy, Debug)]
pub enum Verified {}

/// A license document.
#[derive(Clone, Debug)]
pub struct License<S> {
    kid: String,
    payload: Vec<u8>,
    claims: Claims,
    trust: PhantomData<S>,
}

/// Verifies a document at the time `now`, in Unix seconds. `bytes` are the document and nothing else, not even a line's end.
///
/// # Errors
/// The first of the checks, in the order that the crate's documentation gives, that the document does not pass.
pub fn verify(bytes: &[u8], trust: &Trust, now: u64) -> Result<License<Verified>, Error> {
    let jws = Jws::parse(bytes, Typ::License)?;
    let key = trust.keys.find(jws.unverified_kid())?;
    key.require_current(now, trust.leeway)?;
    jws.check_signature(key.verifying_key())?;
    let license = License::read(jws)?;
    trust.check(&license.claims, now)?;
    Ok(license)
}

/// Checks that one of `keys` signed the document, and nothing more: not the key's not-after, not the issuer, the product, the
/// times or the state, and not whose keys these are.
///
/// # Errors
/// `unknown-key`, `bad-signature`, and what [`License::parse`] refuses.
pub fn check_signature(bytes: &[u8], keys: &Keys) -> Result<License<Unproven>, Error> {
    let jws = Jws::parse(bytes, Typ::License)?;
    jws.check_signature(keys.find(jws.unverified_kid())?.verifying_key())?;
    License::read(jws)
}

impl<S> License<S> {
    fn read(jws: Jws<'_>) -> Result<Self, Error> {
        let claims = Claims::parse(jws.unverified_payload())?;
        let (kid, payload) = jws.into_parts();
        Ok(Self { kid, payload, claims, trust: PhantomData })
    }
}

impl License<Unverified> {
    /// Reads a document of the right form, whoever wrote it.
    ///
    /// # Errors
    /// `oversized`, `malformed`, `duplicate-member`, `too-deep`, `forbidden-header`, `wrong-type`, `wrong-algorithm`,
    /// `unsupported-schema`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(Jws::parse(bytes, Typ::License)?)
    }

    /// What it says.
    #[must_use]
    pub const fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// The same, as the JSON that it was written in.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The name of the key that it claims to be signed with.
    #[must_use]
    pub fn unverified_kid(&self) -> &str {
        &self.kid
    }
}

impl License<Unproven> {
    /// What the unknown signer says.
    #[must_use]
    pub const fn unproven_claims(&self) -> &Claims {
        &self.claims
    }

    /// The same, as the JSON that was signed.
    #[must_use]
    pub fn unproven_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The thumbprint of the key that signed it.
    #[must_use]
    pub fn unproven_kid(&self) -> &str {
        &self.kid
    }
}

impl License<Verified> {
    /// What the authority says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// The same, as the JSON that was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The thumbprint of the key that signed it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What may be used.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.claims.features
    }

    /// Whether a feature may be used; of a pooled one that it may be checked out.
    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        self.claims.features.iter().any(|feature| feature.name == name)
    }

    /// Whether the client should have asked for a newer document by now: keep working, and warn.
    #[must_use]
    pub const fn lease_overdue(&self, now: u64) -> bool {
        now >= self.claims.lease.until
    }

    /// The end of the document in Unix seconds: verify again before you rely on it then.
    #[must_use]
    pub const fn exp(&self) -> u64 {
        self.claims.exp
    }
}
