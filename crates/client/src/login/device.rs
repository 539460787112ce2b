//! Signing in on a machine without a browser (RFC 8628).

use serde::Deserialize;

use super::{CLIENT, Endpoints, Key, Tokens};
use crate::{error::Error, server::Server};

/// What a machine without a browser shows to people, and to the server.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Codes {
    device_code: String,
    /// What people type.
    pub user_code: String,
    /// Where they type it.
    pub verification_uri: String,
    /// For so many seconds both are good.
    pub expires_in: u64,
    /// So many seconds to wait before each question.
    #[serde(default = "five")]
    pub interval: u64,
}

/// RFC 8628, section 3.2.
const fn five() -> u64 {
    5
}

/// What the server says of a sign-in that is under way elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Somebody has signed in.
    Tokens(Tokens),
    /// Nobody has answered.
    Pending,
    /// It is to be asked less often from now on: five seconds longer in between.
    SlowDown,
}

impl Server {
    /// Begins to sign in on a machine without a browser.
    ///
    /// # Errors
    /// When the server does not let anybody.
    pub async fn begin_on_device(
        &self,
        endpoints: &Endpoints,
        device_name: Option<&str>,
    ) -> Result<Codes, Error> {
        let Some(endpoint) = &endpoints.device_authorization_endpoint else {
            let said = "nobody signs in at this server by a code: sign in on a machine with a browser, or ask for an IdentityProvider with deviceCodes: Allowed";
            return Err(Error::Usage(said.to_owned()));
        };
        let mut asked = vec![("client_id", CLIENT)];
        asked.extend(device_name.map(|name| ("device_name", name)));
        let answer = self.form(endpoint, &asked, None).await?;
        serde_json::from_slice(&answer).map_err(|error| Error::Answer(error.to_string()))
    }

    /// Asks whether somebody has signed in for this machine. Then the tokens are bound to `key`, if there is one.
    ///
    /// # Errors
    /// When nobody will.
    pub async fn fetch(
        &self,
        endpoints: &Endpoints,
        codes: &Codes,
        key: Option<&Key>,
        now: u64,
    ) -> Result<Fetched, Error> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let asked = [("grant_type", grant), ("device_code", codes.device_code.as_str())];
        match self.given(endpoints, &asked, key, now).await {
            Ok(tokens) => Ok(Fetched::Tokens(tokens)),
            Err(Error::Refused(problem)) if problem.code == "authorization_pending" => Ok(Fetched::Pending),
            Err(Error::Refused(problem)) if problem.code == "slow_down" => Ok(Fetched::SlowDown),
            Err(error) => Err(error),
        }
    }
}
