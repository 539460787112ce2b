//! `usher uninstall`: what must be done before Usher goes for good, so that nothing waits for it afterwards.

use std::{fmt::Debug, process::ExitCode};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    cluster::{api::License, labels, license::FINALIZER},
    cmd::{
        self, Exit, Failure,
        describe::{GOOD, styled},
        eprint, list, print,
    },
    domain::text::Label,
};

/// How often somebody else may be faster with one License.
const ATTEMPTS: usize = 5;

/// Lifts Usher's finalizers, so that Licenses with copies in other namespaces, and their namespaces, can be deleted when
/// Usher is gone. Stop Usher first. Documents, copies, Licenses and keys stay; it says which copies.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only in this namespace.
    #[arg(short, long)]
    namespace: Option<Label>,
    /// Do it; without this it only says what it would do.
    #[arg(long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  helm uninstall usher -n usher-system
  usher uninstall          # what would be lifted, and what stays
  usher uninstall --yes

Exit codes:
  0  nothing waits for Usher any more
  1  there are finalizers, and --yes was not given
  2  the command line is wrong, or the cluster could not be read or written";

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
    let finalized: Vec<_> = all(&licenses, "").await?.into_iter().filter(is_finalized).collect();
    let of_namespace = namespace.map(|namespace| format!("={namespace}")).unwrap_or_default();
    let selector = format!("{}{of_namespace}", labels::LICENSE_NAMESPACE);
    let copies: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
    let copies = all(&copies, &selector).await?;
    let lift = args.yes && !finalized.is_empty();
    if lift {
        for license in &finalized {
            lift_from(&client, license).await?;
        }
    }
    print(&said(&names(&finalized), &names(&copies), lift))?;
    if !copies.is_empty() {
        eprint(&format!(
            "next: the copies are good until they end; to delete them: kubectl delete secrets -A -l {selector}\n"
        ))?;
    }
    if finalized.is_empty() || lift {
        return Ok(Exit::Done.into());
    }
    eprint("next: stop Usher, then run this again with --yes\n")?;
    Ok(Exit::Refused.into())
}

fn is_finalized(license: &PartialObjectMeta<License>) -> bool {
    license.finalizers().iter().any(|name| name == FINALIZER)
}

/// All that `selector` selects; none where the cluster does not know the kind any more.
async fn all<K>(api: &Api<K>, selector: &str) -> Result<Vec<K>, Failure>
where
    K: Clone + Debug + DeserializeOwned,
{
    match list::all(api, selector).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        listed => Ok(listed.map_err(|error| {
            format!("cannot see which Licenses have copies, and where: {}", cmd::with_causes(&error))
        })?),
    }
}

fn names(objects: &[impl kube::ResourceExt]) -> Vec<String> {
    objects.iter().map(|of| format!("{}/{}", of.namespace().unwrap_or_default(), of.name_any())).collect()
}

fn said(licenses: &[String], copies: &[String], lifted: bool) -> String {
    let listed = |names: &[String]| names.iter().map(|name| format!("\n  {name}")).collect::<String>();
    let first = match (licenses.len(), lifted) {
        (0, _) => format!("{}: no License has the finalizer {FINALIZER}", styled(GOOD, "ok")),
        (count, true) => {
            format!("{}: {count} with the finalizer {FINALIZER}, which is lifted:", styled(GOOD, "ok"))
        }
        (count, false) => format!("{count} with the finalizer {FINALIZER}, which only Usher lifts:"),
    };
    let stays = match copies.len() {
        0 => String::new(),
        count => format!("{count} copies of documents stay:{}\n", listed(copies)),
    };
    format!("{first}{}\n{stays}", listed(licenses))
}

/// Only ours, and only from the License that was seen: the patch names the version that it was made of.
async fn lift_from(client: &Client, license: &PartialObjectMeta<License>) -> Result<(), Failure> {
    let (namespace, name) = (license.namespace().unwrap_or_default(), license.name_any());
    let api: Api<PartialObjectMeta<License>> = Api::namespaced(client.clone(), &namespace);
    let mut seen = license.clone();
    for _ in 0..ATTEMPTS {
        let others: Vec<&String> = seen.finalizers().iter().filter(|name| *name != FINALIZER).collect();
        let patch = json!({"metadata": {
            "uid": seen.metadata.uid, "resourceVersion": seen.metadata.resource_version, "finalizers": others,
        }});
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                return Err(format!("License {namespace}/{name}: {}", cmd::with_causes(&error)).into());
            }
        }
        match api.get_opt(&name).await? {
            Some(now) if now.metadata.uid == license.metadata.uid && is_finalized(&now) => seen = now,
            _ => return Ok(()),
        }
    }
    Err(format!("License {namespace}/{name} is being edited by somebody else all the time: try again").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_stays_is_named() {
        let (licenses, copies) = (["design/cad".to_owned()], ["farm/cad-license".to_owned()]);
        let told = said(&licenses, &copies, false);
        assert_eq!(
            told,
            "1 with the finalizer usher.dev/copies, which only Usher lifts:\n  design/cad\n1 copies of documents stay:\n  farm/cad-license\n"
        );
        assert!(said(&licenses, &[], true).ends_with("which is lifted:\n  design/cad\n"));
        assert!(said(&[], &[], false).ends_with("no License has the finalizer usher.dev/copies\n"));
    }
}
