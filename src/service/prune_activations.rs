//! Pruning activations that no rule looks at any more, so that a ledger does not grow for ever.
//!
//! | it | is kept |
//! |---|---|
//! | is silent: its document has ended | for a season: the machine may come back |
//! | has ended | as long as its document is good (what is not known and has a good document was lost, [`crate::domain::chain::rebuild`]), and for a day: its calls may be repeated |
//! | has ended, and `deviceTransfers` counts it | as long as that counts |
//! | was superseded, and `clones.recoveries` counts it | as long as that counts |
//!
//! How many of those that have ended there may be at once is a limit, too: [`crate::domain::chain::limits::ENDED`].

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::contract::Contract,
    ledger::{CommitError, Ledger, Unavailable, activations::Keep},
};

/// For so long an activation is remembered after its document has ended: a machine that was off over a season goes on.
const SILENT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// For so long at least one that has ended is: whoever has lost the reply asks again, and is told what became of it.
const ENDED: SignedDuration = SignedDuration::from_hours(24);
/// How many are removed in one transaction: others wait for it.
const STEP: u32 = 200;

/// Why pruning stopped.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Reading what Licenses say.
    #[error("reading the Licenses failed")]
    Read(#[from] Unavailable),
    /// Removing.
    #[error("removing activations failed")]
    Commit(#[from] CommitError),
}

/// Forgets the activations that nothing looks at any more. Returns how many.
///
/// # Errors
/// When the ledger is away, or another one leads.
pub async fn prune_activations(ledger: &impl Ledger, now: Timestamp) -> Result<usize, PruneError> {
    let mut forgotten = 0;
    for key in ledger.licenses().await? {
        for facts in ledger.facts(&key).await? {
            let keep = keep(facts.terms.contract.as_ref(), now);
            loop {
                match ledger.forget_ended(&facts.license, keep, STEP).await? {
                    0 => break,
                    step => forgotten += step,
                }
            }
        }
    }
    Ok(forgotten)
}

/// Which are kept at `now`. Of a License of which nothing was told yet, all that any might count.
fn keep(contract: Option<&Contract>, now: Timestamp) -> Keep {
    let ago = |duration| now.checked_sub(duration).unwrap_or(Timestamp::MIN);
    let Some(contract) = contract else {
        return Keep { silent_since: ago(SILENT), ended_since: ago(SILENT), recovered_since: ago(SILENT) };
    };
    let terms = &contract.license.terms;
    let transfers = SignedDuration::from_secs(terms.device_transfers.map_or(0, |(_, per)| per));
    Keep {
        silent_since: ago(SILENT),
        ended_since: ago(transfers.max(ENDED)),
        recovered_since: ago(SignedDuration::from_secs(terms.clones.recoveries.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::{at, license};

    #[test]
    fn what_stands_against_a_limit_is_kept_for_as_long_as_the_limit_says_and_no_longer() {
        let (day, year) = (86_400, 366 * 86_400);
        let now = 2 * year;
        let mut contract = Contract { license: license(1), issuer: None, kept: 0, unknown: 0 };
        contract.license.terms.clones.recoveries = (3, 30 * day);
        let plain = Keep {
            silent_since: at(now - 90 * day),
            ended_since: at(now - day),
            recovered_since: at(now - 30 * day),
        };
        assert_eq!(keep(Some(&contract), at(now)), plain);
        contract.license.terms.device_transfers = Some((1, 3_600));
        assert_eq!(keep(Some(&contract), at(now)), plain, "a day in any case");
        contract.license.terms.device_transfers = Some((1, year));
        assert_eq!(keep(Some(&contract), at(now)), Keep { ended_since: at(now - year), ..plain });
        contract.license.terms.device_transfers = None;
        contract.license.terms.clones.recoveries = (1, year);
        assert_eq!(keep(Some(&contract), at(now)), Keep { recovered_since: at(now - year), ..plain });
        assert_eq!(keep(None, at(now)).ended_since, at(now - 90 * day));
    }
}
