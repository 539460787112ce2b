use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    cluster::{
        api::{SeatState, SessionCounts, Type},
        license::{
            members::Members,
            troubles::Troubles,
            validate::{Seats, Valid},
        },
    },
    domain::{
        allocation::{Standing, Why, tests::seat},
        assignment::Assignment,
        license::{
            Group, Holder, License, Phase, Seat, Uid,
            tests::{at, license},
        },
        terms::{Enforcement, SignIn},
    },
    keys::{KeyPair, Signer, key_set::Request},
    ledger::sessions::OpenSessions,
    service::{
        issue::{Subject, issue_if_due},
        reconcile_license::{Beyond, Outcome},
    },
};

fn signer() -> Arc<Signer> {
    let (root, signing) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let issuer: crate::domain::text::Issuer = "https://usher.acme.example/a/default".parse().unwrap();
    let request = Request { iss: issuer.clone(), serial: 1, keys: Vec::new() };
    let keys_jws = request.sign(&root, 0).unwrap();
    Arc::new(Signer::new(issuer, signing, keys_jws, None))
}

fn valid(license: License, seats: Vec<Seat>) -> Valid {
    let seats = Seats { seats, ..Seats::default() };
    Valid { license, effective: None, seats, assignments: Vec::new(), signer: Ok(signer()), keys: None }
}

fn nothing() -> Before<'static> {
    Before { conditions: &[], generation: 7 }
}

/// `state Ready=… Bound=… reason`, as users read it.
fn told(valid: &Valid, standing: Standing, phase: Phase) -> (String, String) {
    let seat = &valid.seats.seats[0];
    let outcome = Outcome {
        phase: Some(phase),
        standings: [(seat.uid.clone(), standing)].into(),
        ..Outcome::default()
    };
    of(valid, &outcome)
}

fn of(valid: &Valid, outcome: &Outcome) -> (String, String) {
    let status = of_seat(valid, &valid.seats.seats[0], outcome, &Troubles::default(), &nothing(), at(0));
    assert_eq!(status.observed_generation, 7);
    let is = |type_| status.conditions.iter().find(|c| c.type_ == type_);
    let text = |type_| is(type_).map_or("-", |c| c.status.as_str());
    let ready = is(Type::Ready).unwrap();
    let line = format!(
        "{:?} ready={} bound={} stalled={} {}",
        status.state.unwrap(),
        text(Type::Ready),
        text(Type::Bound),
        text(Type::Stalled),
        ready.reason
    );
    (line, ready.message.clone())
}

fn waiting(why: Why) -> Standing {
    Standing::Waiting { position: 1, why }
}

#[test]
fn a_seat_says_in_each_standing_how_it_stands_and_why() {
    let mut one = valid(license(2), vec![seat("ann", "ann", 0, 0)]);
    one.license.groups = vec![Group {
        name: "interns".parse().unwrap(),
        seats: Some(3),
        reserved: 0,
        features: None,
        matches: Vec::new(),
        matches_at: None,
    }];
    let rests = Because::new(Reason::GroupNotFound, "no group");
    let rows = [
        (Standing::Bound, Phase::Active, "Bound ready=True bound=True stalled=- Bound"),
        (Standing::Bound, Phase::NotYetValid, "Bound ready=True bound=True stalled=- Bound"),
        (Standing::Bound, Phase::Suspended, "Suspended ready=True bound=True stalled=- Suspended"),
        (Standing::Bound, Phase::Expired, "Expired ready=True bound=True stalled=- Expired"),
        (waiting(Why::NoFreeSeat), Phase::Active, "Waiting ready=True bound=False stalled=- NoFreeSeat"),
        (waiting(Why::NoFreeSeat), Phase::Suspended, "Waiting ready=True bound=False stalled=- Suspended"),
        (waiting(Why::NoFreeSeat), Phase::Expired, "Waiting ready=True bound=False stalled=- Expired"),
        (waiting(Why::Reserved), Phase::Active, "Waiting ready=True bound=False stalled=- Reserved"),
        (waiting(Why::Cools(at(60))), Phase::Active, "Cooling ready=True bound=False stalled=- Cooling"),
        (
            waiting(Why::GroupFull("interns".parse().unwrap())),
            Phase::Active,
            "Waiting ready=True bound=False stalled=- GroupFull",
        ),
        (
            Standing::Resting(rests),
            Phase::Active,
            "Waiting ready=False bound=False stalled=True GroupNotFound",
        ),
        (
            Standing::Barred { elsewhere: 1 },
            Phase::Active,
            "Waiting ready=True bound=False stalled=- MaxPerUser",
        ),
        (
            Standing::Duplicate { of: "a".into() },
            Phase::Active,
            "Duplicate ready=True bound=False stalled=- Duplicate",
        ),
    ];
    for (standing, phase, line) in rows {
        assert_eq!(told(&one, standing, phase).0, line);
    }
    let said = told(&one, waiting(Why::Cools(at(60))), Phase::Active).1;
    assert!(said.contains("is given from 1970-01-01T00:01:00Z on"), "{said}");
    let said = told(&one, waiting(Why::GroupFull("interns".parse().unwrap())), Phase::Active).1;
    assert!(said.starts_with("group interns of License cad has no free seat, of 3"), "{said}");
}

