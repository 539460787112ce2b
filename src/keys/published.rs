//! The published keys of all Authorities, by the path under which their issuer serves them. Never awaits.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use crate::domain::text::Issuer;

/// What is served: `<issuer>/jwks.json`.
#[derive(Debug, Default)]
pub struct Published(RwLock<BTreeMap<String, Served>>);

#[derive(Debug)]
struct Served {
    /// Host and port of the issuer.
    host: String,
    path: String,
    jwks: String,
}

impl Published {
    /// Publishes `jwks` for `authority`, instead of what it had.
    pub fn publish(&self, authority: &str, issuer: &Issuer, jwks: &str) {
        let rest = issuer.as_str().trim_start_matches("https://");
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let served =
            Served { host: host.to_owned(), path: format!("{path}/jwks.json"), jwks: jwks.to_owned() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(authority.to_owned(), served);
    }

    /// `authority` publishes nothing any more.
    pub fn withdraw(&self, authority: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(authority);
    }

    /// The JWK set at `path`. Where several issuers share a path, `host` (the request's) tells which one is meant.
    pub fn at(&self, host: Option<&str>, path: &str) -> Option<String> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut there = all.values().filter(|served| served.path == path);
        let first = there.next()?;
        if there.next().is_none() {
            return Some(first.jwks.clone());
        }
        let meant = all.values().find(|served| served.path == path && Some(served.host.as_str()) == host);
        meant.map(|served| served.jwks.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_served_under_the_path_of_their_issuer() {
        let published = Published::default();
        published.publish("default", &"https://usher.acme.example/a/default".parse().unwrap(), "{1}");
        published.publish("root", &"https://usher.acme.example".parse().unwrap(), "{2}");
        assert_eq!(published.at(None, "/a/default/jwks.json").as_deref(), Some("{1}"));
        assert_eq!(published.at(None, "/jwks.json").as_deref(), Some("{2}"));
        published.publish("twin", &"https://usher.other.example/a/default".parse().unwrap(), "{3}");
        assert_eq!(published.at(None, "/a/default/jwks.json"), None, "two issuers, and nobody says which");
        let at = |host| published.at(Some(host), "/a/default/jwks.json");
        assert_eq!(at("usher.acme.example").as_deref(), Some("{1}"));
        assert_eq!(at("usher.other.example").as_deref(), Some("{3}"));
        published.withdraw("twin");
        published.withdraw("default");
        assert_eq!(published.at(None, "/a/default/jwks.json"), None);
    }
}
