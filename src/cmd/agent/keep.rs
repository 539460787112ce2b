//! The agent's loop: how it stands, until when to wait, what to ask.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use tokio::{signal::unix::Signal, sync::watch};
use usher_client::{Activation, Error, Installation, Request, Trusted};
use usher_license::{Claims, License};

use crate::{
    cmd::{Failure, instant, unix},
    service::edge::Edge,
};

use super::{
    documents::{Documents, Status},
    health::Health,
    session::Use,
    signed_in::Watch,
    trouble::{Trouble, Why, attempt},
};

/// How it ended.
pub(super) enum End {
    /// The agent was told to stop.
    Stopped,
    /// The license says no; why.
    Over(String),
    /// There is no document to give to a program; why.
    Nothing(String),
    /// There is no session for the program; why.
    Full(String),
}

pub(super) struct Keeper {
    pub(super) installation: Installation,
    /// What it is activated for.
    request: Request,
    documents: Documents,
    trusted: Option<Trusted>,
    edge: Arc<dyn Edge>,
    pub(super) health: Health,
    stopped: watch::Receiver<bool>,
    /// SIGHUP: ask the server now.
    asked: Signal,
    /// When the server was asked last.
    last: u64,
    pub(super) trouble: Option<Trouble>,
    /// If it goes by whoever is signed in: that they are.
    pub(super) watch: Option<Watch>,
    /// If the program is to have one: its session.
    pub(super) session: Option<Use>,
    /// What the document says that the program has: the last one that was to be trusted, and could be written.
    claims: Option<Claims>,
    /// The newest document is not that one yet.
    is_behind: bool,
    /// Why the program could not be told how it stands.
    untold: Option<String>,
}