#[test]
fn a_seat_that_rests_keeps_what_it_holds_and_says_why() {
    let suspended = Because::new(Reason::Suspended, "suspended");
    let holder = Seat { rests: Some(suspended.clone()), ..seat("ann", "ann", 0, 0) };
    let mut one = valid(license(2), vec![holder]);
    let line = |one: &Valid, standing: Standing| told(one, standing, Phase::Active).0;
    assert_eq!(line(&one, Standing::Bound), "Suspended ready=True bound=True stalled=- Suspended");
    assert_eq!(
        line(&one, Standing::Resting(suspended)),
        "Suspended ready=True bound=False stalled=- Suspended"
    );
    one.seats.seats[0].rests = Some(Because::new(Reason::GroupNotFound, "no group"));
    assert_eq!(line(&one, Standing::Bound), "Bound ready=False bound=True stalled=True GroupNotFound");
}

#[test]
fn who_waits_under_a_license_that_cannot_do_its_work_is_told_so() {
    let mut one = valid(license(2), vec![seat("ann", "ann", 0, 0)]);
    let refused = Because::new(Reason::ProvisioningChanged, "set it back");
    let outcome = Outcome {
        standings: [(Uid("uid-ann".into()), waiting(Why::NoFreeSeat))].into(),
        refused: Some(refused),
        ..Outcome::default()
    };
    let (line, message) = of(&one, &outcome);
    assert_eq!(line, "Waiting ready=False bound=False stalled=True LicenseStalled");
    assert_eq!(message, "License cad is not ready, so nobody is given a seat: set it back");
    one.signer = Err(Because::new(Reason::EditionNotFound, "create it"));
    let (line, message) = told(&one, waiting(Why::NoFreeSeat), Phase::Active);
    assert_eq!(line, "Waiting ready=False bound=False stalled=True LicenseStalled");
    assert!(message.ends_with("create it"), "{message}");
    assert!(told(&one, Standing::Bound, Phase::Active).0.starts_with("Bound ready=True"), "who holds keeps");
}

#[test]
fn a_license_says_how_many_sessions_are_open_and_of_none_nothing() {
    let said = |open, over| {
        let sessions = OpenSessions { open, over, next_end: None };
        let outcome = Outcome { sessions, ..Outcome::default() };
        let before = Before { conditions: &[], generation: 1 };
        of_license(&valid(license(1), Vec::new()), &outcome, &Troubles::default(), &before, at(1)).sessions
    };
    assert_eq!(said(3, 1), Some(SessionCounts { open: 3, over: 1 }));
    assert_eq!(said(0, 0), None);
}

