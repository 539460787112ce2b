//! Pruning activations that ended so long ago that no rule looks at them any more, so that a ledger does not grow for ever.

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::contract::Contract,
    ledger::{CommitError, Ledger, Unavailable},
};

/// For so long at least an activation is remembered after its document has ended: a machine that was off over a season goes on.
pub const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
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
            let kept = facts.terms.contract.as_ref().map_or(KEPT, kept);
            // Before the calendar begins there is nothing to prune.
            let Ok(before) = now.checked_sub(kept) else { continue };
            loop {
                match ledger.forget_ended(&facts.license, before, STEP).await? {
                    0 => break,
                    step => forgotten += step,
                }
            }
        }
    }
    Ok(forgotten)
}

/// How long they count: what ended may stand against `deviceTransfers` and `clones.recoveries`.
fn kept(contract: &Contract) -> SignedDuration {
    let terms = &contract.license.terms;
    let transfers = terms.device_transfers.map_or(0, |(_, per)| per);
    SignedDuration::from_secs(transfers.max(terms.clones.recoveries.1)).max(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::license;

    #[test]
    fn what_stands_against_a_limit_is_kept_for_as_long_as_the_limit_says() {
        let year = 366 * 86_400;
        let mut contract = Contract { license: license(1), issuer: None, kept: 0 };
        assert_eq!(kept(&contract), KEPT);
        contract.license.terms.device_transfers = Some((1, year));
        assert_eq!(kept(&contract).as_secs(), year);
        contract.license.terms.device_transfers = None;
        contract.license.terms.clones.recoveries = (1, year);
        assert_eq!(kept(&contract).as_secs(), year);
    }
}
