//! What became of each IdentityProvider, on this replica.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::api::ObjectMeta;
use tokio::sync::Notify;

use crate::{domain::reason::Because, identity::Standing, service::providers::Provider};

/// Which object, with which client secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: String,
    pub(super) generation: i64,
    /// The version of the Secret; none if there is none.
    pub(super) secret: Option<String>,
}

/// What became of one.
#[derive(Clone)]
pub(super) struct Outcome {
    pub(super) of: Version,
    /// At work, or why not.
    pub(super) provider: Result<Arc<Provider>, Because>,
    /// How the provider stands, once it was asked.
    pub(super) standing: Option<Standing>,
    /// Whether it can be asked again about each who is signed in there.
    pub(super) can_be_asked: bool,
}

impl Outcome {
    /// Whether nobody needs to be told of the one who knows the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let alike = match (&self.provider, &other.provider) {
            (Err(one), Err(other)) => one == other,
            _ => self.serves_like(other),
        };
        alike && self.of == other.of
    }

    /// Whether the very same provider is at work.
    fn serves_like(&self, other: &Self) -> bool {
        matches!((&self.provider, &other.provider), (Ok(one), Ok(other)) if Arc::ptr_eq(one, other))
    }
}

/// All of them.
#[derive(Default)]
pub struct Outcomes {
    /// Nothing before all were looked at once.
    all: Mutex<Option<BTreeMap<String, Outcome>>>,
    changed: Notify,
}

impl Outcomes {
    /// An IdentityProvider or a client secret came, changed or went.
    pub(in crate::cluster) fn news(&self) {
        self.changed.notify_one();
    }

    /// Until there is some.
    pub(super) async fn wait_for_news(&self) {
        self.changed.notified().await;
    }

    /// Whether all that were there at the start were looked at.
    pub(in crate::cluster) fn are_settled(&self) -> bool {
        self.look(|all| all.is_some())
    }

    /// What became of them so far.
    pub(super) fn so_far(&self) -> BTreeMap<String, Outcome> {
        self.look(|all| all.clone().unwrap_or_default())
    }

    /// This became of them. How a provider that goes on stands may have been noted meanwhile.
    pub(super) fn replace(&self, mut outcomes: BTreeMap<String, Outcome>) {
        self.look(|all| {
            for (name, outcome) in &mut outcomes {
                let noted =
                    all.as_ref().and_then(|all| all.get(name)).filter(|noted| noted.serves_like(outcome));
                outcome.standing = noted.and_then(|noted| noted.standing.clone());
                outcome.can_be_asked = noted.is_some_and(|noted| noted.can_be_asked);
            }
            *all = Some(outcomes);
        });
    }

    /// The provider at work under `name` stands so, and can be asked again about each who is signed in there, if that could be found out.
    /// Returns whether that is news.
    pub(super) fn note(
        &self,
        name: &str,
        provider: &Arc<Provider>,
        standing: Standing,
        can_be_asked: Option<bool>,
    ) -> bool {
        self.look(|all| {
            let outcome = all.as_mut().and_then(|all| all.get_mut(name));
            let is_it = |outcome: &&mut Outcome| {
                outcome.provider.as_ref().is_ok_and(|at_work| Arc::ptr_eq(at_work, provider))
            };
            let Some(outcome) = outcome.filter(is_it) else { return false };
            let can_be_asked = can_be_asked.unwrap_or(outcome.can_be_asked);
            let news = outcome.standing.as_ref() != Some(&standing) || outcome.can_be_asked != can_be_asked;
            (outcome.standing, outcome.can_be_asked) = (Some(standing), can_be_asked);
            news
        })
    }

    /// What became of this very object, as it is declared.
    pub(super) fn outcome_of(&self, name: &str, meta: &ObjectMeta) -> Option<Outcome> {
        let is_of = |outcome: &&Outcome| {
            meta.uid.as_deref() == Some(&outcome.of.uid)
                && meta.generation.unwrap_or(0) == outcome.of.generation
        };
        self.look(|all| all.as_ref()?.get(name).filter(is_of).cloned())
    }

    fn look<T>(&self, look: impl FnOnce(&mut Option<BTreeMap<String, Outcome>>) -> T) -> T {
        look(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
