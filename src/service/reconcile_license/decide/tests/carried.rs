//! What the ledger is told of what activations carry.

use super::*;
use crate::domain::features::Carries;

#[test]
fn what_activations_of_a_holder_carry_is_told_with_the_binding_and_again_when_it_changes() {
    let mut license = license(9);
    license.terms.features.push(Feature { seats: Some(1), ..feature("xr") });
    let people = ["ann", "bob"].map(seat_of);
    let (change, _) = look(&license, &people, None);
    let ann = people[0].holder.identity();
    let of = |features: &[&str], suspended| Carries {
        features: (!features.is_empty()).then(|| features.iter().map(|f| f.parse().unwrap()).collect()),
        suspended,
    };
    let first = of(&["render", "xr"], false);
    assert_eq!(change.carries, [(ann.clone(), first.clone())], "bob carries what everybody does");

    let known = Facts { carries: [(ann.clone(), first)].into(), ..facts(&license, &["ann", "bob"]) };
    assert_eq!(look(&license, &people, Some(&known)).0.carries, [], "nothing is told twice");
    let mut resting = people.clone();
    resting[1].rests = Some(Because::new(Reason::Suspended, "rests"));
    let bob = people[1].holder.identity();
    let (change, outcome) = look(&license, &resting, Some(&known));
    assert_eq!(change.carries, [(bob, of(&[], true))]);
    assert!(!outcome.more);
    license.terms.features.pop();
    assert_eq!(look(&license, &people, Some(&known)).0.carries, [(ann, Carries::default())]);
}

#[test]
fn of_what_many_carry_a_look_tells_a_part_and_of_whoever_is_bound_first() {
    let mut license = license(9);
    let people = ["ann", "bob", "cy", "dan"].map(seat_of);
    license.terms.features.push(Feature { seats: Some(9), ..feature("xr") });
    let facts = facts(&license, &["ann", "bob", "cy"]);
    let (signer, unreadable) = (signer(), BTreeMap::new());
    let wanted = Wanted {
        license: &license,
        seats: &people,
        unreadable: &unreadable,
        signer: Some(&signer),
        may_grant: true,
    };
    let (change, outcome) = decide(wanted, known(Some(&facts)), 2, at(100), [0; 32]).unwrap();
    let told: Vec<&str> = change.carries.iter().map(|(holder, _)| holder.as_str()).collect();
    assert_eq!(told, ["email:dan@acme.example", "email:ann@acme.example"]);
    assert!(outcome.more);
}
