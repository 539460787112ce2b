//! Who shows a token, and what they may: asked of the API server, and remembered for some seconds.
//!
//! A `TokenReview` with our audiences says who it is, and a `SubjectAccessReview` what they may; of a pod, [`pods`] says whose it is. What is remembered is bounded, and so are
//! the questions that are asked at once: whoever sends tokens that nobody knows costs the API server no more than that.

mod memory;
mod pods;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::{
    api::{
        authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus},
        authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    },
    serde::{Serialize, de::DeserializeOwned},
};
use kube::{Api, Client, Resource, api::PostParams};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    cluster::callers::memory::Memory,
    domain::{
        self,
        text::Issuer,
        workload::{Account, Pod, PodName},
    },
    service::{
        callers::{Away, Blind, Callers, Deed, Known, Placed},
        edge::Edge,
    },
};

/// The longest that the API server may take: it answers in milliseconds, or it is away.
const LONGEST: Duration = Duration::from_secs(4);
/// So many questions at once.
const AT_ONCE: usize = 32;

/// Who asks, by the API server's reviews.
pub struct Reviews {
    client: Client,
    edge: Arc<dyn Edge>,
    known: Memory<Option<Known>>,
    may: Memory<bool>,
    asking: Semaphore,
}

impl Reviews {
    /// Asks by `client`.
    #[must_use]
    pub fn new(client: Client, edge: Arc<dyn Edge>) -> Self {
        let (known, may) = (Memory::default(), Memory::default());
        Self { client, edge, known, may, asking: Semaphore::new(AT_ONCE) }
    }

    async fn review<K>(&self, review: &K) -> Result<K, Away>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        self.asked(api.create(&PostParams::default(), review)).await
    }

    /// Asks in turn, and not for ever.
    async fn asked<T>(&self, question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Away> {
        let asked = async {
            let _turn = self.asking.acquire().await.map_err(|closed| Away(closed.into()))?;
            question.await.map_err(|error| Away(error.into()))
        };
        timeout(LONGEST, asked).await.unwrap_or_else(|late| Err(Away(late.into())))
    }

    async fn ask_who(&self, token: &str, audiences: &[Issuer]) -> Result<Option<Known>, Away> {
        let audiences = audiences.iter().map(ToString::to_string).collect();
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: Some(audiences) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let wanted = review.spec.audiences.clone().unwrap_or_default();
        Ok(self.review(&review).await?.status.and_then(|status| known(status, &wanted)))
    }

    async fn ask_whether(&self, known: &Known, deed: Deed<'_>) -> Result<bool, Away> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                resource_attributes: Some(attributes(deed)),
                user: Some(known.name.clone()),
                uid: known.uid.clone(),
                groups: Some(known.groups.clone()),
                extra: Some(known.extra.clone()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        Ok(self.review(&review).await?.status.is_some_and(|status| status.allowed))
    }
}

/// What a role must say for that. There are no such objects: roles name them, and nothing else does.
fn attributes(deed: Deed<'_>) -> ResourceAttributes {
    let of_usher =
        ResourceAttributes { group: Some("usher.dev".to_owned()), ..ResourceAttributes::default() };
    match deed {
        Deed::With(act, license) => ResourceAttributes {
            resource: Some("licenses".to_owned()),
            subresource: Some("activations".to_owned()),
            verb: Some(act.verb().to_owned()),
            namespace: Some(license.namespace.clone()),
            name: Some(license.name.clone()),
            ..of_usher
        },
        Deed::Introspect => ResourceAttributes {
            resource: Some("introspections".to_owned()),
            verb: Some("create".to_owned()),
            ..of_usher
        },
    }
}

/// Whom the API server has found. That it knows somebody is not enough: of an authenticator that knows nothing of audiences it says so for
/// any, and then it names none of ours.
fn known(status: TokenReviewStatus, wanted: &[String]) -> Option<Known> {
    let is_for_us = status.audiences.iter().flatten().any(|audience| wanted.contains(audience));
    let user = status.user.filter(|_| status.authenticated == Some(true) && is_for_us)?;
    Some(Known {
        name: user.username.filter(|name| !name.is_empty())?,
        uid: user.uid.filter(|uid| !uid.is_empty()),
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

impl Callers for Reviews {
    fn known<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [Issuer],
    ) -> BoxFuture<'a, Result<Option<Known>, Away>> {
        Box::pin(async move {
            let names = audiences.iter().map(|issuer| issuer.as_str().as_bytes());
            let question = question(std::iter::once(token.as_bytes()).chain(names));
            if let Some(known) = self.known.of(&question, self.edge.elapsed()) {
                return Ok(known);
            }
            let known = self.ask_who(token, audiences).await?;
            self.known.keep(question, known.clone(), self.edge.elapsed());
            Ok(known)
        })
    }

    fn may<'a>(&'a self, known: &'a Known, deed: Deed<'a>) -> BoxFuture<'a, Result<bool, Away>> {
        Box::pin(async move {
            // All that the answer may depend on, in a form in which no two differ and look alike.
            let who = format!("{known:?} {deed:?}");
            let question = question([who.as_bytes()].into_iter());
            if let Some(may) = self.may.of(&question, self.edge.elapsed()) {
                return Ok(may);
            }
            let may = self.ask_whether(known, deed).await?;
            self.may.keep(question, may, self.edge.elapsed());
            Ok(may)
        })
    }

    fn placed<'a>(&'a self, pod: &'a PodName) -> BoxFuture<'a, Result<Option<Placed>, Blind>> {
        Box::pin(self.find_pod(pod))
    }

    fn pods<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<Vec<Pod>, Blind>> {
        Box::pin(self.list_pods(account))
    }
}

/// A question by its hash: no token is kept.
fn question<'a>(parts: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    domain::digest(parts)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::UserInfo;

    use super::*;

    fn status(audiences: Option<&[&str]>) -> TokenReviewStatus {
        TokenReviewStatus {
            authenticated: Some(true),
            audiences: audiences.map(|all| all.iter().map(|one| (*one).to_owned()).collect()),
            user: Some(UserInfo { username: Some("ann".into()), ..UserInfo::default() }),
            ..TokenReviewStatus::default()
        }
    }

    #[test]
    fn only_a_token_for_one_of_our_audiences_is_anybodys() {
        let ours = ["https://usher.acme.example".to_owned()];
        let name = |status| known(status, &ours).map(|known| known.name);
        assert_eq!(name(status(Some(&["https://usher.acme.example"]))), Some("ann".into()));
        for other in [None, Some(&[][..]), Some(&["https://kubernetes.default.svc"][..])] {
            assert_eq!(name(status(other)), None, "{other:?}");
        }
        let unknown =
            TokenReviewStatus { authenticated: Some(false), ..status(Some(&["https://usher.acme.example"])) };
        assert_eq!(name(unknown), None);
    }

    #[test]
    fn two_questions_are_never_taken_for_one() {
        let of = |parts: &[&str]| question(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a", "b"]), of(&["a", "b", ""]));
    }
}
