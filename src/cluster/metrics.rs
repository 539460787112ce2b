//! What Usher measures of itself (OpenMetrics). No metric carries the name of an object or a person: labels are words
//! of closed lists, so there are never more series than their products.
//!
//! docs/metrics.md lists them, and a test compares the two.

use std::sync::{Mutex, PoisonError};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::{
    cluster::census::{Census, Standing},
    domain::terms::ClonePolicy,
    service::sign_in::Outcome,
};

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Look {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SeatsIn {
    state: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Called {
    call: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    call: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Under {
    policy: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kept {
    secret: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    outcome: &'static str,
}

/// Every look there can be. All are there from the start: of a counter that begins with its first failure, nobody sees
/// that it rose.
const KINDS: [&str; 4] = ["Authority", "IdentityProvider", "License", "Namespace"];
const OUTCOMES: [&str; 4] = ["again", "failed", "later", "rest"];
/// What becomes of a session that is asked for.
const SESSIONS: [&str; 3] = ["opened", "over", "refused"];

/// The Secrets of keys that a process goes on with, whatever becomes of these.
const KEYS: [&str; 2] = ["usher-ca", "usher-nonce-key"];

/// How everything stands: set to a [`Census`] when somebody asks.
#[derive(Debug, Default)]
struct Stands {
    licenses: Family<Standing, Gauge>,
    authorities: Family<Standing, Gauge>,
    limit: Gauge,
    seats: Family<SeatsIn, Gauge>,
    sessions: Gauge,
    overdue: Gauge,
    lapsed: Gauge,
    reissuing: Gauge,
}

impl Stands {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "licenses",
            "Licenses, by how they stand and the reason of their condition Ready",
            self.licenses.clone(),
        );
        registry.register(
            "authorities",
            "Authorities, by how they stand and the reason of their condition Ready",
            self.authorities.clone(),
        );
        registry.register("seats_limit", "Seats that there are, of all Licenses", self.limit.clone());
        registry.register(
            "seats",
            "Seats of all Licenses: bound, waited for, cooling, held by activations without a Seat",
            self.seats.clone(),
        );
        registry.register("sessions_open", "Sessions of all Licenses that are open", self.sessions.clone());
        registry.register(
            "renewals_overdue",
            "Licenses whose document should have been signed anew by now",
            self.overdue.clone(),
        );
        registry.register(
            "renewals_lapsed",
            "Licenses whose document was not signed anew and has ended: programs refuse it",
            self.lapsed.clone(),
        );
        registry.register(
            "reissuing_documents",
            "Documents under revoked keys that are still to be made anew",
            self.reissuing.clone(),
        );
    }

    fn set(&self, census: &Census) {
        for (family, counts) in [(&self.licenses, &census.licenses), (&self.authorities, &census.authorities)]
        {
            family.clear();
            for (standing, count) in counts {
                family.get_or_create(standing).set(*count);
            }
        }
        let seats = &census.seats;
        for (state, count) in [
            ("bound", seats.bound),
            ("waiting", seats.waiting),
            ("cooling", seats.cooling),
            ("activated", seats.activated),
        ] {
            self.seats.get_or_create(&SeatsIn { state }).set(count);
        }
        self.sessions.set(census.sessions);
        self.limit.set(seats.limit);
        self.overdue.set(census.overdue);
        self.lapsed.set(census.lapsed);
        self.reissuing.set(census.reissuing);
    }
}

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    looks: Family<Look, Counter>,
    seconds: Family<Kind, Histogram>,
    depth: Gauge,
    signed: Counter,
    bound: Counter,
    freed: Counter,
    sessions: Family<Asked, Counter>,
    rechecks: Family<Asked, Counter>,
    forks: Family<Under, Counter>,
    calls: Family<Called, Counter>,
    call_seconds: Family<Named, Histogram>,
    links: Gauge,
    sealed: Gauge,
    checkpoints: Counter,
    checkpoint_at: Gauge,
    unsealed: Counter,
    astray: Family<Kept, Gauge>,
    stands: Stands,
    leads: Gauge,
    transitions: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new([0.005, 0.025, 0.1, 0.5, 2.5, 10.0]);
        let call_histogram: fn() -> Histogram = || Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 2.5]);
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("usher")),
            looks: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            depth: Gauge::default(),
            signed: Counter::default(),
            bound: Counter::default(),
            freed: Counter::default(),
            sessions: Family::default(),
            rechecks: Family::default(),
            forks: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(call_histogram),
            links: Gauge::default(),
            sealed: Gauge::default(),
            checkpoints: Counter::default(),
            checkpoint_at: Gauge::default(),
            unsealed: Counter::default(),
            astray: Family::default(),
            stands: Stands::default(),
            leads: Gauge::default(),
            transitions: Counter::default(),
        };
        metrics.expect_every_look();
        let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(
            "reconciles",
            "Looks at an object, by kind and outcome (rest, later, again, failed)",
            metrics.looks.clone(),
        );
        registry.register("reconcile_seconds", "How long a look took, in seconds", metrics.seconds.clone());
        registry.register("queue_depth", "Objects that wait to be looked at", metrics.depth.clone());
        registry.register("documents_signed", "Documents signed", metrics.signed.clone());
        registry.register("seats_bound", "Seats bound", metrics.bound.clone());
        registry.register("seats_freed", "Seats freed", metrics.freed.clone());
        registry.register(
            "sessions",
            "Sessions that were asked for, by what became of them (opened, over, refused)",
            metrics.sessions.clone(),
        );
        registry.register(
            "rechecks",
            "Questions to identity providers about people who go on, by what came of them (yes, no, used-up, over, another, unbelieved, away, lost)",
            metrics.rechecks.clone(),
        );
        registry.register(
            "forks",
            "Copies of an activation that were seen, each once, by the policy of the License (Refuse, Quarantine, Replace)",
            metrics.forks.clone(),
        );
        registry.register(
            "calls",
            "Calls of the runtime API, by what they were answered with: ok, or the code of the refusal",
            metrics.calls.clone(),
        );
        registry.register("call_seconds", "How long a call took, in seconds", metrics.call_seconds.clone());
        registry.register("audit_entries", "The last entry of the audit", metrics.links.clone());
        registry.register(
            "audit_sealed_entries",
            "The last entry of the audit that a checkpoint seals",
            metrics.sealed.clone(),
        );
        registry.register("audit_checkpoints", "Checkpoints signed", metrics.checkpoints.clone());
        registry.register(
            "audit_checkpoint_timestamp_seconds",
            "When the last checkpoint was signed, in Unix seconds",
            metrics.checkpoint_at.clone(),
        );
        registry.register(
            "audit_failures",
            "Minutes in which the audit could not be sealed or its checkpoints not be published",
            metrics.unsealed.clone(),
        );
        registry.register(
            "keys_astray",
            "1 while a Secret is gone or holds another key than the one that this replica works by",
            metrics.astray.clone(),
        );
        registry.register(
            "build",
            "The version that runs; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        metrics.stands.register(&mut registry);
        registry.register("is_leader", "1 while this replica leads", metrics.leads.clone());
        registry.register(
            "leader_transitions",
            "How often this replica took the lead or lost it",
            metrics.transitions.clone(),
        );
        drop(registry);
        metrics
    }
}

