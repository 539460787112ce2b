//! What an access token is worth, told to whoever is shown one and is not Usher (RFC 7662).
//!
//! ```text
//!   who asks ─── a token of Kubernetes, for our audience ──► may they `create` `introspections.usher.dev`? ──► what of the token
//!   of the token ─── an access token that Usher's own calls would take now ──► active, and whose
//!                └── anything else, whatever it is ──────────────────────────► not active, and nothing beside
//! ```
//!
//! 1. Nobody asks by the token in question, nor by any other that Usher made: whoever has found a token is not told whose it is.
//! 2. Only access tokens are ever active. A device token is for Usher's token endpoint alone: a server that was shown one must not take it for anything.
//! 3. Told is as whom Usher knows the person, and no address or name: those change, and not every server that is shown a token is to learn them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activations, Failure, Runtime};
use crate::{
    domain::{
        authorization::CLIENT,
        refusal::{Code, Refusal},
    },
    keys::token::{self, Credential, Purpose},
    ledger::people::SignedIn,
    service::callers::Deed,
};

/// What a token is worth at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Introspection")]
pub struct Introspection {
    /// Whether the token is an access token that is good now. Of one that is not, nothing else is told.
    pub active: bool,
    /// What it is.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub token: Option<ActiveToken>,
}

/// An access token that is good. Instants are seconds since 1970 (RFC 7519, section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveToken {
    /// Who made it: this Usher, as its metadata names it.
    pub iss: String,
    /// For whom: this Usher, too.
    pub aud: String,
    /// The program that it was made for.
    pub client_id: String,
    /// Whose it is: the issuer of their identity provider, a space, and how that knows them.
    pub sub: String,
    /// `Bearer`, or `DPoP` if whoever shows it must prove possession of a key.
    pub token_type: String,
    /// When it was made.
    pub iat: i64,
    /// From when on it is good for nothing. It may be over sooner: ask again.
    pub exp: i64,
    /// The key to which it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// A key (RFC 7800; RFC 9449, section 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// Its thumbprint (RFC 7638).
    pub jkt: String,
}

impl<L: Activations> Runtime<L> {
    /// What the token `shown` is worth, for whoever shows `caller`. Access tokens are made by the Usher whose origin that is; by none, if nobody signs in.
    ///
    /// # Errors
    /// When they may not know, or Usher cannot answer now.
    pub async fn introspect(
        &self,
        caller: &str,
        shown: &str,
        origin: Option<&str>,
    ) -> Result<Introspection, Failure> {
        self.may_answer()?;
        let Some(Credential::Kubernetes { unproven_audiences }) = Credential::of(caller) else {
            let detail =
                "Ask by a token of Kubernetes that is made for Usher: no token of Usher's own opens this.";
            return Err(Refusal::new(Code::Unauthorized, detail).into());
        };
        let known = self.known(caller, &unproven_audiences, &self.signers.issuers()).await?;
        if !self.callers.may(&known, Deed::Introspect).await? {
            let detail = "You may not `create` `introspections` of `usher.dev` in this cluster.";
            return Err(Refusal::new(Code::Forbidden, detail).into());
        }
        let (Some(origin), true) = (origin, Purpose::Access.is_of(shown)) else {
            return Ok(Introspection::default());
        };
        let now = self.edge.now();
        let Some(found) = self.ledger.signed_in(&token::hash(shown), now).await? else {
            return Ok(Introspection::default());
        };
        Ok(Introspection::of(self.counts(&found, now)?.then(|| active(found, origin))))
    }

    /// Whether what their provider has said of them counts now, as it must for them to go on.
    fn counts(&self, found: &SignedIn, now: Timestamp) -> Result<bool, Failure> {
        match self.provider_of(&found.principal) {
            Ok(provider) => Ok(found.proven_at.duration_until(now) <= provider.reauthenticate_after),
            Err(Failure::Refused(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

impl Introspection {
    fn of(token: Option<ActiveToken>) -> Self {
        Self { active: token.is_some(), token }
    }
}

fn active(SignedIn { principal, login, .. }: SignedIn, origin: &str) -> ActiveToken {
    ActiveToken {
        iss: origin.to_owned(),
        aud: origin.to_owned(),
        client_id: CLIENT.to_owned(),
        sub: format!("{} {}", principal.issuer, principal.subject),
        token_type: if login.jkt.is_some() { "DPoP" } else { "Bearer" }.to_owned(),
        iat: login.used_at.as_second(),
        exp: login.access_until.min(login.ends_at).as_second(),
        cnf: login.jkt.map(|jkt| Confirmation { jkt }),
    }
}
