//! What a License, its Seats and its UserAssignments say of themselves. Pure.

mod assignment;
pub(super) mod copy;
mod license;
mod seat;
#[cfg(test)]
mod tests;

use crate::{
    cluster::{api::Condition, secrets::Withheld},
    domain::reason::{Because, Reason},
};

pub(super) use assignment::{Stands, of_assignment, of_orphaned_assignment};
pub(super) use license::of_license;
pub(super) use seat::{of_orphan, of_seat};

/// What was there before: the conditions, and the generation to speak of.
pub(super) struct Before<'a> {
    pub(super) conditions: &'a [Condition],
    pub(super) generation: i64,
}

/// Why the Secret `name` does not hold its document; `next` is what to do where somebody else has the name.
fn no_secret(withheld: &Withheld, name: &str, next: &str) -> Because {
    match withheld {
        Withheld::Taken => Because::new(
            Reason::SecretNameTaken,
            format!(
                "Secret {name} is not ours, or belongs to another License or Seat, and is left alone: {next}"
            ),
        ),
        Withheld::Refused(said) => Because::new(
            Reason::SecretRefused,
            format!("Secret {name} cannot be written and is tried again every 30 s: {said}"),
        ),
    }
}

/// Why nobody new is shown: the Secret `name` shows that a former holder has a seat.
pub(super) fn not_removed(name: &str, said: &str) -> Because {
    Because::new(
        Reason::SecretRefused,
        format!(
            "Secret {name} of a former holder cannot be removed, and until it is gone no new holder is shown: {said}"
        ),
    )
}

/// Why nobody new is shown: the status of the Seat `name` says that it holds a seat.
pub(super) fn still_says_bound(name: &str, said: &str) -> Because {
    Because::new(
        Reason::SecretRefused,
        format!(
            "Seat {name} lost its seat and cannot be told, and until it is no new holder is shown: {said}"
        ),
    )
}

/// Why those under a License that cannot do its work stand still.
fn license_stalled(license: &str, because: &Because) -> Because {
    Because::new(
        Reason::LicenseStalled,
        format!("License {license} is not ready, so nobody is given a seat: {}", because.message),
    )
}
