//! What every engine of the ledger must do, whatever it is made of: one call, [`check`].

#[cfg(test)]
pub(crate) mod activations;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authorities;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lead;
#[cfg(test)]
mod people;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod workloads;

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;

use crate::{
    domain::{
        contract::Contract,
        license::{Key, Uid, tests::license},
        terms::Provisioning,
    },
    ledger::{Bind, Change, CommitError, Document, Facts, Freed, Ledger, SecretClaim, Terms, audit::Link},
};

/// Runs the suite. `open` gives an empty ledger each time, and whatever must live as long as it does; `another` gives
/// another handle on the same one.
pub async fn check<L: Ledger, Guard>(open: impl AsyncFn() -> (L, Guard), another: impl Fn(&L) -> L) {
    run(&open, a_change_is_read_back_as_it_was_committed).await;
    run(&open, of_two_changes_of_one_version_exactly_one_wins).await;
    run(&open, racing_changes_win_once).await;
    run(&open, more_holders_than_the_limit_are_never_committed).await;
    run(&open, one_holder_is_never_bound_twice_under_one_license).await;
    run(&open, a_seat_is_freed_before_it_is_given_again).await;
    run(&open, a_holder_moves_to_another_seat_and_keeps_the_place).await;
    run(&open, a_freed_seat_cools_until_it_is_told_otherwise).await;
    run(&open, one_person_has_no_more_licenses_of_a_product_than_allowed).await;
    run(&open, what_a_license_says_is_kept_as_it_was_last_told).await;
    run(&open, a_refused_change_leaves_nothing_behind).await;
    run(&open, a_secret_name_belongs_to_the_first_who_claims_it).await;
    run(&open, a_secret_is_settled_only_after_it_was_released).await;
    run(&open, copies::a_copy_is_claimed_and_released_like_the_secret_that_it_is_of).await;
    run(&open, a_reissued_document_takes_the_place_of_the_former).await;
    run(&open, a_license_made_again_is_another_license).await;
    run(&open, every_commit_is_one_link_of_the_audit).await;
    run(&open, the_audit_says_how_many_seats_there_were).await;
    run(&open, the_audit_names_no_person).await;
    audit::check(&open).await;
    run(&open, keys::an_activation_key_is_kept_until_its_name_goes_or_another_is_made).await;
    activations::check(&open).await;
    workloads::check(&open).await;
    sessions::check(&open).await;
    people::check(&open).await;
    authorities::check(&open).await;
    lead::check(&open, another).await;
}

async fn run<L: Ledger, Guard, F: Future<Output = ()>>(
    open: &impl AsyncFn() -> (L, Guard),
    case: impl FnOnce(std::sync::Arc<L>) -> F,
) {
    let (ledger, _guard) = open().await;
    case(std::sync::Arc::new(ledger)).await;
}

type Shared<L> = std::sync::Arc<L>;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn uid(text: &str) -> Uid {
    Uid(text.into())
}

fn key() -> Key {
    Key::new("design", "cad")
}

/// A change of the License `l` with one seat.
fn change(expected: Option<i64>) -> Change {
    let mut change = Change::new(key(), uid("l"), expected, at(100), [7; 32]);
    change.seats = Some(1);
    change
}

fn bind(seat: &str, holder: &str) -> Bind {
    Bind { seat: uid(seat), holder: format!("email:{holder}@acme.example") }
}

fn document(subject: &str, serial: &str) -> Document {
    Document {
        subject: uid(subject),
        serial: serial.into(),
        digest: "digest".into(),
        key_id: "kid".into(),
        jws: "a.b.c".into(),
        keys_jws: "d.e.f".into(),
        issued_at: at(100),
        expires_at: at(900),
        renew_at: Some(at(500)),
    }
}

async fn facts<L: Ledger>(ledger: &L) -> Facts {
    ledger.facts(&key()).await.unwrap().into_iter().next().unwrap()
}

fn seats(facts: &Facts) -> Vec<&str> {
    facts.bindings.iter().map(|binding| binding.seat.0.as_str()).collect()
}

