//! Reading a Secret of the cluster, and saying what to do when that fails.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret as Object;
use kube::{Api, Client};

use crate::{
    cmd::{self, Failure},
    domain::text::Label,
};

/// How long to wait for the API server, to connect and to answer: a person is waiting.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most characters that a Secret's name has (RFC 1123, a DNS subdomain).
const MAX_NAME_CHARS: usize = 253;

/// A Secret that was read.
#[derive(Debug)]
pub(super) struct Secret {
    /// `the Secret NAMESPACE/NAME`
    pub(super) place: String,
    /// What it holds.
    pub(super) entries: BTreeMap<String, Vec<u8>>,
}

impl Secret {
    /// What to say when it has no entry `wanted`.
    pub(super) fn without(&self, wanted: &str) -> String {
        let names: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        let has = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        format!("{} has no entry {wanted}, it has {has}: name the Secret of a License or Seat", self.place)
    }
}

/// Reads the Secret `name`, in the namespace of the kubeconfig's context if none is given.
pub(super) fn fetch(name: &str, namespace: Option<&Label>) -> Result<Secret, Failure> {
    if !is_name(name) {
        return Err(format!(
            "{name:?} cannot be the name of a Secret: write secret/NAME and give the namespace with -n, or write ./secret/… for a file"
        )
        .into());
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut config = cmd::cluster().await?;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), ToString::to_string);
        let server = config.cluster_url.to_string();
        let secrets: Api<Object> = Api::namespaced(Client::try_from(config)?, &namespace);
        let object = secrets.get(name).await.map_err(|error| match error {
            kube::Error::Api(status) => refused(status.code, &status.message, name, &namespace),
            error => format!(
                "cannot reach the cluster at {server}: check KUBECONFIG and the network: {}",
                cmd::with_causes(&error)
            ),
        })?;
        let entries =
            object.data.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)).collect();
        Ok(Secret { place: format!("the Secret {namespace}/{name}"), entries })
    })
}

fn is_name(text: &str) -> bool {
    let allowed =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '-' | '.');
    (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(['-', '.'])
}

/// The API server's refusal, with what to do next.
fn refused(code: u16, message: &str, name: &str, namespace: &str) -> String {
    match code {
        401 => format!(
            "the cluster does not know who you are: sign in to it again, or check KUBECONFIG: {message}"
        ),
        403 => format!(
            "you may not read the Secret {namespace}/{name}: ask for the right `get` on `secrets` in the namespace {namespace}: {message}"
        ),
        404 => format!(
            "there is no Secret {name} in the namespace {namespace}: \
             `kubectl get secrets -n {namespace} --field-selector type=usher.dev/license` lists those with a document"
        ),
        _ => format!("the cluster did not give the Secret {namespace}/{name}: try again: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_the_cluster_says_what_to_do_next() {
        assert!(
            refused(403, "no", "cad", "design")
                .contains("ask for the right `get` on `secrets` in the namespace design")
        );
        assert!(
            refused(404, "no", "cad", "design")
                .contains("kubectl get secrets -n design --field-selector type=usher.dev/license")
        );
        assert!(refused(401, "no", "cad", "design").contains("sign in to it again"));
        assert!(refused(500, "etcd is away", "cad", "design").ends_with("try again: etcd is away"));
    }

    #[test]
    fn a_secret_without_a_document_says_what_it_has() {
        let mut secret = Secret { place: "the Secret design/tls".into(), entries: BTreeMap::new() };
        assert!(
            secret
                .without("license.jws")
                .starts_with("the Secret design/tls has no entry license.jws, it has nothing: ")
        );
        secret.entries =
            [("tls.crt", ""), ("tls.key", "")].map(|(name, value)| (name.into(), value.into())).into();
        assert!(
            secret
                .without("license.jws")
                .contains("it has tls.crt, tls.key: name the Secret of a License or Seat")
        );
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused_before_the_cluster_is_asked() {
        for name in ["", "a/b", "../nodes", "A", "-a", "a b", "a?x"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("cad.v1-license"));
    }
}
