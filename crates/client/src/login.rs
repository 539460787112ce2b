//! Somebody signs in on this machine: in a browser, by code and PKCE, back to a port of loopback (RFC 8252).
//!
//! ```text
//!   Endpoints::of (RFC 8414) ──► Flow::begin ──► browser … back to our port ──► Flow::code ──► Server::exchange ──► Tokens
//!                                                                          Tokens ──► Server::refresh ──► Tokens
//! ```
//! Without a browser on this machine (RFC 8628): [`Server::begin_on_device`], then [`Server::fetch`] again and again.
//!
//! [`Tokens`] and the key to which they are bound ([`Kept::key`]; RFC 9449) are kept in the credential store of the operating system, or in files that only their owner
//! may read ([`Vault`]). Without a key each refresh gives the next device token, and whoever shows a former one signs everybody out; so one lock is held from reading to writing.

mod device;
mod kept;
mod mine;
mod os;
mod signed_in;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    server::{Call, Server},
};

pub use crate::possession::Key;
pub use device::{Codes, Fetched};
pub use kept::{Kept, Vault};
pub use mine::{Mine, MyDevice, MyLicense, MySession};
pub(crate) use signed_in::another;
pub use signed_in::{Access, Login, nobody};

/// How Usher knows programs on people's own machines.
const CLIENT: &str = "usher";
/// So many seconds before its end an access token is not used any more.
const MARGIN: u64 = 30;

/// Where to sign in, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

/// A sign-in that is under way.
#[derive(Debug)]
pub struct Flow {
    url: Url,
    issuer: String,
    redirect_uri: String,
    state: String,
    verifier: String,
}

/// What somebody is signed in by, on this machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// At which server.
    pub server: String,
    /// For its API.
    pub access_token: String,
    /// Until when that is good, in Unix seconds.
    pub access_until: u64,
    /// To go on.
    pub device_token: String,
    /// Until when that is good if it is not used, in Unix seconds.
    pub device_until: u64,
    /// Whose they are, as a hash, once that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// Who is signed in, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// What to call them.
    pub name: String,
    /// Their address, if one counts.
    pub email: Option<String>,
    /// Else why none does.
    pub why_no_email: Option<String>,
    /// Their identity provider.
    pub provider: String,
    /// How that is known.
    pub issuer: String,
    /// How it knows them.
    pub subject: String,
    /// Until when they are signed in on this machine.
    pub until: String,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
    refresh_token: String,
    refresh_token_expires_in: u64,
}

impl Flow {
    /// Begins: [`Flow::url`] is for the browser. `entropy` is for this sign-in alone.
    ///
    /// # Errors
    /// When the server's endpoint is no URL.
    pub fn begin(
        endpoints: &Endpoints,
        redirect_uri: String,
        device_name: Option<&str>,
        entropy: &[u8; 32],
    ) -> Result<Self, Error> {
        let drawn = |what: &str| {
            URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(what).chain_update(entropy).finalize())
        };
        let (state, verifier) = (drawn("state"), drawn("verifier"));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut url = Url::parse(&endpoints.authorization_endpoint)
            .map_err(|error| Error::Answer(error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", CLIENT)
            .append_pair("redirect_uri", &redirect_uri)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(device_name.map(|name| ("device_name", name)));
        Ok(Self { url, issuer: endpoints.issuer.clone(), redirect_uri, state, verifier })
    }

    /// Where to send the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The code in the request that the browser makes at our port, such as `/?code=…&state=…&iss=…`. Nothing if it is not an answer
    /// to this sign-in: then somebody else asks, and we go on waiting.
    ///
    /// # Errors
    /// When the answer is no.
    pub fn code(&self, target: &str) -> Result<Option<String>, Error> {
        let Ok(url) = Url::parse(&self.redirect_uri).and_then(|base| base.join(target)) else {
            return Ok(None);
        };
        let said = |name: &str| {
            url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
        };
        // 256 bits that nobody else knows, compared once: how long that takes tells nothing.
        if said("state").as_deref() != Some(&self.state) || said("iss").as_deref() != Some(&self.issuer) {
            return Ok(None);
        }
        match (said("error"), said("code")) {
            (None, Some(code)) => Ok(Some(code)),
            (error, _) => {
                let why = said("error_description").or(error).unwrap_or_default();
                Err(Error::Usage(format!("nobody is signed in: {why}")))
            }
        }
    }
}

impl Server {
    /// Where to sign in.
    ///
    /// # Errors
    /// When the server does not say, or says it in another's name.
    pub async fn endpoints(&self) -> Result<Endpoints, Error> {
        let answer = self.ask("/.well-known/oauth-authorization-server").await;
        let answer = answer.map_err(|error| match error {
            Error::Answer(why) => Error::Usage(format!("nobody signs in at this server: {why}")),
            other => other,
        })?;
        let endpoints: Endpoints =
            serde_json::from_slice(&answer).map_err(|error| Error::Answer(error.to_string()))?;
        if endpoints.issuer == self.origin() {
            Ok(endpoints)
        } else {
            let (own, said) = (self.origin(), &endpoints.issuer);
            Err(Error::Usage(format!(
                "{own} says that it is {said}: use that address, or correct --public-url"
            )))
        }
    }

