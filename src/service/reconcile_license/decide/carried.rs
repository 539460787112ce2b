//! What activations of the holders carry: the ledger is told with the bindings, for the runtime to go by.

use std::collections::{BTreeMap, HashSet};

use crate::{
    domain::{
        features::Carries,
        license::{License, Seat},
        terms::Feature,
    },
    ledger::{Change, Facts},
};

/// What activations of the holders carry, where the ledger does not know it, at most so many; whoever is bound anew comes first. Returns whether that is all.
pub(super) fn tell(
    license: &License,
    facts: Option<&Facts>,
    (bound, carried): (&[&Seat], &[Vec<&Feature>]),
    at_most: usize,
    change: &mut Change,
) -> bool {
    let carries = Carries::of(license, bound, carried);
    let of = |all: Option<&BTreeMap<String, Carries>>, holder: &String| {
        all.and_then(|all| all.get(holder)).cloned().unwrap_or_default()
    };
    let new: HashSet<&String> = change.bind.iter().map(|bind| &bind.holder).collect();
    let holders: Vec<String> = bound.iter().map(|seat| seat.holder.identity()).collect();
    let (first, rest): (Vec<&String>, Vec<&String>) = holders.iter().partition(|holder| new.contains(holder));
    let news = first.into_iter().chain(rest).filter_map(|holder| {
        // Of whoever is bound anew nothing is known.
        let known = of(facts.filter(|_| !new.contains(&holder)).map(|facts| &facts.carries), holder);
        let carries = of(Some(&carries), holder);
        (known != carries).then(|| (holder.clone(), carries))
    });
    let mut news: Vec<(String, Carries)> = news.collect();
    let all = news.len() <= at_most;
    news.truncate(at_most);
    change.carries = news;
    all
}
