use serde_json::{Value, json};

use super::{cases, check, check_edits, only};

fn spec(spec: Value) -> Value {
    only("spec", spec)
}

fn assignment() -> Value {
    json!({"kind": "UserAssignment", "metadata": {"name": "designers"}, "spec": {
        "licenseRef": {"name": "cad"}, "users": [{"email": "ann@acme.example"}]}})
}

#[tokio::test]
async fn an_assignment_with_a_mistake_in_a_field_is_told_what_to_write() {
    let users = |users: Value| spec(json!({"users": users}));
    let many =
        |count: usize| users((0..count).map(|n| json!({"email": format!("u{n}@acme.example")})).collect());
    let groups = |groups: Value| spec(json!({"groups": groups}));
    check(cases(
        &assignment(),
        [
            (
                json!({"metadata": {"name": "a.b"}}),
                "the name of a UserAssignment must be at most 63 characters without dots",
                json!({"metadata": {"name": "a-b"}}),
            ),
            (spec(json!({"licenseRef": null})), "spec.licenseRef: Required value", json!({})),
            (
                users(json!([{"email": "ann"}])),
                "email must be a whole address in ASCII, such as ann@acme.example",
                users(json!([{"email": "Ann@Acme.example"}, {"email": "ann@acme.example"}])),
            ),
            (
                users(json!([{}])),
                "user must have either an email or an identity",
                users(json!([{"identity": {"issuer": "https://idp.acme.example", "subject": "1234"}}])),
            ),
            (many(1_001), "spec.users: Too many: 1001: must have at most 1000 items", many(1_000)),
            (
                groups(json!([{"provider": "acme", "name": "a"}, {"provider": "acme", "name": "a"}])),
                "spec.groups[1]: Duplicate value",
                groups(json!([{"provider": "acme", "name": "a"}, {"provider": "acme", "name": "b"}])),
            ),
            (groups(json!([{"name": "a"}])), "spec.groups[0].provider: Required value", groups(json!([]))),
            (
                spec(json!({"priority": 1_000_001})),
                "spec.priority in body should be less than or equal to 1000000",
                spec(json!({"priority": -1_000_000})),
            ),
            (
                spec(json!({"group": "The interns"})),
                "name must be lower-case letters, digits and dashes",
                spec(json!({"group": "interns", "suspended": true})),
            ),
        ],
    ))
    .await;
}

#[tokio::test]
async fn the_license_of_an_assignment_cannot_be_changed_and_everything_else_can() {
    let there = assignment();
    let everything = spec(json!({"users": [], "priority": 5, "group": "interns", "suspended": true}));
    let refusal = "licenseRef cannot be changed: make another UserAssignment for the other License";
    check_edits(
        &there,
        cases(&there, [(spec(json!({"licenseRef": {"name": "other"}})), refusal, everything)]),
    )
    .await;
}

#[tokio::test]
async fn an_edition_says_what_a_license_may_leave_out_and_keeps_how_it_is_provided() {
    let edition =
        json!({"kind": "Edition", "metadata": {"name": "standard"}, "spec": {"provisioning": "Named"}});
    check(cases(
        &edition,
        [
            (
                json!({"metadata": {"name": "a.b"}}),
                "the name of an Edition must be at most 63 characters without dots",
                json!({"metadata": {"name": "a-b"}}),
            ),
            (
                spec(json!({"lease": {"ttl": "1m"}})),
                "ttl must be from 5m to 8760h, or Contract",
                spec(json!({"lease": {"ttl": "Contract"}})),
            ),
            (
                spec(json!({"features": [{"name": "a", "pool": 1, "quota": {"limit": 1, "per": "Day"}}]})),
                "a feature has either a pool (so many at once) or a quota (so many per period), not both",
                spec(json!({"features": [{"name": "a", "seats": 3}, {"name": "b", "enabled": false}]})),
            ),
        ],
    ))
    .await;
    let refusal = "provisioning cannot be changed: make another License or Edition instead";
    let other = spec(json!({"devicesPerSeat": 3, "client": "Devices", "authorityRef": {"name": "default"}}));
    check_edits(&edition, cases(&edition, [(spec(json!({"provisioning": "Floating"})), refusal, other)]))
        .await;
}
