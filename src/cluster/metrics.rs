//! What Usher measures of itself (OpenMetrics). No metric carries the name of an object or a person.

use std::sync::{Mutex, PoisonError};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
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
    links: Gauge,
    sealed: Gauge,
    checkpoints: Counter,
    checkpoint_at: Gauge,
    unsealed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new([0.005, 0.025, 0.1, 0.5, 2.5, 10.0]);
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("usher")),
            looks: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            depth: Gauge::default(),
            signed: Counter::default(),
            bound: Counter::default(),
            freed: Counter::default(),
            links: Gauge::default(),
            sealed: Gauge::default(),
            checkpoints: Counter::default(),
            checkpoint_at: Gauge::default(),
            unsealed: Counter::default(),
        };
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
        drop(registry);
        metrics
    }
}

impl Metrics {
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
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.looked("License", "rest", 0.01);
        metrics.committed(3, 2, 1);
        let text = metrics.text();
        assert!(text.contains(r#"usher_reconciles_total{kind="License",outcome="rest"} 1"#), "{text}");
        assert!(text.contains("usher_documents_signed_total 3"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
