//! A namespace that looks need: may we work with the Secrets there? One look.
//!
//! Asked with a `SelfSubjectAccessReview` per verb, so that no request of ours is ever refused. A
//! `SelfSubjectRulesReview` would answer for all verbs at once, but not for every authorizer.

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::Namespace,
};
use kube::{Api, api::PostParams, runtime::watcher::Event};
use tracing::{error, info};

use crate::cluster::{
    Context,
    queue::{Done, Task},
};

/// What is done with the Secrets of documents.
const VERBS: [&str; 6] = ["list", "watch", "get", "create", "patch", "delete"];

/// Looks at `namespace`, whether there is one or not.
pub(super) async fn reconcile<L>(context: &Context<L>, namespace: &str) -> Done {
    let wanted_by = context.rights.wanted_by(namespace);
    if wanted_by.is_empty() || context.index.is_ending(namespace) {
        context.rights.forget(namespace);
        context.push(wanted_by.into_iter().map(Task::License));
        return Done::Rest;
    }
    if context.rights.are_wide() {
        // It is there now. Who is at home in it was told of it already.
        let elsewhere = wanted_by.into_iter().filter(|key| key.namespace != namespace);
        context.push(elsewhere.map(Task::License));
        return Done::Rest;
    }
    let allowed = match is_allowed(context, namespace).await {
        Ok(allowed) => allowed,
        Err(failure) => {
            error!(
                error = &failure as &dyn std::error::Error,
                "asking for our rights failed and is tried again"
            );
            return Done::Failed;
        }
    };
    let bound = context.index.is_bound(namespace);
    let (changed, again) = context.rights.answered(namespace, allowed, bound);
    if changed {
        info!(namespace, allowed, "rights on Secrets");
        // Where we may now, the first list of the Secrets brings the looks.
        context.push(wanted_by.into_iter().filter(|_| !allowed).map(Task::License));
    }
    let now = context.edge.now();
    again.and_then(|again| now.checked_add(again).ok()).map_or(Done::Rest, Done::At)
}

/// Whether `namespace` is going or gone at this moment. What is in it goes one by one, our rights there among the first, and
/// no order of watches tells us of the namespace before: so whoever is about to remove something asks.
pub(super) async fn is_ending<L>(context: &Context<L>, namespace: &str) -> Result<bool, kube::Error> {
    let api: Api<Namespace> = Api::all(context.client.clone());
    let Some(found) = api.get_opt(namespace).await? else { return Ok(true) };
    let ending = found.metadata.deletion_timestamp.is_some();
    if ending {
        context.push(context.index.namespace_event(Event::Apply(found)));
    }
    Ok(ending)
}

async fn is_allowed<L>(context: &Context<L>, namespace: &str) -> Result<bool, kube::Error> {
    let api: Api<SelfSubjectAccessReview> = Api::all(context.client.clone());
    for verb in VERBS {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    resource: Some("secrets".to_owned()),
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = api.create(&PostParams::default(), &review).await?;
        if !answer.status.is_some_and(|status| status.allowed) {
            return Ok(false);
        }
    }
    Ok(true)
}
