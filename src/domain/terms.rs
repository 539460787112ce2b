//! The terms of a License: what the License, its Edition and Usher's own defaults come to.
//!
//! ```text
//!   License says ──► else its Edition ──► else Usher's default        features: merged by name, `enabled: false` takes out
//! ```
//!
//! An absent limit means that there is none.

use serde::{Deserialize, Serialize};

use crate::domain::{duration::Ttl, text::FeatureName};

/// Declares words that users write, in one place for the domain, serde and the schema.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(
                Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
            )]
            #[schemars(inline)]
            pub enum $name {
                $($(#[$variant_doc])* $variant,)*
            }

            impl $name {
                /// The word.
                #[must_use]
                pub const fn as_str(self) -> &'static str {
                    match self {
                        $(Self::$variant => stringify!($variant),)*
                    }
                }
            }

            impl std::str::FromStr for $name {
                type Err = $crate::domain::text::InvalidText;
                fn from_str(text: &str) -> Result<Self, Self::Err> {
                    const WORDS: &[$name] = &[$($name::$variant),*];
                    let known = WORDS.iter().find(|word| word.as_str() == text).copied();
                    known.ok_or($crate::domain::text::InvalidText {
                        what: stringify!($name),
                        message: concat!("must be one of" $(, " ", stringify!($variant))*).into(),
                    })
                }
            }
        )*
    };
}

words! {
    /// How a License is provided.
    Provisioning {
        /// Seats are held by name.
        #[default]
        Named,
        /// There are no Seats: `seats` counts activations.
        Floating,
    }
    /// Who may hold a seat.
    Client {
        /// People.
        #[default]
        Users,
        /// Machines.
        Devices,
    }
    /// When an installation is activated.
    ActivationTime {
        /// With the seat: not there yet.
        OnCreation,
        /// When the program first asks.
        #[default]
        OnFirstUse,
    }
    /// What becomes of an installation whose nonce was used twice.
    ClonePolicy {
        /// The first to refresh lives; the other is refused.
        #[default]
        Refuse,
        /// Neither is renewed until somebody decides.
        Quarantine,
        /// The other becomes an activation of its own, if the limits allow.
        Replace,
    }
    /// Whether limits are enforced.
    Enforcement {
        /// What a limit forbids is refused.
        #[default]
        Enforce,
        /// What a limit forbids is granted, marked and counted.
        Advise,
    }
    /// Who takes a seat by signing in.
    SignIn {
        /// Nobody.
        #[default]
        None,
        /// Members of assignments and groups.
        Members,
        /// Everybody with a verified address.
        Verified,
    }
    /// Which devices may activate.
    Admission {
        /// Any.
        #[default]
        Open,
        /// Those that a Seat or a bulk call names.
        Listed,
    }
    /// Whether documents are good without asking again in time.
    Offline {
        /// Documents are accepted for `offlineGrace` after their lease.
        #[default]
        Allowed,
        /// Documents are accepted for their lease and no longer.
        Forbidden,
    }
    /// Whether devices without a browser may be signed in from another one, by a code that somebody types.
    DeviceCodes {
        /// By no code: in a browser on the same machine.
        #[default]
        Forbidden,
        /// Who has the code signs in for the device that shows it.
        Allowed,
    }
    /// How often a quota is filled again.
    Per {
        /// Each hour, UTC.
        Hour,
        /// Each day, UTC.
        #[default]
        Day,
        /// Each month, UTC.
        Month,
    }
    /// What happens at the end of validity.
    Afterwards {
        /// Documents say `expired` and grant nothing.
        #[default]
        Stop,
        /// Everything goes on; the License says so.
        Warn,
    }
}

/// A feature of the product that the License grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: FeatureName,
    /// At most so many at once.
    pub pool: Option<u32>,
    /// At most so many per period.
    pub quota: Option<(u32, Per)>,
    /// At most so many seats carry it.
    pub seats: Option<u32>,
}

/// How long documents are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Until the client must have asked again.
    pub ttl: Ttl,
    /// How many seconds longer a verifier may accept the document.
    pub offline_grace: i64,
}

impl Default for Lease {
    /// A day, and three more offline.
    fn default() -> Self {
        Self { ttl: Ttl::Seconds(24 * 3_600), offline_grace: 72 * 3_600 }
    }
}

/// The limits of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// So many at once for one user.
    pub per_user: Option<u32>,
    /// So many at once in all.
    pub total: Option<u32>,
    /// Seconds without a heartbeat after which a session has ended.
    pub ttl: i64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { per_user: None, total: None, ttl: 300 }
    }
}

/// What becomes of clones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clones {
    /// Of an installation whose nonce was used twice.
    pub policy: ClonePolicy,
    /// How often an installation that lost its state may activate again, and in how many seconds.
    pub recoveries: (u32, i64),
}

impl Default for Clones {
    /// Three recoveries in thirty days.
    fn default() -> Self {
        Self { policy: ClonePolicy::Refuse, recoveries: (3, 30 * 24 * 3_600) }
    }
}

/// What License and Edition come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Named or floating.
    pub provisioning: Provisioning,
    /// Who may hold a seat; both if absent.
    pub client: Option<Client>,
    /// Devices on which one seat is active.
    pub devices_per_seat: Option<u32>,
    /// How long documents are good.
    pub lease: Lease,
    /// The limits of sessions.
    pub sessions: Sessions,
    /// What is granted.
    pub features: Vec<Feature>,
    /// What becomes of clones.
    pub clones: Clones,
    /// How often a holder's activations may go from one device to another, and in how many seconds.
    pub device_transfers: Option<(u32, i64)>,
}
