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
        (spec(json!({"authorityRef": null})), "authorityRef is needed, unless editionRef names an Edition that has one", spec(json!({"authorityRef": null, "editionRef": {"name": "standard"}}))),
        (spec(json!({"editionRef": {"name": "Standard"}})), "name must be lower-case letters, digits and dashes", spec(json!({"editionRef": {"name": "standard"}}))),
        (spec(json!({"authorityRef": {"name": "Default"}})), "name must be lower-case letters, digits and dashes, at most 63, such as cad-license", json!({})),
        (spec(json!({"authorityRef": {"name": null}})), "spec.authorityRef.name: Required value", json!({})),
        (spec(json!({"secret": {"name": "Cad_Secret"}})), "name must be lower-case letters, digits and dashes", spec(json!({"secret": {"name": "cad-secret"}}))),
        (spec(json!({"workloads": [{"serviceAccount": "design/render"}]})), "service account must be the name of one in the License's own namespace", spec(json!({"workloads": [{"serviceAccount": "render.v2"}]}))),
        (spec(json!({"workloads": [{"serviceAccount": "a"}, {"serviceAccount": "a"}]})), "spec.workloads[1]: Duplicate value", spec(json!({"workloads": [{"serviceAccount": "a"}, {"serviceAccount": "b"}]}))),
        (spec(json!({"workloads": [{}]})), "spec.workloads[0].serviceAccount: Required value", spec(json!({"workloads": []}))),
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
async fn a_license_with_a_mistake_in_its_contract_is_told_what_to_write() {
    let groups = |groups: Value| spec(json!({"groups": groups}));
    let group = |members: Value| groups(json!([super::with(json!({"name": "interns"}), &members)]));
    let reassign = |text: &str| spec(json!({"reassignAfter": text}));
    let sessions = |members: Value| spec(json!({"sessions": members}));
    let recoveries = |per: &str| spec(json!({"clones": {"recoveries": {"limit": 3, "per": per}}}));
    check(cases(
        &license(2),
        [
            (
                group(json!({"seats": 1, "reserved": 2})),
                "reserved must not exceed the group's own seats",
                group(json!({"seats": 2, "reserved": 2})),
            ),
            (
                groups(json!([{"name": "a", "reserved": 2}, {"name": "b", "reserved": 1}])),
                "the groups reserve more seats than there are: lower their reserved, or raise seats",
                groups(json!([{"name": "a", "reserved": 1}, {"name": "b", "reserved": 1}])),
            ),
            (groups(json!([{"name": "a"}, {"name": "a"}])), "spec.groups[1]: Duplicate value", groups(json!([]))),
            (
                group(json!({"name": "The interns"})),
                "name must be lower-case letters, digits and dashes",
                group(json!({"features": ["render"], "match": {"providerGroups": ["CN=interns,DC=acme"]}})),
            ),
            (
                group(json!({"match": {"providerGroups": [" interns"]}})),
                "group must be printable ASCII without spaces at its ends, such as cad-users",
                group(json!({"match": {"providerGroups": ["all interns"]}})),
            ),
            (
                group(json!({"match": {"providerGroups": []}})),
                "providerGroups in body should have at least 1 items",
                group(json!({"match": {"providerGroups": ["a"]}})),
            ),
            (
                spec(json!({"overage": {"percent": 1_001}})),
                "percent in body should be less than or equal to 1000",
                spec(json!({"overage": {"percent": 1_000}})),
            ),
            (spec(json!({"overage": {}})), "spec.overage.percent: Required value", spec(json!({"overage": {"percent": 0}}))),
            (
                spec(json!({"maxPerUser": 0})),
                "spec.maxPerUser in body should be greater than or equal to 1",
                spec(json!({"maxPerUser": 1})),
            ),
            (
                reassign("soon"),
                "reassignAfter must be a Go duration in h, m and s, such as 24h, or Lease for the end of the last document",
                reassign("Lease"),
            ),
            (reassign("8761h"), "reassignAfter must be from 0s to 8760h, or Lease", reassign("0s")),
            (sessions(json!({"ttl": "5s"})), "sessions.ttl must be from 30s to 24h", sessions(json!({"ttl": "30s"}))),
            (
                sessions(json!({"perUser": 0})),
                "spec.sessions.perUser in body should be greater than or equal to 1",
                sessions(json!({"perUser": 1, "total": 40})),
            ),
            (recoveries("30m"), "recoveries.per must be from 1h to 8760h", recoveries("720h")),
            (
                spec(json!({"provisioning": "Shared"})),
                r#"supported values: "Named", "Floating""#,
                spec(json!({"provisioning": "Floating"})),
            ),
            (
                spec(json!({"client": "People"})),
                r#"supported values: "Users", "Devices""#,
                spec(json!({"client": "Users", "devicesPerSeat": 2})),
            ),
            (
                spec(json!({"provisioning": "Floating", "groups": [{"name": "interns", "reserved": 1}]})),
                "a Floating License has no Seats, so nothing is reserved for groups: leave out reserved, or make it Named",
                spec(json!({"provisioning": "Floating", "groups": [{"name": "interns"}, {"name": "staff", "reserved": 0}]})),
            ),
            (
                spec(json!({"activation": "OnCreation"})),
                "activation OnCreation is not there yet: leave it out, or write OnFirstUse",
                spec(json!({"activation": "OnFirstUse"})),
            ),
            (
                spec(json!({"enforcement": "Ignore"})),
                r#"supported values: "Enforce", "Advise""#,
                spec(json!({"enforcement": "Advise", "signIn": "Members", "admission": "Listed", "offline": "Forbidden"})),
            ),
        ],
    ))
    .await;
}

#[tokio::test]
async fn what_is_allowed_to_one_user_never_decreases() {
    let there = super::with(license(2), &spec(json!({"maxPerUser": 2, "provisioning": "Named"})));
    let refusal =
        "maxPerUser never decreases, and an absent one is unlimited: make another License for a lower one";
    let fixed = "provisioning cannot be changed: make another License or Edition instead";
    check_edits(
        &there,
        cases(
            &there,
            [
                (spec(json!({"maxPerUser": 1})), refusal, spec(json!({"maxPerUser": 3}))),
                (spec(json!({"provisioning": "Floating"})), fixed, spec(json!({"maxPerUser": null}))),
            ],
        ),
    )
    .await;
    let unlimited = license(2);
    check_edits(&unlimited, cases(&unlimited, [(spec(json!({"maxPerUser": 9})), refusal, json!({}))])).await;
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
