//! Programs that go by the login of this machine: whoever is signed in here activates, and is asked about again before each new document.
//!
//! ```text
//!   device token ──(the provider is asked again)──► access token, ten minutes ──► activation ──► document
//!        │                                                                          ▲
//!        └── the sign-in is over: refused with `signed-out`, until somebody signs in ┘
//! ```
//! What is kept is read and written under the lock that `usher whoami` and `usher logout` take, so that of two who go on at once one asks the server.

use std::path::{Path, PathBuf};

use super::{Kept, Key, Me, Tokens};
use crate::{
    clock::now,
    error::{Error, Problem},
    server::Server,
    store::StateError,
};

/// What the token endpoint says of a login that is over (RFC 6749, section 5.2).
const OVER: &str = "invalid_grant";

/// What the runtime API says of an access token that is not good any more.
const UNAUTHORIZED: &str = "unauthorized";

/// The login of this machine: where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    folder: PathBuf,
}

/// By what a program is signed in at this moment.
pub struct Access {
    /// The access token.
    pub token: String,
    /// The key to which it is bound, if it is to one.
    pub key: Option<Key>,
    /// Who it is: a hash of how their provider knows them.
    pub person: String,
    /// Until when it is good, in Unix seconds.
    pub until: u64,
}

impl Login {
    /// The login that is kept in this folder, whoever it is of.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// At which server somebody is signed in, if anybody is. What is kept is read without waiting for anybody.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn server(&self) -> Result<Option<String>, StateError> {
        Ok(Kept::seen(&self.folder)?.map(|seen| seen.server))
    }

    /// Until when the access token is good that is kept, in Unix seconds; nothing if nobody is signed in. Nobody is asked, and nobody waited for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn until(&self) -> Result<Option<u64>, StateError> {
        Ok(Kept::seen(&self.folder)?.map(|seen| seen.access_until))
    }

    /// Whether an access token that is good until then is to be replaced by now, in Unix seconds.
    #[must_use]
    pub const fn is_due(until: u64, now: u64) -> bool {
        !super::is_fresh(until, now)
    }

    /// The key of this machine's logins, if there is one. It stays when somebody signs out: what they have activated is bound to it.
    pub(crate) fn key(&self) -> Result<Option<Key>, StateError> {
        Kept::key_seen(&self.folder)
    }

    /// By what whoever is signed in asks `server`. An access token that is not good any more, or that the server has `refused`, is replaced; then the
    /// server asks the provider whether they are still there. A login that the server has ended is forgotten here, too.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `signed-out` if nobody is signed in any more: they sign in again. As [`Error`] says otherwise.
    pub async fn access(&self, server: &Server, refused: Option<&str>) -> Result<Access, Error> {
        let kept = self.opened().await?;
        let Some(tokens) = kept.tokens()? else { return Err(nobody()) };
        if tokens.server != server.origin() {
            let said = format!("Whoever is signed in on this machine is so at {}.", tokens.server);
            return Err(signed_out(said, &format!("Sign in: usher login --server {}", server.origin())));
        }
        let key = kept.key()?;
        let is_good = tokens.is_fresh(now()) && refused != Some(&tokens.access_token);
        let tokens = if is_good { tokens } else { go_on(server, &kept, &tokens, key.as_ref()).await? };
        let person = match &tokens.person {
            Some(person) => person.clone(),
            None => {
                let person = server.me(&tokens.access_token, key.as_ref()).await?.person();
                kept.keep(&Tokens { person: Some(person.clone()), ..tokens.clone() })?;
                person
            }
        };
        Ok(Access { token: tokens.access_token, key, person, until: tokens.access_until })
    }

    /// Who is signed in, as `server` says it.
    ///
    /// # Errors
    /// As [`Login::access`].
    pub async fn me(&self, server: &Server) -> Result<Me, Error> {
        self.as_them(server, async |access| server.me(&access.token, access.key.as_ref()).await).await
    }

    /// Asks something as whoever is signed in. By the clock of this machine an access token may be good that the server does not take any more.
    pub(super) async fn as_them<T>(
        &self,
        server: &Server,
        ask: impl AsyncFn(&Access) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let access = self.access(server, None).await?;
        match ask(&access).await {
            Err(Error::Refused(problem)) if problem.code == UNAUTHORIZED => {
                ask(&self.access(server, Some(&access.token)).await?).await
            }
            answered => answered,
        }
    }

    /// Waits for whoever has it, without holding up anything else in this process.
    async fn opened(&self) -> Result<Kept, Error> {
        let folder = self.folder.clone();
        let opened = tokio::task::spawn_blocking(move || Kept::open(&folder)).await;
        Ok(opened.map_err(|error| Error::Usage(error.to_string()))??)
    }

    /// Where it is kept.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

async fn go_on(server: &Server, kept: &Kept, tokens: &Tokens, key: Option<&Key>) -> Result<Tokens, Error> {
    // That it says nothing of sign-in now does not mean that it never will: something else may answer in its place for a while.
    let endpoints = server.endpoints().await.map_err(|error| match error {
        Error::Usage(why) => Error::Answer(why),
        other => other,
    })?;
    match server.refresh_login(&endpoints, tokens, key, now()).await {
        Ok(next) => {
            kept.keep(&next)?;
            Ok(next)
        }
        Err(Error::Refused(problem)) => {
            if problem.code == OVER {
                kept.forget()?;
            }
            let why = if problem.detail.is_empty() { problem.code } else { problem.detail };
            Err(signed_out(format!("The sign-in on this machine has ended: {why}."), AGAIN))
        }
        Err(error) => Err(error),
    }
}

const AGAIN: &str = "Sign in again: usher login";

/// Nobody is signed in here, or not any more.
#[must_use]
pub fn nobody() -> Error {
    signed_out("Nobody is signed in on this machine.".to_owned(), AGAIN)
}

/// What is activated is somebody else's.
pub(crate) fn another() -> Error {
    let detail = "Somebody else is signed in on this machine than whoever has activated.".to_owned();
    refused(
        Problem::ANOTHER,
        "somebody else is signed in",
        detail,
        "Sign in again as they: usher login. Or activate anew, on a seat of your own",
    )
}

fn signed_out(detail: String, next: &str) -> Error {
    refused(Problem::SIGNED_OUT, "nobody is signed in", detail, next)
}

fn refused(code: &str, title: &str, detail: String, next: &str) -> Error {
    let (code, title, next) = (code.to_owned(), title.to_owned(), format!("{next}."));
    Error::Refused(Problem { code, title, detail, next, status: 0, exhausted: None })
}

impl Me {
    /// Who they are, whatever they are called: a hash of how their provider knows them.
    pub(crate) fn person(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        use sha2::{Digest as _, Sha256};

        let text = serde_json::json!([self.issuer, self.subject]).to_string();
        URL_SAFE_NO_PAD.encode(Sha256::digest(text))
    }
}