async fn a_change_is_read_back_as_it_was_committed<L: Ledger>(ledger: Shared<L>) {
    assert!(ledger.facts(&key()).await.unwrap().is_empty());
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    first.issue = vec![document("l", "1"), document("s", "2")];
    first.claim = vec![("cad-license".into(), uid("l"))];
    assert!(ledger.commit(&first).await.unwrap().is_empty());
    let facts = facts(&*ledger).await;
    assert_eq!((facts.license.clone(), facts.version), (uid("l"), 1));
    assert_eq!(seats(&facts), ["s"]);
    assert_eq!(facts.documents, first.issue);
    let claim = SecretClaim { name: "cad-license".into(), subject: uid("l"), removing: false };
    assert_eq!(facts.secrets, [claim]);
    assert_eq!(ledger.licenses().await.unwrap(), [key()]);
}

async fn of_two_changes_of_one_version_exactly_one_wins<L: Ledger>(ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    assert!(matches!(ledger.commit(&change(None)).await, Err(CommitError::Conflict)));
    ledger.commit(&change(Some(1))).await.unwrap();
    assert!(matches!(ledger.commit(&change(Some(1))).await, Err(CommitError::Conflict)));
    assert_eq!(facts(&*ledger).await.version, 2);
}

async fn racing_changes_win_once<L: Ledger>(ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    for round in 1..20 {
        let racers = (0..8).map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.commit(&change(Some(round))).await })
        });
        let mut won = 0;
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, CommitError::Conflict), "{error}"),
            }
        }
        assert_eq!(won, 1, "in round {round}");
    }
}

async fn more_holders_than_the_limit_are_never_committed<L: Ledger>(ledger: Shared<L>) {
    let mut two = change(None);
    two.bind = vec![bind("s", "ann"), bind("t", "bob")];
    assert!(matches!(ledger.commit(&two).await, Err(CommitError::Limit(_))));
    two.seats = Some(2);
    ledger.commit(&two).await.unwrap();
    assert_eq!(seats(&facts(&*ledger).await), ["s", "t"]);
}

async fn one_holder_is_never_bound_twice_under_one_license<L: Ledger>(ledger: Shared<L>) {
    let mut twice = change(None);
    twice.seats = Some(5);
    twice.bind = vec![bind("s", "ann"), bind("t", "ann")];
    assert!(matches!(ledger.commit(&twice).await, Err(CommitError::Limit(_))));
    twice.bind.truncate(1);
    ledger.commit(&twice).await.unwrap();
}

async fn a_seat_is_freed_before_it_is_given_again<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    ledger.commit(&first).await.unwrap();
    let mut second = change(Some(1));
    second.free = vec![uid("s")];
    second.bind = vec![bind("t", "bob")];
    ledger.commit(&second).await.unwrap();
    let facts = facts(&*ledger).await;
    assert_eq!(seats(&facts), ["t"]);
}

async fn a_holder_moves_to_another_seat_and_keeps_the_place<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.seats = Some(2);
    first.bind = vec![bind("s", "ann"), bind("t", "bob")];
    ledger.commit(&first).await.unwrap();
    let before = facts(&*ledger).await;
    let mut second = change(Some(1));
    second.moved = vec![(uid("s"), uid("s2"))];
    ledger.commit(&second).await.unwrap();
    let after = facts(&*ledger).await;
    assert_eq!(seats(&after), ["s2", "t"], "in the order in which they were bound");
    assert_eq!(after.bindings[0].holder, before.bindings[0].holder);
    assert!(ledger.audit(1, 10).await.unwrap()[0].entries.contains("\"move\""));
}

async fn a_freed_seat_cools_until_it_is_told_otherwise<L: Ledger>(ledger: Shared<L>) {
    let holder = || "email:ann@acme.example".to_owned();
    let ann = || Freed { holder: holder(), places: 3, freed_at: at(200), expires_at: at(900) };
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    ledger.commit(&first).await.unwrap();
    let mut second = change(Some(1));
    (second.free, second.cool) = (vec![uid("s")], vec![ann()]);
    ledger.commit(&second).await.unwrap();
    assert_eq!(facts(&*ledger).await.cooling, [ann()]);
    let mut back = change(Some(2));
    back.bind = vec![bind("s", "ann")];
    ledger.commit(&back).await.unwrap();
    assert!(facts(&*ledger).await.cooling.is_empty(), "who comes back has it");
    let mut again = change(Some(3));
    (again.free, again.cool) = (vec![uid("s")], vec![ann()]);
    ledger.commit(&again).await.unwrap();
    let mut cooled = change(Some(4));
    cooled.cooled = vec![ann().holder];
    ledger.commit(&cooled).await.unwrap();
    assert!(facts(&*ledger).await.cooling.is_empty());
    let mut gone = change(Some(5));
    (gone.cool, gone.forget) = (vec![ann()], true);
    ledger.commit(&gone).await.unwrap();
    assert!(
        ledger.facts(&key()).await.unwrap().is_empty(),
        "a License that is gone takes its cooling seats along"
    );
}

