//! Who signs in whose name, for those who answer programs. Never awaits.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::Signer;
use crate::domain::text::Issuer;

/// The signers of today, by the names of their Authorities.
#[derive(Debug, Default)]
pub struct Signers(RwLock<BTreeMap<String, Arc<Signer>>>);

impl Signers {
    /// `authority` signs by `signer` from now on, or not at all.
    pub fn set(&self, authority: &str, signer: Option<Arc<Signer>>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match signer {
            Some(signer) => drop(all.insert(authority.to_owned(), signer)),
            None => drop(all.remove(authority)),
        }
    }

    /// Who signs in the name of `issuer`; an issuer belongs to one Authority.
    #[must_use]
    pub fn of(&self, issuer: &Issuer) -> Option<Arc<Signer>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|signer| signer.issuer == *issuer).cloned()
    }

    /// Every issuer in whose name anybody signs.
    #[must_use]
    pub fn issuers(&self) -> Vec<Issuer> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|signer| signer.issuer.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyPair;

    #[test]
    fn whoever_signs_is_found_by_the_issuer_until_they_do_not() {
        let (signers, issuer): (_, Issuer) =
            (Signers::default(), "https://usher.acme.example".parse().unwrap());
        let signer = Signer::new(issuer.clone(), KeyPair::from_seed(&[1; 32]), String::new(), None);
        signers.set("default", Some(Arc::new(signer)));
        assert!(signers.of(&issuer).is_some());
        assert_eq!(signers.issuers(), std::slice::from_ref(&issuer));
        assert!(signers.of(&"https://usher.acme.example/a".parse().unwrap()).is_none());
        signers.set("default", None);
        assert!(signers.of(&issuer).is_none());
    }
}
