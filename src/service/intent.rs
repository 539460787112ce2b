//! What is declared in the cluster, for those who answer programs: the port to whoever has it at hand.
//!
//! It is as the API server last told, and no limit is decided by it.

use std::collections::BTreeMap;

use crate::domain::license::Key;

/// Whoever knows what is declared. Never awaits.
pub trait Intent: Send + Sync + 'static {
    /// The labels of a namespace.
    fn labels(&self, namespace: &str) -> BTreeMap<String, String>;

    /// Whether a Seat under `license` is for one of these holders ([`crate::domain::license::Holder::identity`]), bound or not.
    fn asks(&self, license: &Key, holders: &[String]) -> bool;
}
