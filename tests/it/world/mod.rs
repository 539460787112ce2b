//! The simulated world: the real rules of the nonce chain and the real nonces, under clients, disks, messages, clocks, crashes
//! and restores that a seed decides.
//!
//! ```text
//!   clients ◄──── network ────► server ──── the rules ────► ledger ◄──── backups
//!   on disks    loses, doubles,  crashes before and          │  put back, with and
//!   copied,     reorders         after the commit;           │  without the witness
//!   rolled back                  its clock jumps             ▼
//!   and wiped                                        checks, after every step
//! ```
//!
//! 1. **One head.** A position is used by one call. What is accepted is the last that this life of the ledger issued, or one
//!    of a life that was lost, and then the highest. A copy that was refused is not renewed; where a fork
//!    quarantines, nobody is until it is resolved or the last document has ended.
//! 2. **No false alarm.** No fork is recorded of a device of which there is but one, and it is never refused as a copy.
//! 3. **Limits.** Places that are held are never more than there are; documents that are good are at most so many more as
//!    places were released, lost in a restore, or given back by a clock that was ahead, while they are good.
//! 4. **Nothing is stuck.** Once messages arrive, whoever is the only one of its kind is served or told which limit is in the
//!    way; whoever lost the state goes on in the same place; whoever holds a token can end its activation; a copy that was
//!    judged stops nobody again; when all are silent, all places are free after the last document.
//!
//! After a jump of the clock each of them is exact by the server's own clock; after a restore, in each life of the ledger: its
//! [`ledger::History`] is put back with it. `broken` breaks each rule, and a world must notice.
//!
//! Of the network it assumes what HTTP gives: a request is not more than [`RECENT`](usher::domain::chain::RECENT) calls of its
//! client late; who has moved to another activation has closed the former one's connections; a request for an activation does
//! not outlive a restore that forgets what it made, for nobody could tell it from a new one.
//!
//! `USHER_WORLD=SEED cargo test --test it -- world::whatever --nocapture` replays one seed and tells each step;
//! `USHER_WORLD=FROM..TO` tries others.

mod broken;
mod checks;
mod client;
mod end;
mod ledger;
mod message;
mod plan;
mod random;
mod server;
#[expect(clippy::module_inception, reason = "it is the world")]
mod world;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use broken::{Broken, Rules};
use checks::{Counted, Counts};
use server::keys;
use usher::keys::nonce::NonceKeys;
use world::World;

/// Seeds of a whole run, and steps of each.
const SEEDS: Range<u64> = 0..10_000;
const STEPS: usize = 500;

/// What a world has noticed, and in which step; after the last one, nothing may be stuck.
struct Noticed {
    step: usize,
    why: String,
}

/// One world from its beginning to its end.
fn live(seed: u64, keys: &NonceKeys, rules: Rules, is_told: bool) -> Result<Counts, Noticed> {
    let mut world = World::new(seed, keys, rules, is_told);
    for step in 1..=STEPS {
        world.step().map_err(|why| Noticed { step, why })?;
    }
    let counts = world.checks.counts;
    end::settle(&mut world).map_err(|why| Noticed { step: STEPS + 1, why })?;
    Ok(counts)
}

/// The seeds to try, and whether each step is told.
fn wanted() -> (Range<u64>, bool) {
    let Ok(wanted) = std::env::var("USHER_WORLD") else { return (SEEDS, false) };
    let number = |text: &str| text.parse().expect("USHER_WORLD must be SEED or FROM..TO");
    match wanted.split_once("..") {
        Some((from, to)) => (number(from)..number(to), false),
        None => (number(&wanted)..number(&wanted) + 1, true),
    }
}

fn live_all(seeds: Range<u64>, is_told: bool) -> Counts {
    let keys = keys();
    let mut counts = Counts::default();
    for seed in seeds {
        match live(seed, &keys, Rules(None), is_told) {
            Ok(more) => counts.add(&more),
            Err(Noticed { step, why }) => panic!(
                "seed {seed}, step {step}: {why}\n  replay: USHER_WORLD={seed} cargo test --test it -- world::whatever --nocapture"
            ),
        }
    }
    counts
}

#[test]
fn whatever_happens_one_copy_lives_nobody_is_accused_falsely_and_limits_hold() {
    let (seeds, is_told) = wanted();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let share = (seeds.end - seeds.start).div_ceil(cores);
    let counts = std::thread::scope(|threads| {
        let part = |core: u64| seeds.start + core * share..seeds.end.min(seeds.start + (core + 1) * share);
        let running: Vec<_> =
            (0..cores).map(|core| threads.spawn(move || live_all(part(core), is_told))).collect();
        let mut counts = Counts::default();
        for thread in running {
            counts.add(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        counts
    });
    println!("{} worlds of {STEPS} steps", seeds.end - seeds.start);
    for what in Counted::ALL {
        let times = counts.of(what);
        println!("{times:>9} {what:?}");
        assert!(seeds != SEEDS || times >= 300, "{what:?}: {times} times only");
    }
}

/// The first seed at which a world notices that `broken` is.
fn found(broken: Broken, keys: &NonceKeys) -> Option<(u64, Noticed)> {
    let mut seeds = SEEDS;
    seeds.find_map(|seed| live(seed, keys, Rules(Some(broken)), false).err().map(|noticed| (seed, noticed)))
}

#[test]
fn each_rule_that_is_broken_is_noticed() {
    let (keys, next) = (keys(), AtomicUsize::new(0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = Mutex::new(BTreeMap::new());
    std::thread::scope(|threads| {
        for _ in 0..cores {
            threads.spawn(|| {
                while let Some((at, broken)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    Broken::ALL.get(at).map(|broken| (at, *broken))
                } {
                    let (rule, says) = broken.says();
                    let row = found(broken, &keys).map(|(seed, Noticed { step, why })| {
                        format!("| {rule} | {says} | {why} | {seed} | {step} |")
                    });
                    rows.lock().unwrap().insert(at, row.ok_or(broken));
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap();
    println!("| rule | broken | what the world says | seed | step |\n|---|---|---|---|---|");
    rows.values().flatten().for_each(|row| println!("{row}"));
    let missed: Vec<_> = rows.values().filter_map(|row| row.as_ref().err()).collect();
    assert!(missed.is_empty(), "no world of {SEEDS:?} notices that these are broken: {missed:?}");
}
