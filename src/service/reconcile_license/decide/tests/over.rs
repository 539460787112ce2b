//! Who holds a seat beyond a number.

use super::*;
use crate::service::reconcile_license::Beyond;

#[test]
fn advice_refuses_nobody_for_their_group_or_for_what_they_hold_elsewhere_and_says_who_is_too_many() {
    let mut license = license(9);
    license.groups = vec![crate::domain::allocation::tests::group("interns", Some(1), 0)];
    license.max_per_user = Some(1);
    let mut people = ["ann", "bob", "cy"].map(seat_of);
    for seat in &mut people[..2] {
        seat.group = Some("interns".parse().unwrap());
    }
    let elsewhere = [(people[2].holder.identity(), 1)].into();
    let look = |license: &License| {
        let (signer, unreadable) = (signer(), BTreeMap::new());
        let wanted = Wanted {
            license,
            seats: &people,
            unreadable: &unreadable,
            signer: Some(&signer),
            may_grant: true,
        };
        let known = Known { elsewhere: Some(&elsewhere), ..known(None) };
        decide(wanted, known, usize::MAX, at(100), [0; 32]).unwrap()
    };
    let (change, outcome) = look(&license);
    assert_eq!((outcome.bound.len(), outcome.over.len()), (1, 0));
    assert_eq!(change.terms.unwrap().max_per_user, Some(1));
    license.enforcement = Enforcement::Advise;
    let (change, outcome) = look(&license);
    assert_eq!(outcome.bound.len(), 3);
    let uid = |name: &str| Uid(format!("uid-{name}"));
    let group = Beyond::Group("interns".parse().unwrap());
    assert_eq!(outcome.over, [(uid("bob"), group), (uid("cy"), Beyond::MaxPerUser)].into());
    assert_eq!(change.terms.unwrap().max_per_user, None, "the ledger refuses it neither");
}
