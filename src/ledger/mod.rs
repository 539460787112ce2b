//! The facts: who is bound, what was issued, whose Secret is whose, and the audit of it all.
//!
//! A seat is bound when [`Ledger::commit`] returns: the change, the bytes of the documents and the audit
//! entry are one transaction, on disk before the answer. Everything in the cluster is a projection of it.
//!
//! The port is small, and `conformance` is the suite that every engine passes unchanged.

pub mod activations;
pub mod audit;
mod authorities;
#[cfg(test)]
pub mod conformance;
mod copies;
pub mod holdings;
pub mod people;
mod place;
pub mod postgres;
pub mod sessions;
pub mod sqlite;
mod trail;

pub use copies::{Copies, CopyClaim, SecretClaim};

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use jiff::Timestamp;

use crate::domain::{
    allocation::Binding,
    contract::Contract,
    features::Carries,
    license::{Key, Uid},
    terms::Provisioning,
    witness::{self, Bar, Head, Loss, Witness},
};

pub use authorities::{Authorities, AuthorityFacts, KeepError, Owner, Reissuing};
pub use place::Place;
pub(crate) use place::opened;
pub use trail::{Audit, EraseError, Held, Trail};

/// What the ledger knows of one License.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Of the License object.
    pub license: Uid,
    /// Its version: a [`Change`] names the one that it was decided upon.
    pub version: i64,
    /// In which incarnation of the ledger these were last known to be true.
    pub incarnation: i64,
    /// The limit as last reconciled.
    pub seats: u32,
    /// What else it says, as last reconciled.
    pub terms: Terms,
    /// Who is bound.
    pub bindings: Vec<Binding>,
    /// Of those, by holder, what activations of theirs carry, where that is not as everywhere.
    pub carries: BTreeMap<String, Carries>,
    /// Seats that were freed and are not given to somebody else yet.
    pub cooling: Vec<Freed>,
    /// The current documents.
    pub documents: Vec<Document>,
    /// The Secrets that are, or were, this License's, in its own namespace.
    pub secrets: Vec<SecretClaim>,
    /// Its activation keys that were made: the hash of each, by its name.
    pub keys: BTreeMap<String, String>,
    /// Copies of its Secret, in other namespaces.
    pub copies: Vec<CopyClaim>,
    /// Activations of which two copies are known to be out there.
    pub forked: Vec<String>,
    /// Holders whose address is somebody else's now, who comes with it and holds no seat of their own here.
    pub contested: BTreeSet<String>,
}

/// What the ledger keeps of a License to enforce it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The product; empty for a License that was last seen by the first Usher.
    pub product: String,
    /// How it is provided: fixed with the first look.
    pub provisioning: Provisioning,
    /// How many Licenses of the product one person may hold seats of, in the namespace.
    pub max_per_user: Option<u32>,
    /// What the runtime goes by; nothing until the first look of an Usher that has a runtime.
    pub contract: Option<Contract>,
}

/// Instead of a holder: the ledger was lost, and nobody knows whose the places that were free then had been, if anybody's.
pub const UNKNOWN: &str = "unknown:";

/// A seat that was freed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    /// Who held it, or [`UNKNOWN`].
    pub holder: String,
    /// How many places: one, unless nobody knows whose they were.
    pub places: u32,
    /// When it was freed.
    pub freed_at: Timestamp,
    /// `exp` of the last document that the holder had.
    pub expires_at: Timestamp,
}

/// A document as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The License or Seat that it is about.
    pub subject: Uid,
    /// `jti`
    pub serial: String,
    /// What it says, digested: see [`crate::domain::document::due`].
    pub digest: String,
    /// `kid`
    pub key_id: String,
    /// Its exact bytes.
    pub jws: String,
    /// The key set that was current then.
    pub keys_jws: String,
    /// `iat`
    pub issued_at: Timestamp,
    /// `exp`
    pub expires_at: Timestamp,
    /// When to renew it.
    pub renew_at: Option<Timestamp>,
}

/// A binding to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The Seat.
    pub seat: Uid,
    /// Who holds it: [`crate::domain::license::Holder::identity`].
    pub holder: String,
}

