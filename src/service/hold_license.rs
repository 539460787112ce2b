//! A License whose Secrets cannot be touched for now: how it stands, with nothing decided and nothing committed.
//!
//! Whoever holds keeps, documents stay as they are, and whoever does not hold waits. What a decision would have
//! freed is freed by the first look that can remove its Secret.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    domain::{
        allocation::{Standing, Why},
        license::{License, Seat, Uid},
    },
    ledger::Facts,
    service::reconcile_license::Outcome,
};

/// How `license` and its `seats` stand by `facts`.
#[must_use]
pub fn hold_license(facts: &[Facts], license: &License, seats: &[Seat], now: Timestamp) -> Outcome {
    let facts = facts.iter().find(|facts| facts.license == license.uid).cloned();
    let known = facts.map(|facts| (facts.bindings, facts.documents, facts.contested));
    let (bindings, documents, contested) = known.unwrap_or_default();
    let bound: BTreeSet<Uid> = bindings.into_iter().map(|binding| binding.seat).collect();
    let standing = |seat: &Seat| {
        let holds = bound.contains(&seat.uid);
        (
            seat.uid.clone(),
            if holds { Standing::Bound } else { Standing::Waiting { position: 0, why: Why::NoFreeSeat } },
        )
    };
    Outcome {
        phase: Some(license.phase(now)),
        standings: seats.iter().map(standing).collect(),
        documents: documents.into_iter().map(|document| (document.subject.clone(), document)).collect(),
        contested,
        next_look: license.next_phase(now),
        ..Outcome::default()
    }
}
