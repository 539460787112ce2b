//! What a License, its Edition and Usher's own defaults come to. Pure.
//!
//! Field by field, down to the members of `lease`, `sessions` and `clones`: the License's, else the Edition's, else the default.
//! Features are merged by name: the License's takes the place of the Edition's, and `enabled: false` takes it out.

use crate::{
    cluster::api::{
        ClonesSpec, Count, FeatureSpec, GraceText, LeaseSpec, RecoveryWindow, SessionTtl, SessionsSpec,
        SharedSpec, TtlText, WindowedSpec,
    },
    domain::terms::{ActivationTime, ClonePolicy, Clones, Feature, Lease, Provisioning, Sessions, Terms},
};

/// What counts: everything is said that has a default.
pub(super) fn effective(license: &SharedSpec, edition: Option<&SharedSpec>) -> SharedSpec {
    let default = SharedSpec::default();
    let edition = edition.unwrap_or(&default);
    let lease = [license, edition].map(|spec| spec.lease.clone().unwrap_or_default());
    let sessions = [license, edition].map(|spec| spec.sessions.clone().unwrap_or_default());
    let clones = [license, edition].map(|spec| spec.clones.clone().unwrap_or_default());
    let [lease, edition_lease] = lease;
    let [sessions, edition_sessions] = sessions;
    let [clones, edition_clones] = clones;
    SharedSpec {
        authority_ref: license.authority_ref.clone().or_else(|| edition.authority_ref.clone()),
        provisioning: license.provisioning.or(edition.provisioning).or(Some(Provisioning::Named)),
        client: license.client.or(edition.client),
        // Whatever was written before it was refused.
        activation: Some(ActivationTime::OnFirstUse),
        devices_per_seat: license.devices_per_seat.or(edition.devices_per_seat),
        lease: Some(LeaseSpec {
            ttl: lease.ttl.or(edition_lease.ttl).or_else(|| TtlText::try_from("24h".to_owned()).ok()),
            offline_grace: lease
                .offline_grace
                .or(edition_lease.offline_grace)
                .or_else(|| GraceText::try_from("72h".to_owned()).ok()),
        }),
        sessions: Some(SessionsSpec {
            per_user: sessions.per_user.or(edition_sessions.per_user),
            total: sessions.total.or(edition_sessions.total),
            ttl: sessions.ttl.or(edition_sessions.ttl).or_else(|| SessionTtl::try_from("5m".to_owned()).ok()),
        }),
        features: features(&license.features, &edition.features),
        clones: Some(ClonesSpec {
            policy: clones.policy.or(edition_clones.policy).or(Some(ClonePolicy::Refuse)),
            recoveries: clones.recoveries.or(edition_clones.recoveries).or_else(|| {
                let per = RecoveryWindow::try_from("720h".to_owned()).ok()?;
                Some(WindowedSpec { limit: Count(3), per })
            }),
        }),
        device_transfers: license.device_transfers.clone().or_else(|| edition.device_transfers.clone()),
    }
}

/// The Edition's first, in its order, then what the License adds.
fn features(license: &[FeatureSpec], edition: &[FeatureSpec]) -> Vec<FeatureSpec> {
    let own = |name| license.iter().find(|feature| feature.name == name);
    let known = |name| edition.iter().any(|feature| feature.name == name);
    let kept = edition.iter().map(|feature| own(feature.name.clone()).unwrap_or(feature));
    let added = license.iter().filter(|feature| !known(feature.name.clone()));
    kept.chain(added).filter(|feature| feature.enabled != Some(false)).cloned().collect()
}

