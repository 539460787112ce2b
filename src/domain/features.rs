//! Which features a seat carries.
//!
//! 1. A group that names features carries these of the License's features and no others.
//! 2. A feature with `seats: n` is carried by the n holders who were bound first, of those whose group carries it. So nobody
//!    loses it because somebody was added, and when one of them goes the next in line has it.
//! 3. An activation on somebody's seat carries what the Seat carries. One that holds a place by itself carries what needs no
//!    seat: nobody could say which activations are among the first.
//! 4. While the assignments of a Seat are suspended, nothing is granted on it.

use std::collections::BTreeMap;

use crate::domain::{
    license::{License, Seat},
    reason::Reason,
    refusal::{Code, Refusal},
    terms::Feature,
    text::FeatureName,
};

/// What activations of one holder carry, as it was last reconciled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carries {
    /// The features that the holder's Seat carries; all that need no seat if nothing is said, or there is no Seat.
    pub features: Option<Vec<FeatureName>>,
    /// The Seat's assignments are suspended.
    pub suspended: bool,
}

impl Carries {
    /// What is to be known of each of `bound` by whom activations ask for, by holder: only what is not as everywhere.
    #[must_use]
    pub fn of(license: &License, bound: &[&Seat], carried: &[Vec<&Feature>]) -> BTreeMap<String, Self> {
        let plain: Vec<&Feature> = Self::default().of_license(license);
        let each = bound.iter().zip(carried).map(|(seat, carried)| {
            let names = || carried.iter().map(|feature| feature.name.clone()).collect();
            let features = (*carried != plain).then(names);
            (seat.holder.identity(), Self { features, suspended: suspended(seat) })
        });
        each.filter(|(_, carries)| *carries != Self::default()).collect()
    }

    /// These, as the License says them.
    #[must_use]
    pub fn of_license<'a>(&self, license: &'a License) -> Vec<&'a Feature> {
        let carries = |feature: &&Feature| match &self.features {
            None => feature.seats.is_none(),
            Some(names) => names.contains(&feature.name),
        };
        license.terms.features.iter().filter(carries).collect()
    }

    /// Whether anything is granted on the seat.
    ///
    /// # Errors
    /// While its assignments are suspended.
    pub fn grants(&self) -> Result<(), Refusal> {
        if self.suspended { Err(Code::SeatSuspended.into()) } else { Ok(()) }
    }
}

/// Whether every assignment that names its holder is suspended.
#[must_use]
pub fn suspended(seat: &Seat) -> bool {
    seat.rests.as_ref().is_some_and(|because| because.reason == Reason::Suspended)
}

/// The features of each of `bound`, who are in the order in which they were bound.
#[must_use]
pub fn carried<'a>(license: &'a License, bound: &[&Seat]) -> Vec<Vec<&'a Feature>> {
    let mut carried = vec![Vec::new(); bound.len()];
    for feature in &license.terms.features {
        let most = feature.seats.map_or(usize::MAX, |seats| usize::try_from(seats).unwrap_or(usize::MAX));
        let may = carried.iter_mut().zip(bound).filter(|(_, seat)| may_carry(license, seat, feature));
        may.take(most).for_each(|(features, _)| features.push(feature));
    }
    carried
}

fn may_carry(license: &License, seat: &Seat, feature: &Feature) -> bool {
    let group = seat.group.as_ref().and_then(|name| license.group(name));
    let only = group.and_then(|group| group.features.as_ref());
    only.is_none_or(|only| only.contains(&feature.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        allocation::tests::seat,
        license::{
            Group,
            tests::{feature, license},
        },
        reason::Because,
    };

    fn names(carried: &[Vec<&Feature>]) -> Vec<String> {
        let of =
            |features: &Vec<&Feature>| features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(" ");
        carried.iter().map(of).collect()
    }

    #[test]
    fn a_feature_for_some_seats_is_carried_by_those_who_were_bound_first() {
        let mut license = license(9);
        license.terms.features.push(Feature { seats: Some(2), ..feature("xr") });
        let seats = ["ann", "bob", "cy"].map(|name| seat(name, name, 0, 0));
        let all: Vec<&Seat> = seats.iter().collect();
        assert_eq!(names(&carried(&license, &all)), ["render xr", "render xr", "render"]);
        assert_eq!(
            names(&carried(&license, &all[1..])),
            ["render xr", "render xr"],
            "the next in line has it"
        );
        license.terms.features[1].seats = Some(0);
        assert_eq!(names(&carried(&license, &all[..1])), ["render"]);
    }

    #[test]
    fn a_group_carries_what_it_names_and_takes_none_of_what_it_does_not() {
        let mut license = license(9);
        license.terms.features.push(Feature { seats: Some(1), ..feature("xr") });
        let only = |name: &str, features: &[&str]| Group {
            name: name.parse().unwrap(),
            seats: None,
            reserved: 0,
            features: Some(features.iter().map(|f| f.parse().unwrap()).collect()),
            matches: Vec::new(),
            matches_at: None,
        };
        license.groups = vec![only("interns", &["render", "not-licensed"]), only("guests", &[])];
        let mut seats = ["ann", "bob", "cy"].map(|name| seat(name, name, 0, 0));
        seats[0].group = Some("interns".parse().unwrap());
        seats[1].group = Some("guests".parse().unwrap());
        let all: Vec<&Seat> = seats.iter().collect();
        let carried = carried(&license, &all);
        assert_eq!(names(&carried), ["render", "", "render xr"]);

        let known = Carries::of(&license, &all, &carried);
        let granted = |carries: &Carries| names(&[carries.of_license(&license)]).remove(0);
        let of = |seat: &Seat| granted(&known.get(&seat.holder.identity()).cloned().unwrap_or_default());
        assert_eq!(all.iter().map(|seat| of(seat)).collect::<Vec<_>>(), ["render", "", "render xr"]);
        assert_eq!(granted(&Carries::default()), "render", "who has no seat is not among the first");
    }

    #[test]
    fn who_carries_what_everybody_does_is_not_told_of_and_who_rests_is_granted_nothing() {
        let license = license(9);
        let mut seats = ["ann", "bob"].map(|name| seat(name, name, 0, 0));
        seats[1].rests = Some(Because::new(Reason::Suspended, "rests"));
        let all: Vec<&Seat> = seats.iter().collect();
        let known = Carries::of(&license, &all, &carried(&license, &all));
        let rests = Carries { features: None, suspended: true };
        assert_eq!(known, [(seats[1].holder.identity(), rests.clone())].into());
        assert_eq!(rests.grants().unwrap_err().code, Code::SeatSuspended);
        assert_eq!(Carries::default().grants(), Ok(()));
    }
}
