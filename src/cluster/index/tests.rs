use kube::Resource as _;

use super::*;
use crate::cluster::{labels, rights::EVERYWHERE};

fn secret(uid: &str, version: u64) -> Slim<Secret> {
    let mut secret = Secret::default();
    let meta = secret.meta_mut();
    (meta.namespace, meta.name) = (Some("design".into()), Some("cy-seat".into()));
    (meta.uid, meta.resource_version) = (Some(uid.into()), Some(version.to_string()));
    meta.labels = Some(labels::of_document("cad", &Uid("cy".into())));
    Slim::new(&secret.metadata, labels::license_of(&secret.metadata), version.to_string())
}

/// What comes of a Secret that may call for any look.
fn put(index: &Index, scope: &str, event: Event<Slim<Secret>>) -> BTreeSet<Task> {
    index.secret_event(scope, event, |_, _| true)
}

fn index() -> Index {
    let index = Index::default();
    index.open_secrets(EVERYWHERE);
    index
}

fn there(index: &Index) -> Option<(String, String)> {
    index.secret(&Key::new("design", "cy-seat")).map(|seen| (seen.uid, seen.digest))
}

fn is(uid: &str, digest: &str) -> Option<(String, String)> {
    Some((uid.to_owned(), digest.to_owned()))
}

#[test]
fn what_we_wrote_counts_until_the_watch_brings_something_newer() {
    let index = index();
    index.note_secret(secret("a", 5));
    assert!(put(&index, EVERYWHERE, Event::Apply(secret("a", 4))).is_empty(), "older than what we wrote");
    assert!(
        put(&index, EVERYWHERE, Event::Apply(secret("a", 5))).is_empty(),
        "our own write calls for no look"
    );
    assert_eq!(there(&index), is("a", "5"));
    assert_eq!(put(&index, EVERYWHERE, Event::Apply(secret("a", 6))).len(), 1);
    assert_eq!(there(&index), is("a", "6"));
}

#[test]
fn what_was_deleted_before_our_reply_came_does_not_come_back() {
    let index = index();
    put(&index, EVERYWHERE, Event::Apply(secret("a", 5)));
    put(&index, EVERYWHERE, Event::Delete(secret("a", 7)));
    index.note_secret(secret("a", 6));
    assert_eq!(there(&index), None);
}

#[test]
fn a_namesake_takes_the_place_and_the_late_end_of_the_former_does_not_touch_it() {
    let index = index();
    index.note_secret(secret("b", 8));
    put(&index, EVERYWHERE, Event::Apply(secret("a", 5)));
    put(&index, EVERYWHERE, Event::Delete(secret("a", 7)));
    assert_eq!(there(&index), is("b", "8"));
}

#[test]
fn what_a_list_does_not_bring_is_gone_but_what_we_wrote_meanwhile_stays() {
    let index = index();
    put(&index, EVERYWHERE, Event::Apply(secret("a", 5)));
    put(&index, EVERYWHERE, Event::Init);
    assert_eq!(put(&index, EVERYWHERE, Event::InitDone).len(), 1);
    assert_eq!(there(&index), None);
    put(&index, EVERYWHERE, Event::Init);
    index.note_secret(secret("b", 8));
    put(&index, EVERYWHERE, Event::InitDone);
    assert_eq!(there(&index), is("b", "8"));
}

#[test]
fn after_etcd_was_restored_a_list_takes_the_place_of_what_was_there_though_its_versions_are_lower() {
    let index = index();
    put(&index, EVERYWHERE, Event::Apply(secret("a", 50)));
    put(&index, EVERYWHERE, Event::Init);
    assert_eq!(put(&index, EVERYWHERE, Event::InitApply(secret("a", 20))).len(), 1);
    put(&index, EVERYWHERE, Event::InitDone);
    assert_eq!(there(&index), is("a", "20"));
    index.note_secret(secret("a", 21));
    assert_eq!(there(&index), is("a", "21"), "what we wrote since then counts");

    // A list that began before we wrote does not know of it.
    put(&index, EVERYWHERE, Event::Init);
    index.note_secret(secret("a", 30));
    assert!(put(&index, EVERYWHERE, Event::InitApply(secret("a", 25))).is_empty());
    put(&index, EVERYWHERE, Event::InitDone);
    assert_eq!(there(&index), is("a", "30"));
    // And one that brings nothing new calls for no look.
    put(&index, EVERYWHERE, Event::Init);
    assert!(put(&index, EVERYWHERE, Event::InitApply(secret("a", 30))).is_empty());
    assert!(put(&index, EVERYWHERE, Event::InitDone).is_empty());
}

