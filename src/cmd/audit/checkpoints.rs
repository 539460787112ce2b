//! Checkpoints that were kept outside of the ledger: in the cluster, or in a file of any form.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use regex_lite::Regex;
use usher_license::{Jwk, Thumbprint, Typ};

use crate::{
    cluster::audit::{CHECKPOINTS, KEY, NAME},
    cmd::{self, Failure},
    domain::text::Label,
};

/// The most that is read of a file of checkpoints, in bytes: years of logs, and less than memory.
const MAX_READ_BYTES: u64 = 256 * 1024 * 1024;

/// Checkpoints from outside.
pub(super) struct Outside {
    /// Where they are from.
    pub(super) place: String,
    pub(super) checkpoints: Vec<String>,
    /// The key that the place names.
    pub(super) key: Option<Thumbprint>,
}

/// Those in the ConfigMap of Usher's namespace.
pub(super) async fn from_cluster(namespace: &Label) -> Result<Outside, Failure> {
    let data = shown(&Client::try_from(cmd::cluster().await?)?, namespace).await?;
    let checkpoints = found_in(data.get(CHECKPOINTS).map_or("", String::as_str));
    Ok(Outside { place: place(namespace), checkpoints, key: Some(key_in(&data, namespace)?) })
}

/// The key that the ConfigMap names.
pub(super) async fn key_shown(client: &Client, namespace: &Label) -> Result<Thumbprint, Failure> {
    key_in(&shown(client, namespace).await?, namespace)
}

fn place(namespace: &Label) -> String {
    format!("ConfigMap {namespace}/{NAME}")
}

async fn shown(client: &Client, namespace: &Label) -> Result<BTreeMap<String, String>, Failure> {
    let place = place(namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.as_str());
    let found = maps.get_opt(NAME).await.map_err(|error| match error {
        kube::Error::Api(status) => format!("the cluster did not give the {place}: {}", status.message),
        error => format!("cannot reach the cluster: {}", cmd::with_causes(&error)),
    })?;
    let data = found.and_then(|map| map.data).ok_or_else(|| {
        format!(
            "there is no {place}: Usher makes it within a minute of the first entry that it seals; what you kept elsewhere is for usher audit \
             verify --checkpoints FILE"
        )
    })?;
    Ok(data)
}

fn key_in(data: &BTreeMap<String, String>, namespace: &Label) -> Result<Thumbprint, Failure> {
    let key: Jwk = serde_json::from_str(data.get(KEY).map_or("", String::as_str))
        .map_err(|error| format!("the {} has no public key in {KEY}: {error}", place(namespace)))?;
    Ok(key.thumbprint())
}

/// Those in a file: the log, a copy of the ConfigMap, or anything else with checkpoints in it.
pub(super) fn from_file(path: &Path) -> Result<Outside, Failure> {
    let place = path.display().to_string();
    let unreadable = |error: std::io::Error| format!("cannot read {place}: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_READ_BYTES {
        return Err(format!("{place} has more than {MAX_READ_BYTES} bytes: give a part of it").into());
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let checkpoints = found_in(&String::from_utf8_lossy(&bytes));
    if checkpoints.is_empty() {
        return Err(format!(
            "there is no checkpoint in {place}: give Usher's log, or a copy of the ConfigMap {NAME}"
        )
        .into());
    }
    Ok(Outside { place, checkpoints, key: None })
}

/// Everything in `text` that has the form of a checkpoint, whoever signed it.
fn found_in(text: &str) -> Vec<String> {
    static JWS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{86}").ok());
    let found = JWS.iter().flat_map(|jws| jws.find_iter(text)).map(|found| found.as_str().to_owned());
    found.filter(|jws| is_checkpoint(jws)).collect()
}

fn is_checkpoint(jws: &str) -> bool {
    let header = jws.split('.').next().and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    header.is_some_and(|header| header.get("typ").is_some_and(|typ| typ == Typ::Checkpoint.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of a checkpoint; nobody signed it.
    fn jws(typ: &str) -> String {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"k"}}"#));
        format!("{header}.{}.{}", "e30".repeat(8), "A".repeat(86))
    }

    #[test]
    fn checkpoints_are_found_in_a_log_and_in_a_manifest_and_other_documents_are_not() {
        let (ours, other) = (jws("usher-audit+jwt"), jws("license+jwt"));
        for text in [
            format!("2026-11-25T22:00:00Z INFO the audit is sealed checkpoint={ours}\n{other}\n"),
            format!("data:\n  checkpoints.jws: |\n    {ours}\n"),
            format!(r#"{{"checkpoint":"{ours}","x":"{other}"}}"#),
        ] {
            assert_eq!(found_in(&text), std::slice::from_ref(&ours), "{text}");
        }
        assert!(found_in("nothing. of the. kind").is_empty());
    }

    #[test]
    fn a_file_without_a_checkpoint_says_what_to_give() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "nothing\n").unwrap();
        let said = from_file(&path).err().unwrap().to_string();
        assert!(said.ends_with("give Usher's log, or a copy of the ConfigMap usher-audit"), "{said}");
    }
}
