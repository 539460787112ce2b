//! Which Licenses give seats to people who sign in.

use std::collections::BTreeSet;

use super::{Index, Shelves};
use crate::{
    cluster::api::License,
    domain::{
        license::Key,
        terms::SignIn,
        text::{Label, Product, ProviderGroup},
    },
};

impl Index {
    /// The Licenses to which anybody may come by signing in.
    pub fn licenses_that_admit(&self) -> Vec<Key> {
        self.read(|s| admitting(s).map(|(key, _)| key.clone()).collect())
    }

    /// The Licenses of which anybody takes a seat who signs in and asks.
    pub fn licenses_open_to_all(&self) -> Vec<(Key, Product)> {
        self.read(|s| {
            let open = admitting(s).filter(|(_, license)| license.spec.sign_in == Some(SignIn::Verified));
            open.map(|(key, license)| (key.clone(), license.spec.product.clone())).collect()
        })
    }

    /// The Licenses to which people come by signing in that name one of these groups, each with its provider.
    pub fn licenses_for(&self, groups: &BTreeSet<(&Label, &ProviderGroup)>) -> Vec<Key> {
        let names: BTreeSet<&ProviderGroup> = groups.iter().map(|(_, name)| *name).collect();
        self.read(|s| {
            let named = |key: &Key| {
                let assignments = s.assignments.under(key);
                let readable = assignments.iter().filter_map(|assignment| assignment.0.as_ref().ok());
                let mut named = readable.flat_map(|assignment| &assignment.spec.groups);
                named.any(|group| groups.contains(&(&group.provider, &group.name)))
            };
            let matches = |license: &License| {
                let mut matched = license.spec.groups.iter().filter_map(|group| group.matches.as_ref());
                matched.any(|matches| matches.provider_groups.iter().any(|name| names.contains(name)))
            };
            admitting(s)
                .filter(|(key, license)| named(key) || matches(license))
                .map(|(key, _)| key.clone())
                .collect()
        })
    }
}

fn admitting(state: &Shelves) -> impl Iterator<Item = (&Key, &License)> {
    let readable =
        state.licenses.items.iter().filter_map(|(key, license)| Some((key, license.0.as_ref().ok()?)));
    readable.filter(|(_, license)| license.spec.sign_in.is_some_and(|sign_in| sign_in != SignIn::None))
}
