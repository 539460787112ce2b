//! What a License, its Seats and its UserAssignments say of themselves. Pure.

mod assignment;
mod license;
mod seat;
#[cfg(test)]
mod tests;

use crate::{
    cluster::api::Condition,
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

fn secret_taken(name: &str, next: &str) -> Because {
    Because::new(
        Reason::SecretNameTaken,
        format!(
            "Secret {name} is not ours, or belongs to another License or Seat, and is left alone: {next}"
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
