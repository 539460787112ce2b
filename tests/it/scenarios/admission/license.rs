use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};
use crate::ground::license;

fn spec(spec: Value) -> Value {
    only("spec", spec)
}

#[tokio::test]
async fn a_license_with_a_mistake_in_what_it_names_is_told_what_to_write() {
    let name = |name: &str| json!({"metadata": {"name": name}});
    check(cases(&license(1), [
        (name("cad.v2"), "the name of a License must be at most 54 characters without dots", name("cad-v2")),
        (name(&long(55)), "the name of a License must be at most 54 characters without dots", name(&long(54))),
        (spec(json!({"product": null})), "spec.product: Required value", json!({})),
        (spec(json!({"product": "CAD Pro"})), "product must be lower-case letters, digits, dots and dashes, such as cad or render-farm", spec(json!({"product": "cad-pro"}))),
        (spec(json!({"product": long(64)})), "spec.product: Too long: may not be more than 63", spec(json!({"product": long(63)}))),
        (spec(json!({"customer": null})), "spec.customer: Required value", json!({})),
        (spec(json!({"customer": ""})), "customer must be letters, digits, spaces, dots, dashes, @ and underscores, such as acme or Acme Inc.", spec(json!({"customer": "A"}))),
        (spec(json!({"customer": "Acme\nInc."})), "customer must be letters, digits", spec(json!({"customer": "Acme Inc."}))),
        (spec(json!({"authorityRef": null})), "spec.authorityRef: Required value", json!({})),
        (spec(json!({"authorityRef": {"name": "Default"}})), "name must be lower-case letters, digits and dashes, at most 63, such as cad-license", json!({})),
        (spec(json!({"authorityRef": {"name": null}})), "spec.authorityRef.name: Required value", json!({})),
        (spec(json!({"secret": {"name": "Cad_Secret"}})), "name must be lower-case letters, digits and dashes", spec(json!({"secret": {"name": "cad-secret"}}))),
        (spec(json!({"secret": {}})), "spec.secret.name: Required value", spec(json!({"secret": {"name": "x"}}))),
    ]))
    .await;
}

