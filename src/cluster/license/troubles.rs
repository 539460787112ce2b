//! What could not be written in a look. One object that cannot be written does not stop the others.
//!
//! | what | what becomes of it |
//! |---|---|
//! | the API server refuses it for good, or somebody else is in the way | a condition of the object, and of its License; another look after 30 s |
//! | it failed otherwise | the look fails in the end, and is tried again with backoff |
//! | it may leave a former holder to be seen, by a Secret or as `Bound` | as above, and nobody new is shown in this look |

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::Error;
use crate::{
    cluster::{queue::Done, refusal::refusal, secrets::Withheld},
    domain::{license::Uid, reason::Because},
};

/// How long until what was refused, or is in somebody else's way, is tried again: nobody tells us that it would go now.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// What went wrong so far.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Licenses and Seats whose Secret does not hold their document, and why.
    pub(super) withheld: BTreeMap<Uid, Withheld>,
    /// Why nobody new is shown, where people can do something about it.
    pub(super) held_back: Option<Because>,
    /// Why a copy of the License's Secret is not as it should be.
    pub(super) copy: Option<Because>,
    /// Those whose Secret may or may not hold their document.
    pub(super) unsure: BTreeSet<Uid>,
    holds_back: bool,
    refused: bool,
    failed: Option<Error>,
}

impl Troubles {
    /// Something failed, or was refused: then the API server's sentence is returned.
    pub(super) fn note(&mut self, doing: &'static str, source: kube::Error) -> Option<String> {
        let said = refusal(&source);
        match &said {
            Some(said) => {
                warn!("{doing} was refused: {said}");
                self.refused = true;
            }
            None => {
                self.failed.get_or_insert(Error::Cluster { doing, source });
            }
        }
        said
    }

    /// A former holder may still be seen: nobody new is shown in this look.
    pub(super) fn hold_back(&mut self, because: Option<Because>) {
        self.holds_back = true;
        if let Some(because) = because {
            self.refused = true;
            self.held_back.get_or_insert(because);
        }
    }

    /// A copy is not as it should be. The first such is told; nobody tells us when what is in its way goes, unless `told`.
    pub(super) fn hinder_copy(&mut self, because: Because, told: bool) {
        self.refused |= !told;
        self.copy.get_or_insert(because);
    }

    /// Whether something failed that is to be tried again.
    pub(super) fn have_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether nobody new may be shown.
    pub(super) fn holds_back(&self) -> bool {
        self.holds_back
    }

    /// How the look ends that would be made again at `next`.
    pub(super) fn end(self, now: Timestamp, next: Option<Timestamp>) -> Result<Done, Error> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let again = (self.refused || !self.withheld.is_empty())
            .then(|| now.checked_add(AGAIN).unwrap_or(Timestamp::MAX));
        Ok(again.into_iter().chain(next).min().map_or(Done::Rest, Done::At))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::domain::{license::tests::at, reason::Reason};

    fn error(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, ..Status::default() }))
    }

    #[test]
    fn what_is_refused_is_tried_again_soon_and_does_not_delay_what_has_its_time() {
        assert_eq!(Troubles::default().end(at(0), None).unwrap(), Done::Rest);
        assert_eq!(Troubles::default().end(at(0), Some(at(90))).unwrap(), Done::At(at(90)));
        let refused = || {
            let mut troubles = Troubles::default();
            assert!(troubles.note("writing", error(403)).is_some());
            troubles
        };
        assert_eq!(refused().end(at(0), None).unwrap(), Done::At(at(30)));
        assert_eq!(refused().end(at(0), Some(at(90))).unwrap(), Done::At(at(30)));
        assert_eq!(refused().end(at(0), Some(at(9))).unwrap(), Done::At(at(9)));
        let mut withheld = Troubles::default();
        withheld.withheld.insert(Uid("ann".into()), Withheld::Taken);
        assert_eq!(withheld.end(at(0), None).unwrap(), Done::At(at(30)));
        let mut held = Troubles::default();
        held.hold_back(Some(Because::new(Reason::SecretRefused, "held")));
        assert!(held.holds_back());
        assert_eq!(held.end(at(0), None).unwrap(), Done::At(at(30)));
    }

    #[test]
    fn the_first_failure_is_the_one_that_the_look_ends_with() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.note("first", error(500)), None);
        assert_eq!(troubles.note("second", error(503)), None);
        troubles.note("third", error(403));
        assert!(!troubles.holds_back());
        let failed = troubles.end(at(0), Some(at(9))).unwrap_err();
        assert_eq!(failed.to_string(), "first failed");
    }
}
