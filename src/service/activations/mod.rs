//! What programs ask of the runtime: to activate an installation, to go on with it, to end it; to open sessions of it.
//!
//! ```text
//!   read (ledger) ──► decide (domain::chain) ──► sign ──► record (ledger: one step, on disk) ──► reply
//!     ▲                                                        │
//!     └──────────── somebody else was faster: again ◄──────────┘
//! ```
//!
//! Nothing is answered that is not on disk. A refusal is an answer, and changes nothing but, perhaps, the record of a fork.

mod activate;
mod administrator;
mod answer;
mod asks;
mod deactivate;
mod failure;
mod ground;
mod heartbeat;
mod introspect;
mod key;
mod mine;
mod parameters;
mod person;
mod present;
mod rebuild;
mod refusals;
mod replace;
mod resolve;
mod sessions;
#[cfg(test)]
pub(crate) mod tests;
mod workload;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::lock::{Mutex, MutexGuard};

use crate::{
    domain::{
        self,
        chain::{Call, Digest, Operation},
        license::{Key, Uid},
        refusal::{Code, Refusal},
        terms::ClonePolicy,
        witness::{Bar, Standing},
    },
    keys::{Signer, Signers, nonce::NonceKeys},
    ledger::{
        CommitError,
        activations::{Living, Recorded, Step},
    },
    service::{
        callers::Callers,
        edge::Edge,
        intent::Intent,
        possession::{Possession, Proofs},
        providers::Providers,
    },
};

pub use crate::ledger::activations::Activations;
pub use activate::Wish;
pub use administrator::SeenAnswer;
pub use answer::{Answer, Begun, Device, LeaseAnswer, Reply};
use asks::Asks;
pub use failure::Failure;
pub use heartbeat::HeartbeatAnswer;
pub use introspect::{ActiveToken, Confirmation, Introspection};
pub use mine::{Mine, MineAnswer, MyDevice, MyLicense, MySession, Place, SHOWN};
pub use parameters::Told;
pub use person::MeAnswer;
pub use rebuild::Remains;
use refusals::Refusals;
pub use sessions::SessionAnswer;

/// What has happened to a License, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// An activation has taken a place.
    Taken,
    /// An activation has given its place back.
    Freed,
    /// Two copies of an activation were seen.
    Forked,
    /// Somebody has looked into that.
    Resolved,
    /// A device asked that no Seat names, and whoever approves it may want to know.
    Asked,
    /// A nonce has proved that the ledger was restored.
    Restored,
    /// The key that signs for it has turned, and the next one is not known here yet.
    KeyTurned,
    /// A session was opened.
    SessionOpened {
        /// Beyond a limit, for limits only advise.
        over: bool,
    },
    /// A session was closed.
    SessionClosed,
    /// A session was refused, for a limit is reached.
    SessionRefused,
}

/// Whoever shows how Licenses stand, and knows how the ledger does.
pub trait News: Send + Sync + 'static {
    /// Something has happened to the License `key`.
    fn tell(&self, key: &Key, happened: Happened);

    /// Copies of an activation were seen here, for the first time, under this policy.
    fn forked(&self, policy: ClonePolicy);

    /// Whether anything may be told out of the ledger.
    fn standing(&self) -> Standing;

    /// A call of this name was answered, or refused with this code, after so long.
    fn answered(&self, call: &'static str, refused: Option<Code>, took: Duration);
}

/// How often a call is decided anew because somebody else was faster, before its caller is told to come back.
const TRIES: usize = 64;
/// How long a call waits for the key that signs next, and how often it looks. Whoever leads has it when it turns; whoever follows reads it then.
const NEXT_KEY: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);
/// Callers that take places of one License take turns; so many Licenses at once.
const LANES: usize = 64;

/// All that calls need.
pub struct Runtime<L> {
    ledger: L,
    edge: Arc<dyn Edge>,
    signers: Arc<Signers>,
    nonces: Arc<OnceLock<NonceKeys>>,
    news: Arc<dyn News>,
    callers: Arc<dyn Callers>,
    people: Grounds,
    proofs: Arc<Proofs>,
    lanes: Lanes,
    /// Workloads have lanes of their own: they ask the API server meanwhile, which may be away, and devices are not to wait for that.
    workload_lanes: Lanes,
    refusals: Refusals,
    asks: Asks,
}

