//! `usher revoke-key`: a signing key is in wrong hands.
//!
//! The wish is an annotation of the Authority; the operator acts upon it, records it for good, and tells so in the
//! status. So it works with the rights of whoever may edit the Authority, and for whoever has nothing but kubectl.

use std::{process::ExitCode, time::Duration};

use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde_json::json;

use crate::{
    cluster::api::{Authority, KeyState, KeyStatus, REVOKE_KEYS, paused},
    cmd::{
        self, Exit, Failure,
        describe::{GOOD, columns, styled},
        eprint, print,
    },
    domain::text::{KeyId, Label},
};

/// How long to wait for the operator: a person is waiting.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often others may be faster in editing the Authority.
const TRIES: usize = 5;

/// Takes a signing key out of use at once and for good: nothing under it is accepted any more with the new key set, another
/// key signs, and every document under it is made anew.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Authority.
    authority: Label,
    /// The thumbprint of the key: `kid` of the documents under it.
    #[arg(allow_hyphen_values = true)]
    kid: KeyId,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api: Api<Authority> = Api::all(Client::try_from(cmd::cluster().await?)?);
        revoke(&api, args).await
    })
}

async fn revoke(api: &Api<Authority>, args: &Args) -> Result<ExitCode, Failure> {
    let (name, kid) = (args.authority.as_str(), args.kid.as_str());
    for _ in 0..TRIES {
        let authority = api.get(name).await.map_err(|error| unreachable(name, &error))?;
        may_be_revoked(&authority, kid)?;
        let mut named: Vec<&str> = authority
            .annotations()
            .get(REVOKE_KEYS)
            .into_iter()
            .flat_map(|kids| kids.split(','))
            .map(str::trim)
            .filter(|kid| !kid.is_empty())
            .collect();
        if !named.contains(&kid) {
            named.push(kid);
        }
        let metadata = json!({
            "resourceVersion": authority.resource_version(), "annotations": {REVOKE_KEYS: named.join(",")},
        });
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match api.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(unreachable(name, &error)),
            Ok(_) => return wait(api, name, kid).await,
        }
    }
    Err(format!("Authority {name} is being edited by somebody else all the time: try again").into())
}

fn may_be_revoked(authority: &Authority, kid: &str) -> Result<(), Failure> {
    let name = authority.name_any();
    if paused(&authority.metadata) {
        return Err(format!(
            "Authority {name} is paused, so Usher would not act: kubectl annotate authority {name} usher.dev/paused-"
        )
        .into());
    }
    let keys: &[KeyStatus] = authority.status.as_ref().map_or(&[], |status| &status.keys);
    if keys.iter().any(|key| key.kid == kid) {
        return Ok(());
    }
    let known: Vec<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!("Authority {name} has no signing key {kid}; it has {known}").into())
}

async fn wait(api: &Api<Authority>, name: &str, kid: &str) -> Result<ExitCode, Failure> {
    let is_out = |authority: Option<&Authority>| {
        let keys = authority.and_then(|authority| authority.status.as_ref()).map(|status| &status.keys);
        keys.is_some_and(|keys| keys.iter().any(|key| key.kid == kid && key.state == Some(KeyState::Revoked)))
    };
    let waited = tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, is_out)).await;
    let Ok(found) = waited else {
        return Err(format!(
            "the Authority is annotated, but Usher has not acted within {} s: see that it runs; it will act when it does",
            PATIENCE.as_secs()
        )
        .into());
    };
    let status = found?.and_then(|authority| authority.status).unwrap_or_default();
    let signs = status.signing_key.unwrap_or_else(|| "none yet: see the Authority's conditions".into());
    let mut rows = vec![("revoked", kid.to_owned()), ("signs now", signs)];
    rows.extend(status.reissuing.map(|of| ("made anew", format!("{} of {} documents", of.done, of.total))));
    print(&format!("{}: nothing under this key is good any more\n{}", styled(GOOD, "ok"), columns(&rows)))?;
    eprint(&format!(
        "next: watch the rest with kubectl get authority {name} -o jsonpath='{{.status.reissuing}}', and see that programs fetch the new keys\n"
    ))?;
    Ok(Exit::Done.into())
}

fn unreachable(name: &str, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            format!("there is no Authority {name}: kubectl get authorities lists them").into()
        }
        kube::Error::Api(status) if status.code == 403 => format!(
            "you may not edit the Authority {name}: ask for the rights `get` and `patch` on `authorities`: {}",
            status.message
        )
        .into(),
        kube::Error::Api(status) => format!("the cluster refused: {}", status.message).into(),
        error => {
            format!("cannot reach the cluster: check KUBECONFIG and the network: {}", cmd::with_causes(error)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(kids: &[&str]) -> Authority {
        let keys: Vec<_> = kids.iter().map(|kid| json!({"kid": kid, "state": "Signing"})).collect();
        let object = json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "Authority", "metadata": {"name": "default"},
            "spec": {"issuer": "https://usher.acme.example/a/default"}, "status": {"keys": keys},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_a_key_of_that_authority_is_revoked() {
        assert!(may_be_revoked(&authority(&["a", "b"]), "b").is_ok());
        let said = may_be_revoked(&authority(&["a", "b"]), "c").unwrap_err().to_string();
        assert_eq!(said, "Authority default has no signing key c; it has a, b");
        let said = may_be_revoked(&authority(&[]), "c").unwrap_err().to_string();
        assert_eq!(said, "Authority default has no signing key c; it has none");
    }

    #[test]
    fn a_paused_authority_is_not_waited_for() {
        let mut paused = authority(&["a"]);
        paused.annotations_mut().insert("usher.dev/paused".into(), "true".into());
        let said = may_be_revoked(&paused, "a").unwrap_err().to_string();
        assert!(said.ends_with("kubectl annotate authority default usher.dev/paused-"), "{said}");
    }
}
