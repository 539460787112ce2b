use super::*;
use crate::domain::{
    contract::Contract,
    license::{Key, tests::license},
    principal::NoAddress,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn who(name: &str, email: Result<&str, NoAddress>) -> Principal {
    Principal {
        provider: "acme".parse().unwrap(),
        issuer: "https://idp.acme.example".parse().unwrap(),
        subject: "1".parse().unwrap(),
        email: email.map(|email| email.parse().unwrap()),
        groups: Default::default(),
        name: name.into(),
    }
}

fn with(place: Place, phase: Phase) -> MyLicense {
    let mut license = license(2);
    license.terms.devices_per_seat = Some(2);
    license.terms.sessions.per_user = Some(3);
    license.validity = Validity { from: Some(at(0)), until: Some(at(86_400 * 365)), ..Validity::default() };
    let contract = Some(Contract { license, issuer: None, kept: 0, unknown: 0 });
    let device: Device = serde_json::from_str(r#"{"id": "d1", "name": "Lab 3"}"#).unwrap();
    let devices =
        vec![MyDevice { id: "a1".into(), device: device.clone(), since: at(60), heard_at: at(3_600) }];
    let sessions = vec![MySession { device, since: at(120) }];
    MyLicense { key: Key::new("design", "cad"), contract, phase, place, devices, sessions }
}

fn page_of(licenses: Vec<MyLicense>, has_more: bool, done: Option<&str>) -> String {
    let theirs = Mine { licenses, open: Vec::new(), has_more };
    mine(&who("Ann Example", Ok("ann@acme.example")), &theirs, "t", done).0
}

fn said(place: Place, phase: Phase) -> String {
    page_of(vec![with(place, phase)], false, None)
}

const PHASES: [Phase; 5] =
    [Phase::NotYetValid, Phase::Active, Phase::Overdue, Phase::Suspended, Phase::Expired];

/// Each page there may be.
pub(in crate::http::signin) fn all() -> String {
    let places = [Place::Seat, Place::Rests, Place::Waits(Some(3)), Place::Waits(None), Place::Anothers];
    let licenses = places.into_iter().flat_map(|place| PHASES.map(|phase| with(place, phase))).collect();
    let nobody = who("", Err(NoAddress::Missing));
    page_of(licenses, true, Some("done"))
        + &with_open()
        + &mine(&nobody, &Mine::default(), "t", None).0
        + &left().0
}

/// What somebody sees who may ask for a seat.
fn with_open() -> String {
    let open = vec![(Key::new("design", "cad"), "cad".parse().unwrap())];
    let theirs = Mine { open, ..Mine::default() };
    mine(&who("Ann Example", Ok("ann@acme.example")), &theirs, "t", None).0
}

#[test]
fn whoever_may_ask_for_a_seat_is_not_sent_to_others() {
    let page = with_open();
    assert!(page.contains(r#"action="/me/licenses""#) && page.contains(r#"value="design/cad""#), "{page}");
    assert!(page.contains(r#"aria-label="Ask for a seat of cad, design/cad""#), "{page}");
    assert!(
        page.contains("You have no license here.") && !page.contains("Ask whoever looks after"),
        "{page}"
    );
}

#[test]
fn people_are_told_how_they_stand_and_until_when() {
    assert!(
        said(Place::Seat, Phase::Active).contains("You have a seat, until <time"),
        "{}",
        said(Place::Seat, Phase::Active)
    );
    assert!(said(Place::Seat, Phase::Active).contains("1 January 1971, 00:00 UTC"));
    assert!(said(Place::Seat, Phase::Expired).contains("Your seat grants nothing any more."));
    assert!(said(Place::Seat, Phase::Suspended).contains("The license is suspended"));
    assert!(said(Place::Waits(Some(3)), Phase::Active).contains("<strong>at place 3</strong>"));
    let unknown = said(Place::Waits(None), Phase::Active);
    assert!(unknown.contains("You wait for a seat.") && !unknown.contains("at place"), "{unknown}");
    for phase in PHASES {
        assert!(said(Place::Anothers, phase).contains("somebody's who had the address before you"));
    }
}

#[test]
fn devices_and_sessions_are_counted_against_what_there_may_be() {
    let page = said(Place::Seat, Phase::Active);
    assert!(page.contains("Devices: 1 of 2") && page.contains("In use now: 1 of 3"), "{page}");
    assert!(page.contains(r#"aria-label="End this one: Lab 3""#), "{page}");
    assert!(page.contains("1 January 1970, 01:00 UTC"), "{page}");
    let mut nothing = with(Place::Seat, Phase::Active);
    (nothing.devices, nothing.sessions) = (Vec::new(), Vec::new());
    let page = page_of(vec![nothing], false, None);
    assert!(page.contains("It is active on no device.") && page.contains("No session is open."), "{page}");
    assert!(!page.contains("/me/devices"));
}

#[test]
fn whoever_has_nothing_is_told_what_to_do() {
    let page = page_of(Vec::new(), false, None);
    assert!(page.contains("You have no license here.") && page.contains("ann@acme.example"), "{page}");
    let page = mine(&who("Ann", Err(NoAddress::Unverified)), &Mine::default(), "t", None).0;
    assert!(page.contains("No seat of an e-mail address can be yours"), "{page}");
    assert!(page_of(Vec::new(), true, None).contains("more than the first 50"));
}

#[test]
fn names_that_providers_and_programs_give_are_text() {
    let page =
        mine(&who("<script>alert(1)</script>", Ok("ann@acme.example")), &Mine::default(), "\"><b>", None).0;
    assert!(!page.contains("<script") && page.contains("&lt;script") && !page.contains("<b>"), "{page}");
}
