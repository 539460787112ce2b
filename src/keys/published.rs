//! The published keys of all Authorities, by the path under which their issuer serves them. Never awaits.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::domain::text::Issuer;

/// What is served: `<issuer's path>/jwks.json`.
#[derive(Debug, Default)]
pub struct Published(RwLock<HashMap<String, (String, String)>>);

impl Published {
    /// Publishes `jwks` for `authority`, instead of what it had.
    pub fn publish(&self, authority: &str, issuer: &Issuer, jwks: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (name, _)| name != authority);
        all.insert(format!("{}/jwks.json", path(issuer)), (authority.to_owned(), jwks.to_owned()));
    }

    /// `authority` publishes nothing any more.
    pub fn withdraw(&self, authority: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|_, (name, _)| name != authority);
    }

    /// The JWK set at `path`.
    pub fn at(&self, path: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(path).map(|(_, jwks)| jwks.clone())
    }
}

/// The path of an issuer: `/a/default`, or nothing.
fn path(issuer: &Issuer) -> &str {
    let rest = issuer.as_str().trim_start_matches("https://");
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_served_under_the_path_of_their_issuer() {
        let published = Published::default();
        published.publish("default", &"https://usher.acme.example/a/default".parse().unwrap(), "{1}");
        published.publish("root", &"https://usher.acme.example".parse().unwrap(), "{2}");
        assert_eq!(published.at("/a/default/jwks.json").as_deref(), Some("{1}"));
        assert_eq!(published.at("/jwks.json").as_deref(), Some("{2}"));
        published.withdraw("default");
        assert_eq!(published.at("/a/default/jwks.json"), None);
    }
}
