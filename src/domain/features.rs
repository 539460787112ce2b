//! Which features a seat carries.
//!
//! 1. A group that names features carries these of the License's features and no others.
//! 2. A feature with `seats: n` is carried by the n holders who were bound first, of those whose group carries it. So nobody
//!    loses it because somebody was added, and when one of them goes the next in line has it.

use crate::domain::{
    license::{License, Seat},
    terms::Feature,
};

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
        assert_eq!(names(&carried(&license, &all)), ["render", "", "render xr"]);
    }
}
