//! The copies of a License's Secret in other namespaces: whose they are, before they are there and until they are gone.
//!
//! ```text
//!   wanted, and the namespace lets us in ──► claimed ──► written
//!   no longer wanted, or the License gone ──► removing ──► removed where we may ──► settled
//! ```
//!
//! Each step is a change of its own: what a copy says was committed before, with the License's own Secret.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    domain::license::{Key, Uid},
    ledger::{Change, CommitError, Copies, CopyClaim, Ledger},
};

/// The copies of a License, as the ledger knows them.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The License.
    pub license: &'a Uid,
    /// Its version.
    pub version: i64,
    /// Its copies.
    pub copies: &'a [CopyClaim],
}

/// What is to be done about copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// To be written.
    pub ours: BTreeSet<Key>,
    /// Secrets of the wanted name that belong to another License.
    pub taken: BTreeSet<Key>,
    /// To be removed, and then settled.
    pub removing: BTreeSet<Key>,
    /// The License's version after this.
    pub version: i64,
}

/// Claims the copies that are `wanted` now, and releases all others but those to `keep`, which are out of reach.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn claim_copies(
    ledger: &impl Ledger,
    key: &Key,
    Held { license, version, copies }: Held<'_>,
    wanted: &BTreeSet<Key>,
    keep: &BTreeSet<Key>,
    now: Timestamp,
) -> Result<Claimed, CommitError> {
    let held = |copy: &Key| copies.iter().any(|claim| claim.secret == *copy && !claim.removing);
    let claim: Vec<Key> = wanted.iter().filter(|copy| !held(copy)).cloned().collect();
    let release: Vec<Key> = copies
        .iter()
        .filter(|claim| !claim.removing && !wanted.contains(&claim.secret) && !keep.contains(&claim.secret))
        .map(|claim| claim.secret.clone())
        .collect();
    let mut removing: BTreeSet<Key> =
        copies.iter().filter(|claim| claim.removing).map(|claim| claim.secret.clone()).collect();
    removing.extend(release.iter().cloned());
    removing.retain(|copy| !wanted.contains(copy));
    let (mut version, mut taken) = (version, BTreeSet::new());
    if !claim.is_empty() || !release.is_empty() {
        let copies = Copies { claim, release, settle: Vec::new() };
        let refused = commit(ledger, key, license, version, copies, now).await?;
        taken.extend(wanted.iter().filter(|copy| refused.contains(&copy.to_string())).cloned());
        version += 1;
    }
    Ok(Claimed { ours: wanted.difference(&taken).cloned().collect(), taken, removing, version })
}

/// Tells the ledger that these copies are gone.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn settle_copies(
    ledger: &impl Ledger,
    key: &Key,
    license: &Uid,
    version: i64,
    gone: &[Key],
    now: Timestamp,
) -> Result<(), CommitError> {
    if gone.is_empty() {
        return Ok(());
    }
    let copies = Copies { settle: gone.to_vec(), ..Copies::default() };
    commit(ledger, key, license, version, copies, now).await.map(|_| ())
}

async fn commit(
    ledger: &impl Ledger,
    key: &Key,
    license: &Uid,
    version: i64,
    copies: Copies,
    now: Timestamp,
) -> Result<Vec<String>, CommitError> {
    // Copies bind nobody, so nothing is made of the entropy.
    let change = Change { copies, ..Change::new(key.clone(), license.clone(), Some(version), now, [0; 32]) };
    ledger.commit(&change).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::license::tests::at,
        ledger::{Facts, sqlite::Sqlite},
    };

    fn set(namespaces: &[&str]) -> BTreeSet<Key> {
        namespaces.iter().map(|namespace| Key::new(*namespace, "cad-license")).collect()
    }

    async fn facts(ledger: &Sqlite, key: &Key) -> Facts {
        ledger.facts(key).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn what_is_not_wanted_any_more_is_removed_and_what_is_out_of_reach_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        let (key, uid, now) = (Key::new("design", "cad"), Uid("cad".into()), at(100));
        ledger.commit(&Change::new(key.clone(), uid.clone(), None, now, [0; 32])).await.unwrap();
        let claim = async |wanted: &[&str], keep: &[&str]| {
            let Facts { version, copies, .. } = facts(&ledger, &key).await;
            let held = Held { license: &uid, version, copies: &copies };
            let claimed = claim_copies(&ledger, &key, held, &set(wanted), &set(keep), now).await.unwrap();
            assert_eq!(claimed.version, facts(&ledger, &key).await.version);
            claimed
        };
        let first = claim(&["farm", "lab", "shop"], &[]).await;
        assert_eq!((first.ours, first.removing), (set(&["farm", "lab", "shop"]), set(&[])));
        // The shop is out of reach, and nobody wants to be in the lab any more.
        let second = claim(&["farm"], &["shop"]).await;
        assert_eq!((second.ours, second.removing), (set(&["farm"]), set(&["lab"])));
        // It is still so, and nothing is committed for that.
        let third = claim(&["farm"], &["shop"]).await;
        assert_eq!((third.removing, third.version), (set(&["lab"]), second.version));
        // Wanted again before it was gone.
        let fourth = claim(&["farm", "lab", "shop"], &[]).await;
        assert_eq!((fourth.ours, fourth.removing), (set(&["farm", "lab", "shop"]), set(&[])));
    }
}