impl Metrics {
    fn expect_every_look(&self) {
        for kind in KINDS {
            for outcome in OUTCOMES {
                drop(self.looks.get_or_create(&Look { kind, outcome }));
            }
            drop(self.seconds.get_or_create(&Kind { kind }));
        }
        // What calls there are, only whoever answers them knows; whatever is none of them is one of these.
        drop(self.calls.get_or_create(&Called { call: "other", code: "ok" }));
        drop(self.call_seconds.get_or_create(&Named { call: "other" }));
        for secret in KEYS {
            drop(self.astray.get_or_create(&Kept { secret }));
        }
        for outcome in SESSIONS {
            drop(self.sessions.get_or_create(&Asked { outcome }));
        }
        for outcome in Outcome::ALL {
            drop(self.rechecks.get_or_create(&Asked { outcome: outcome.word() }));
        }
        for policy in [ClonePolicy::Refuse, ClonePolicy::Quarantine, ClonePolicy::Replace] {
            drop(self.forks.get_or_create(&Under { policy: policy.as_str() }));
        }
    }

    pub(super) fn looked(&self, kind: &'static str, outcome: &'static str, seconds: f64) {
        self.looks.get_or_create(&Look { kind, outcome }).inc();
        self.seconds.get_or_create(&Kind { kind }).observe(seconds);
    }

    pub(super) fn queued(&self, depth: usize) {
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    pub(super) fn committed(&self, signed: usize, bound: usize, freed: usize) {
        for (counter, by) in [(&self.signed, signed), (&self.bound, bound), (&self.freed, freed)] {
            counter.inc_by(u64::try_from(by).unwrap_or(0));
        }
    }

    /// A session was asked for: `outcome` is one of [`SESSIONS`].
    pub(super) fn session(&self, outcome: &'static str) {
        self.sessions.get_or_create(&Asked { outcome }).inc();
    }

    /// A provider was asked again about somebody.
    pub fn rechecked(&self, outcome: Outcome) {
        self.rechecks.get_or_create(&Asked { outcome: outcome.word() }).inc();
    }

    /// Copies were seen of an activation, under this policy.
    pub(super) fn forked(&self, policy: ClonePolicy) {
        self.forks.get_or_create(&Under { policy: policy.as_str() }).inc();
    }

    /// A call was answered with `code`.
    pub(super) fn called(&self, call: &'static str, code: &'static str, seconds: f64) {
        self.calls.get_or_create(&Called { call, code }).inc();
        self.call_seconds.get_or_create(&Named { call }).observe(seconds);
    }

    /// How far the audit has grown, and how far it is sealed, by a checkpoint of that instant.
    pub(super) fn audited(&self, entries: i64, sealed: i64, at: i64) {
        self.links.set(entries);
        self.sealed.set(sealed);
        self.checkpoint_at.set(at);
    }

    pub(super) fn sealed(&self) {
        self.checkpoints.inc();
    }

    pub(super) fn audit_failed(&self) {
        self.unsealed.inc();
    }

    /// Whether the Secret, which is one of [`KEYS`], holds the key by which this replica works.
    pub(super) fn own_key(&self, secret: &'static str, holds: bool) {
        self.astray.get_or_create(&Kept { secret }).set(i64::from(!holds));
    }

    /// How everything stands now.
    pub fn counted(&self, census: &Census) {
        // Nobody reads half of it.
        let _registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.stands.set(census);
    }

    pub(super) fn leads(&self, leads: bool) {
        if self.leads.set(i64::from(leads)) != i64::from(leads) {
            self.transitions.inc();
        }
    }

    /// All of them, as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}

#[cfg(test)]
mod tests;