/// What a change has to do with facts that were lost, or are old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: it goes on from facts that are true.
    #[default]
    None,
    /// It brings a part of them back, and they are not true yet. Its documents are not new but found again.
    Part,
    /// With it they are true again. Its documents are not new but found again.
    Whole,
}

/// All that one decision about one License changes. Bindings are freed before others are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The License's namespace and name.
    pub key: Key,
    /// Its UID.
    pub license: Uid,
    /// The version of the facts that were decided upon; `None` where there were none.
    pub expected: Option<i64>,
    /// The limit; `None` leaves it.
    pub seats: Option<u32>,
    /// What else the License says; `None` leaves it.
    pub terms: Option<Terms>,
    /// Whose binding ends.
    pub free: Vec<Uid>,
    /// Of these, the ones whose seat is not given to somebody else at once.
    pub cool: Vec<Freed>,
    /// Holders whose freed seat has cooled.
    pub cooled: Vec<String>,
    /// Bindings whose holder goes on holding by another Seat: from, to.
    pub moved: Vec<(Uid, Uid)>,
    /// Who is bound.
    pub bind: Vec<Bind>,
    /// What activations of holders carry from now on.
    pub carries: Vec<(String, Carries)>,
    /// Documents, each instead of the subject's former one.
    pub issue: Vec<Document>,
    /// Activations that end, for their place is gone. Those of the holders of seats that are freed end, too.
    pub end: Vec<String>,
    /// Subjects whose documents are no longer current.
    pub withdraw: Vec<Uid>,
    /// Secrets to claim.
    pub claim: Vec<(String, Uid)>,
    /// Secrets that are no longer wanted.
    pub release: Vec<String>,
    /// Secrets that are known to be gone.
    pub settle: Vec<String>,
    /// Activation keys that were made, each instead of the former one of its name: name, hash. Those whose names the terms do not have end with these.
    pub keys: Vec<(String, String)>,
    /// What is done about copies.
    pub copies: Copies,
    /// The License is gone, and with this change nothing of it is left.
    pub forget: bool,
    /// What it has to do with facts that were lost, or are old.
    pub recovery: Recovery,
    /// When.
    pub at: Timestamp,
    /// From which references to persons are made; never stored.
    pub entropy: [u8; 32],
}

impl Change {
    /// No change yet.
    #[must_use]
    pub fn new(key: Key, license: Uid, expected: Option<i64>, at: Timestamp, entropy: [u8; 32]) -> Self {
        Self {
            key,
            license,
            expected,
            seats: None,
            terms: None,
            free: Vec::new(),
            cool: Vec::new(),
            cooled: Vec::new(),
            moved: Vec::new(),
            bind: Vec::new(),
            carries: Vec::new(),
            issue: Vec::new(),
            end: Vec::new(),
            withdraw: Vec::new(),
            claim: Vec::new(),
            release: Vec::new(),
            settle: Vec::new(),
            keys: Vec::new(),
            copies: Copies::default(),
            forget: false,
            recovery: Recovery::None,
            at,
            entropy,
        }
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            free,
            cool,
            cooled,
            moved,
            bind,
            carries,
            issue,
            end,
            withdraw,
            claim,
            release,
            settle,
            keys,
            copies,
            ..
        } = self;
        self.seats.is_none()
            && self.terms.is_none()
            && !self.forget
            && self.recovery == Recovery::None
            && free.is_empty()
            && cool.is_empty()
            && cooled.is_empty()
            && moved.is_empty()
            && bind.is_empty()
            && carries.is_empty()
            && issue.is_empty()
            && end.is_empty()
            && withdraw.is_empty()
            && claim.is_empty()
            && release.is_empty()
            && settle.is_empty()
            && keys.is_empty()
            && copies.is_empty()
    }
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else changed the same thing first: look again.
    #[error("the facts have changed since they were read")]
    Conflict,
    /// It gives a document under a key that does not sign any more, or not yet.
    #[error("the key of a document does not sign")]
    KeySilent,
    /// Somebody else has taken the lead: this handle commits nothing any more.
    #[error("another one leads now, and nothing was committed")]
    Deposed,
    /// The change would bind more holders than the limit allows, one holder twice, or one under too many Licenses.
    #[error("the change would break a limit: {0}")]
    Limit(String),
    /// The ledger was lost, or is another cluster's: nothing is written until somebody has decided.
    #[error("the ledger was lost, or is another cluster's, and nothing was committed")]
    Barred(Bar),
    /// The database did not do it.
    #[error("the ledger is unavailable")]
    Unavailable(#[from] Unavailable),
}

