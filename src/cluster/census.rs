//! How everything stands, counted: what the statuses of all objects say, in words of closed lists.
//!
//! It is counted when somebody asks, and kept nowhere. Statuses say what people see; nothing is decided by this.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;

use crate::{
    cluster::api::{Authority, Condition, License, SeatCounts, Type},
    domain::reason::Reason,
};

/// How an object stands: two words of closed lists.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct Standing {
    /// `Ready`, `NotReady`, or `Stalled` where only an edit can help; `Unknown` before the first word.
    state: &'static str,
    /// The reason of its condition Ready; `Unknown` if that is none of ours.
    reason: &'static str,
}

impl Standing {
    /// Of what has these conditions.
    #[must_use]
    pub fn of(conditions: &[Condition]) -> Self {
        let of_type = |type_| conditions.iter().find(|condition| condition.type_ == type_);
        let is_true = |condition: &Condition| condition.status == "True";
        let ready = of_type(Type::Ready);
        let state = match ready {
            _ if of_type(Type::Stalled).is_some_and(is_true) => "Stalled",
            Some(ready) if is_true(ready) => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        };
        Self { state, reason: ready.map_or("Unknown", |ready| known(&ready.reason)) }
    }

    /// Of what cannot be read.
    const UNREADABLE: Self = Self { state: "Stalled", reason: Reason::InvalidSpec.as_str() };
}

/// Whatever stands in a status, there are no more labels than reasons.
fn known(reason: &str) -> &'static str {
    Reason::ALL.iter().map(|(known, _)| known.as_str()).find(|known| *known == reason).unwrap_or("Unknown")
}

/// The count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Licenses, by how they stand.
    pub licenses: BTreeMap<Standing, i64>,
    /// Authorities, by how they stand.
    pub authorities: BTreeMap<Standing, i64>,
    /// The seats of all Licenses.
    pub seats: SeatCounts,
    /// Sessions of all Licenses that are open.
    pub sessions: i64,
    /// Licenses whose document should have been signed anew by now.
    pub overdue: i64,
    /// Those of them whose document has ended: programs refuse it.
    pub lapsed: i64,
    /// Documents under revoked keys that are still to be made anew.
    pub reissuing: i64,
}

impl Census {
    /// One License more; none if it cannot be read.
    pub fn license(&mut self, license: Option<&License>, now: Timestamp) {
        let Some(license) = license else {
            return add(&mut self.licenses, Standing::UNREADABLE);
        };
        let Some(status) = &license.status else {
            return add(&mut self.licenses, Standing::of(&[]));
        };
        add(&mut self.licenses, Standing::of(&status.conditions));
        let (all, own) = (&mut self.seats, &status.seats);
        for (sum, more) in [
            (&mut all.limit, own.limit),
            (&mut all.bound, own.bound),
            (&mut all.waiting, own.waiting),
            (&mut all.cooling, own.cooling),
            (&mut all.activated, own.activated),
        ] {
            *sum = sum.saturating_add(more);
        }
        let open = status.sessions.map_or(0, |sessions| sessions.open);
        self.sessions = self.sessions.saturating_add(open);
        let past = |at: &Option<String>| {
            at.as_ref().and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at < now)
        };
        // A document that ends with its License is to be renewed never, and is not missed.
        if past(&status.renews_at) {
            self.overdue += 1;
            self.lapsed += i64::from(past(&status.expires_at));
        }
    }

    /// One Authority more; none if it cannot be read.
    pub fn authority(&mut self, authority: Option<&Authority>) {
        let Some(authority) = authority else {
            return add(&mut self.authorities, Standing::UNREADABLE);
        };
        let status = authority.status.as_ref();
        add(&mut self.authorities, Standing::of(status.map_or(&[], |status| &status.conditions)));
        if let Some(reissuing) = status.and_then(|status| status.reissuing) {
            self.reissuing = self.reissuing.saturating_add(reissuing.total.saturating_sub(reissuing.done));
        }
    }
}