/// How soon the program is told what it could not be told, in seconds.
const TELL_AGAIN: u64 = 30;

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
        Self {
            installation,
            request,
            documents,
            trusted,
            edge,
            health,
            stopped,
            asked,
            last: 0,
            trouble: None,
            watch: None,
            session: None,
            claims: None,
            is_behind: false,
            untold: None,
        }
    }

    /// The same, which goes by whoever is signed in, if anybody is named.
    pub(super) fn watching(self, watch: Option<Watch>) -> Self {
        Self { watch, ..self }
    }

    /// Sees that there is an activation. One that was there is refreshed at once: if it is a copy, that shows now. Ends if there can be none.
    pub(super) async fn begin(&mut self, recover: bool) -> Result<Option<End>, Failure> {
        if recover || self.installation.is_to_activate() {
            if let Some(end) = self.activate().await? {
                return Ok(Some(end));
            }
        } else {
            self.is_of()?;
            self.resume()?;
            self.refresh().await?;
        }
        let Some(claims) = self.claims.clone() else {
            let why = self.trouble.as_ref().map(|trouble| trouble.why.to_string());
            return Ok(Some(End::Nothing(why.unwrap_or_default())));
        };
        // The program that is about to start finds how it stands.
        match self.tell(&claims) {
            Status::Over { why } => Ok(Some(End::Over(why))),
            _ => Ok(None),
        }
    }

    /// Activates, and tries that until it is answered.
    async fn activate(&mut self) -> Result<Option<End>, Failure> {
        loop {
            self.last = self.now();
            let wait = match self.installation.activate(&self.request).await {
                Ok(_) => break,
                Err(Error::Refused(problem)) => return Ok(Some(End::Over(problem.to_string()))),
                Err(error @ Error::Unreachable { .. }) => {
                    anstream::eprintln!("usher: {error}; trying again");
                    self.failed(error)
                }
                Err(error) => return Err(error.into()),
            };
            if self.wait_until(self.last.saturating_add(wait)).await == Wake::Stopped {
                return Ok(Some(End::Stopped));
            }
        }
        self.came();
        Ok(None)
    }

    /// Finds what the program had before, if that is still to be trusted.
    fn resume(&mut self) -> Result<(), Failure> {
        let newest = self.activation()?.clone();
        let had = self.documents.read(&newest);
        self.claims = had.and_then(|had| self.trust(&had).ok());
        self.is_behind = true;
        self.take_up();
        Ok(())
    }

    fn tell(&mut self, claims: &Claims) -> Status {
        let trouble = self.trouble.as_ref().map(|trouble| &trouble.why);
        let refused = trouble.filter(|why| matches!(why, Why::Refused(_)));
        let why = refused.or_else(|| self.session.as_ref()?.refused()).or(trouble);
        let status = Status::of(claims, why, self.now());
        self.health.stands(&status, claims.exp);
        match self.documents.tell(&status) {
            Ok(is_new) => {
                if is_new {
                    status.say();
                }
                self.untold = None;
            }
            Err(error) => {
                let why = error.to_string();
                if self.untold.as_ref() != Some(&why) {
                    anstream::eprintln!("usher: {why}; the program is not told how it stands");
                    status.say();
                }
                self.untold = Some(why);
            }
        }
        status
    }

    /// That the server said no when it was asked last.
    pub(super) fn refused(&self) -> Option<End> {
        match &self.trouble.as_ref()?.why {
            Why::Refused(problem) => Some(End::Over(problem.to_string())),
            Why::Away(_) | Why::Broken(_) => None,
        }
    }

    /// Keeps it, until it is told to stop or nothing may run any more; if `strict`, until the server refuses.
    pub(super) async fn keep(&mut self, strict: bool) -> Result<End, Failure> {
        loop {
            self.look_at_login().await?;
            self.keep_session().await;
            let claims = self.claims.clone().ok_or("there is no document")?;
            match self.tell(&claims) {
                Status::Over { why } => return Ok(End::Over(why)),
                Status::Refused { why, .. } if strict => return Ok(End::Over(why)),
                _ => {}
            }
            let attempt = attempt(self.trouble.as_ref(), &claims, self.last);
            let now = self.now();
            let again = self.untold.as_ref().map_or(u64::MAX, |_| now.saturating_add(TELL_AGAIN));
            let looks = [self.watch.as_ref().map(Watch::turn), self.session.as_ref().map(Use::turn)];
            let turns =
                [claims.lease.until, claims.exp, again].into_iter().chain(looks.into_iter().flatten());
            let turns = turns.filter(|turn| *turn > now);
            match self.wait_until(turns.fold(attempt, u64::min)).await {
                Wake::Stopped => return Ok(End::Stopped),
                Wake::Asked => self.refresh().await?,
                Wake::Time if self.now() >= attempt => self.refresh().await?,
                Wake::Time => {}
            }
        }
    }

    /// Gives the place back, unless a copy goes on with it. If the server cannot be reached, the place lasts as long as its document.
    pub(super) async fn give_back(&mut self) -> Result<(), Failure> {
        match self.try_to_give_back().await {
            Ok(()) => self.documents.remove(),
            Err(Error::Refused(problem)) if problem.is_of_a_copy() => {
                anstream::eprintln!(
                    "usher: {problem}; the place is not given back, for it is another's who goes on with it"
                );
                Ok(())
            }
            Err(error @ Error::Unreachable { .. }) => {
                anstream::eprintln!(
                    "usher: {error}; the place is taken until the document ends, or until the next start"
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn try_to_give_back(&mut self) -> Result<(), Error> {
        if self.installation.is_in_doubt() {
            // The place may be taken: the same request again tells by what to give it back.
            match self.installation.activate(&self.request).await.map(drop) {
                Err(Error::Refused(problem)) if !problem.is_of_a_copy() => return Ok(()),
                other => other?,
            }
        }
        match self.installation.activation() {
            Some(_) => self.installation.deactivate().await,
            None => Ok(()),
        }
    }

    /// Asks for a new document. That there is none is trouble, and no failure of the agent.
    pub(super) async fn refresh(&mut self) -> Result<(), Failure> {
        self.last = self.now();
        // A document that came too early, or could not be written, may be good by now.
        if self.is_behind && self.trouble.is_some() && self.take_up() {
            self.health.asked(self.last, Ok(()));
            return Ok(());
        }
        let former = self.activation()?.id.clone();
        match self.installation.renew(&self.request).await {
            Ok(activation) => {
                if activation.id != former {
                    anstream::eprintln!(
                        "usher: activation {former} goes on elsewhere, or was lost; this is activation {} from now on, with a place of its own",
                        activation.id
                    );
                }
                self.came();
            }
            Err(error @ Error::Usage(_)) => return Err(error.into()),
            Err(error) => drop(self.failed(error)),
        }
        Ok(())
    }

    /// A document has come.
    fn came(&mut self) {
        self.is_behind = true;
        if self.take_up() {
            self.health.asked(self.last, Ok(()));
        }
    }

    /// Notes what went wrong. Gives how long to wait, in seconds.
    pub(super) fn failed(&mut self, error: Error) -> u64 {
        let drawn = self.drawn();
        self.in_trouble(|former| Trouble::after(former, error, drawn))
    }

    fn in_trouble(&mut self, note: impl FnOnce(Option<Trouble>) -> Trouble) -> u64 {
        let trouble = note(self.trouble.take());
        self.health.asked(self.last, Err(trouble.why.to_string()));
        self.trouble.insert(trouble).wait
    }

    /// Gives the newest document to the program, if it is to be trusted. Until then, the program has the former one.
    fn take_up(&mut self) -> bool {
        let Some(newest) = self.installation.activation().cloned() else { return false };
        let drawn = self.drawn();
        let claims = match self.trust(&newest) {
            Ok(claims) => claims,
            Err(error) => {
                self.in_trouble(|former| Trouble::after(former, error, drawn));
                return false;
            }
        };
        if let Err(error) = self.documents.write(&newest) {
            self.in_trouble(|former| Trouble::here(former, error.to_string(), drawn));
            return false;
        }
        (self.claims, self.is_behind, self.trouble) = (Some(claims), false, None);
        true
    }

    /// What the document says, if it is to be trusted. Unless that is asked for, the program that uses it verifies it; then what is read here only says when to ask.
    fn trust(&self, activation: &Activation) -> Result<Claims, Error> {
        Ok(match &self.trusted {
            Some(trusted) => trusted.verify(activation, self.now())?.claims().clone(),
            None => License::parse(activation.document.as_bytes())?.unverified_claims().clone(),
        })
    }

    pub(super) fn drawn(&self) -> u64 {
        let [a, b, c, d, ..] = self.edge.entropy();
        u32::from_be_bytes([a, b, c, d]).into()
    }

    /// Where the program finds its documents.
    pub(super) fn folder(&self) -> &Path {
        self.documents.folder()
    }

    fn is_of(&self) -> Result<(), Failure> {
        if self.installation.is_of(&self.request) {
            return Ok(());
        }
        let Activation { license, device, .. } = self.activation()?;
        Err(format!(
            "the state is that of {license} on the device {device}: give each installation a folder of its own with --state"
        )
        .into())
    }

    fn activation(&self) -> Result<&Activation, Failure> {
        self.installation.activation().ok_or_else(|| "nothing is activated".into())
    }

    pub(super) fn now(&self) -> u64 {
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
