//! What people do in this world, and what else happens there.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use usher::domain::{
    license::{Group, Holder, Reassign, Seat, Uid},
    terms::Feature,
    text::Label,
};

use super::model::World;

/// What happens. A look may crash after so many effects.
#[derive(Debug, Clone)]
pub(super) enum Happens {
    Limit(u32),
    Suspended(bool),
    Add(u8),
    Remove(u8),
    /// Holders of this number are of the group from now on, or of none.
    Belongs(u8, bool),
    /// The group's own seats, and its reserve.
    Group(Option<u32>, u32),
    /// The License follows another Edition, or one that is not there.
    Edition(Option<bool>),
    /// How long a seat cools, in seconds.
    Reassign(i64),
    /// So many seconds pass.
    Passes(i64),
    LicenseAgain,
    /// The garbage collector removes Secrets whose owner is gone.
    Collect,
    Look(Option<u8>),
    /// The ledger is gone, and a new one begins.
    Lose,
}

pub(super) fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => (0u32..4).prop_map(Happens::Limit),
        1 => any::<bool>().prop_map(Happens::Suspended),
        6 => (0u8..5).prop_map(Happens::Add),
        3 => (0u8..5).prop_map(Happens::Remove),
        2 => (0u8..4, any::<bool>()).prop_map(|(who, belongs)| Happens::Belongs(who, belongs)),
        2 => (prop::option::of(0u32..3), 0u32..3).prop_map(|(seats, reserved)| Happens::Group(seats, reserved)),
        2 => prop::option::weighted(0.7, any::<bool>()).prop_map(Happens::Edition),
        2 => prop_oneof![Just(0i64), Just(60)].prop_map(Happens::Reassign),
        2 => (1i64..50).prop_map(Happens::Passes),
        1 => Just(Happens::LicenseAgain),
        1 => Just(Happens::Collect),
        9 => prop::option::weighted(0.7, 0u8..9).prop_map(Happens::Look),
    ]
}

/// The one group that there is.
pub(super) fn group() -> Label {
    "interns".parse().unwrap()
}

fn feature(name: &str, seats: Option<u32>) -> Feature {
    Feature { name: name.parse().unwrap(), pool: None, quota: None, seats }
}

impl World {
    pub(super) fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Limit(limit) => self.license.seats = *limit,
            Happens::Suspended(suspended) => self.license.suspended = *suspended,
            Happens::Add(n) => self.add(*n),
            Happens::Remove(n) => {
                if let Some(gone) = self.seats.remove(&format!("s{n}")) {
                    self.bound.remove(&gone.uid);
                }
            }
            Happens::Belongs(who, belongs) => {
                let belongs = belongs.then(group);
                let theirs = self.seats.values_mut().filter(|seat| seat.holder == holder(*who));
                theirs.for_each(|seat| seat.group.clone_from(&belongs));
                self.belong.insert(*who, belongs);
            }
            Happens::Group(seats, reserved) => {
                let (seats, reserved) = (*seats, *reserved);
                let (features, matches, matches_at) = (None, Vec::new(), None);
                self.license.groups =
                    vec![Group { name: group(), seats, reserved, features, matches, matches_at }];
            }
            Happens::Edition(edition) => {
                self.license.edition =
                    edition.map(|pro| if pro { "pro" } else { "standard" }.parse().unwrap());
                self.license.terms.features = match edition {
                    Some(true) => vec![feature("render", None), feature("xr", Some(1))],
                    _ => vec![feature("render", None)],
                };
            }
            Happens::Reassign(seconds) => self.license.reassign = Reassign::After(*seconds),
            Happens::Passes(seconds) => self.passes(*seconds),
            Happens::LicenseAgain => {
                self.made += 1;
                self.license.uid = Uid(format!("license-{}", self.made));
                self.cool.clear();
            }
            Happens::Collect => {
                let living: Vec<&Uid> =
                    self.seats.values().map(|seat| &seat.uid).chain([&self.license.uid]).collect();
                self.secrets.retain(|_, (subject, _)| living.contains(&&*subject));
            }
            Happens::Look(_) | Happens::Lose => {}
        }
        self.cap = self.cap.max(usize::try_from(self.license.seats).unwrap());
    }

    pub(super) fn passes(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn add(&mut self, n: u8) {
        self.made += 1;
        // Two Seats stand for one holder.
        let who = n.min(3);
        let seat = Seat {
            uid: Uid(format!("seat-{}", self.made)),
            name: format!("s{n}"),
            holder: holder(who),
            priority: i32::from(n == 2),
            created: Timestamp::from_second(self.made).unwrap(),
            place: 0,
            group: self.belong.get(&who).cloned().flatten(),
            rests: None,
        };
        self.seats.entry(seat.name.clone()).or_insert(seat);
    }
}

fn holder(who: u8) -> Holder {
    Holder::Email(format!("h{who}@acme.example").parse().unwrap())
}