async fn one_person_has_no_more_licenses_of_a_product_than_allowed<L: Ledger>(ledger: Shared<L>) {
    let of = |name: &str, namespace: &str, product: &str, holder: &str| {
        let mut change = Change::new(Key::new(namespace, name), uid(name), None, at(100), [7; 32]);
        change.seats = Some(5);
        change.terms = Some(Terms { product: product.into(), max_per_user: Some(1), ..Terms::default() });
        change.bind = vec![Bind { seat: uid(&format!("{name}-seat")), holder: holder.into() }];
        change
    };
    let (ann, lab) = ("email:ann@acme.example", "device:9f86");
    ledger.commit(&of("a", "design", "cad", ann)).await.unwrap();
    assert!(matches!(ledger.commit(&of("b", "design", "cad", ann)).await, Err(CommitError::Limit(_))));
    ledger.commit(&of("c", "design", "pcb", ann)).await.unwrap();
    ledger.commit(&of("d", "sales", "cad", ann)).await.unwrap();
    ledger.commit(&of("e", "design", "cad", lab)).await.unwrap();
    ledger.commit(&of("f", "design", "cad", lab)).await.unwrap();
    let held = |product: &'static str, except: &'static str| {
        let ledger = ledger.clone();
        async move { ledger.held_elsewhere("design", product, &uid(except)).await.unwrap() }
    };
    assert_eq!(held("cad", "f").await, BTreeMap::from([(ann.to_owned(), 1), (lab.to_owned(), 1)]));
    assert_eq!(held("pcb", "c").await, BTreeMap::new());
}

async fn what_a_license_says_is_kept_as_it_was_last_told<L: Ledger>(ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    assert_eq!(facts(&*ledger).await.terms, Terms::default());
    let issuer = "https://usher.acme.example".parse().ok();
    let contract = Contract { license: license(1), issuer, kept: 1, unknown: 0 };
    let terms = Terms {
        product: "cad".into(),
        provisioning: Provisioning::Floating,
        max_per_user: Some(2),
        contract: Some(contract),
    };
    let mut told = change(Some(1));
    told.terms = Some(terms.clone());
    ledger.commit(&told).await.unwrap();
    ledger.commit(&change(Some(2))).await.unwrap();
    assert_eq!(facts(&*ledger).await.terms, terms, "nothing said leaves it");
}

async fn a_refused_change_leaves_nothing_behind<L: Ledger>(ledger: Shared<L>) {
    let mut refused = change(None);
    refused.bind = vec![bind("s", "ann"), bind("t", "bob")];
    refused.issue = vec![document("l", "1")];
    refused.claim = vec![("cad-license".into(), uid("l"))];
    assert!(matches!(ledger.commit(&refused).await, Err(CommitError::Limit(_))));
    assert!(ledger.facts(&key()).await.unwrap().is_empty());
    assert!(ledger.audit(0, 10).await.unwrap().is_empty());
}

async fn a_secret_name_belongs_to_the_first_who_claims_it<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.claim = vec![("shared".into(), uid("l"))];
    ledger.commit(&first).await.unwrap();
    let mut other = Change::new(Key::new("design", "pcb"), uid("m"), None, at(100), [8; 32]);
    other.claim = vec![("shared".into(), uid("m")), ("own".into(), uid("m"))];
    assert_eq!(ledger.commit(&other).await.unwrap(), ["shared"]);
    let mut elsewhere = Change::new(Key::new("sales", "pcb"), uid("n"), None, at(100), [9; 32]);
    elsewhere.claim = vec![("shared".into(), uid("n"))];
    assert!(ledger.commit(&elsewhere).await.unwrap().is_empty(), "another namespace is another Secret");
}

