//! Which limits an activation meets: over counts that were taken in the transaction that commits.
//!
//! Places are counted by [`super::Chain::holds_place`], after [`super::expire`]. What may happen so often in a time is counted
//! over the last so many seconds; what happened after now counts too, for then the clock was put back.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    refusal::{Code, Refusal},
    terms::Provisioning,
};

/// So many activations of one License that have ended are kept, beyond what its own limits count: with that, a ledger stays within bounds whoever
/// activates and deactivates in a loop. Each takes some 5 kB with its last answer, so that is 500 MB, and far beyond a fleet that is rolled out anew each day.
pub const ENDED: u32 = 100_000;

/// So often, in so many seconds.
pub type Often = (u32, i64);

/// What a License allows; an absent limit means that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Named: `devices_per_seat` counts, per seat. Floating: `seats` counts.
    pub provisioning: Provisioning,
    /// Seats, with what may be over them.
    pub seats: u32,
    /// Devices on which one seat is active.
    pub devices_per_seat: Option<u32>,
    /// How often places may go from device to device.
    pub transfers: Option<Often>,
}

/// What is taken already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'a> {
    /// Activations that hold a place. Named: of the seat. Floating: of the License.
    pub places: u32,
    /// When activations among the same were ended without a nonce.
    pub transfers: &'a [Timestamp],
    /// Activations of the License that have ended and are not forgotten yet; counted up to the most that there may be.
    pub ended: u32,
}

/// Whether there is a place for one more.
///
/// # Errors
/// When all are taken, or places went from device to device too often.
pub fn place(limits: &Limits, taken: Taken<'_>, now: Timestamp) -> Result<(), Refusal> {
    let (most, code, what) = match limits.provisioning {
        Provisioning::Named => {
            (limits.devices_per_seat, Code::DevicesExhausted, "devices on which the seat may be active")
        }
        Provisioning::Floating => (Some(limits.seats), Code::SeatsExhausted, "seats"),
    };
    if let Some(most) = most.filter(|most| taken.places >= *most) {
        return Err(Refusal::new(code, format!("{} of {most} {what} are taken.", taken.places)));
    }
    let most = most_ended(limits.transfers);
    if taken.ended >= most {
        let detail = format!(
            "{most} activations of this License have ended of which the documents are still good, or were until a day ago; again when the first of them are \
             forgotten."
        );
        return Err(Refusal::new(Code::TransfersExhausted, detail));
    }
    limits.transfers.map_or(Ok(()), |often| {
        rested(often, taken.transfers, now, Code::TransfersExhausted, "Seats went from device to device")
    })
}

/// How many activations that have ended are kept.
#[must_use]
pub fn most_ended(transfers: Option<Often>) -> u32 {
    transfers.map_or(0, |(most, _)| most).saturating_add(ENDED)
}

/// Whether a device may be activated again: `recovered` is when that happened.
///
/// # Errors
/// When it happened too often.
pub fn recovery(often: Often, recovered: &[Timestamp], now: Timestamp) -> Result<(), Refusal> {
    rested(often, recovered, now, Code::RecoveriesExhausted, "The device was activated again")
}

fn rested(
    (most, seconds): Often,
    happened: &[Timestamp],
    now: Timestamp,
    code: Code,
    what: &str,
) -> Result<(), Refusal> {
    let per = SignedDuration::from_secs(seconds);
    let again = |at: &Timestamp| at.checked_add(per).unwrap_or(Timestamp::MAX);
    let mut counted: Vec<Timestamp> = happened.iter().map(again).filter(|again| *again > now).collect();
    counted.sort_unstable();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let Some(free) = counted.len().checked_sub(most) else { return Ok(()) };
    let when = counted.get(free).map_or_else(|| "never".to_owned(), |at| format!("at {at}"));
    let times = counted.len();
    Err(Refusal::new(code, format!("{what} {times} times in {seconds} s, {most} at most; again {when}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    const LIMITS: Limits =
        Limits { provisioning: Provisioning::Floating, seats: 2, devices_per_seat: Some(1), transfers: None };

    fn code(refused: Result<(), Refusal>) -> Option<Code> {
        refused.err().map(|refusal| refusal.code)
    }

    fn taken(places: u32) -> Taken<'static> {
        Taken { places, transfers: &[], ended: 0 }
    }

    #[test]
    fn floating_seats_are_taken_by_activations() {
        assert_eq!(place(&LIMITS, taken(1), at(0)), Ok(()));
        let refused = Refusal::new(Code::SeatsExhausted, "2 of 2 seats are taken.");
        assert_eq!(place(&LIMITS, taken(2), at(0)), Err(refused));
        assert_eq!(code(place(&LIMITS, taken(3), at(0))), Some(Code::SeatsExhausted), "it was lowered");
    }

    #[test]
    fn a_named_seat_is_active_on_so_many_devices() {
        let named = Limits { provisioning: Provisioning::Named, ..LIMITS };
        assert_eq!(place(&named, taken(0), at(0)), Ok(()));
        let refused =
            Refusal::new(Code::DevicesExhausted, "1 of 1 devices on which the seat may be active are taken.");
        assert_eq!(place(&named, taken(1), at(0)), Err(refused));
        let unlimited = Limits { devices_per_seat: None, ..named };
        assert_eq!(place(&unlimited, taken(1_000), at(0)), Ok(()));
    }

    #[test]
    fn seats_go_from_device_to_device_so_often_in_a_time() {
        let limits = Limits { transfers: Some((2, 100)), ..LIMITS };
        let place = |seconds: Vec<i64>, now| {
            let transfers: Vec<Timestamp> = seconds.into_iter().map(at).collect();
            place(&limits, Taken { places: 0, transfers: &transfers, ended: 0 }, at(now))
        };
        assert_eq!(place(vec![10], 50), Ok(()));
        let refused = Refusal::new(
            Code::TransfersExhausted,
            "Seats went from device to device 2 times in 100 s, 2 at most; again at 1970-01-01T00:01:50Z.",
        );
        assert_eq!(place(vec![10, 20], 50), Err(refused.clone()));
        assert_eq!(place(vec![20, 10], 109), Err(refused), "in whatever order they are told");
        assert_eq!(place(vec![10, 20], 110), Ok(()));
        assert_eq!(code(place(vec![60, 70], 50)), Some(Code::TransfersExhausted), "the clock went back");
    }

    #[test]
    fn without_a_limit_a_loop_ends_where_the_ledger_would_grow_for_ever() {
        let place =
            |transfers, ended| place(&Limits { transfers, ..LIMITS }, Taken { ended, ..taken(0) }, at(50));
        assert_eq!(place(None, ENDED - 1), Ok(()));
        assert_eq!(code(place(None, ENDED)), Some(Code::TransfersExhausted));
        assert_eq!(place(Some((5, 100)), ENDED), Ok(()), "its own limit counts as many more");
        assert_eq!(code(place(Some((5, 100)), ENDED + 5)), Some(Code::TransfersExhausted));
    }

    #[test]
    fn a_device_is_activated_again_so_often_in_a_time() {
        assert_eq!(recovery((1, 100), &[], at(50)), Ok(()));
        let refused = Refusal::new(
            Code::RecoveriesExhausted,
            "The device was activated again 1 times in 100 s, 1 at most; again at 1970-01-01T00:01:50Z.",
        );
        assert_eq!(recovery((1, 100), &[at(10)], at(50)), Err(refused));
        let never = "The device was activated again 0 times in 100 s, 0 at most; again never.";
        assert_eq!(recovery((0, 100), &[], at(50)), Err(Refusal::new(Code::RecoveriesExhausted, never)));
    }
}
