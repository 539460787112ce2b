//! One installation, and its requests: written down before they are sent, and their answers before they are used.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use usher_license::License;

use crate::{
    credential::Credential,
    error::{Error, Problem},
    heartbeat::Heartbeat,
    possession::Key,
    request::{Request, same},
    server::{Answer, Call, Server},
    state::{Activation, Kept, Operation, Pending},
    store::{StateError, Store},
};

/// An installation and the folder that it owns.
#[derive(Debug)]
pub struct Installation {
    pub(crate) server: Server,
    pub(crate) credential: Credential,
    store: Store,
    /// The key of a session that was asked for, and of which it is not known whether it is open.
    pub(crate) opening: Option<String>,
    /// Of which each call proves that it is here.
    pub(crate) key: Option<Key>,
    /// What is activated from now on is not bound to it.
    bearer: bool,
}

/// What the server grants. Members that this version does not know are left aside.
#[derive(Debug, Deserialize)]
struct Activated {
    id: String,
    activation_token: String,
    document: String,
    keys: String,
}

/// A request with what is left of an activation.
#[derive(Serialize)]
struct Rebuild<'a> {
    #[serde(flatten)]
    request: &'a Request,
    lost: Lost<'a>,
}

#[derive(Serialize)]
struct Lost<'a> {
    nonce: &'a str,
    document: &'a str,
}

#[derive(Serialize)]
struct Alive<'a> {
    activation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    users_after: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Presented {
    /// Of a refresh, and of a copy.
    document: Option<String>,
    keys: Option<String>,
    /// Only of a copy: the activation of its own that it was given.
    id: Option<String>,
    activation_token: Option<String>,
}

/// That the activation is over: there is nothing to free.
const OVER: [&str; 2] = ["not-found", "activation-ended"];
/// That the server does not know the activation.
const UNKNOWN: &str = "unauthorized";
/// That the very request can come to nothing any more. Whatever else is refused is repeated unchanged: a copy of it that
/// the network delivers late must not look like somebody else's.
const SPENT: [&str; 6] = [
    "nonce-used",
    "activation-ended",
    "activation-superseded",
    "idempotency-key-used",
    "request-invalid",
    "request-too-large",
];

impl Installation {
    /// The installation whose state is in `folder`, which nobody else uses while this lives, and which is activated by `credential`.
    ///
    /// # Errors
    /// When somebody else uses it, or it cannot be read or written.
    pub fn open(folder: &Path, server: Server, credential: Credential) -> Result<Self, StateError> {
        let store = Store::open(folder)?;
        let key = match &credential {
            Credential::Login(login) => login.key()?,
            Credential::Key(_) | Credential::TokenFile(_) => Key::kept(&store.key_path())?,
        };
        Ok(Self { server, credential, store, opening: None, key, bearer: false })
    }

    /// The same, whose activations are bound to no key from now on: their tokens alone are enough. (Of a login, that is decided when somebody signs in.)
    #[must_use]
    pub fn bearer(self) -> Self {
        Self { bearer: true, ..self }
    }

    /// The activation, if there is one.
    #[must_use]
    pub fn activation(&self) -> Option<&Activation> {
        self.store.kept().activation.as_ref()
    }

    /// Whether there is no activation, or it is in doubt what came of one.
    #[must_use]
    pub fn is_to_activate(&self) -> bool {
        self.activation().is_none() || self.is_in_doubt()
    }

