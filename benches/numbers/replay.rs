//! The client that `reconcile` is measured against: it sends what Usher sent, and does nothing else.
//!
//! 1. **Lists and watches** are sent as they were, with the continuations and versions of this cluster; the
//!    watches are read to the end, and what they bring is thrown away.
//! 2. **The rest** begins when all lists are complete, as Usher's does. What belongs to one License is sent in order, and
//!    what overlapped then overlaps again; as many Licenses at once as Usher has workers.
//! 3. **UIDs** in paths and bodies are those of this cluster's objects, of the same length. Whatever else differs (instants,
//!    signatures) is as it was recorded.
//! 4. Writes that named the version that they were made of go under whatever version there is. The Lease is left out: it is renewed
//!    by the clock.
//! 5. An answer with another code than was recorded ends the run: what was sent would not be the same work.

use std::collections::BTreeMap;

use axum::http::Method;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Failure,
    people::{Uids, license_in},
    record::{Call, send, whole},
};

/// What `usher run` looks at at once, unless it is told otherwise.
pub const WORKERS: usize = 8;

/// A recording, in the order in which it is sent again.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The first page of each list, and the watch that followed.
    feeds: Vec<(Call, Option<Call>)>,
    /// What belongs to no License.
    first: Vec<Call>,
    /// What belongs to one License: steps, each of requests that were under way together.
    looks: Vec<Vec<Vec<Call>>>,
}

impl Recording {
    /// Sorts what was recorded.
    pub fn of(mut calls: Vec<Call>) -> Self {
        calls.retain(|call| !call.path().contains("/leases"));
        calls.iter_mut().for_each(unversioned);
        let watches: BTreeMap<String, Call> = calls
            .iter()
            .filter(|call| call.asks("watch=true"))
            .rev()
            .map(|call| (call.path().to_owned(), call.clone()))
            .collect();
        let is_list = |call: &Call| call.method == Method::GET && watches.contains_key(call.path());
        let (lists, rest): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(is_list);
        let begun = lists.into_iter().filter(|call| !call.asks("watch=true") && !call.asks("continue="));
        let feeds =
            begun.map(|list| (watches.get(list.path()).cloned(), list)).map(|(w, l)| (l, w)).collect();

        let (mut first, mut order): (Vec<Call>, Vec<String>) = (Vec::new(), Vec::new());
        let mut by_license: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        for call in rest {
            let text = String::from_utf8_lossy(&call.body);
            match license_in(&call.target).or_else(|| license_in(&text)).map(str::to_owned) {
                None => first.push(call),
                Some(name) => {
                    let calls = by_license.entry(name.clone()).or_default();
                    if calls.is_empty() {
                        order.push(name);
                    }
                    calls.push(call);
                }
            }
        }
        let looks = order.iter().filter_map(|name| by_license.remove(name)).map(steps).collect();
        Self { feeds, first, looks }
    }

    /// How many requests, without the pages and watches.
    pub fn requests(&self) -> usize {
        self.first.len() + self.looks.iter().flatten().map(Vec::len).sum::<usize>()
    }

    /// The same for other objects of the same names.
    pub fn with_uids(mut self, then: &Uids, now: &Uids) -> Self {
        let mut uids: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for (name, uid) in now {
            if let Some(former) = then.get(name) {
                let license = license_in(name).unwrap_or_default().to_owned();
                uids.entry(license).or_default().push((former, uid));
            }
        }
        let replace = |call: &mut Call| {
            let mut text = String::from_utf8_lossy(&call.body).into_owned();
            let license =
                license_in(&call.target).or_else(|| license_in(&text)).unwrap_or_default().to_owned();
            for (former, uid) in uids.get(&license).into_iter().flatten() {
                text = text.replace(former, uid);
            }
            call.body = text.into();
        };
        self.first.iter_mut().chain(self.looks.iter_mut().flatten().flatten()).for_each(replace);
        self
    }

    /// Sends everything. Watches go on until the result is dropped.
    pub async fn run(&self, client: &Client) -> Result<JoinSet<()>, Failure> {
        let mut watches = JoinSet::new();
        let lists = self.feeds.iter().map(async |(list, watch)| Ok((pages(client, list).await?, watch)));
        for (version, watch) in future::try_join_all(lists).await.map_err(|failure: Failure| failure)? {
            if let Some(watch) = watch {
                let (client, watch) = (client.clone(), from_version(watch, &version));
                watches.spawn(async move {
                    if let Err(failure) = drain(&client, &watch).await {
                        eprintln!("bench: a watch of the replay broke: {failure}");
                    }
                });
            }
        }
        for call in &self.first {
            again(client, call).await?;
        }
        stream::iter(&self.looks)
            .map(Ok)
            .try_for_each_concurrent(WORKERS, async |look| {
                for step in look {
                    future::try_join_all(step.iter().map(|call| again(client, call))).await?;
                }
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(watches)
    }
}

/// Under whatever version. The witness is no object of people's, so it may have another UID, too.
fn unversioned(call: &mut Call) {
    let Ok(mut object) = serde_json::from_slice::<Value>(&call.body) else { return };
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let versioned = metadata.remove("resourceVersion").is_some();
    if versioned && call.path().ends_with("/usher-witness") {
        metadata.remove("uid");
    }
    if versioned {
        call.body = object.to_string().into();
    }
}

/// What began before the first of the step had ended belongs to the step.
fn steps(calls: Vec<Call>) -> Vec<Vec<Call>> {
    let mut steps: Vec<Vec<Call>> = Vec::new();
    for call in calls {
        let joins = |step: &&mut Vec<Call>| step.iter().all(|other| call.begun < other.ended);
        match steps.last_mut().filter(joins) {
            Some(step) => step.push(call),
            None => steps.push(vec![call]),
        }
    }
    steps
}

async fn again(client: &Client, call: &Call) -> Result<(), Failure> {
    let response = send(client, call).await?;
    let status = response.status();
    let body = whole(response).await?;
    if status != call.status {
        let said = String::from_utf8_lossy(&body);
        return Err(
            format!("{} {}: {status}, and {} then: {said}", call.method, call.target, call.status).into()
        );
    }
    Ok(())
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// Reads all pages; returns the version that they are of.
async fn pages(client: &Client, first: &Call) -> Result<String, Failure> {
    let mut call = first.clone();
    loop {
        let body = whole(send(client, &call).await?).await?;
        let Page { metadata } = serde_json::from_slice(&body)?;
        if metadata.r#continue.is_empty() {
            return Ok(metadata.resource_version);
        }
        call.target = format!("{}&continue={}", first.target, metadata.r#continue);
    }
}

fn from_version(watch: &Call, version: &str) -> Call {
    let (path, query) = watch.target.split_once('?').unwrap_or((&watch.target, ""));
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some(("resourceVersion", _)) => format!("resourceVersion={version}"),
        _ => part.to_owned(),
    });
    Call { target: format!("{path}?{}", parts.collect::<Vec<_>>().join("&")), ..watch.clone() }
}

async fn drain(client: &Client, watch: &Call) -> Result<(), Failure> {
    let mut chunks = send(client, watch).await?.into_body().into_data_stream();
    while chunks.next().await.transpose()?.is_some() {}
    Ok(())
}