/// Those who take places of one License come one by one: of many at once, all but one would decide in vain.
struct Lanes([Mutex<()>; LANES]);

impl Lanes {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }

    async fn turn_at(&self, license: &Uid) -> Option<MutexGuard<'_, ()>> {
        let lane = license.0.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Some(self.0.get(lane % LANES)?.lock().await)
    }
}

/// What the rights of people rest upon, beside the ledger.
#[derive(Clone)]
pub struct Grounds {
    /// Who says who they are.
    pub providers: Arc<dyn Providers>,
    /// What is declared.
    pub intent: Arc<dyn Intent>,
}

/// Who asks, and how often the very same was asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The credential.
    pub token: &'a str,
    /// Beside an activation's token: that of the service account of the pod that asks.
    pub workload: Option<&'a str>,
    /// That whoever asks has the key to which the credential is bound, or what is made by it is to be.
    pub possession: Option<&'a Possession>,
    /// The key of this request; without one it cannot be repeated.
    pub idempotency_key: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> Asked<'a> {
    /// What is shown.
    #[must_use]
    pub const fn proof(&self) -> Proof<'a> {
        Proof { token: self.token, workload: self.workload, possession: self.possession }
    }
}

/// What whoever asks shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proof<'a> {
    /// The credential.
    pub token: &'a str,
    /// Beside an activation's token: that of the service account of the pod that asks.
    pub workload: Option<&'a str>,
    /// That whoever asks has the key to which the credential is bound.
    pub possession: Option<&'a Possession>,
}

impl<L: Activations> Runtime<L> {
    /// Puts the parts together. `nonces` is filled once the key is known.
    pub fn new(
        ledger: L,
        edge: Arc<dyn Edge>,
        signers: Arc<Signers>,
        nonces: Arc<OnceLock<NonceKeys>>,
        news: Arc<dyn News>,
        callers: Arc<dyn Callers>,
        people: Grounds,
    ) -> Self {
        let (lanes, workload_lanes) = (Lanes::new(), Lanes::new());
        let (refusals, asks) = (Refusals::new(edge.entropy()), Asks::default());
        let proofs = Arc::new(Proofs::new(edge.clone(), signers.clone(), nonces.clone(), Vec::new()));
        Self {
            ledger,
            edge,
            signers,
            nonces,
            news,
            callers,
            people,
            proofs,
            lanes,
            workload_lanes,
            refusals,
            asks,
        }
    }

    /// Tells whoever counts that a call of this name was answered.
    pub fn tell_answered(&self, call: &'static str, refused: Option<Code>, took: Duration) {
        self.news.answered(call, refused, took);
    }

    /// Whether `token` is one that Usher made, whatever has become of it: nobody is asked.
    pub fn is_own(&self, token: &str) -> bool {
        self.nonces.get().is_some_and(|nonces| nonces.has_marked(token))
    }

