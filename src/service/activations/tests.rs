//! What calls stand upon beside the ledger, where there is no cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;

use super::{Grounds, Happened, News, Runtime};
use crate::{
    domain::{
        license::Key,
        refusal::Code,
        terms::ClonePolicy,
        text::{Issuer, Product},
        witness::Standing,
        workload,
    },
    keys::Signers,
    ledger::sqlite::Sqlite,
    service::{
        callers::{Away, Blind, Callers, Deed, Known, Placed},
        edge::Edge,
        intent::{Declared, Intent},
        providers::Providers,
    },
};

/// A cluster of which nothing is told but which Seats are declared, and for whom.
#[derive(Default)]
pub(crate) struct Quiet(Mutex<Vec<(String, Declared)>>, Mutex<Vec<(Key, Product)>>);

impl Quiet {
    /// A Seat for this holder is declared, and shown so.
    pub(crate) fn declare(&self, holder: &str, license: &str, position: Option<u32>, rests: bool) {
        let declared = Declared { license: Key::new("design", license), position, rests };
        self.0.lock().unwrap().push((holder.to_owned(), declared));
    }

    /// The License `design/NAME` is open to whoever signs in.
    pub(crate) fn opens(&self, license: &str) {
        self.1.lock().unwrap().push((Key::new("design", license), "cad".parse().unwrap()));
    }
}

impl News for Quiet {
    fn tell(&self, _: &Key, _: Happened) {}
    fn forked(&self, _: ClonePolicy) {}
    fn standing(&self) -> Standing {
        Standing::Good
    }
    fn answered(&self, _: &'static str, _: Option<Code>, _: Duration) {}
}

impl Intent for Quiet {
    fn labels(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    fn asks(&self, license: &Key, holders: &[String]) -> bool {
        self.declared(holders, usize::MAX).iter().any(|declared| declared.license == *license)
    }
    fn open(&self) -> Vec<(Key, Product)> {
        self.1.lock().unwrap().clone()
    }
    fn declared(&self, holders: &[String], at_most: usize) -> Vec<Declared> {
        let all = self.0.lock().unwrap();
        let theirs = all.iter().filter(|(holder, _)| holders.contains(holder));
        theirs.map(|(_, declared)| declared.clone()).take(at_most).collect()
    }
}

impl Callers for Quiet {
    fn known<'a>(&'a self, _: &'a str, _: &'a [Issuer]) -> BoxFuture<'a, Result<Option<Known>, Away>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn may<'a>(&'a self, _: &'a Known, _: Deed<'a>) -> BoxFuture<'a, Result<bool, Away>> {
        Box::pin(std::future::ready(Ok(false)))
    }
    fn placed<'a>(&'a self, _: &'a workload::PodName) -> BoxFuture<'a, Result<Option<Placed>, Blind>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn pods<'a>(&'a self, _: &'a workload::Account) -> BoxFuture<'a, Result<Vec<workload::Pod>, Blind>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// What answers there. It signs nothing.
pub(crate) fn runtime(
    ledger: Sqlite,
    edge: Arc<dyn Edge>,
    providers: Arc<dyn Providers>,
    quiet: Arc<Quiet>,
) -> Runtime<Sqlite> {
    let people = Grounds { providers, intent: quiet.clone() };
    let (signers, nonces) = (Arc::new(Signers::default()), Arc::new(OnceLock::new()));
    Runtime::new(ledger, edge, signers, nonces, quiet.clone(), quiet, people)
}
