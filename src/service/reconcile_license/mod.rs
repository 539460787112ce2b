//! One look at a License: who holds, what is signed, which Secrets are wanted, committed as one change.
//!
//! ```text
//!   facts ──► decide (pure) ──► commit ──► Outcome ──► the cluster removes, `settle`, and looks again
//!                                                  └──► nothing to remove: the cluster shows it
//! ```
//!
//! What is bound was bound by the commit; the outcome tells the cluster what to show. A License that is gone, or
//! was made again under its old name, is emptied by the same look. However large a License is, one look changes a bounded
//! part of it, says that there is more, and shows nothing yet of those whose turn has not come. If documents cannot be signed, nothing
//! is taken away: whoever holds keeps, documents stay as they are, and nobody is bound anew. If only nothing may be
//! granted, what a suspension or the end of validity calls for is signed, for it grants nothing.

mod decide;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{
        allocation::Standing,
        contract::SUMMARY,
        license::{Holder, Key, License, Phase, Seat, Uid},
        reason::Because,
        terms::Admission,
        text::{DeviceId, Label},
    },
    keys::Signer,
    ledger::{
        Change, CommitError, CopyClaim, Document, Facts, Ledger, SecretClaim, Unavailable,
        activations::{
            Activated, Holding,
            asking::{ASKING, Asking, REMEMBERED},
        },
        sessions::OpenSessions,
    },
};

pub use decide::{cools_until, terms};

/// How many Seats one look binds, and how many documents it makes: the ledger has one writer, for whom everybody else waits that long, some 50 ms.
pub const AT_MOST: usize = 256;

/// A License as it is to be, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The License.
    pub license: &'a License,
    /// Its Seats.
    pub seats: &'a [Seat],
    /// Seats that cannot be read, here or under other Licenses, with their names: what they hold they keep.
    pub unreadable: &'a BTreeMap<Uid, String>,
    /// Whose keys sign; absent while there are none.
    pub signer: Option<&'a Signer>,
    /// Whether they may grant. What grants nothing any more is signed all the same: instead of what they granted.
    pub may_grant: bool,
}

/// What the cluster is to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In which phase the License is; absent when it is gone.
    pub phase: Option<Phase>,
    /// How each Seat stands.
    pub standings: BTreeMap<Uid, Standing>,
    /// The current document of the License and of each bound Seat.
    pub documents: BTreeMap<Uid, Document>,
    /// The Secrets to remove, before anything is added.
    pub removals: Vec<Removal>,
    /// Copies of the License's Secret, as claimed.
    pub copies: Vec<CopyClaim>,
    /// The License's version after this look.
    pub version: i64,
    /// Those whose wanted Secret belongs to another License or Seat.
    pub taken: BTreeSet<Uid>,
    /// Why the License does not grant although it might, if only an edit can help.
    pub refused: Option<Because>,
    /// Seats that hold a seat beyond a number that the License says.
    pub over: BTreeMap<Uid, Beyond>,
    /// How many are held by Seats that cannot be read, and so have no standing.
    pub kept: usize,
    /// How many seats are free and not given yet.
    pub cooling: usize,
    /// How many places activations hold by themselves.
    pub activated: usize,
    /// Its sessions that are open.
    pub sessions: OpenSessions,
    /// Activations of which two copies are known to be out there.
    pub forked: Vec<String>,
    /// Holders whose address is somebody else's now, who waits for an administrator.
    pub contested: BTreeSet<String>,
    /// Devices that asked lately, and that no Seat names although one must; the last ones first.
    pub asking: Vec<Asking>,
    /// Seats that were bound just now.
    pub bound: BTreeSet<Uid>,
    /// Seats that lost their place just now.
    pub freed: BTreeSet<Uid>,
    /// How many documents were signed just now.
    pub signed: usize,
    /// The activation keys that there are to be, each with the hash of the one that was made.
    pub keys: BTreeMap<String, Option<String>>,
    /// There was more to do than one look may: look again at once. Whose turn has not come has no standing and no document here.
    pub more: bool,
    /// When to look again.
    pub next_look: Option<Timestamp>,
}

/// Beyond which number of the License somebody holds a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beyond {
    /// Its `seats`.
    Seats,
    /// The `seats` of a group.
    Group(Label),
    /// `maxPerUser`: their holder has so many seats of the product under other Licenses.
    MaxPerUser,
}

