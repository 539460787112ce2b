//! `usher audit rekey`: the consent that another audit key takes the place of one that is lost.

use std::process::ExitCode;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::checkpoints;
use crate::{
    cluster::audit::{NAME, REKEY, SECRET},
    cmd::{self, Exit, Failure, eprint, print},
    domain::text::Label,
};

/// Consents to another audit key, of which the audit itself will say that it took the place of the one that is lost. It cannot be taken
/// back: restore the Secret usher-audit-key from a backup if there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Usher's own namespace.
    #[arg(short, long, env = "USHER_NAMESPACE", default_value = "usher-system")]
    namespace: Label,
}

const EXAMPLES: &str = "\
Examples:
  usher audit rekey
  kubectl exec -n usher-system deploy/usher -- usher audit verify --from-cluster   # some minutes later: which key, from which entry on

Exit codes:
  0  consented: with the next entry of the audit Usher makes the key
  2  there is a key, or the cluster could not be read or written";

pub(super) async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let namespace = args.namespace.as_str();
    let client = Client::try_from(cmd::cluster().await?)?;
    // Before the Secret: what is written then is refused if Usher has written meanwhile.
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let version = maps.get_metadata_opt(NAME).await?.and_then(|map| map.metadata.resource_version);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if secrets.get_metadata_opt(SECRET).await?.is_some() {
        return Err(format!(
            "the Secret {SECRET} is there: if it holds another key than the one that sealed the audit, keep a copy, delete it, and come again"
        )
        .into());
    }
    let from = checkpoints::key_shown(&client, &args.namespace).await?;
    let patch = json!({"metadata": {"resourceVersion": version, "annotations": {REKEY: from.as_str()}}});
    maps.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await?;
    print(&format!("Usher may make another audit key instead of {from}\n"))?;
    eprint(
        "next: it does so when the audit next grows, at most a minute later; usher audit verify --from-cluster then names the new key: back \
         up its Secret\n",
    )?;
    Ok(Exit::Done.into())
}
