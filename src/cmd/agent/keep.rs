//! The agent's loop: how it stands, until when to wait, what to ask.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{signal::unix::Signal, sync::watch};
use usher_client::{
    Activation, Error, Installation, Problem, Request, Standing, Trusted, next_attempt, standing,
};
use usher_license::{Claims, License};

use crate::{
    cmd::{Failure, instant, unix},
    service::edge::Edge,
};

use super::{
    documents::{Documents, Status},
    health::Health,
};

/// How it ended.
pub(super) enum End {
    /// The agent was told to stop.
    Stopped,
    /// The license says no; why.
    Over(String),
}

pub(super) struct Keeper {
    installation: Installation,
    /// What it is activated for.
    request: Request,
    documents: Documents,
    trusted: Option<Trusted>,
    edge: Arc<dyn Edge>,
    health: Health,
    stopped: watch::Receiver<bool>,
    /// SIGHUP: ask the server now.
    asked: Signal,
    /// When the server was asked last.
    last: u64,
    trouble: Option<Trouble>,
}

/// What the last attempts in a row came to.
struct Trouble {
    why: Why,
    failures: u32,
}

enum Why {
    Refused(Problem),
    Failed(String),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::Failed(why) => why.fmt(f),
        }
    }
}

/// How long to wait before a first activation is tried again, in seconds: twice as long each time.
const FIRST: (u64, u64) = (1, 30);

impl Keeper {
    pub(super) fn new(
        installation: Installation,
        request: Request,
        documents: Documents,
        trusted: Option<Trusted>,
        edge: Arc<dyn Edge>,
        health: Health,
        (stopped, asked): (watch::Receiver<bool>, Signal),
    ) -> Self {
        let (last, trouble) = (0, None);
        Self { installation, request, documents, trusted, edge, health, stopped, asked, last, trouble }
    }

    /// Sees that there is an activation. One that was there is refreshed at once: if it is a copy, that shows now. Ends if there can be none.
    pub(super) async fn begin(&mut self, recover: bool) -> Result<Option<End>, Failure> {
        if !recover && !self.installation.is_to_activate() {
            self.is_of()?;
            self.documents.write(self.activation()?)?;
            self.refresh().await?;
            return self.begun();
        }
        let mut wait = FIRST.0;
        loop {
            self.last = self.now();
            match self.installation.activate(&self.request).await {
                Ok(_) => break,
                Err(Error::Refused(problem)) => return Ok(Some(End::Over(problem.to_string()))),
                Err(error @ Error::Unreachable { .. }) => {
                    self.health.asked(self.last, Err(error.to_string()));
                    anstream::eprintln!("usher: {error}; trying again");
                }
                Err(error) => return Err(error.into()),
            }
            if self.wait_until(self.last.saturating_add(wait)).await == Wake::Stopped {
                return Ok(Some(End::Stopped));
            }
            wait = wait.saturating_mul(2).min(FIRST.1);
        }
        self.accept()?;
        self.begun()
    }

    /// The program that is about to start finds how it stands.
    fn begun(&mut self) -> Result<Option<End>, Failure> {
        match self.tell(&self.claims()?)? {
            Status::Over { why } => Ok(Some(End::Over(why))),
            _ => Ok(None),
        }
    }

    fn tell(&mut self, claims: &Claims) -> Result<Status, Failure> {
        let status = status(claims, self.trouble.as_ref().map(|trouble| &trouble.why), self.now());
        self.health.stands(&status, claims.exp);
        if self.documents.tell(&status)? {
            say(&status);
        }
        Ok(status)
    }

    /// That the server said no when it was asked last.
    pub(super) fn refused(&self) -> Option<End> {
        match &self.trouble.as_ref()?.why {
            Why::Refused(problem) => Some(End::Over(problem.to_string())),
            Why::Failed(_) => None,
        }
    }

    /// Keeps it, until it is told to stop or nothing may run any more; if `strict`, until the server refuses.
    pub(super) async fn keep(&mut self, strict: bool) -> Result<End, Failure> {
        loop {
            let claims = self.claims()?;
            match self.tell(&claims)? {
                Status::Over { why } => return Ok(End::Over(why)),
                Status::Refused { why, .. } if strict => return Ok(End::Over(why)),
                _ => {}
            }
            let failures = self.trouble.as_ref().map_or(0, |trouble| trouble.failures);
            let attempt = next_attempt(&claims, failures, self.last);
            let now = self.now();
            let turns = [claims.lease.until, claims.exp].into_iter().filter(|turn| *turn > now);
            match self.wait_until(turns.fold(attempt, u64::min)).await {
                Wake::Stopped => return Ok(End::Stopped),
                Wake::Asked => self.refresh().await?,
                Wake::Time if self.now() >= attempt => self.refresh().await?,
                Wake::Time => {}
            }
        }
    }