/// A Secret to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The License that it was for.
    pub license: Uid,
    /// That License's version after this look.
    pub version: i64,
    /// The Secret's name.
    pub name: String,
    /// The License or Seat whose document it held.
    pub subject: Uid,
}

/// What the ledger knows before a decision.
#[derive(Debug, Clone, Copy)]
struct Known<'a> {
    /// Of this License.
    facts: Option<&'a Facts>,
    /// How many seats of the product holders have under other Licenses, where that counts.
    elsewhere: Option<&'a BTreeMap<String, u32>>,
    /// What activations hold by themselves.
    holding: &'a Holding,
    /// Those of them that began last, if there may be too many.
    last: &'a [Activated],
}

/// Why a look came to nothing. The next one starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Reading the facts.
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    /// Writing them.
    #[error("committing failed")]
    Commit(#[from] CommitError),
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
}

/// The name of the Secret for a Seat's document.
#[must_use]
pub fn seat_secret(seat: &str) -> String {
    format!("{seat}-seat")
}

/// Looks at the License `key`, of which `facts` are all that the ledger knows, commits what follows, and says what to show.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn reconcile_license(
    ledger: &impl Ledger,
    key: &Key,
    facts: &[Facts],
    wanted: Option<Wanted<'_>>,
    at_most: usize,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<Outcome, ReconcileError> {
    let mut outcome = Outcome::default();
    let current = wanted.map(|wanted| wanted.license.uid.clone());
    let mut facts_of_current = None;
    for facts in facts {
        if Some(&facts.license) == current.as_ref() {
            facts_of_current = Some(facts);
        } else {
            let activated = ledger.last_activated(&facts.license, at_most, now).await?;
            let (change, more) = emptied(key, facts, activated, at_most, now, entropy);
            outcome.more |= more;
            outcome.freed.extend(change.free.iter().cloned());
            commit(ledger, &change, &facts.secrets, &mut outcome).await?;
        }
    }
    // Nobody is given a seat of a License while there are holders of its namesake before.
    if let Some(wanted) = wanted.filter(|_| !outcome.more) {
        let License { product, max_per_user, .. } = wanted.license;
        let elsewhere = match max_per_user {
            Some(_) => {
                Some(ledger.held_elsewhere(&key.namespace, product.as_str(), &wanted.license.uid).await?)
            }
            None => None,
        };
        let (holding, last) = activated(ledger, wanted, facts_of_current, at_most, now).await?;
        let known =
            Known { facts: facts_of_current, elsewhere: elsewhere.as_ref(), holding: &holding, last: &last };
        let (change, decided) = decide::decide(wanted, known, at_most, now, entropy)?;
        let secrets = facts_of_current.map(|facts| facts.secrets.as_slice()).unwrap_or_default();
        let former = std::mem::replace(&mut outcome, decided);
        outcome.removals = former.removals;
        outcome.freed.extend(former.freed);
        outcome.copies = facts_of_current.map(|facts| facts.copies.clone()).unwrap_or_default();
        outcome.version = commit(ledger, &change, secrets, &mut outcome).await?;
        outcome.sessions = ledger.open_sessions(&wanted.license.uid, now).await?;
        outcome.asking = asking(ledger, wanted, now).await?;
    }
    Ok(outcome)
}