    /// Whether calls can be answered, or what keeps them from it.
    ///
    /// # Errors
    /// With a sentence for whoever looks after this server.
    pub async fn is_ready(&self) -> Result<(), &'static str> {
        match self.news.standing() {
            Standing::Good | Standing::Rebuilding => {}
            Standing::Unknown => {
                return Err("the ledger was not compared with its witness yet: the log says why\n");
            }
            Standing::Barred(Bar::Lost(_)) => {
                return Err(
                    "the ledger was lost (LedgerMissing): the log and every Authority say what to do\n",
                );
            }
            Standing::Barred(Bar::Foreign(_)) => {
                return Err(
                    "the ledger is another cluster's (LedgerForeign): the log and every Authority say what to do\n",
                );
            }
        }
        let Ok(_) = self.nonces() else {
            return Err("the Secret usher-nonce-key is not there yet: the log says why\n");
        };
        if self.ledger.needs_nonces().await.is_err() {
            return Err("the ledger does not answer: is the database there?\n");
        }
        self.ledger.takes_steps().await.map_err(|unavailable| {
            if unavailable.is_full() {
                "the ledger has no room left: make room on its disk, and it goes on by itself\n"
            } else {
                "the ledger answers, and takes no writes: the log says why\n"
            }
        })
    }

    /// Whether the ledger is being made true again after a loss, so that what it does not know may be true all the same.
    pub fn is_rebuilding(&self) -> bool {
        self.news.standing() == Standing::Rebuilding
    }

    /// Nobody is told anything out of a ledger that is lost or another cluster's: what it does not know may be true all the same.
    fn may_answer(&self) -> Result<(), Failure> {
        match self.news.standing() {
            Standing::Good | Standing::Rebuilding => Ok(()),
            Standing::Unknown => Err(Failure::Unavailable("the ledger was not judged yet".into())),
            Standing::Barred(bar) => Err(Refusal::from(&bar).into()),
        }
    }

    /// The activation `id`, if there is one.
    async fn activation(&self, id: &str) -> Result<Option<Living>, Failure> {
        if is_id(id) { Ok(self.ledger.activation(id).await?) } else { Ok(None) }
    }

    fn nonces(&self) -> Result<&NonceKeys, Failure> {
        self.nonces.get().ok_or_else(|| Failure::Unavailable("the key of nonces is not known yet".into()))
    }

    /// Records a step that gives a document by `signer`. `None` if it is to be decided anew: somebody else was faster, or another key
    /// signs now.
    async fn record_signed(&self, step: Step, signer: &Signer) -> Result<Option<Recorded>, Failure> {
        let key = step.key.clone();
        match self.ledger.record(step).await {
            Err(CommitError::KeySilent) => {
                self.news.tell(&key, Happened::KeyTurned);
                self.another_signs(signer).await.map(|()| None)
            }
            recorded => settled(recorded),
        }
    }

    /// Returns when not `former` signs any more in the name of its Authority.
    async fn another_signs(&self, former: &Signer) -> Result<(), Failure> {
        let until = self.edge.elapsed().saturating_add(NEXT_KEY);
        while self.signers.of(&former.issuer).is_none_or(|signer| signer.key_id() == former.key_id()) {
            if self.edge.elapsed() >= until {
                let why = "the key that signed has turned, and the next one is not known here yet";
                return Err(Failure::Unavailable(why.into()));
            }
            self.edge.wait(LOOK).await;
        }
        Ok(())
    }

    /// The call as the chain knows it.
    fn call(&self, operation: Operation, caller: Digest, asked: &Asked<'_>) -> Call {
        let key = self.request_key(caller, asked);
        // Whoever asks for the same by another key, or by none, asks for something else.
        let bound =
            asked.possession.filter(|_| operation == Operation::Activate).and_then(Possession::proven);
        let request =
            bound.map_or_else(|| digest(&[asked.body]), |key| digest(&[asked.body, key.as_bytes()]));
        Call { operation, key, request, caller }
    }

    /// The key of the request, which is another one for each caller. Without a key of its own a request is like no other.
    fn request_key(&self, caller: Digest, asked: &Asked<'_>) -> Digest {
        let drawn = self.edge.entropy();
        let key = asked.idempotency_key.map_or(&drawn[..], str::as_bytes);
        digest(&[&caller.0, key])
    }
}

/// Whether `id` looks like one that Usher gave. Nothing else reaches the ledger: PostgreSQL takes no NUL in a text, and would let down whoever
/// shares the transaction.
#[must_use]
pub fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The License that somebody asks for.
fn license_named(text: &str) -> Result<Key, Refusal> {
    let key = text.split_once('/').map(|(namespace, name)| Key::new(namespace, name));
    key.ok_or_else(|| {
        Refusal::new(Code::RequestInvalid, "license must be namespace/name, such as design/cad.")
    })
}

/// What a step came to, if it is not to be decided anew.
fn settled<T>(recorded: Result<T, CommitError>) -> Result<Option<T>, Failure> {
    match recorded {
        Ok(recorded) => Ok(Some(recorded)),
        Err(CommitError::Conflict | CommitError::KeySilent) => Ok(None),
        Err(CommitError::Barred(bar)) => Err(Refusal::from(&bar).into()),
        Err(error) => Err(Failure::Unavailable(error.into())),
    }
}

fn crowded() -> Failure {
    Failure::Unavailable("others were faster, again and again".into())
}

/// Of parts that cannot run into each other.
fn digest(parts: &[&[u8]]) -> Digest {
    Digest(domain::digest(parts))
}