#[test]
fn a_namespace_that_is_not_listed_is_not_known_however_much_of_another_is() {
    let index = Index::default();
    index.open_secrets("design");
    index.open_secrets("farm");
    put(&index, "design", Event::InitDone);
    assert!(index.secrets_are_listed("design") && !index.secrets_are_listed("farm"));
    put(&index, "design", Event::Apply(secret("a", 5)));
    // A list of another namespace says nothing of this one.
    put(&index, "farm", Event::Init);
    put(&index, "farm", Event::InitDone);
    assert_eq!(there(&index), is("a", "5"));
    index.close_secrets("design");
    assert_eq!((there(&index), index.secrets_are_listed("design")), (None, false));
    assert!(put(&index, "design", Event::Apply(secret("a", 6))).is_empty(), "of a watch that ended");
    index.note_secret(secret("a", 7));
    assert_eq!(there(&index), None);
}

fn seat(name: &str, user: &str, version: u64) -> Seat {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": "Seat",
        "metadata": {"namespace": "design", "name": name, "uid": name, "resourceVersion": version.to_string()},
        "spec": {"licenseRef": {"name": "cad"}, "holder": {"user": {"email": user}}},
    }))
    .unwrap()
}

#[test]
fn the_seats_of_somebody_are_found_under_whatever_license_and_go_with_what_is_there() {
    let index = index();
    let apply = |seat| drop(index.seat_event(Event::Apply(DeserializeGuard(Ok(seat)))));
    let (ann, bob) = ("ann@acme.example", "bob@acme.example");
    let names = |user: &str| -> Vec<String> {
        let seats = index.seats_for(&[format!("email:{user}")], 2);
        seats.iter().map(|seat| seat.name_any()).collect()
    };
    apply(seat("b", ann, 1));
    apply(seat("a", ann, 2));
    apply(seat("c", bob, 3));
    assert_eq!((names(ann), names(bob)), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(names("an@acme.example"), Vec::<String>::new(), "a name is whole");
    index.note_seat(seat("d", ann, 4));
    assert_eq!(names(ann), ["a", "b"], "so many at most");
    // A namesake for another person.
    apply(seat("a", bob, 5));
    assert_eq!((names(ann), names(bob)), (vec!["b".into(), "d".into()], vec!["a".into(), "c".into()]));
    index.seat_event(Event::Delete(DeserializeGuard(Ok(seat("d", ann, 6)))));
    assert_eq!(names(ann), ["b"]);
}

#[test]
fn what_no_status_tells_yet_is_untold_and_nothing_else() {
    let license = |name: &str, generation: i64, observed: Option<i64>| -> DeserializeGuard<License> {
        let status =
            observed.map(|observed| serde_json::json!({"observedGeneration": observed, "seats": {}}));
        serde_json::from_value(serde_json::json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "License",
            "metadata": {"namespace": "design", "name": name, "uid": name, "generation": generation, "resourceVersion": "1"},
            "spec": {"product": "cad", "customer": "acme", "authorityRef": {"name": "default"}, "seats": 1},
            "status": status,
        }))
        .unwrap()
    };
    let seat = |name: &str, observed: i64| -> DeserializeGuard<Seat> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "Seat",
            "metadata": {"namespace": "design", "name": name, "uid": name, "generation": 2, "resourceVersion": "1"},
            "spec": {"licenseRef": {"name": format!("of-{name}")}, "holder": {"user": {"email": "cy@acme.example"}}},
            "status": {"observedGeneration": observed},
        }))
        .unwrap()
    };
    let index = index();
    for (name, generation, observed) in [("new", 1, None), ("edited", 3, Some(2)), ("told", 3, Some(3))] {
        let license = license(name, generation, observed);
        assert!(license.0.is_ok(), "{:?}", license.0);
        index.license_event(Event::Apply(license));
    }
    for seat in [seat("edited", 1), seat("told", 2)] {
        assert!(seat.0.is_ok(), "{:?}", seat.0);
        index.seat_event(Event::Apply(seat));
    }
    let untold: Vec<Key> = index.untold().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(untold, ["edited", "new", "of-edited"].map(|name| Key::new("design", name)));
}