    /// Gives the place back. If the server cannot be reached, the place lasts as long as its document.
    pub(super) async fn give_back(&mut self) -> Result<(), Failure> {
        match self.installation.deactivate().await {
            Ok(()) => self.documents.remove(),
            Err(error @ Error::Unreachable { .. }) => {
                anstream::eprintln!(
                    "usher: {error}; the place is taken until the document ends, or until the next start"
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for a new document. That there is none is trouble, and no failure of the agent.
    async fn refresh(&mut self) -> Result<(), Failure> {
        self.last = self.now();
        let former = self.activation()?.id.clone();
        let why = match self.installation.renew(&self.request).await {
            Ok(activation) => {
                if activation.id != former {
                    anstream::eprintln!(
                        "usher: activation {former} goes on elsewhere, or was lost; this is activation {} from now on, with a place of its own",
                        activation.id
                    );
                }
                return self.accept();
            }
            Err(error @ (Error::State(_) | Error::Usage(_))) => return Err(error.into()),
            Err(Error::Refused(problem)) => Why::Refused(problem),
            Err(error @ (Error::Unreachable { .. } | Error::Answer(_) | Error::Document(_))) => {
                Why::Failed(error.to_string())
            }
        };
        self.health.asked(self.last, Err(why.to_string()));
        let failures = self.trouble.as_ref().map_or(0, |trouble| trouble.failures).saturating_add(1);
        self.trouble = Some(Trouble { why, failures });
        Ok(())
    }

    /// Takes the document that has come, if it is to be trusted.
    fn accept(&mut self) -> Result<(), Failure> {
        let activation = self.activation()?;
        if let Some(trusted) = &self.trusted {
            trusted.verify(activation, self.now())?;
        }
        self.documents.write(activation)?;
        self.trouble = None;
        self.health.asked(self.last, Ok(()));
        Ok(())
    }

    fn is_of(&self) -> Result<(), Failure> {
        let Activation { license, device, .. } = self.activation()?;
        if (license, device) == (&self.request.license, &self.request.device.id) {
            return Ok(());
        }
        Err(format!(
            "the state is that of {license} on the device {device}: give each installation a folder of its own with --state"
        )
        .into())
    }

    fn activation(&self) -> Result<&Activation, Failure> {
        self.installation.activation().ok_or_else(|| "nothing is activated".into())
    }

    /// What the current document says. The program that uses it verifies it; what is read here only says when to ask.
    fn claims(&self) -> Result<Claims, Failure> {
        let document = License::parse(self.activation()?.document.as_bytes());
        let unverified = document.map_err(|error| format!("the document cannot be read: {error}"))?;
        Ok(unverified.unverified_claims().clone())
    }

    fn now(&self) -> u64 {
        unix(self.edge.now())
    }

    async fn wait_until(&mut self, until: u64) -> Wake {
        tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => Wake::Stopped,
            _ = self.asked.recv() => Wake::Asked,
            () = self.edge.wait_until(instant(until).unwrap_or(Timestamp::MAX)) => Wake::Time,
        }
    }
}

/// Why it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Stopped,
    Asked,
    Time,
}

fn status(claims: &Claims, trouble: Option<&Why>, now: u64) -> Status {
    match (standing(claims, now), trouble) {
        (Standing::Over, Some(Why::Refused(problem))) => Status::Over { why: problem.to_string() },
        (Standing::Over, Some(Why::Failed(why))) => {
            Status::Over { why: format!("the document has ended: {why}") }
        }
        (Standing::Over, None) => Status::Over { why: "the document has ended".to_owned() },
        (_, Some(Why::Refused(problem))) => Status::refused(problem, claims.exp),
        (Standing::Grace { ends }, Some(Why::Failed(why))) => Status::Grace { ends, why: why.clone() },
        (Standing::Grace { ends }, None) => {
            Status::Grace { ends, why: "it is time to ask the server".to_owned() }
        }
        (Standing::Good { until }, _) => Status::Good { until },
    }
}

/// To whoever reads the log.
fn say(status: &Status) {
    let when = |at: &u64| instant(*at).unwrap_or_default();
    let text = match status {
        Status::Good { until } => format!("licensed until {}", when(until)),
        Status::Grace { ends, why } => {
            format!("the license ends at {} if the server is not reached: {why}", when(ends))
        }
        Status::Refused { ends, why, .. } => format!("the license ends at {}: {why}", when(ends)),
        Status::Over { why } => format!("the license is over: {why}"),
    };
    anstream::eprintln!("usher: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let claims = serde_json::json!({
            "iss": "https://usher.acme.example/a/default", "sub": "activation/a", "aud": "cad", "jti": "1", "iat": 0, "nbf": 0,
            "exp": 300, "schema": 1, "state": "active", "license": {"namespace": "design", "name": "cad", "uid": "u", "customer": "acme"},
            "features": [], "limits": {}, "lease": {"until": 200, "renew_at": 100},
        });
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn the_program_is_told_how_it_stands_and_why() {
        let problem: Problem = serde_json::from_str(
            r#"{"code": "nonce-used", "title": "t", "detail": "It was used.", "next": "Ask."}"#,
        )
        .unwrap();
        let (refused, failed) = (Why::Refused(problem), Why::Failed("no route".to_owned()));
        let at =
            |trouble: Option<&Why>, now| serde_json::to_string(&status(&claims(), trouble, now)).unwrap();
        assert_eq!(at(None, 0), r#"{"state":"good","until":200}"#);
        assert_eq!(at(Some(&failed), 199), r#"{"state":"good","until":200}"#);
        assert_eq!(at(Some(&failed), 200), r#"{"state":"grace","ends":300,"why":"no route"}"#);
        assert_eq!(
            at(Some(&refused), 0),
            r#"{"state":"refused","ends":300,"code":"nonce-used","why":"It was used. Ask. (nonce-used)"}"#
        );
        assert_eq!(at(Some(&failed), 300), r#"{"state":"over","why":"the document has ended: no route"}"#);
        assert_eq!(at(Some(&refused), 300), r#"{"state":"over","why":"It was used. Ask. (nonce-used)"}"#);
    }
}
