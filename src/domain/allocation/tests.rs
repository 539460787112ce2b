//! Who sits where, told in one line: `ann=bound bob=1 cy=2:reserved`.

use super::*;
use crate::domain::{
    license::{Holder, tests::at},
    reason::Reason,
};

pub(crate) fn seat(name: &str, holder: &str, priority: i32, created: i64) -> Seat {
    Seat {
        uid: Uid(format!("uid-{name}")),
        name: name.into(),
        holder: email(holder),
        priority,
        created: at(created),
        place: 0,
        group: None,
        rests: None,
    }
}

pub(super) fn email(holder: &str) -> Holder {
    Holder::Email(format!("{holder}@acme.example").parse().unwrap())
}

/// The Seats of people of these names, the first being the oldest.
fn people(names: &[&str]) -> Vec<Seat> {
    (0..).zip(names).map(|(age, name)| seat(name, name, 0, age)).collect()
}

fn of_group(name: &str, group: &str, created: i64) -> Seat {
    Seat { group: Some(group.parse().unwrap()), ..seat(name, name, 0, created) }
}

pub(super) fn binding(name: &str, ordinal: i64) -> Binding {
    Binding { seat: Uid(format!("uid-{name}")), holder: email(name).identity(), ordinal }
}

fn bindings(names: &[&str]) -> Vec<Binding> {
    (1..).zip(names).map(|(ordinal, name)| binding(name, ordinal)).collect()
}

pub(crate) fn group(name: &str, seats: Option<u32>, reserved: u32) -> Group {
    Group {
        name: name.parse().unwrap(),
        seats,
        reserved,
        features: None,
        matches: Vec::new(),
        matches_at: None,
    }
}

fn rules(limit: u32) -> Rules<'static> {
    Rules { limit, grants: true, groups: &[], max_per_user: None }
}

/// So many seats, these Seats, these who are bound.
fn simply(limit: u32, seats: &[Seat], bound: &[&str]) -> Allocation {
    allocate(&rules(limit), seats, &Held { bindings: &bindings(bound), ..Held::default() })
}

fn told(allocation: &Allocation) -> String {
    let mut words: Vec<String> = Vec::new();
    for (uid, standing) in &allocation.standings {
        let name = uid.0.trim_start_matches("uid-");
        words.push(match standing {
            Standing::Bound => format!("{name}=bound"),
            Standing::Waiting { position, why: Why::NoFreeSeat } => format!("{name}={position}"),
            Standing::Waiting { position, why: Why::GroupFull(_) } => format!("{name}={position}:full"),
            Standing::Waiting { position, why: Why::Reserved } => format!("{name}={position}:reserved"),
            Standing::Waiting { position, why: Why::Cools(until) } => {
                format!("{name}={position}:cools{}", until.as_second())
            }
            Standing::Resting(_) => format!("{name}=rests"),
            Standing::Barred { elsewhere } => format!("{name}!{elsewhere}"),
            Standing::Duplicate { of } => format!("{name}~{of}"),
        });
    }
    words.join(" ")
}

#[test]
fn the_first_come_are_bound_and_the_rest_wait_in_order() {
    let seats =
        [seat("cy", "cy", 0, 3), seat("ann", "ann", 0, 1), seat("bob", "bob", 0, 2), seat("di", "di", 0, 4)];
    let allocation = simply(2, &seats, &[]);
    assert_eq!(told(&allocation), "ann=bound bob=bound cy=1 di=2");
    assert_eq!(allocation.bound, [Uid("uid-ann".into()), Uid("uid-bob".into())]);
}

#[test]
fn priority_goes_before_age_and_age_before_name() {
    let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 5, 9), seat("cy", "cy", 0, 1)];
    assert_eq!(told(&simply(1, &seats, &[])), "ann=1 bob=bound cy=2");
}

#[test]
fn of_one_age_those_who_are_listed_first_go_first() {
    let seats: Vec<Seat> = (1..)
        .zip(["zed", "ann", "moe"])
        .map(|(place, name)| Seat { place, ..seat(name, name, 0, 0) })
        .collect();
    assert_eq!(told(&simply(1, &seats, &[])), "ann=1 moe=2 zed=bound");
}

#[test]
fn nobody_loses_a_seat_because_somebody_more_urgent_was_added() {
    let seats = [seat("ann", "ann", 0, 5), seat("boss", "boss", 100, 1)];
    let allocation = simply(1, &seats, &["ann"]);
    assert_eq!(told(&allocation), "ann=bound boss=1");
    assert!(allocation.take.is_empty() && allocation.free.is_empty());
}

