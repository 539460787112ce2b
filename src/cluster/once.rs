//! Secrets with keys of Usher's own: made once, immutable. Of two replicas that make one, what the first one made counts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::api::MANAGER;

/// A Secret of this name, type and labels, with these entries.
pub(super) fn secret<'a>(
    name: &str,
    kind: &str,
    labels: BTreeMap<String, String>,
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Secret {
    let entries = entries.into_iter().map(|(entry, text)| (entry.to_owned(), text.to_owned()));
    Secret {
        metadata: ObjectMeta { name: Some(name.into()), labels: Some(labels), ..ObjectMeta::default() },
        immutable: Some(true),
        type_: Some(kind.into()),
        string_data: Some(entries.collect()),
        ..Secret::default()
    }
}

/// Makes it, unless there is one.
pub(super) async fn make(secrets: &Api<Secret>, secret: &Secret) -> Result<Option<Secret>, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    match secrets.create(&params, secret).await {
        Ok(made) => Ok(Some(made)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The Secret of this name; what `fresh` gives becomes it if there is none yet. `failed` is told what was being done.
pub(super) async fn found_or_made<E>(
    secrets: &Api<Secret>,
    name: &str,
    failed: impl Fn(&'static str, kube::Error) -> E,
    fresh: impl FnOnce() -> Result<Secret, E>,
) -> Result<Secret, E> {
    if let Some(found) = secrets.get_opt(name).await.map_err(|error| failed("reading", error))? {
        return Ok(found);
    }
    match make(secrets, &fresh()?).await.map_err(|error| failed("keeping", error))? {
        Some(made) => Ok(made),
        None => secrets.get(name).await.map_err(|error| failed("reading", error)),
    }
}