/// The same, for the rules.
pub(super) fn terms(spec: &SharedSpec) -> Terms {
    let default = Terms::default();
    let lease = spec.lease.clone().unwrap_or_default();
    let sessions = spec.sessions.clone().unwrap_or_default();
    let clones = spec.clones.clone().unwrap_or_default();
    let windowed = |spec: WindowedSpec| Some((spec.limit.0, spec.per.seconds()?));
    Terms {
        provisioning: spec.provisioning.unwrap_or_default(),
        client: spec.client,
        devices_per_seat: spec.devices_per_seat.map(|count| count.0),
        lease: Lease {
            ttl: lease.ttl.map_or(default.lease.ttl, |ttl| ttl.ttl()),
            offline_grace: lease
                .offline_grace
                .and_then(|grace| grace.seconds())
                .unwrap_or(default.lease.offline_grace),
        },
        sessions: Sessions {
            per_user: sessions.per_user.map(|count| count.0),
            total: sessions.total.map(|count| count.0),
            ttl: sessions.ttl.and_then(|ttl| ttl.seconds()).unwrap_or(default.sessions.ttl),
        },
        features: spec.features.iter().map(feature).collect(),
        clones: Clones {
            policy: clones.policy.unwrap_or_default(),
            recoveries: clones.recoveries.and_then(windowed).unwrap_or(default.clones.recoveries),
        },
        device_transfers: spec.device_transfers.clone().and_then(windowed),
    }
}

fn feature(spec: &FeatureSpec) -> Feature {
    Feature {
        name: spec.name.clone(),
        pool: spec.pool.map(|pool| pool.0),
        quota: spec.quota.as_ref().map(|quota| (quota.limit.0, quota.per)),
        seats: spec.seats.map(|seats| seats.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> SharedSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_defaults_that_users_are_shown_are_the_rules_own() {
        assert_eq!(terms(&effective(&SharedSpec::default(), None)), Terms::default());
        let shown = serde_json::to_value(effective(&SharedSpec::default(), None)).unwrap();
        assert_eq!(
            shown,
            json!({
                "provisioning": "Named", "activation": "OnFirstUse", "lease": {"ttl": "24h", "offlineGrace": "72h"},
                "sessions": {"ttl": "5m"}, "clones": {"policy": "Refuse", "recoveries": {"limit": 3, "per": "720h"}},
            })
        );
    }

    #[test]
    fn a_license_goes_before_its_edition_member_by_member() {
        let license = spec(json!({
            "lease": {"ttl": "1h"}, "sessions": {"perUser": 2}, "clones": {"policy": "Replace"}, "client": "Devices",
        }));
        let edition = spec(json!({
            "authorityRef": {"name": "default"}, "provisioning": "Floating", "client": "Users", "devicesPerSeat": 2,
            "lease": {"ttl": "2h", "offlineGrace": "3h"}, "sessions": {"perUser": 1, "total": 40, "ttl": "1m"},
            "clones": {"policy": "Quarantine", "recoveries": {"limit": 1, "per": "1h"}}, "activation": "OnCreation",
            "deviceTransfers": {"limit": 2, "per": "720h"},
        }));
        let merged = serde_json::to_value(effective(&license, Some(&edition))).unwrap();
        assert_eq!(
            merged,
            json!({
                "authorityRef": {"name": "default"}, "provisioning": "Floating", "client": "Devices", "devicesPerSeat": 2,
                "lease": {"ttl": "1h", "offlineGrace": "3h"}, "sessions": {"perUser": 2, "total": 40, "ttl": "1m"},
                "clones": {"policy": "Replace", "recoveries": {"limit": 1, "per": "1h"}}, "activation": "OnFirstUse",
                "deviceTransfers": {"limit": 2, "per": "720h"},
            })
        );
    }

    #[test]
    fn features_are_merged_by_name_and_taken_out_by_saying_so() {
        let license = spec(json!({"features": [
            {"name": "xr"}, {"name": "simulate", "pool": 9}, {"name": "exports", "enabled": false}, {"name": "never", "enabled": false},
        ]}));
        let edition = spec(json!({"features": [
            {"name": "render"}, {"name": "exports"}, {"name": "simulate", "pool": 5}, {"name": "off", "enabled": false},
        ]}));
        let merged = effective(&license, Some(&edition));
        let said: Vec<_> =
            merged.features.iter().map(|f| (f.name.as_str(), f.pool.map(|pool| pool.0))).collect();
        assert_eq!(said, [("render", None), ("simulate", Some(9)), ("xr", None)]);
    }
}