#[test]
fn a_seat_beyond_the_number_says_so_and_so_does_its_license() {
    let mut one = valid(license(1), vec![seat("ann", "ann", 0, 0)]);
    one.license.enforcement = Enforcement::Advise;
    let outcome = Outcome {
        standings: [(Uid("uid-ann".into()), Standing::Bound)].into(),
        over: [(Uid("uid-ann".into()), Beyond::Seats)].into(),
        ..Outcome::default()
    };
    assert_eq!(of(&one, &outcome).0, "Bound ready=True bound=True stalled=- OverLimit");
    let over = |one: &Valid, outcome: &Outcome| {
        let status = of_license(one, outcome, &Troubles::default(), &nothing(), at(0));
        status.conditions.into_iter().find(|c| c.type_ == Type::OverLimit).map(|c| c.message)
    };
    assert_eq!(
        over(&one, &outcome).as_deref(),
        Some("1 more than the 1 seats are taken, for enforcement is Advise: raise spec.seats, or free some")
    );
    let beyond =
        |beyond: Beyond| Outcome { over: [(Uid("uid-ann".into()), beyond)].into(), ..outcome.clone() };
    let in_group = beyond(Beyond::Group("interns".parse().unwrap()));
    assert_eq!(
        over(&one, &in_group).as_deref(),
        Some(
            "1 seats are held beyond a group's seats or maxPerUser, for enforcement is Advise: raise what is too low, or free some"
        )
    );
    one.license.groups = vec![crate::domain::allocation::tests::group("interns", Some(0), 0)];
    one.license.max_per_user = Some(1);
    for (outcome, says) in [
        (&outcome, "holds a seat of License cad beyond the 1 that it has"),
        (&in_group, "holds a seat of License cad beyond the 0 of its group interns"),
        (
            &beyond(Beyond::MaxPerUser),
            "holds a seat of License cad beyond the 1 of cad that its holder may have",
        ),
    ] {
        assert_eq!(of(&one, outcome).1, says);
    }
    one.license.enforcement = Enforcement::Enforce;
    one.license.overage_percent = 100;
    assert!(over(&one, &outcome).unwrap().contains("overage allows 100 percent"));
    assert_eq!(over(&one, &Outcome::default()), None);
}

#[test]
fn positions_are_told_to_the_first_hundred() {
    let one = valid(license(0), vec![seat("ann", "ann", 0, 0)]);
    for (position, shown) in [(1, Some(1)), (100, Some(100)), (101, None), (0, None)] {
        let outcome = Outcome {
            standings: [(Uid("uid-ann".into()), Standing::Waiting { position, why: Why::NoFreeSeat })].into(),
            ..Outcome::default()
        };
        let status = of_seat(&one, &one.seats.seats[0], &outcome, &Troubles::default(), &nothing(), at(0));
        assert_eq!(status.waiting.map(|waiting| waiting.position), shown);
    }
}

#[test]
fn an_assignment_counts_its_users_once_and_tells_the_first_fifty_who_wait() {
    let names: Vec<String> = (0..60).map(|n| format!("u{n:02}")).collect();
    let seats: Vec<Seat> = names.iter().map(|name| seat(name, name, 0, 0)).collect();
    let standings: BTreeMap<Uid, Standing> = (0..)
        .zip(&seats)
        .map(|(n, seat): (usize, _)| {
            let standing = if n < 5 {
                Standing::Bound
            } else {
                Standing::Waiting { position: 100 - n, why: Why::NoFreeSeat }
            };
            (seat.uid.clone(), standing)
        })
        .collect();
    let mut users: Vec<Holder> = seats.iter().map(|seat| seat.holder.clone()).collect();
    users.push(users[0].clone());
    let assignment = Assignment {
        uid: Uid("ua".into()),
        name: "all".into(),
        created: at(0),
        priority: 0,
        users,
        group: Some("interns".parse().unwrap()),
        suspended: false,
    };
    let mut one = valid(license(5), seats);
    one.license.sign_in = SignIn::Members;
    let outcome = Outcome { standings, ..Outcome::default() };
    let members = Members::default();
    let stands = Stands::new(&one, &outcome);
    let spec = serde_json::from_value(serde_json::json!({
        "licenseRef": {"name": "cad"}, "groups": [{"provider": "acme", "name": "cad-users"}]}))
    .unwrap();
    let status = of_assignment(&one, &assignment, &spec, &outcome, (&stands, &members), &nothing(), at(0));
    assert_eq!((status.users.assigned, status.users.bound, status.users.waiting), (60, 5, 55));
    assert_eq!(status.waiting.len(), 50);
    assert_eq!((status.waiting[0].seat.as_str(), status.waiting[0].position), ("u59", 41));
    let because = status.conditions.iter().find(|c| c.type_ == Type::Stalled).unwrap();
    assert_eq!(
        because.message,
        "License cad has no group interns: add it to its spec.groups, or correct spec.group"
    );
    let grouped = Assignment { group: None, ..assignment };
    let status = of_assignment(&one, &grouped, &spec, &outcome, (&stands, &members), &nothing(), at(0));
    assert_eq!(
        status.conditions[0].message,
        "5 of 60 users hold a seat of License cad, 55 wait; members of its groups follow as they sign in"
    );
    one.license.sign_in = SignIn::None;
    let stands = Stands::new(&one, &outcome);
    let status = of_assignment(&one, &grouped, &spec, &outcome, (&stands, &members), &nothing(), at(0));
    assert_eq!(
        status.conditions[0].message,
        "5 of 60 users hold a seat of License cad, 55 wait; its groups admit nobody: set signIn of License cad to Members"
    );
}

