use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};
use crate::{ground::seat, scenarios::with};

fn holder(holder: Value) -> Value {
    only("spec", only("holder", holder))
}

#[tokio::test]
async fn a_seat_with_a_mistake_is_told_what_to_write() {
    let name = |name: &str| json!({"metadata": {"name": name}});
    let license = |name: &str| json!({"spec": {"licenseRef": {"name": name}}});
    let priority = |priority: Value| json!({"spec": {"priority": priority}});
    check(cases(
        &seat("ann"),
        [
            (
                name("ann.lee"),
                "the name of a Seat must be at most 54 characters without dots: its Secret is named after it",
                name("ann-lee"),
            ),
            (name(&long(55)), "the name of a Seat must be at most 54 characters", name(&long(54))),
            (json!({"spec": {"licenseRef": null}}), "spec.licenseRef: Required value", json!({})),
            (license("Cad"), "name must be lower-case letters, digits and dashes", license("cad-2")),
            (
                priority(json!(1_000_001)),
                "spec.priority in body should be less than or equal to 1000000",
                priority(json!(1_000_000)),
            ),
            (
                priority(json!(-1_000_001)),
                "spec.priority in body should be greater than or equal to -1000000",
                priority(json!(-1_000_000)),
            ),
            (priority(json!("high")), "spec.priority in body must be of type integer", priority(json!(100))),
        ],
    ))
    .await;
}

#[tokio::test]
async fn a_seat_for_nobody_or_for_two_is_told_what_to_write() {
    let bare = with(seat("ann"), &json!({"spec": {"holder": null}}));
    let email = |email: &str| holder(json!({"user": {"email": email}}));
    let identity = |identity: Value| holder(json!({"user": {"identity": identity}}));
    let device = |device: Value| holder(json!({"device": device}));
    let lab = json!({"id": "9f86d081"});
    let known = json!({"issuer": "https://idp.acme.example", "subject": "1234"});
    check(cases(
        &bare,
        [
            (json!({}), "spec.holder: Required value", email("ann@acme.example")),
            (holder(json!({})), "holder must name either a user or a device", device(lab.clone())),
            (
                holder(json!({"user": {"email": "ann@acme.example"}, "device": lab})),
                "holder must name either a user or a device",
                device(lab.clone()),
            ),
            (
                holder(json!({"user": {}})),
                "user must have either an email or an identity",
                identity(known.clone()),
            ),
            (
                holder(json!({"user": {"email": "ann@acme.example", "identity": known}})),
                "user must have either an email or an identity",
                identity(known.clone()),
            ),
            (
                email("ann"),
                "email must be a whole address in ASCII, such as ann@acme.example",
                email("Ann@ACME.example"),
            ),
            (email("ann@acme"), "email must be a whole address in ASCII", email("ann+cad@acme.example")),
            (email("änn@acme.example"), "email must be a whole address in ASCII", email("ae@acme.example")),
            (email(""), "email must be a whole address in ASCII", email("a@b.cd")),
            (
                identity(json!({"issuer": "idp.acme.example", "subject": "1234"})),
                "issuer must be an https URL or another URI without spaces, exactly as the identity provider says it",
                identity(known.clone()),
            ),
            (
                identity(json!({"issuer": "https://idp.acme.example"})),
                "spec.holder.user.identity.subject: Required value",
                identity(known.clone()),
            ),
            (
                identity(json!({"issuer": "https://idp.acme.example", "subject": "a b"})),
                "subject must be printable ASCII without spaces, such as 1234",
                identity(known.clone()),
            ),
            (
                device(json!({"name": "Lab 3"})),
                "spec.holder.device.id: Required value",
                device(json!({"id": "x", "name": "Lab 3"})),
            ),
            (
                device(json!({"id": "two words"})),
                "device id must be letters, digits and . _ : + / = -",
                device(json!({"id": "a:b/c="})),
            ),
            (
                device(json!({"id": "x", "name": "<Lab>"})),
                "device name must be letters, digits, spaces and . _ ( ) # -, such as Lab 3",
                device(json!({"id": "x", "name": "Lab (3)"})),
            ),
        ],
    ))
    .await;
}

#[tokio::test]
async fn whom_a_seat_is_for_cannot_be_changed_not_even_in_part() {
    let urgent = json!({"spec": {"priority": 1}});
    let changed = "holder cannot be changed: delete this Seat and make another for the next holder";
    let there = seat("ann");
    check_edits(
        &there,
        cases(
            &there,
            [
                (
                    json!({"spec": {"licenseRef": {"name": "other"}}}),
                    "licenseRef cannot be changed: delete this Seat and make another",
                    urgent.clone(),
                ),
                (holder(json!({"user": {"email": "bob@acme.example"}})), changed, urgent.clone()),
                (holder(json!({"user": null, "device": {"id": "x"}})), changed, urgent.clone()),
            ],
        ),
    )
    .await;

    let lab = |device: Value| json!({"kind": "Seat", "metadata": {"name": "lab"}, "spec": {"licenseRef": {"name": "cad"}, "holder": {"device": device}}});
    let (plain, named) = (lab(json!({"id": "x"})), lab(json!({"id": "x", "name": "Lab 3"})));
    check_edits(
        &plain,
        cases(&plain, [(holder(json!({"device": {"name": "Lab 3"}})), changed, urgent.clone())]),
    )
    .await;
    check_edits(
        &named,
        cases(
            &named,
            [
                (holder(json!({"device": {"name": null}})), changed, urgent.clone()),
                (holder(json!({"device": {"name": "Lab 4"}})), changed, urgent),
            ],
        ),
    )
    .await;
}