#[tokio::test]
async fn a_license_with_a_mistake_in_what_it_grants_is_told_what_to_write() {
    let features = |features: Value| spec(json!({"features": features}));
    let many = |count: usize| features((0..count).map(|n| json!({"name": format!("f{n}")})).collect());
    let quota =
        |limit: u32, per: &str| features(json!([{"name": "a", "quota": {"limit": limit, "per": per}}]));
    check(cases(
        &license(1),
        [
            (spec(json!({"seats": null})), "spec.seats: Required value", json!({})),
            (
                spec(json!({"seats": -1})),
                "spec.seats in body should be greater than or equal to 0",
                spec(json!({"seats": 0})),
            ),
            (
                spec(json!({"seats": 1_000_001})),
                "spec.seats in body should be less than or equal to 1000000",
                spec(json!({"seats": 1_000_000})),
            ),
            (
                spec(json!({"seats": "two"})),
                "spec.seats in body must be of type integer",
                spec(json!({"seats": 2})),
            ),
            (
                features(json!([{"name": "a"}, {"name": "a"}])),
                "spec.features[1]: Duplicate value",
                features(json!([{"name": "a"}, {"name": "b"}])),
            ),
            (
                features(json!([{"name": "3d view"}])),
                "feature name must be letters, digits, dots, dashes and underscores, such as render",
                features(json!([{"name": "3d-view"}])),
            ),
            (
                features(json!([{"name": "a", "pool": 1, "quota": {"limit": 1, "per": "Day"}}])),
                "a feature has either a pool (so many at once) or a quota (so many per period), not both",
                features(json!([{"name": "a", "pool": 1}])),
            ),
            (
                features(json!([{"name": "a", "pool": 0}])),
                "pool in body should be greater than or equal to 1",
                features(json!([{"name": "a", "pool": 1}])),
            ),
            (features(json!([{"pool": 1}])), "spec.features[0].name: Required value", features(json!([]))),
            (quota(0, "Day"), "quota.limit in body should be greater than or equal to 1", quota(1, "Day")),
            (quota(1, "Week"), r#"supported values: "Hour", "Day", "Month""#, quota(1, "Month")),
            (many(65), "spec.features: Too many: 65: must have at most 64 items", many(64)),
            (
                spec(json!({"suspended": "yes"})),
                "spec.suspended in body must be of type boolean",
                spec(json!({"suspended": true})),
            ),
        ],
    ))
    .await;
}

#[tokio::test]
async fn a_license_with_a_mistake_in_its_times_is_told_what_to_write() {
    let ttl = |ttl: &str| spec(json!({"lease": {"ttl": ttl}}));
    let grace = |grace: &str| spec(json!({"lease": {"offlineGrace": grace}}));
    let until = |until: &str| spec(json!({"validity": {"until": until}}));
    let from_to = |from: &str, until: &str| spec(json!({"validity": {"from": from, "until": until}}));
    let contract = spec(json!({"lease": {"ttl": "Contract"}, "validity": {"until": "2100-01-01T00:00:00Z"}}));
    let new_year = "2030-01-01T00:00:00Z";
    check(cases(
        &license(1),
        [
            (
                ttl("one day"),
                "ttl must be a Go duration in h, m and s, such as 24h, or Contract for the end of validity",
                ttl("24h"),
            ),
            (ttl("1d"), "ttl must be a Go duration in h, m and s", ttl("1h30m")),
            (ttl("1.5h"), "ttl must be a Go duration in h, m and s", ttl("90m")),
            (ttl("4m59s"), "ttl must be from 5m to 8760h, or Contract for the end of validity", ttl("5m")),
            (ttl("8761h"), "ttl must be from 5m to 8760h", ttl("8760h")),
            (ttl("999999999h999999999h"), "ttl must be", ttl("8759h60m")),
            (
                ttl("Contract"),
                "lease.ttl Contract means to the end of validity: set validity.until too",
                contract,
            ),
            (ttl("contract"), "or Contract for the end of validity", ttl("24h")),
            (grace("3 days"), "offlineGrace must be a Go duration in h, m and s, such as 72h", grace("72h")),
            (grace("8761h"), "offlineGrace must be from 0s to 8760h", grace("0s")),
            (grace("-1h"), "offlineGrace must be a Go duration", grace("1h")),
            (
                from_to(new_year, new_year),
                "validity.from must be before validity.until",
                from_to(new_year, "2030-01-01T00:00:01Z"),
            ),
            (
                from_to(new_year, "2029-01-01T00:00:00+02:00"),
                "validity.from must be before validity.until",
                from_to(new_year, "2031-01-01T00:00:00+02:00"),
            ),
            (until("tomorrow"), "must be an instant such as 2030-01-01T00:00:00Z", until(new_year)),
            (
                until("2030-01-01"),
                "must be an instant such as 2030-01-01T00:00:00Z",
                until("2030-01-01T00:00:00.5Z"),
            ),
            (
                until("2030-02-30T00:00:00Z"),
                "must be an instant such as 2030-01-01T00:00:00Z",
                until("2028-02-29T00:00:00Z"),
            ),
            (
                until("9999-12-31T23:59:59Z"),
                "must be before the year 9999: leave it out for no end",
                until("9998-12-31T23:59:59Z"),
            ),
            (
                spec(json!({"validity": {"afterwards": "Continue"}})),
                r#"supported values: "Stop", "Warn""#,
                spec(json!({"validity": {"afterwards": "Warn"}})),
            ),
        ],
    ))
    .await;
}

#[tokio::test]
async fn the_product_of_a_license_cannot_be_changed_and_everything_else_can() {
    let there = license(1);
    let everything = spec(json!({
        "customer": "Other", "authorityRef": {"name": "other"}, "seats": 9, "features": [{"name": "simulate", "pool": 2}],
        "lease": {"ttl": "1h"}, "validity": {"until": "2100-01-01T00:00:00Z"}, "suspended": true, "secret": {"name": "other"}}));
    let refusal = "product cannot be changed: make another License instead";
    check_edits(&there, cases(&there, [(spec(json!({"product": "other"})), refusal, everything)])).await;
}
