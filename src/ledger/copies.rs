//! Copies of a License's Secret, in other namespaces than its own.

use crate::domain::license::{Key, Uid};

/// A copy of a License's Secret that there is, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyClaim {
    /// Where it lies.
    pub secret: Key,
    /// It is no longer wanted, and not yet known to be gone.
    pub removing: bool,
}

/// What a change does about copies of a License's Secret in other namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// To claim.
    pub claim: Vec<Key>,
    /// No longer wanted.
    pub release: Vec<Key>,
    /// Known to be gone.
    pub settle: Vec<Key>,
}

impl Copies {
    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { claim, release, settle } = self;
        claim.is_empty() && release.is_empty() && settle.is_empty()
    }
}

/// A Secret that belongs, or belonged, to a License or one of its Seats. Its namespace is the License's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretClaim {
    /// Its name.
    pub name: String,
    /// The License or Seat whose document it holds.
    pub subject: Uid,
    /// It is no longer wanted, and not yet known to be gone.
    pub removing: bool,
}
