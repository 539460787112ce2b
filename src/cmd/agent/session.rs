//! With `--session`: a session is open as long as the program runs. Of one that could not be kept another one is opened.

use usher_client::{Error, Problem, backoff};

use super::{
    keep::{End, Keeper},
    trouble::Why,
};

/// That the session is over, or was another activation's.
const OVER: [&str; 2] = ["session-ended", "unauthorized"];

/// The session of a program that is to have one.
#[derive(Default)]
pub(super) struct Use {
    open: Option<String>,
    /// When to ask next.
    at: u64,
    failures: u32,
    /// Why none is open.
    refused: Option<Why>,
}

impl Use {
    /// When to ask next.
    pub(super) fn turn(&self) -> u64 {
        self.at
    }

    /// Why the server lets none be open.
    pub(super) fn refused(&self) -> Option<&Why> {
        self.refused.as_ref()
    }
}

impl Keeper {
    /// Opens the session before the program starts. Ends if it may have none; if the server is not reached, that is tried again while the program runs.
    pub(super) async fn open_session(&mut self) -> Option<End> {
        self.session = Some(Use::default());
        self.keep_session().await;
        self.session.as_ref()?.refused.as_ref().map(|why| End::Full(why.to_string()))
    }

    /// Keeps it open, or opens it, if it is time to.
    pub(super) async fn keep_session(&mut self) {
        let now = self.now();
        let Some(open) =
            self.session.as_ref().filter(|session| now >= session.at).map(|session| session.open.clone())
        else {
            return;
        };
        let kept = match &open {
            Some(id) => match self.installation.keep_session(id).await {
                Err(Error::Refused(Problem { code, .. })) if OVER.contains(&code.as_str()) => {
                    self.installation.open_session().await
                }
                kept => kept,
            },
            None => self.installation.open_session().await,
        };
        let drawn = self.drawn();
        let Some(session) = &mut self.session else { return };
        match kept {
            Ok(kept) => {
                let at = now.saturating_add((kept.ttl / 3).max(1));
                *session = Use { open: Some(kept.id), at, ..Use::default() };
            }
            Err(error) => {
                session.failures = session.failures.saturating_add(1);
                let (refused, retry_after) = match error {
                    Error::Refused(problem) => (Some(Why::Refused(problem)), None),
                    Error::Unreachable { retry_after, .. } => (None, retry_after),
                    _ => (None, None),
                };
                session.refused = refused;
                session.at = now.saturating_add(backoff(session.failures, retry_after, drawn));
            }
        }
    }

    /// Closes it. If the server is not reached, it ends by itself.
    pub(super) async fn close_session(&mut self) {
        let open = self.session.take().and_then(|session| session.open);
        if let Some(id) = open
            && let Err(error) = self.installation.close_session(&id).await
        {
            anstream::eprintln!("usher: {error}; the session ends by itself");
        }
    }
}
