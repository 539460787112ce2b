//! Which Licenses give seats to people who sign in.

use super::{Index, Shelves};
use crate::{
    cluster::api::License,
    domain::{license::Key, terms::SignIn, text::Label},
};

impl Index {
    /// The Licenses to which anybody may come by signing in.
    pub fn licenses_that_admit(&self) -> Vec<Key> {
        self.read(|s| admitting(s).map(|(key, _)| key.clone()).collect())
    }

    /// The Licenses to which people of this provider come by signing in. Whoever has left a group concerns those that name it, too.
    pub fn licenses_for(&self, provider: &Label) -> Vec<Key> {
        self.read(|s| {
            let named = |key: &Key| {
                let assignments = s.assignments.under(key);
                let readable = assignments.iter().filter_map(|assignment| assignment.0.as_ref().ok());
                let mut named = readable.flat_map(|assignment| &assignment.spec.groups);
                named.any(|group| group.provider == *provider)
            };
            let matches = |license: &License| license.spec.groups.iter().any(|group| group.matches.is_some());
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