#[test]
fn the_waiting_seat_of_a_gone_license_is_told_what_to_do() {
    let status = of_orphan("cad", &nothing(), at(0));
    assert_eq!(status.state, Some(SeatState::Waiting));
    let stalled = status.conditions.iter().find(|c| c.type_ == Type::Stalled).unwrap();
    assert_eq!(stalled.reason, "LicenseNotFound");
}

#[test]
fn a_secret_that_cannot_be_written_is_said_in_the_words_of_who_refused() {
    let one = valid(license(1), vec![seat("ann", "ann", 0, 0)]);
    let outcome =
        Outcome { standings: [(Uid("uid-ann".into()), Standing::Bound)].into(), ..Outcome::default() };
    let mut troubles = Troubles::default();
    for uid in ["uid-ann", "license-1"] {
        troubles.withheld.insert(Uid(uid.into()), Withheld::Refused("exceeded quota: few".into()));
    }
    let status = of_seat(&one, &one.seats.seats[0], &outcome, &troubles, &nothing(), at(0));
    let said = status.conditions.iter().find(|c| c.type_ == Type::Stalled).unwrap();
    let sentence = "Secret ann-seat cannot be written and is tried again every 30 s: exceeded quota: few";
    assert_eq!((said.reason.as_str(), said.message.as_str()), ("SecretRefused", sentence));
    assert_eq!((status.state, status.secret), (Some(SeatState::Bound), None));
    let status = of_license(&one, &outcome, &troubles, &nothing(), at(0));
    assert_eq!(status.conditions[0].reason, "SecretRefused");

    let mut troubles = Troubles::default();
    troubles.hold_back(Some(not_removed("bob-seat", "its finalizers hold it")));
    let status = of_license(&one, &outcome, &troubles, &nothing(), at(0));
    assert_eq!(
        status.conditions[0].message,
        "Secret bob-seat of a former holder cannot be removed, and until it is gone no new holder is shown: its finalizers hold it"
    );
}

#[test]
fn who_is_to_be_granted_nothing_and_goes_on_being_granted_it_is_told_the_truth() {
    let mut one = valid(license(1), vec![seat("ann", "ann", 0, 0)]);
    one.license.suspended = true;
    let seated = Subject::Seat(&one.seats.seats[0], &[]);
    let active = license(1);
    let (document, _) = issue_if_due(&active, seated, &signer(), None, at(0), &[0; 32]).unwrap().unwrap();
    let outcome = Outcome {
        phase: Some(Phase::Suspended),
        standings: [(Uid("uid-ann".into()), Standing::Bound)].into(),
        documents: [(document.subject.clone(), document)].into(),
        ..Outcome::default()
    };
    assert_eq!(of(&one, &outcome).0, "Suspended ready=True bound=True stalled=- Suspended");
    one.signer = Err(Because::new(Reason::AuthorityNotFound, "there is no Authority default"));
    let (line, message) = of(&one, &outcome);
    assert_eq!(line, "Suspended ready=False bound=True stalled=True LicenseStalled");
    assert_eq!(
        message,
        "is to be granted nothing, but its document could not be changed and is good until 1970-01-05T00:00:00Z: there is no Authority default"
    );
}

#[test]
fn a_seat_whose_address_is_somebody_elses_now_stays_and_says_what_an_administrator_can_do() {
    let valid = valid(license(2), vec![seat("ann", "ann", 0, 0)]);
    let ann = &valid.seats.seats[0];
    let outcome = |contested: &str| Outcome {
        phase: Some(Phase::Active),
        standings: [(ann.uid.clone(), Standing::Bound)].into(),
        contested: [contested.to_owned()].into(),
        ..Outcome::default()
    };
    let (line, message) = of(&valid, &outcome(&ann.holder.identity()));
    assert_eq!(line, "Bound ready=True bound=True stalled=- HolderChanged");
    assert!(message.contains("run: kubectl delete seat ann -n design (and make it again"), "{message}");
    assert!(!message.contains('@'), "{message}");
    let (line, _) = of(&valid, &outcome("email:bob@acme.example"));
    assert_eq!(line, "Bound ready=True bound=True stalled=- Bound");
}