fn add(counts: &mut BTreeMap<Standing, i64>, standing: Standing) {
    *counts.entry(standing).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> serde_json::Value {
        serde_json::json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": ""})
    }

    fn license(status: &serde_json::Value) -> License {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "License", "metadata": {"name": "cad", "namespace": "design"},
            "spec": {"product": "cad", "customer": "acme", "seats": 2}, "status": status,
        }))
        .unwrap()
    }

    fn counted(licenses: &[serde_json::Value]) -> Census {
        let mut census = Census::default();
        for status in licenses {
            census.license(Some(&license(status)), "2026-06-01T00:00:00Z".parse().unwrap());
        }
        census
    }

    #[test]
    fn a_license_is_counted_by_what_its_conditions_say() {
        let standing = |conditions: &[serde_json::Value]| {
            let census = counted(&[serde_json::json!({ "conditions": conditions })]);
            let (standing, count) = census.licenses.into_iter().next().unwrap();
            assert_eq!(count, 1);
            (standing.state, standing.reason)
        };
        assert_eq!(standing(&[]), ("Unknown", "Unknown"));
        assert_eq!(standing(&[condition("Ready", "True", "Issued")]), ("Ready", "Issued"));
        assert_eq!(standing(&[condition("Ready", "False", "NamespaceNotGranted")]).0, "NotReady");
        let stalled = [condition("Ready", "False", "KeyMissing"), condition("Stalled", "True", "KeyMissing")];
        assert_eq!(standing(&stalled), ("Stalled", "KeyMissing"));
    }

    #[test]
    fn a_word_that_is_no_reason_becomes_no_label() {
        let census = counted(&[
            serde_json::json!({"conditions": [condition("Ready", "True", "ann@acme.example")]}),
            serde_json::json!({"conditions": [condition("Ready", "True", "bob@acme.example")]}),
        ]);
        assert_eq!(census.licenses, BTreeMap::from([(Standing { state: "Ready", reason: "Unknown" }, 2)]));
    }

    #[test]
    fn what_cannot_be_read_is_counted_as_stalled() {
        let mut census = Census::default();
        census.license(None, Timestamp::UNIX_EPOCH);
        census.authority(None);
        let one = BTreeMap::from([(Standing { state: "Stalled", reason: "InvalidSpec" }, 1)]);
        assert_eq!((&census.licenses, &census.authorities), (&one, &one));
    }

    #[test]
    fn seats_are_summed_over_all_licenses() {
        let of = |limit, bound, waiting, cooling| serde_json::json!({"seats": {"limit": limit, "bound": bound, "waiting": waiting, "cooling": cooling}});
        let census = counted(&[of(5, 3, 0, 1), of(2, 2, 4, 0)]);
        assert_eq!(census.seats, SeatCounts { limit: 7, bound: 5, waiting: 4, cooling: 1, activated: 0 });
    }

    #[test]
    fn open_sessions_are_summed_over_all_licenses() {
        let of = |open| serde_json::json!({"sessions": {"open": open, "over": 1}});
        assert_eq!(counted(&[of(5), serde_json::json!({}), of(2)]).sessions, 7);
    }

    #[test]
    fn a_renewal_is_overdue_from_its_instant_and_lapsed_once_the_document_has_ended() {
        let of = |renews: Option<&str>, expires: &str| {
            let census = counted(&[serde_json::json!({"renewsAt": renews, "expiresAt": expires})]);
            (census.overdue, census.lapsed)
        };
        assert_eq!(of(Some("2026-06-01T00:00:00Z"), "2026-07-01T00:00:00Z"), (0, 0));
        assert_eq!(of(Some("2026-05-31T23:59:59Z"), "2026-07-01T00:00:00Z"), (1, 0));
        assert_eq!(of(Some("2026-05-31T23:59:58Z"), "2026-05-31T23:59:59Z"), (1, 1));
        assert_eq!(of(None, "2026-05-31T23:59:59Z"), (0, 0), "it ends with its License");
    }

    #[test]
    fn what_is_still_to_be_made_anew_is_summed_over_all_authorities() {
        let authority: Authority = serde_json::from_value(serde_json::json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "Authority", "metadata": {"name": "default"},
            "spec": {"issuer": "https://usher.acme.example/a/default"},
            "status": {"reissuing": {"done": 3, "total": 10}},
        }))
        .unwrap();
        let mut census = Census::default();
        census.authority(Some(&authority));
        census.authority(Some(&authority));
        assert_eq!(census.reissuing, 14);
    }
}