/// The database cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct Unavailable {
    /// What was being done.
    pub doing: &'static str,
    /// What the engine said.
    pub source: sqlx::Error,
}

impl Unavailable {
    /// Whether it has no room left: SQLITE_FULL, and disk_full of PostgreSQL.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(&self.source, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull)
            || self.has_code(&["13", "53100"])
    }

    /// Whether somebody else holds what it needs, and for too long: lock_not_available of PostgreSQL.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.has_code(&["55P03"])
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        matches!(&self.source, sqlx::Error::Database(error) if error.code().is_some_and(|code| codes.contains(&&*code)))
    }
}

/// Who takes the lead.
#[derive(Debug, Clone)]
pub struct Claim {
    /// For which cluster: the ledger is this one's from now on.
    pub cluster: Uid,
    /// From which other cluster it is taken over, as it was when somebody consented.
    pub adopt: Option<witness::Owner>,
    /// Drawn for this lead: whoever leads a copy of the ledger under the same number has drawn another.
    pub token: [u8; 32],
    /// When.
    pub at: Timestamp,
}

/// The port to the facts.
///
/// A handle that leads commits; all others are refused with [`CommitError::Deposed`] from the moment on at which somebody
/// takes the lead. Only a ledger that nobody ever led takes changes from everybody.
pub trait Ledger: Audit + Authorities + activations::Activations {
    /// Takes the lead: from now on this handle commits, and no other one does. Returns the epoch, which only rises. `Conflict` if the
    /// ledger is another cluster's than `claim` says.
    fn lead(&self, claim: &Claim) -> impl Future<Output = Result<i64, CommitError>> + Send;

    /// Writes down that this ledger of `incarnation` is lost: nobody commits anything until an incarnation begins.
    fn condemn(&self, loss: Loss, incarnation: i64) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// It is programs of `cluster` that are answered from now on, by every handle on this database in this process: in another cluster's
    /// ledger nothing of theirs is recorded. Until then they are answered only out of a ledger that nobody has led.
    fn serve(&self, cluster: &Uid);

    /// Whether a commit of this handle was refused because another one leads.
    fn deposed(&self) -> bool;

    /// How far this ledger has come.
    fn head(&self) -> impl Future<Output = Result<Head, Unavailable>> + Send;

    /// Whether a transaction that writes can be begun: it fails where the database does not answer, or only lets itself be read.
    fn takes_writes(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Begins a new incarnation of a ledger that was lost or restored. What it knows of Licenses is of a former
    /// incarnation from now on, until a [`Change`] says that it is true. Authorities are held against what is published, as ever.
    fn recover(
        &self,
        loss: Loss,
        witness: Option<&Witness>,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// All that can be made true again in this incarnation is, and what is not known is not there; `false` if a later one has begun.
    fn rebuilt(&self, incarnation: i64) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// The names of all Licenses of which anything is known.
    fn licenses(&self) -> impl Future<Output = Result<Vec<Key>, Unavailable>> + Send;

    /// What is known of the Licenses that have, or had, this name: usually one; more after a License was
    /// deleted and made again.
    fn facts(&self, key: &Key) -> impl Future<Output = Result<Vec<Facts>, Unavailable>> + Send;

    /// How many seats of `product` each holder has in `namespace`, under other Licenses than `except`.
    fn held_elsewhere(
        &self,
        namespace: &str,
        product: &str,
        except: &Uid,
    ) -> impl Future<Output = Result<BTreeMap<String, u32>, Unavailable>> + Send;

    /// Commits one change and its audit entries. Returns the names of the wanted Secrets that belong to somebody
    /// else, those of copies as `namespace/name`; the rest of the change is committed.
    fn commit(&self, change: &Change) -> impl Future<Output = Result<Vec<String>, CommitError>> + Send;
}
