//! Who waits for the name of a Secret that belongs to somebody else: told at once when that one lets it go.
//!
//! Only a trigger: whose a name is, the ledger says. Whoever is told looks again and claims it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use crate::domain::license::Key;

/// License to the Secrets whose names it waits for.
#[derive(Debug, Default)]
pub struct Awaited(Mutex<BTreeMap<Key, BTreeSet<Key>>>);

impl Awaited {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<Key, BTreeSet<Key>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The License waits for these names, and for no others.
    pub(super) fn wait(&self, license: &Key, secrets: BTreeSet<Key>) {
        self.with(|all| {
            if secrets.is_empty() {
                all.remove(license);
            } else {
                all.insert(license.clone(), secrets);
            }
        });
    }

    /// And for these.
    pub(super) fn wait_also(&self, license: &Key, secrets: &BTreeSet<Key>) {
        if !secrets.is_empty() {
            self.with(|all| all.entry(license.clone()).or_default().extend(secrets.iter().cloned()));
        }
    }

    /// Who waits for one of these names.
    pub(super) fn by(&self, secrets: &[Key]) -> Vec<Key> {
        let waits = |(_, names): &(&Key, &BTreeSet<Key>)| secrets.iter().any(|secret| names.contains(secret));
        self.with(|all| all.iter().filter(waits).map(|(license, _)| license.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_name_is_told_until_it_waits_for_another() {
        let (cad, pcb) = (Key::new("design", "cad"), Key::new("design", "pcb"));
        let (first, second) = (Key::new("design", "first"), Key::new("farm", "second"));
        let awaited = Awaited::default();
        let by = |name: &Key| awaited.by(std::slice::from_ref(name));
        awaited.wait(&cad, BTreeSet::from([first.clone()]));
        awaited.wait_also(&cad, &BTreeSet::from([second.clone()]));
        awaited.wait_also(&pcb, &BTreeSet::from([second.clone()]));
        assert_eq!(by(&first), std::slice::from_ref(&cad));
        assert_eq!(by(&second), [cad.clone(), pcb.clone()]);
        awaited.wait(&cad, BTreeSet::from([second.clone()]));
        assert_eq!(by(&first), []);
        awaited.wait(&cad, BTreeSet::new());
        assert_eq!(by(&second), [pcb]);
    }
}
