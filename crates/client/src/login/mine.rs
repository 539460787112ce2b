//! What is theirs who are signed in, as the server says it. Members that this version does not know are left aside.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::Login;
use crate::{
    error::Error,
    request::Device,
    server::{Call, Server},
};

/// What is theirs, License by License; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mine {
    /// Where they have a seat, or wait for one.
    pub licenses: Vec<MyLicense>,
    /// There is more than is told here.
    pub has_more: bool,
}

/// What they have of one License.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyLicense {
    /// Its `NAMESPACE/NAME`.
    pub license: String,
    /// The product, if that is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// How it stands: `not-yet-valid`, `active`, `overdue`, `suspended` or `expired`.
    pub state: String,
    /// How they stand: `seat`, `rests`, `waiting` or `holder-changed`.
    pub place: String,
    /// Of whoever waits: at which place, if it is one of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// On how many devices the seat may be active; an absent limit is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_per_seat: Option<u32>,
    /// On which devices it is.
    pub devices: Vec<MyDevice>,
    /// Where it is in use.
    pub sessions: Vec<MySession>,
}

/// A device on which a seat is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyDevice {
    /// The activation, by which it is ended.
    pub activation: String,
    /// What its client said of it.
    pub device: Device,
    /// When it began.
    pub since: String,
    /// When it was last heard of.
    pub heard_at: String,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySession {
    /// What its client said of the device.
    pub device: Device,
    /// When it was opened.
    pub since: String,
}

impl Login {
    /// What is theirs who are signed in.
    ///
    /// # Errors
    /// As [`Login::access`].
    pub async fn mine(&self, server: &Server) -> Result<Mine, Error> {
        let answer = self
            .as_them(server, async |access| {
                let call = Call { bearer: &access.token, possession: access.key.as_ref(), ..Call::default() };
                server.call(Method::GET, "/v1/me/licenses", call).await
            })
            .await?;
        serde_json::from_slice(&answer.body).map_err(|error| Error::Answer(error.to_string()))
    }

    /// Ends the activation of this id, if it is on a seat of theirs: then its device is free.
    ///
    /// # Errors
    /// As [`Login::access`]; a refusal if it is none of theirs.
    pub async fn end(&self, server: &Server, activation: &str) -> Result<(), Error> {
        let path = format!("/v1/activations/{activation}");
        self.as_them(server, async |access| {
            let call = Call { bearer: &access.token, possession: access.key.as_ref(), ..Call::default() };
            server.call(Method::DELETE, &path, call).await.map(drop)
        })
        .await
    }
}
