//! What an installation keeps. Pure; [`crate::Store`] puts it on the disk.

use serde::{Deserialize, Serialize};

/// The version of the file's form.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub(crate) version: u32,
    /// The activation, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// A request that was, or may have been, sent, and whose answer has not been written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { version: VERSION, activation: None, pending: None }
    }
}

impl Kept {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not one, or one of a later version.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("it has the version {version}, and this program knows {VERSION}"));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}

/// An activation as the server granted it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its id.
    pub id: String,
    /// The License, as `NAMESPACE/NAME`.
    pub license: String,
    /// The fingerprint that it was made for.
    pub device: String,
    /// The token for its calls.
    pub token: String,
    /// The nonce for the next call.
    pub nonce: String,
    /// The current document.
    pub document: String,
    /// The key set that came with it.
    pub keys: String,
    /// Of somebody who is signed in: who has activated it, as a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// Without what would let a reader of a log act as this installation.
impl std::fmt::Debug for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, license, device, .. } = self;
        f.debug_struct("Activation")
            .field("id", id)
            .field("license", license)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

/// A request whose answer is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// What was asked.
    pub operation: Operation,
    /// The `Idempotency-Key`, drawn for this request.
    pub key: String,
    /// The body, to the byte.
    #[serde(default)]
    pub body: String,
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `POST /v1/activations`
    Activate,
    /// `POST /v1/activations/{id}/refresh`
    Refresh,
    /// `POST /v1/activations/{id}/state`
    State,
    /// `POST /v1/activations` with what is left of an activation that the server has lost. Its key is that of the refresh.
    Rebuild,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_as_it_was_written_and_other_versions_are_named() {
        let activation = Activation {
            id: "a".into(),
            license: "design/cad".into(),
            device: "d".into(),
            token: "usher_at_secret".into(),
            nonce: "n0".into(),
            document: "jws".into(),
            keys: "keys".into(),
            person: None,
        };
        assert!(!format!("{activation:?}").contains("secret"));
        let pending = Pending { operation: Operation::Refresh, key: "k".into(), body: String::new() };
        let kept = Kept { activation: Some(activation), pending: Some(pending), ..Kept::default() };
        assert_eq!(Kept::parse(&serde_json::to_vec(&kept).unwrap()), Ok(kept));
        assert_eq!(Kept::parse(b"{\"version\":1}"), Ok(Kept::default()));
        assert_eq!(
            Kept::parse(b"{\"version\":2,\"more\":1}").unwrap_err(),
            "it has the version 2, and this program knows 1"
        );
        assert!(Kept::parse(b"{}").unwrap_err().contains("version"));
    }
}
