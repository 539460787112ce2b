//! Callers that Kubernetes knows: the port to whoever can tell who shows a token, and what they may.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use crate::domain::{
    license::Key,
    text::Issuer,
    workload::{Account, Owner, Pod, PodName},
};

/// Somebody whom Kubernetes knows, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The name, such as `system:serviceaccount:design:render`.
    pub name: String,
    /// The UID, where there is one.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The text that stands in the ledger for whom Kubernetes calls `name`: the audit gets a reference instead.
#[must_use]
pub fn identity(name: &str) -> String {
    format!("kubernetes:{name}")
}

/// What somebody may do with the activations of a License, as roles write it: the verb, on `licenses/activations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// `get`: see how they stand.
    See,
    /// `update`: say that a fork was looked into.
    Resolve,
    /// `delete`: end them, and their sessions.
    End,
}

impl Act {
    /// The verb of the role.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::See => "get",
            Self::Resolve => "update",
            Self::End => "delete",
        }
    }
}

/// What somebody may do, as roles write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed<'a> {
    /// This, with the activations of that License.
    With(Act, &'a Key),
    /// `create` on `introspections`, in the whole cluster: learn what somebody's token is worth.
    Introspect,
}

/// Kubernetes does not answer.
#[derive(Debug, thiserror::Error)]
#[error("asking the API server failed: {0}")]
pub struct Away(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A pod, and what owns it in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What owns it.
    pub owner: Owner,
    /// The pod.
    pub pod: Pod,
}

/// Why nothing is known of pods.
#[derive(Debug, thiserror::Error)]
pub enum Blind {
    /// Kubernetes does not answer.
    #[error(transparent)]
    Away(#[from] Away),
    /// Usher may not look there.
    #[error("Usher may not see pods there")]
    NotGranted,
}

/// Whoever knows callers.
pub trait Callers: Send + Sync + 'static {
    /// Who shows `token`, if it is good and was made for one of `audiences`.
    fn known<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [Issuer],
    ) -> BoxFuture<'a, Result<Option<Known>, Away>>;

    /// Whether they may do this.
    fn may<'a>(&'a self, known: &'a Known, deed: Deed<'a>) -> BoxFuture<'a, Result<bool, Away>>;

    /// Where this pod is; nothing if it is gone.
    fn placed<'a>(&'a self, pod: &'a PodName) -> BoxFuture<'a, Result<Option<Placed>, Blind>>;

    /// The pods of `account` that are there at this moment, and have not ended.
    fn pods<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<Vec<Pod>, Blind>>;
}