/// Which devices ask to be named.
async fn asking(
    ledger: &impl Ledger,
    Wanted { license, seats, .. }: Wanted<'_>,
    now: Timestamp,
) -> Result<Vec<Asking>, Unavailable> {
    if license.admission != Admission::Listed {
        return Ok(Vec::new());
    }
    let since = now.checked_sub(SignedDuration::from_secs(REMEMBERED)).unwrap_or(Timestamp::MIN);
    let mut asking = ledger.asking(&license.uid, since).await?;
    let named: HashSet<&DeviceId> = seats
        .iter()
        .filter_map(|seat| match &seat.holder {
            Holder::Device { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    asking.retain(|one| !named.contains(&one.device));
    // Two replicas may have told of some at once.
    asking.truncate(usize::try_from(ASKING).unwrap_or(usize::MAX));
    Ok(asking)
}

/// What activations hold by themselves, and the last of them, if there are too many.
async fn activated(
    ledger: &impl Ledger,
    Wanted { license, seats, .. }: Wanted<'_>,
    facts: Option<&Facts>,
    at_most: usize,
    now: Timestamp,
) -> Result<(Holding, Vec<Activated>), Unavailable> {
    let bindings = facts.map(|facts| facts.bindings.as_slice()).unwrap_or_default();
    let bound: HashSet<&str> = bindings.iter().map(|binding| binding.holder.as_str()).collect();
    let identities = seats.iter().map(|seat| seat.holder.identity());
    let among: Vec<String> = identities.filter(|holder| !bound.contains(holder.as_str())).collect();
    let holding = ledger.holding(&license.uid, &among, now).await?;
    let places = usize::try_from(license.places()).unwrap_or(usize::MAX);
    let last = match (holding.places + bindings.len()).saturating_sub(places) {
        0 => Vec::new(),
        // Some of them may be given Seats.
        beyond => {
            let at_most = beyond.min(at_most).saturating_add(holding.holders.len());
            ledger.last_activated(&license.uid, at_most, now).await?
        }
    };
    Ok((holding, last))
}

impl Outcome {
    /// When to show, as they are shown at `now`, whether sessions have ended of which nobody tells.
    #[must_use]
    pub fn sessions_end(&self, now: Timestamp) -> Option<Timestamp> {
        let after = |at: Timestamp, seconds| {
            at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
        };
        // It is open at that very second.
        self.sessions.next_end.map(|end| after(end, 1).max(after(now, SUMMARY)))
    }
}

/// Tells the ledger that these Secrets are gone.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn settle(
    ledger: &impl Ledger,
    key: &Key,
    removals: &[Removal],
    now: Timestamp,
) -> Result<(), CommitError> {
    let mut by_license: BTreeMap<(&Uid, i64), Vec<String>> = BTreeMap::new();
    for removal in removals {
        by_license.entry((&removal.license, removal.version)).or_default().push(removal.name.clone());
    }
    for ((license, version), settle) in by_license {
        // Settling binds nobody, so nothing is made of the entropy.
        let change =
            Change { settle, ..Change::new(key.clone(), license.clone(), Some(version), now, [0; 32]) };
        ledger.commit(&change).await?;
    }
    Ok(())
}

/// Returns the License's version after that.
async fn commit(
    ledger: &impl Ledger,
    change: &Change,
    before: &[SecretClaim],
    outcome: &mut Outcome,
) -> Result<i64, CommitError> {
    let mut version = change.expected.unwrap_or(0);
    let mut refused = HashSet::new();
    if !change.is_empty() {
        refused.extend(ledger.commit(change).await?);
        version += 1;
    }
    let claimed: HashSet<&String> = change.claim.iter().map(|(name, _)| name).collect();
    let released: HashSet<&String> = change.release.iter().collect();
    let without = change.claim.iter().filter(|(name, _)| refused.contains(name));
    outcome.taken.extend(without.map(|(_, subject)| subject.clone()));
    let removing = before.iter().filter(|claim| {
        // A name that went from one Seat to its namesake is refused to the new one until the old Secret is gone.
        (claim.removing || released.contains(&claim.name))
            && (!claimed.contains(&claim.name) || refused.contains(&claim.name))
    });
    outcome.removals.extend(removing.map(|claim| Removal {
        license: change.license.clone(),
        version,
        name: claim.name.clone(),
        subject: claim.subject.clone(),
    }));
    Ok(version)
}

/// The change that empties a License that is gone, `at_most` of each kind, and whether there is more. Once its Secrets are gone too, it is forgotten.
fn emptied(
    key: &Key,
    facts: &Facts,
    activated: Vec<Activated>,
    at_most: usize,
    now: Timestamp,
    entropy: [u8; 32],
) -> (Change, bool) {
    let claimed = facts.secrets.iter().filter(|claim| !claim.removing);
    let (bindings, documents) = (facts.bindings.len(), facts.documents.len());
    let most = bindings.max(documents).max(claimed.clone().count());
    let more = most > at_most || activated.len() >= at_most;
    let change = Change {
        end: activated.into_iter().map(|activated| activated.id).collect(),
        free: facts.bindings.iter().take(at_most).map(|binding| binding.seat.clone()).collect(),
        withdraw: facts.documents.iter().take(at_most).map(|document| document.subject.clone()).collect(),
        release: claimed.take(at_most).map(|claim| claim.name.clone()).collect(),
        forget: facts.secrets.is_empty() && facts.copies.is_empty() && !more,
        ..Change::new(key.clone(), facts.license.clone(), Some(facts.version), now, entropy)
    };
    (change, more)
}
