//! What is declared in the cluster, for those who answer programs: the port to whoever has it at hand.
//!
//! It is as the API server last told, and no limit is decided by it.

use std::collections::BTreeMap;

use crate::domain::{license::Key, text::Product};

/// A License under which a Seat is declared for somebody, and how that is shown to stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// The License.
    pub license: Key,
    /// It is at this place of the queue, if it waits at one of the first.
    pub position: Option<u32>,
    /// It rests.
    pub rests: bool,
}

/// Whoever knows what is declared. Never awaits.
pub trait Intent: Send + Sync + 'static {
    /// The labels of a namespace.
    fn labels(&self, namespace: &str) -> BTreeMap<String, String>;

    /// Whether a Seat under `license` is for one of these holders ([`crate::domain::license::Holder::identity`]), bound or not.
    fn asks(&self, license: &Key, holders: &[String]) -> bool;

    /// The Licenses that are open to whoever signs in and asks, each with its product.
    fn open(&self) -> Vec<(Key, Product)>;

    /// The Seats for one of these holders under any License, bound or not: at most so many.
    fn declared(&self, holders: &[String], at_most: usize) -> Vec<Declared>;
}
