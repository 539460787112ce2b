//! A ledger that runs out of room. How to take it away only an engine knows, so its own test does that.

use super::{activation, taken, with_license};
use crate::ledger::{CommitError, Ledger, activations::Step};

/// Takes up a License.
pub(crate) async fn begin<L: Ledger>(ledger: &L) {
    with_license(ledger).await;
}

/// Begins activations from this one on until one fails, or there are so many. Returns those that were answered, and why the last one was not.
pub(crate) async fn activate<L: Ledger>(
    ledger: &L,
    numbers: std::ops::Range<u8>,
) -> (Vec<String>, Option<CommitError>) {
    let mut answered = Vec::new();
    for n in numbers {
        let mut large = activation(&format!("a{n}"), n, 900);
        large.answer = "x".repeat(30_000);
        let turn = Some(taken(ledger, "", 200).await.turn);
        match ledger.record(Step { turn, begin: Some(large), ..super::step() }).await {
            Ok(_) => answered.push(format!("a{n}")),
            Err(error) => return (answered, Some(error)),
        }
    }
    (answered, None)
}
