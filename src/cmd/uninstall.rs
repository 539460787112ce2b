//! `usher uninstall`: what must be done before Usher goes for good, so that nothing waits for it afterwards.

use std::{fmt::Write as _, process::ExitCode};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::json;

use crate::{
    cluster::{api::License, labels, license::FINALIZER},
    cmd::{self, Exit, Failure},
    domain::text::Label,
};

/// The most objects that one request lists.
const PAGE: u32 = 500;

/// Lifts Usher's finalizers from Licenses that have copies in other namespaces, so that they, and their namespaces, can be
/// deleted when Usher is gone. Stop Usher first. Without --yes it only says what it would do. Documents, Licenses and keys stay.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only in this namespace.
    #[arg(short, long)]
    namespace: Option<Label>,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(uninstall(args))
}

async fn uninstall(args: &Args) -> Result<ExitCode, Failure> {
    let client = Client::try_from(cmd::cluster().await?)?;
    let namespace = args.namespace.as_ref().map(Label::as_str);
    let licenses: Api<PartialObjectMeta<License>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let ours =
        |license: &PartialObjectMeta<License>| license.finalizers().iter().any(|name| name == FINALIZER);
    let finalized: Vec<_> = all(&licenses, "").await?.into_iter().filter(ours).collect();
    let copies: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
    let of_namespace = namespace.map(|namespace| format!("={namespace}")).unwrap_or_default();
    let selector = format!("{}{of_namespace}", labels::LICENSE_NAMESPACE);
    let copies = all(&copies, &selector).await?;
    cmd::print(&said(&finalized, &copies, &selector))?;
    if finalized.is_empty() {
        return Ok(Exit::Done.into());
    }
    if !args.yes {
        cmd::print("\nNothing is done yet: stop Usher, then run this again with --yes.\n")?;
        return Ok(Exit::Refused.into());
    }
    for license in &finalized {
        lift(&client, license).await?;
    }
    cmd::print(&format!("\nLifted the finalizer of {} Licenses.\n", finalized.len()))?;
    Ok(Exit::Done.into())
}

async fn all<K>(api: &Api<PartialObjectMeta<K>>, selector: &str) -> Result<Vec<PartialObjectMeta<K>>, Failure>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(found),
        }
    }
}

fn said(
    finalized: &[PartialObjectMeta<License>],
    copies: &[PartialObjectMeta<Secret>],
    selector: &str,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} Licenses have the finalizer {FINALIZER}, which only Usher lifts:",
        finalized.len()
    );
    for license in finalized {
        let _ = writeln!(text, "  {}/{}", license.namespace().unwrap_or_default(), license.name_any());
    }
    if !copies.is_empty() {
        let _ = writeln!(
            text,
            "{} copies of their documents stay until they are deleted: kubectl delete secrets -A -l {selector}",
            copies.len()
        );
    }
    text
}

async fn lift(client: &Client, license: &PartialObjectMeta<License>) -> Result<(), Failure> {
    let api: Api<PartialObjectMeta<License>> =
        Api::namespaced(client.clone(), &license.namespace().unwrap_or_default());
    let others: Vec<&String> = license.finalizers().iter().filter(|name| *name != FINALIZER).collect();
    let version = &license.metadata.resource_version;
    let patch =
        json!({"metadata": {"uid": license.metadata.uid, "resourceVersion": version, "finalizers": others}});
    match api.patch(&license.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            Err(format!("License {} was changed just now: run this again", license.name_any()).into())
        }
        Err(error) => Err(error.into()),
    }
}
