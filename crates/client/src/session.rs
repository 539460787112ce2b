//! Sessions: uses for a short time, such as one window of a program.
//!
//! A session is no link of the chain, so nothing of it is written down. A reply that is lost is asked for again under the key that
//! was drawn for the request: the same session is told again, and takes no second place. What is open when this process dies is over after its `ttl`.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    installation::{Installation, fresh_key, parsed},
    server::{Answer, Call},
    state::Activation,
};

/// A session, as the server tells of it; instants are RFC 3339. Members that this version does not know are left aside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// The session.
    pub id: String,
    /// The activation that uses it.
    pub activation: String,
    /// For how many seconds it is open without a heartbeat.
    pub ttl: u64,
    /// When it was opened.
    pub since: String,
    /// The last instant at which it is open, unless a heartbeat comes.
    pub until: String,
    /// It is beyond a limit, and granted all the same.
    pub over: bool,
    /// The last instant at which the activation is good without a refresh.
    pub activation_until: String,
}

#[derive(Serialize)]
struct Open<'a> {
    activation: &'a str,
}

/// That the very request can come to nothing any more.
const SPENT: [&str; 2] = ["session-ended", "idempotency-key-used"];

impl Installation {
    /// Opens a session. Call [`Installation::keep_session`] about every third of [`Session::ttl`].
    ///
    /// # Errors
    /// As [`Error`] says. When a limit is reached, [`Problem::exhausted`](crate::Problem::exhausted) says which, and where the other
    /// sessions are. Unless it goes, calling this again asks for the same session: it opens no second one.
    pub async fn open_session(&mut self) -> Result<Session, Error> {
        let is_repeated = self.opening.is_some();
        match self.try_to_open().await {
            // It was opened, and is over by now.
            Err(Error::Refused(problem)) if is_repeated && SPENT.contains(&problem.code.as_str()) => {
                self.try_to_open().await
            }
            tried => tried,
        }
    }

    /// Keeps the session open for another [`Session::ttl`].
    ///
    /// # Errors
    /// As [`Error`] says; `session-ended` means that another one is to be opened.
    pub async fn keep_session(&self, id: &str) -> Result<Session, Error> {
        parsed(&self.of_session(Method::POST, &format!("{id}/heartbeat")).await?)
    }

    /// Closes the session. One that has ended stays so.
    ///
    /// # Errors
    /// As [`Error`] says. Call this again if the server was not reached; else the session ends with its `ttl`.
    pub async fn close_session(&self, id: &str) -> Result<(), Error> {
        self.of_session(Method::DELETE, id).await.map(drop)
    }

    async fn try_to_open(&mut self) -> Result<Session, Error> {
        let key = self.opening.clone().map_or_else(fresh_key, Ok)?;
        self.opening = Some(key.clone());
        let Activation { id, token, .. } = self.activated()?;
        let body = serde_json::to_string(&Open { activation: &id });
        let body = body.map_err(|error| Error::Usage(error.to_string()))?;
        let beside = self.credential.beside()?;
        let call = Call {
            bearer: &token,
            key: Some(&key),
            workload: beside.as_deref(),
            possession: self.key.as_ref(),
            body: &body,
            ..Call::default()
        };
        let answer = self.server.call(Method::POST, "/v1/sessions", call).await;
        if let Err(Error::Refused(problem)) = &answer
            && SPENT.contains(&problem.code.as_str())
        {
            self.opening = None;
        }
        let session = parsed(&answer?)?;
        self.opening = None;
        Ok(session)
    }

    async fn of_session(&self, method: Method, path: &str) -> Result<Answer, Error> {
        let Activation { token, .. } = self.activated()?;
        let beside = self.credential.beside()?;
        let possession = self.key.as_ref();
        let call = Call { bearer: &token, workload: beside.as_deref(), possession, ..Call::default() };
        self.server.call(method, &format!("/v1/sessions/{path}"), call).await
    }
}
