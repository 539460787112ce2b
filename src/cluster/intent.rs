//! What is declared, for those who answer programs: from the index, on every replica.

use std::collections::BTreeMap;

use super::Context;
use crate::{domain::license::Key, service::intent::Intent};

impl<L: Send + Sync + 'static> Intent for Context<L> {
    fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.index.namespace_labels(namespace)
    }

    fn asks(&self, license: &Key, holders: &[String]) -> bool {
        let seats = self.index.seats_of(license);
        let mut asked = seats.iter().filter_map(|seat| seat.0.as_ref().ok()?.spec.holder.holder());
        asked.any(|holder| holders.contains(&holder.identity()))
    }
}