#[test]
fn a_lowered_limit_takes_the_lowest_priority_and_then_the_latest_bound() {
    let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 0, 2), seat("cy", "cy", -1, 0)];
    assert_eq!(simply(2, &seats, &["cy", "bob", "ann"]).free, BTreeSet::from([Uid("uid-cy".into())]));
    let allocation = simply(1, &seats, &["cy", "bob", "ann"]);
    assert_eq!(told(&allocation), "ann=1 bob=bound cy=2");
    assert_eq!(told(&simply(0, &seats, &["cy", "bob", "ann"])), "ann=1 bob=2 cy=3");
}

#[test]
fn a_raised_limit_serves_the_queue() {
    let allocation = simply(2, &people(&["ann", "bob", "cy"]), &["cy"]);
    assert_eq!(told(&allocation), "ann=bound bob=1 cy=bound");
    assert_eq!(allocation.take, [Uid("uid-ann".into())]);
    assert_eq!(allocation.bound, [Uid("uid-cy".into()), Uid("uid-ann".into())]);
}

#[test]
fn one_holder_with_several_seats_takes_one_place() {
    let seats = [seat("a1", "ann", 0, 1), seat("a2", "ann", 9, 2), seat("bob", "bob", 0, 3)];
    assert_eq!(told(&simply(2, &seats, &[])), "a1~a2 a2=bound bob=bound");
    let by_first = [Binding { seat: Uid("uid-a1".into()), ..binding("ann", 1) }];
    let held = Held { bindings: &by_first, ..Held::default() };
    assert_eq!(told(&allocate(&rules(2), &seats, &held)), "a1=bound a2~a1 bob=bound");
}

#[test]
fn when_the_bound_seat_of_a_holder_goes_the_other_one_takes_over_and_the_holder_keeps_the_place() {
    let seats = [seat("a2", "ann", 0, 2), seat("bob", "bob", 0, 1)];
    let by_first = [Binding { seat: Uid("uid-a1".into()), ..binding("ann", 1) }];
    let allocation = allocate(&rules(1), &seats, &Held { bindings: &by_first, ..Held::default() });
    assert_eq!(told(&allocation), "a2=bound bob=1");
    assert_eq!(allocation.moved, [(Uid("uid-a1".into()), Uid("uid-a2".into()))]);
    assert!(allocation.free.is_empty() && allocation.take.is_empty());
}

#[test]
fn a_resting_license_keeps_its_holders_and_serves_nobody() {
    let seats = people(&["ann", "bob"]);
    let rests = |limit| Rules { grants: false, ..rules(limit) };
    let held = bindings(&["bob"]);
    let held = Held { bindings: &held, ..Held::default() };
    assert_eq!(told(&allocate(&rests(2), &seats, &held)), "ann=1 bob=bound");
    assert_eq!(told(&allocate(&rests(0), &seats, &held)), "ann=1 bob=2");
}

#[test]
fn a_holder_who_rests_keeps_the_place_and_does_not_stand_in_the_queue() {
    let mut seats = people(&["ann", "bob", "cy"]);
    for seat in &mut seats[..2] {
        seat.rests = Some(Because::new(Reason::Suspended, "rests"));
    }
    assert_eq!(told(&simply(1, &seats, &["ann"])), "ann=bound bob=rests cy=1");
    assert_eq!(told(&simply(1, &seats, &[])), "ann=rests bob=rests cy=bound");
}

#[test]
fn a_seat_that_cannot_be_read_keeps_its_holder_and_their_other_seat_is_a_duplicate() {
    let kept = [(Binding { seat: Uid("uid-odd".into()), ..binding("ann", 1) }, "odd".to_owned())];
    let held = Held { kept: &kept, ..Held::default() };
    let allocation = allocate(&rules(1), &people(&["ann", "bob"]), &held);
    assert_eq!(told(&allocation), "ann~odd bob=1");
    assert!(allocation.free.is_empty() && allocation.bound.is_empty());
}

#[test]
fn a_reserve_that_is_not_filled_stays_empty() {
    let groups = [group("interns", None, 1)];
    let rules = Rules { groups: &groups, ..rules(3) };
    let mut seats = people(&["ann", "bob", "cy"]);
    let allocation = allocate(&rules, &seats, &Held::default());
    assert_eq!(told(&allocation), "ann=bound bob=bound cy=1:reserved");
    // The youngest of all is in the group, and goes first.
    seats.push(of_group("ivy", "interns", 99));
    assert_eq!(told(&allocate(&rules, &seats, &Held::default())), "ann=bound bob=bound cy=1 ivy=bound");
}

#[test]
fn who_would_fill_a_reserve_stands_before_everybody_else() {
    let groups = [group("interns", None, 1)];
    let rules = Rules { groups: &groups, ..rules(1) };
    let held = bindings(&["ann"]);
    let seats = [people(&["ann", "bob"]), vec![of_group("ivy", "interns", 8), of_group("ian", "interns", 9)]]
        .concat();
    let allocation = allocate(&rules, &seats, &Held { bindings: &held, ..Held::default() });
    assert_eq!(told(&allocation), "ann=bound bob=2 ian=3 ivy=1");
}

