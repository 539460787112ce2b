//! A certificate that somebody else makes, such as cert-manager: a Secret of type `kubernetes.io/tls` in Usher's own namespace.
//!
//! What lies there is told whenever it changes, and so is that nothing fit lies there: whoever serves goes on with the last good one.

use std::convert::Infallible;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tracing::warn;
use zeroize::Zeroizing;

use crate::keys::tls::Pem;

const TYPE: &str = "kubernetes.io/tls";

/// Why the Secret has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is not there.
    #[error("there is no such Secret")]
    Missing,
    /// It is for something else.
    #[error("its type is not {TYPE}")]
    Type,
    /// An entry is missing, or no text.
    #[error("it has no {0} in PEM")]
    Entry(&'static str),
}

/// Tells what the Secret `name` of `namespace` holds, now and whenever it is another; until it is dropped.
pub async fn follow(
    client: &Client,
    namespace: &str,
    name: &str,
    mut tell: impl FnMut(Result<Pem, Unfit>),
) -> Infallible {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let this_one = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(secrets, this_one).default_backoff().boxed();
    let (mut told, mut is_there) = (None, false);
    let mut say = |secret: Option<&Secret>| {
        let version = secret.and_then(Secret::resource_version);
        if told.as_ref() != Some(&version) {
            tell(secret.ok_or(Unfit::Missing).and_then(pem));
            told = Some(version);
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => is_there = false,
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                is_there = true;
                say(Some(&secret));
            }
            Ok(Event::InitDone) if is_there => {}
            Ok(Event::InitDone | Event::Delete(_)) => say(None),
            Err(error) => {
                warn!(
                    secret = name,
                    error = &error as &dyn std::error::Error,
                    "the certificate is seen late"
                );
            }
        }
    }
    std::future::pending().await
}

fn pem(secret: &Secret) -> Result<Pem, Unfit> {
    if secret.type_.as_deref() != Some(TYPE) {
        return Err(Unfit::Type);
    }
    let text = |name: &'static str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(name)).ok_or(Unfit::Entry(name))?;
        String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty()).ok_or(Unfit::Entry(name))
    };
    Ok(Pem { certificate: text("tls.crt")?, key: Zeroizing::new(text("tls.key")?) })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_secret_of_that_type_with_both_entries_is_a_certificate_and_nothing_else_is() {
        let secret = |type_: &str, entries: &[(&str, &[u8])]| Secret {
            type_: Some(type_.into()),
            data: Some(
                entries
                    .iter()
                    .map(|(name, bytes)| ((*name).to_owned(), ByteString(bytes.to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let both: &[(&str, &[u8])] = &[("tls.crt", b"certificate"), ("tls.key", b"key")];
        let good = pem(&secret(TYPE, both)).unwrap();
        assert_eq!((good.certificate.as_str(), good.key.as_str()), ("certificate", "key"));
        let why = |secret: Secret| pem(&secret).err().unwrap().to_string();
        assert_eq!(why(secret("Opaque", both)), "its type is not kubernetes.io/tls");
        assert_eq!(why(secret(TYPE, &both[..1])), "it has no tls.key in PEM");
        assert_eq!(why(secret(TYPE, &[("tls.crt", b""), both[1]])), "it has no tls.crt in PEM");
        assert_eq!(why(secret(TYPE, &[("tls.crt", b"\xff"), both[1]])), "it has no tls.crt in PEM");
    }
}