async fn a_secret_is_settled_only_after_it_was_released<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.claim = vec![("cad-license".into(), uid("l"))];
    ledger.commit(&first).await.unwrap();
    let mut early = change(Some(1));
    early.settle = vec!["cad-license".into()];
    ledger.commit(&early).await.unwrap();
    assert!(!facts(&*ledger).await.secrets[0].removing, "a wanted Secret is not forgotten");
    let mut release = change(Some(2));
    release.release = vec!["cad-license".into()];
    ledger.commit(&release).await.unwrap();
    assert!(facts(&*ledger).await.secrets[0].removing);
    let mut settle = change(Some(3));
    settle.settle = vec!["cad-license".into()];
    ledger.commit(&settle).await.unwrap();
    assert!(facts(&*ledger).await.secrets.is_empty());
}

async fn a_reissued_document_takes_the_place_of_the_former<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.issue = vec![document("l", "1")];
    ledger.commit(&first).await.unwrap();
    let mut second = change(Some(1));
    second.issue = vec![document("l", "2")];
    ledger.commit(&second).await.unwrap();
    assert_eq!(facts(&*ledger).await.documents, second.issue);
    let mut last = change(Some(2));
    last.withdraw = vec![uid("l")];
    ledger.commit(&last).await.unwrap();
    assert!(facts(&*ledger).await.documents.is_empty());
}

async fn a_license_made_again_is_another_license<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    ledger.commit(&first).await.unwrap();
    let mut again = Change::new(key(), uid("l2"), None, at(200), [7; 32]);
    again.seats = Some(1);
    ledger.commit(&again).await.unwrap();
    let both = ledger.facts(&key()).await.unwrap();
    assert_eq!(both.len(), 2);
    let mut gone = change(Some(1));
    gone.free = vec![uid("s")];
    gone.forget = true;
    ledger.commit(&gone).await.unwrap();
    assert_eq!(facts(&*ledger).await.license, uid("l2"));
}

async fn every_commit_is_one_link_of_the_audit<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    first.issue = vec![document("l", "1")];
    ledger.commit(&first).await.unwrap();
    let mut second = change(Some(1));
    second.free = vec![uid("s")];
    ledger.commit(&second).await.unwrap();
    let links = ledger.audit(0, 10).await.unwrap();
    assert_eq!(links.len(), 2);
    let mut previous: Option<&Link> = None;
    for link in &links {
        assert!(link.follows(previous.map(|link| (link.sequence, link.hash.as_str()))), "{link:?}");
        previous = Some(link);
    }
    assert!(links[0].entries.contains("\"bind\"") && links[0].entries.contains("\"issue\""));
    assert!(links[1].entries.contains("\"free\""));
    assert_eq!(ledger.audit(1, 10).await.unwrap(), links[1..]);
}

async fn the_audit_says_how_many_seats_there_were<L: Ledger>(ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    let mut raised = change(Some(1));
    raised.seats = Some(7);
    ledger.commit(&raised).await.unwrap();
    let mut unchanged = change(Some(2));
    unchanged.seats = None;
    ledger.commit(&unchanged).await.unwrap();
    let told: Vec<String> = ledger.audit(0, 10).await.unwrap().into_iter().map(|l| l.entries).collect();
    let limit = |seats: u32| format!(r#"[{{"kind":"limit","license":"design/cad","seats":{seats}}}]"#);
    assert_eq!(told, [limit(1), limit(7)]);
}

async fn the_audit_names_no_person<L: Ledger>(ledger: Shared<L>) {
    let mut first = change(None);
    first.bind = vec![bind("s", "ann")];
    ledger.commit(&first).await.unwrap();
    let mut again = change(Some(1));
    again.free = vec![uid("s")];
    again.bind = vec![bind("t", "ann")];
    again.entropy = [8; 32];
    ledger.commit(&again).await.unwrap();
    let entries: Vec<String> = ledger.audit(0, 10).await.unwrap().into_iter().map(|l| l.entries).collect();
    assert!(entries.iter().all(|entries| !entries.contains("ann")), "{entries:?}");
    let holder = |text: &str| text.split("\"holder\":\"").nth(1).map(|rest| rest[..32].to_owned());
    assert!(holder(&entries[0]).is_some());
    assert_eq!(holder(&entries[0]), holder(&entries[1]), "one person has one reference");
}
