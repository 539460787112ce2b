//! Sessions of an activation: opened, kept alive, closed, by the activation's own token.
//!
//! A session has no token of its own: nobody but its activation may have it, so a second secret would be one more to lose and would prove no more.
//! Its id begins with its activation's, so who asks is known before any session is looked for, and one that has ended leaves nothing to keep.

mod close;
mod keep;
mod open;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activations, Failure, Proof, Runtime, is_id};
use crate::{
    domain::{
        license::License,
        refusal::{Code, Refusal},
    },
    ledger::{
        activations::{Living, Step},
        sessions::{Session, Use, Used},
    },
};

/// A session, as its program is told of it; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionAnswer {
    /// The session.
    pub id: String,
    /// The activation that uses it.
    pub activation: String,
    /// Its License: namespace/name.
    pub license: String,
    /// For how many seconds it is open without a heartbeat.
    pub ttl: i64,
    /// When it was opened.
    pub since: String,
    /// The last instant at which it is open, unless a heartbeat comes.
    pub until: String,
    /// It is beyond a limit, and granted all the same.
    pub over: bool,
    /// The last instant at which the activation, and so its token, is good without a refresh.
    pub activation_until: String,
}

impl SessionAnswer {
    fn json(living: &Living, license: &License, session: Session) -> Result<String, Failure> {
        let answer = Self {
            id: session.id,
            activation: living.seen.activation.id.clone(),
            license: license.key.to_string(),
            ttl: license.terms.sessions.ttl,
            since: session.since.to_string(),
            until: session.until.to_string(),
            over: session.over,
            activation_until: living.seen.activation.chain.expires_at.to_string(),
        };
        Ok(serde_json::to_string(&answer)?)
    }
}

/// What stands between the activation and the rest of a session's id.
const DASH: char = '-';

impl<L: Activations> Runtime<L> {
    /// The activation of the session `id`, if `proof` is its own. Whether there is such a session is told to nobody else.
    async fn of_session(&self, id: &str, proof: &Proof<'_>) -> Result<Living, Failure> {
        self.own(activation_of(id)?, proof, true).await
    }

    /// Has something done to a session, by an administrator if one is named. `None` if it is to be decided anew.
    async fn use_session(
        &self,
        living: &Living,
        session: Use,
        by: Option<String>,
    ) -> Result<Option<Used>, Failure> {
        let license = living.seen.activation.license.clone();
        let entropy = by.as_ref().map_or([0; 32], |_| self.edge.entropy());
        let step = Step {
            session: Some(session),
            by,
            ..Step::new(license, living.key.clone(), self.edge.now(), entropy)
        };
        Ok(super::settled(self.ledger.record(step).await)?.and_then(|recorded| recorded.session))
    }
}

/// The activation of the session `id`.
fn activation_of(id: &str) -> Result<&str, Code> {
    let parts = id.split_once(DASH).filter(|(_, rest)| is_id(rest));
    parts.map(|(activation, _)| activation).ok_or(Code::Unauthorized)
}

/// What its License says.
pub(super) fn license(living: &Living) -> Result<&License, Refusal> {
    living.contract.as_ref().map(|contract| &contract.license).ok_or_else(|| Code::LicenseNotReady.into())
}