#[test]
fn a_group_has_no_more_than_its_own_seats_and_holds_up_nobody_else() {
    let groups = [group("interns", Some(1), 0)];
    let rules = Rules { groups: &groups, ..rules(3) };
    let seats = [
        of_group("ian", "interns", 0),
        of_group("ivy", "interns", 1),
        seat("bob", "bob", 0, 2),
        seat("cy", "cy", 0, 3),
        seat("di", "di", 0, 4),
    ];
    let allocation = allocate(&rules, &seats, &Held::default());
    assert_eq!(told(&allocation), "bob=bound cy=bound di=2 ian=bound ivy=1:full");
    // Their seats were lowered: the latest of them goes, and somebody else has the place.
    let held = bindings(&["ian", "ivy", "bob"]);
    let allocation = allocate(&rules, &seats, &Held { bindings: &held, ..Held::default() });
    assert_eq!(told(&allocation), "bob=bound cy=bound di=2 ian=bound ivy=1:full");
    assert_eq!(allocation.free, BTreeSet::from([Uid("uid-ivy".into())]));
}

#[test]
fn a_lowered_limit_takes_from_those_outside_reserves_first() {
    let groups = [group("interns", None, 1)];
    let rules = Rules { groups: &groups, ..rules(1) };
    let seats = [
        seat("boss", "boss", 9, 0),
        of_group("ian", "interns", 1),
        Seat { priority: -5, ..of_group("ivy", "interns", 2) },
    ];
    let held = bindings(&["boss", "ivy", "ian"]);
    let allocation = allocate(&rules, &seats, &Held { bindings: &held, ..Held::default() });
    assert_eq!(told(&allocation), "boss=1 ian=bound ivy=2");
    // Whom the reserve has no place for is outside of it like everybody else.
    let allocation =
        allocate(&Rules { limit: 2, ..rules }, &seats, &Held { bindings: &held, ..Held::default() });
    assert_eq!(told(&allocation), "boss=bound ian=bound ivy=1");
}

#[test]
fn a_freed_seat_cools_and_goes_to_nobody_but_its_former_holder() {
    let cooling = [
        Cooling { holder: email("zed").identity(), until: at(900) },
        Cooling { holder: email("cy").identity(), until: at(500) },
    ];
    let held = Held { cooling: &cooling, ..Held::default() };
    let seats = people(&["ann", "bob", "di"]);
    assert_eq!(told(&allocate(&rules(2), &seats, &held)), "ann=1:cools500 bob=2:cools900 di=3");
    assert_eq!(told(&allocate(&rules(3), &seats, &held)), "ann=bound bob=1:cools500 di=2:cools900");
    let seats = people(&["ann", "bob", "cy"]);
    let allocation = allocate(&rules(2), &seats, &held);
    assert_eq!(told(&allocation), "ann=1:cools900 bob=2 cy=bound");
    let rests = Rules { grants: false, ..rules(2) };
    assert_eq!(told(&allocate(&rests, &seats, &held)), "ann=1 bob=2 cy=3", "nobody is promised a seat");
    // A lowered limit leaves less to cool.
    assert_eq!(told(&allocate(&rules(1), &people(&["ann", "bob"]), &held)), "ann=1:cools500 bob=2");
}

#[test]
fn who_holds_enough_of_the_product_elsewhere_is_not_in_the_queue() {
    let elsewhere = BTreeMap::from([(email("ann").identity(), 1), (email("bob").identity(), 2)]);
    let held = bindings(&["bob"]);
    let held = Held { elsewhere: Some(&elsewhere), bindings: &held, ..Held::default() };
    let one = Rules { max_per_user: Some(1), ..rules(3) };
    let seats = people(&["ann", "bob", "cy"]);
    assert_eq!(told(&allocate(&one, &seats, &held)), "ann!1 bob=bound cy=bound", "who holds keeps");
    let two = Rules { max_per_user: Some(2), ..one };
    assert_eq!(told(&allocate(&two, &seats, &held)), "ann=bound bob=bound cy=bound");
    // Machines may be licensed as often as one likes.
    let lab = Holder::Device { id: "9f86".parse().unwrap(), name: None };
    let elsewhere = BTreeMap::from([(lab.identity(), 7)]);
    let lab = [Seat { holder: lab, ..seat("lab", "lab", 0, 0) }];
    let held = Held { elsewhere: Some(&elsewhere), ..Held::default() };
    assert_eq!(told(&allocate(&one, &lab, &held)), "lab=bound");
}