    /// Tokens for the code that the browser has brought, bound to `key` if there is one.
    ///
    /// # Errors
    /// When the server gives none.
    pub async fn exchange(
        &self,
        endpoints: &Endpoints,
        flow: &Flow,
        code: &str,
        key: Option<&Key>,
        now: u64,
    ) -> Result<Tokens, Error> {
        let asked = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.redirect_uri),
            ("code_verifier", &flow.verifier),
        ];
        self.given(endpoints, &asked, key, now).await
    }

    /// The next tokens, by the key to which these are bound if they are.
    ///
    /// # Errors
    /// When the server gives none: whoever was signed in signs in again.
    pub async fn refresh_login(
        &self,
        endpoints: &Endpoints,
        tokens: &Tokens,
        key: Option<&Key>,
        now: u64,
    ) -> Result<Tokens, Error> {
        let asked = [("grant_type", "refresh_token"), ("refresh_token", tokens.device_token.as_str())];
        let next = self.given(endpoints, &asked, key, now).await?;
        Ok(Tokens { person: tokens.person.clone(), ..next })
    }

    /// Signs out on this machine.
    ///
    /// # Errors
    /// When the server is not reached.
    pub async fn sign_out(&self, endpoints: &Endpoints, tokens: &Tokens) -> Result<(), Error> {
        let asked = [("token", tokens.device_token.as_str()), ("client_id", CLIENT)];
        self.form(&endpoints.revocation_endpoint, &asked, None).await.map(|_| ())
    }

    /// Who is signed in, by an access token and the key to which it is bound if it is.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn me(&self, access_token: &str, key: Option<&Key>) -> Result<Me, Error> {
        let call = Call { bearer: access_token, possession: key, ..Call::default() };
        let answer = self.call(Method::GET, "/v1/me", call).await?;
        serde_json::from_slice(&answer.body).map_err(|error| Error::Answer(error.to_string()))
    }

    async fn given(
        &self,
        endpoints: &Endpoints,
        asked: &[(&str, &str)],
        key: Option<&Key>,
        now: u64,
    ) -> Result<Tokens, Error> {
        let asked: Vec<(&str, &str)> = asked.iter().copied().chain([("client_id", CLIENT)]).collect();
        let answer = self.form(&endpoints.token_endpoint, &asked, key).await?;
        let given: Given =
            serde_json::from_slice(&answer).map_err(|error| Error::Answer(error.to_string()))?;
        Ok(Tokens {
            server: self.origin(),
            access_token: given.access_token,
            access_until: now.saturating_add(given.expires_in),
            device_token: given.refresh_token,
            device_until: now.saturating_add(given.refresh_token_expires_in),
            person: None,
        })
    }
}

impl Tokens {
    /// Whether the access token is good for a call that begins now.
    #[must_use]
    pub const fn is_fresh(&self, now: u64) -> bool {
        is_fresh(self.access_until, now)
    }
}

const fn is_fresh(until: u64, now: u64) -> bool {
    now.saturating_add(MARGIN) < until
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let endpoints = Endpoints {
            issuer: "https://usher.acme.example".into(),
            authorization_endpoint: "https://usher.acme.example/oauth2/authorize".into(),
            token_endpoint: "https://usher.acme.example/oauth2/token".into(),
            revocation_endpoint: "https://usher.acme.example/oauth2/revoke".into(),
            device_authorization_endpoint: None,
        };
        Flow::begin(&endpoints, "http://127.0.0.1:4321/".into(), Some("Lab 3"), &[7; 32]).unwrap()
    }

    #[test]
    fn a_sign_in_shows_the_hash_of_its_verifier_and_not_the_verifier() {
        let flow = flow();
        assert!(flow.url().starts_with("https://usher.acme.example/oauth2/authorize?response_type=code&"));
        assert!(flow.url().ends_with("&code_challenge_method=S256&device_name=Lab+3"), "{}", flow.url());
        assert!(!flow.url().contains(&flow.verifier) && flow.verifier.len() == 43);
    }

    #[test]
    fn only_the_answer_to_this_sign_in_is_listened_to() {
        let flow = flow();
        let answer =
            |state: &str, iss: &str| flow.code(&format!("/?code=c&state={state}&iss={iss}")).unwrap();
        let iss = "https%3A%2F%2Fusher.acme.example";
        assert_eq!(answer(&flow.state, iss).as_deref(), Some("c"));
        assert_eq!(answer("other", iss), None);
        assert_eq!(
            answer(&flow.state, "https%3A%2F%2Fother.acme.example"),
            None,
            "another server (RFC 9207)"
        );
        assert!(flow.code("/favicon.ico").unwrap().is_none());
        let no = format!("/?error=access_denied&state={}&iss={iss}", flow.state);
        assert_eq!(flow.code(&no).unwrap_err().to_string(), "nobody is signed in: access_denied");
    }

    #[cfg(unix)]
    #[test]
    fn tokens_are_kept_for_their_owner_alone_until_they_are_forgotten() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(&folder.path().join("usher")).unwrap();
        assert!(kept.tokens().unwrap().is_none());
        let tokens = Tokens {
            server: "https://usher.acme.example".into(),
            access_token: "a".into(),
            access_until: 1_000,
            device_token: "d".into(),
            device_until: 2_000,
            person: None,
        };
        kept.keep(&tokens).unwrap();
        assert!(kept.tokens().unwrap().as_ref() == Some(&tokens));
        let mode =
            std::fs::metadata(folder.path().join("usher/login.json")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(tokens.is_fresh(969) && !tokens.is_fresh(970));
        kept.forget().unwrap();
        kept.forget().unwrap();
        assert!(kept.tokens().unwrap().is_none());
    }
}