    /// Whether an activation was asked for, and it is not known what came of that.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        let pending = self.store.kept().pending.as_ref();
        pending.is_some_and(|pending| pending.operation == Operation::Activate)
    }

    /// Whether what is activated is what this asks for: the same License, on the same device. (Which device a pod is, the server knows.)
    #[must_use]
    pub fn is_of(&self, request: &Request) -> bool {
        self.activation().is_some_and(|activation| {
            activation.license == request.license
                && (activation.device == request.device.id
                    || matches!(self.credential, Credential::TokenFile(_)))
        })
    }

    /// Gets a place. Whoever has an activation has a new one afterwards, for the same place: the way out for a state that was restored or
    /// lost.
    ///
    /// # Errors
    /// As [`Error`] says. Unless it is a refusal, call this again with the same request: it takes no second place.
    pub async fn activate(&mut self, request: &Request) -> Result<&Activation, Error> {
        let body = serde_json::to_string(request).map_err(|error| Error::Usage(error.to_string()))?;
        let sent = self.store.kept().pending.as_ref();
        let repeats =
            sent.is_some_and(|sent| sent.operation == Operation::Activate && same(&sent.body, &body));
        let draws = !matches!(self.credential, Credential::Login(_)) && !self.bearer && !repeats;
        if draws && self.key.is_none() {
            // It is on the disk before anything is bound to it. What was asked for without one is asked for unchanged.
            let key = Key::draw()?;
            key.keep(&self.store.key_path())?;
            self.key = Some(key);
        }
        let pending = self.write_down(Operation::Activate, body)?;
        self.begin(request, &pending).await
    }

    async fn begin(&mut self, request: &Request, pending: &Pending) -> Result<&Activation, Error> {
        let (mut shown, mut person) = self.shown(None).await?;
        let mut answer = self.ask_to_begin(&shown, pending).await;
        // By the clock of this machine the access token was good.
        if person.is_some() && matches!(&answer, Err(Error::Refused(problem)) if problem.code == UNKNOWN) {
            (shown, person) = self.shown(Some(&shown)).await?;
            answer = self.ask_to_begin(&shown, pending).await;
        }
        let answer = self.told(answer)?;
        let Activated { id, activation_token: token, document, keys } = parsed(&answer)?;
        let device = match &self.credential {
            Credential::Key(_) | Credential::Login(_) => None,
            // Which installation a pod is, the server knows, and says in the document.
            Credential::TokenFile(_) => device_of(&document),
        };
        let (license, device) =
            (request.license.clone(), device.unwrap_or_else(|| request.device.id.clone()));
        let nonce = nonce(&answer)?;
        self.settle(Activation { id, license, device, token, nonce, document, keys, person })
    }

    async fn ask_to_begin(&self, shown: &str, pending: &Pending) -> Result<Answer, Error> {
        let call = Call {
            bearer: shown,
            key: Some(&pending.key),
            possession: self.key.as_ref().filter(|_| !self.bearer),
            body: &pending.body,
            ..Call::default()
        };
        self.server.call(Method::POST, "/v1/activations", call).await
    }

    /// Gets a new document. A copy may be given an activation of its own instead (`clones.policy: Replace`): then
    /// [`Activation::id`] is another one afterwards.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::Usage`] if nothing is activated, or whether something is is in doubt.
    pub async fn refresh(&mut self) -> Result<&Activation, Error> {
        self.present(Operation::Refresh).await?;
        self.granted()
    }

    /// Uses the nonce for `operation`. A nonce is for one request, so what is in doubt is settled before.
    pub(crate) async fn present(&mut self, operation: Operation) -> Result<Answer, Error> {
        self.activated()?;
        self.revalidate().await?;
        let in_doubt = self.store.kept().pending.as_ref().map(|pending| pending.operation);
        match in_doubt {
            Some(former @ (Operation::Refresh | Operation::State)) if former != operation => {
                self.use_nonce(former).await?;
            }
            Some(Operation::Rebuild) => {
                return Err(Error::Usage("renew first: the server has lost the activation".to_owned()));
            }
            _ => {}
        }
        self.use_nonce(operation).await
    }

    async fn use_nonce(&mut self, operation: Operation) -> Result<Answer, Error> {
        let former = self.activated()?;
        let pending = self.write_down(operation, String::new())?;
        let last = if operation == Operation::State { "state" } else { "refresh" };
        let path = format!("/v1/activations/{}/{last}", former.id);
        let beside = self.credential.beside()?;
        let call = Call {
            bearer: &former.token,
            key: Some(&pending.key),
            nonce: Some(&former.nonce),
            workload: beside.as_deref(),
            possession: self.key.as_ref(),
            body: "",
        };
        let answer = self.server.call(Method::POST, &path, call).await;
        let answer = self.told(answer)?;
        let Presented { document, keys, id, activation_token } = parsed(&answer)?;
        let (id, token) = id.zip(activation_token).unwrap_or((former.id, former.token));
        let (document, keys) = match document.zip(keys) {
            None if operation == Operation::State => (former.document, former.keys),
            given => given.ok_or_else(|| Error::Answer("it has no document".to_owned()))?,
        };
        let nonce = nonce(&answer)?;
        self.settle(Activation { id, token, nonce, document, keys, ..former })?;
        Ok(answer)
    }

    /// Gets a new document. If the server does not know the activation any more, for its ledger was lost or restored, has it rebuilt
    /// by the credential: then it may be another one afterwards.
    ///
    /// # Errors
    /// As [`Error`] says. Call this again: until the server has rebuilt what it has lost, it may refuse the credential as well.
    pub async fn renew(&mut self, request: &Request) -> Result<&Activation, Error> {
        let rebuilds =
            self.store.kept().pending.as_ref().is_some_and(|pending| pending.operation == Operation::Rebuild);
        if !rebuilds {
            match self.refresh().await.map(drop) {
                Err(Error::Refused(problem)) if problem.code == UNKNOWN => {}
                other => return other.and_then(|()| self.granted()),
            }
        }
        self.rebuild(request).await
    }

    /// The nonce goes with the key that it was sent with: so a late copy of the refresh is known as such.
    async fn rebuild(&mut self, request: &Request) -> Result<&Activation, Error> {
        self.revalidate().await?;
        let in_doubt = self.store.kept().pending.clone();
        if let Some(pending) = in_doubt.filter(|pending| pending.operation == Operation::Rebuild) {
            return self.begin(request, &pending).await;
        }
        let Activation { nonce: last, document, .. } = self.activated()?;
        let body = Rebuild { request, lost: Lost { nonce: &last, document: &document } };
        let body = serde_json::to_string(&body).map_err(|error| Error::Usage(error.to_string()))?;
        let former = self.store.kept().pending.as_ref().map(|pending| pending.key.clone());
        let pending =
            Pending { operation: Operation::Rebuild, key: former.map_or_else(fresh_key, Ok)?, body };
        self.store.keep(Kept { pending: Some(pending.clone()), ..self.store.kept().clone() })?;
        self.begin(request, &pending).await
    }

    /// Gives the place back. An activation that is over already is given back.
    ///
    /// Ending an activation needs no nonce, so a copy could end it for the one that goes on: what is in doubt is settled first, and then
    /// the server is asked whether this one has the last nonce.
    ///
    /// # Errors
    /// As [`Error`] says; a refusal that [is of a copy](Problem::is_of_a_copy) means that nothing was ended, for the place is another's;
    /// [`Error::Usage`] if nothing is activated, or whether something is is in doubt.
    pub async fn deactivate(&mut self) -> Result<(), Error> {
        self.activated()?;
        let pending = self.store.kept().pending.as_ref().map(|pending| pending.operation);
        if let Some(operation @ (Operation::Refresh | Operation::State)) = pending {
            goes_on(self.use_nonce(operation).await.map(drop))?;
        }
        goes_on(self.check().await.map(drop))?;
        let Activation { id, token, .. } = self.activated()?;
        let beside = self.credential.beside()?;
        let possession = self.key.as_ref();
        let call = Call { bearer: &token, workload: beside.as_deref(), possession, ..Call::default() };
        let answer = self.server.call(Method::DELETE, &format!("/v1/activations/{id}"), call).await;
        match self.told(answer) {
            Ok(_) => {}
            Err(Error::Refused(Problem { code, .. })) if OVER.contains(&code.as_str()) => {}
            Err(error) => return Err(error),
        }
        Ok(self.store.keep(Kept::default())?)
    }

    /// Says that this installation is there, and asks what its License says now. Nothing is written down, for nothing changes.
    ///
    /// The server tells of the License's users, if it lets this installation see them, those after the one that `users_after` means:
    /// [`Heartbeat::users_next`] of the last answer.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::Usage`] if nothing is activated, or whether something is is in doubt.
    pub async fn heartbeat(&self, users_after: Option<u64>) -> Result<Heartbeat, Error> {
        let Activation { id, token, .. } = self.activated()?;
        let body = serde_json::to_string(&Alive { activation: &id, users_after });
        let body = body.map_err(|error| Error::Usage(error.to_string()))?;
        let beside = self.credential.beside()?;
        let possession = self.key.as_ref();
        let call =
            Call { bearer: &token, workload: beside.as_deref(), possession, body: &body, ..Call::default() };
        parsed(&self.server.call(Method::POST, "/v1/heartbeat", call).await?)
    }

    pub(crate) fn activated(&self) -> Result<Activation, Error> {
        let activation = self.activation().filter(|_| !self.is_to_activate());
        activation
            .cloned()
            .ok_or_else(|| Error::Usage("activate first: nothing is, or it is in doubt".to_owned()))
    }

    /// The request to send: the one that is in doubt, as it was, if it asks for the same, else a new one. It is on the disk.
    fn write_down(&mut self, operation: Operation, body: String) -> Result<Pending, Error> {
        let kept = self.store.kept();
        let asks_the_same = |pending: &&Pending| pending.operation == operation && same(&pending.body, &body);
        if let Some(pending) = kept.pending.as_ref().filter(asks_the_same) {
            return Ok(pending.clone());
        }
        let pending = Pending { operation, key: fresh_key()?, body };
        self.store.keep(Kept { pending: Some(pending.clone()), ..kept.clone() })?;
        Ok(pending)
    }

    /// A request that is spent is in doubt no longer. After any other failure it stays so, and if the disk does not take that: it is refused once more.
    fn told(&mut self, answer: Result<Answer, Error>) -> Result<Answer, Error> {
        if let Err(Error::Refused(problem)) = &answer
            && SPENT.contains(&problem.code.as_str())
        {
            let _ = self.store.keep(Kept { pending: None, ..self.store.kept().clone() });
        }
        answer
    }

    fn settle(&mut self, activation: Activation) -> Result<&Activation, Error> {
        self.store.keep(Kept { activation: Some(activation), ..Kept::default() })?;
        self.granted()
    }

    fn granted(&self) -> Result<&Activation, Error> {
        self.activation().ok_or_else(|| Error::Answer("it grants nothing".to_owned()))
    }
}

/// Whether whoever was answered so may end its activation.
fn goes_on(answered: Result<(), Error>) -> Result<(), Error> {
    match answered {
        Err(Error::Refused(problem)) if !problem.is_of_a_copy() => Ok(()),
        answered => answered,
    }
}

/// The device that the document names. It is believed as far as the server is.
fn device_of(document: &str) -> Option<String> {
    let unverified = License::parse(document.as_bytes()).ok()?;
    unverified.unverified_claims().device.as_ref().map(|device| device.id.clone())
}

pub(crate) fn parsed<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| Error::Answer(error.to_string()))
}

fn nonce(answer: &Answer) -> Result<String, Error> {
    answer.nonce.clone().ok_or_else(|| Error::Answer("it has no N-Nonce".to_owned()))
}

/// 128 bits of the kernel, drawn for one request: a machine that was copied draws others than its copy, so that the server tells
/// a reply that was lost from a clone.
pub(crate) fn fresh_key() -> Result<String, Error> {
    let mut bytes = [0; 16];
    #[expect(
        clippy::disallowed_methods,
        reason = "must be of this moment, whatever the caller was copied from"
    )]
    getrandom::fill(&mut bytes).map_err(|error| Error::Usage(format!("no random bytes: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
