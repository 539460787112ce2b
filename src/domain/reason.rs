//! The closed list of reasons. A reason is the `reason` of a condition and of an event, word for word;
//! the sentence beside it is the one that people read.

/// A reason and its sentence: why something is so, and what to do if it should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The word.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

impl Because {
    /// `reason`, said as `message`.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Why something is as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])* $name,)*
        }

        impl Reason {
            /// All of them, each with its documentation.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, concat!($($doc),*)),)*];

            /// The word that users see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// The document is signed and in its Secret.
    Issued,
    /// The License's `validity.until` has passed, and `afterwards: Warn` lets everything go on.
    Overdue,
    /// The License's `validity.from` lies ahead.
    NotYetValid,
    /// `suspended: true`.
    Suspended,
    /// The License's `validity.until` has passed.
    Expired,
    /// The Seat holds a seat.
    Bound,
    /// The address that holds the Seat is somebody else's now, who waits until an administrator has decided.
    HolderChanged,
    /// All seats are taken; the Seat waits.
    NoFreeSeat,
    /// A nonce was used twice: two copies of an activation are out there.
    CloneSeen,
    /// The License admits only devices that a Seat names, and others have asked.
    DeviceAsked,
    /// The License's `seats` was lowered, and the Seat lost its seat.
    LimitLowered,
    /// Another Seat stands for the same holder.
    Duplicate,
    /// The `licenseRef` names no License in its namespace.
    LicenseNotFound,
    /// The License could not be read or its references do not resolve; the Seat stands as it stood.
    LicenseStalled,
    /// `authorityRef` names no Authority.
    AuthorityNotFound,
    /// The Authority has no usable keys yet.
    AuthorityNotReady,
    /// The Authority does not sign for this namespace or product.
    AuthorityNotAllowed,
    /// A Secret of the wanted name is not ours, or belongs to another License or Seat.
    SecretNameTaken,
    /// The specification cannot be understood.
    InvalidSpec,
    /// The keys are made and the key set is published.
    Published,
    /// Another Authority, or IdentityProvider, has the same issuer.
    IssuerTaken,
    /// A key that this Authority once made is gone.
    KeyMissing,
    /// A key of this Authority is not the one that it once made, or cannot be read.
    KeyChanged,
    /// Usher has no rights on Secrets in the namespace, or in one that is to have a copy, or that one is not there.
    NamespaceNotGranted,
    /// `editionRef` names no Edition that can be read.
    EditionNotFound,
    /// A License that was first seen as Named is Floating now, or the other way round.
    ProvisioningChanged,
    /// Seats are held beyond a number that the License says: its overage, or limits that only advise.
    OverLimit,
    /// All seats of the user's group are taken; the Seat waits.
    GroupFull,
    /// Seats are free, and kept for groups that have not filled their reserves; the Seat waits.
    Reserved,
    /// The next seat was freed, or may have been before the ledger was lost, and is not given to somebody else before `reassignAfter`; the Seat waits.
    Cooling,
    /// The user holds as many seats of the product as `maxPerUser` allows, under other Licenses.
    MaxPerUser,
    /// The License is Floating: its places are taken by devices and workloads, not by Seats.
    LicenseFloating,
    /// The License is for users and the holder is a device, or the other way round.
    HolderNotAllowed,
    /// `group` names no group of the License.
    GroupNotFound,
    /// There is no IdentityProvider of the name that `groups` gives.
    ProviderNotFound,
    /// People of the IdentityProvider do not count in this namespace.
    ProviderNotAllowed,
    /// The users of the UserAssignment have their Seats.
    Assigned,
    /// Another Authority has the same key.
    KeyTaken,
    /// The Authority's root key is kept outside and has to sign a key set.
    RootNeeded,
    /// `spec.root` names another root key than the one that this Authority has.
    RootChanged,
    /// The key set that was brought from outside is not the one that was asked for.
    KeySetRefused,
    /// A key was named for revocation that this Authority never had.
    KeyUnknown,
    /// A new signing key is published; it signs later.
    KeyAnnounced,
    /// A new key signs from now on.
    KeyRotated,
    /// A signing key was revoked: documents under it are made anew.
    KeyRevoked,
    /// A Secret or a status cannot be written, or a Secret not removed: a quota, a policy, a size, a finalizer.
    SecretRefused,
    /// A ConfigMap of the name under which an Authority's keys are published is not ours.
    ConfigMapNameTaken,
    /// The ledger is gone, or not what the cluster remembers of it: older, or with another history.
    LedgerMissing,
    /// The ledger belongs to another cluster.
    LedgerForeign,
    /// The identity provider was asked, and answers as it should: people can sign in there.
    Discovered,
    /// The identity provider does not answer as it should.
    ProviderAway,
    /// A domain of the IdentityProvider belongs to another one, which was there first.
    DomainTaken,
    /// The Secret that `clientSecretRef` names is not there, or is not one of client secrets, or has no such entry.
    ClientSecretMissing,
    /// The ledger was lost or restored, and was made true again from what is declared and from the Secrets.
    LedgerRebuilt,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_camel_case_word_with_a_sentence() {
        assert_eq!(Reason::NoFreeSeat.to_string(), "NoFreeSeat");
        for (reason, doc) in Reason::ALL {
            let word = reason.to_string();
            assert!(
                word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric),
                "{word}"
            );
            assert!(doc.trim().ends_with('.'), "{reason}: {doc}");
        }
    }
}
