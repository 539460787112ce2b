//! Who or what holds a seat.

use crate::domain::{
    terms::Client,
    text::{DeviceId, DeviceName, Email, ProviderIssuer, Subject},
};

/// Who or what holds a seat. Two seats of one holder are one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A person, by e-mail address.
    Email(Email),
    /// A person, as an identity provider knows them.
    Identity {
        /// The provider.
        issuer: ProviderIssuer,
        /// How it names the person.
        subject: Subject,
    },
    /// A machine, by its fingerprint; its name is for people and does not count.
    Device {
        /// The fingerprint.
        id: DeviceId,
        /// What people call it.
        name: Option<DeviceName>,
    },
    /// A slot of a workload, whichever pod is in it. No Seat is one, and nobody but Usher says which one it is.
    Workload {
        /// The fingerprint that Usher gives it ([`crate::domain::workload::fingerprint`]).
        id: DeviceId,
        /// What people call it.
        name: Option<DeviceName>,
    },
}

impl Holder {
    /// The text that is equal exactly when the holder is the same.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Email(email) => format!("email:{email}"),
            Self::Identity { issuer, subject } => format!("identity:{issuer} {subject}"),
            Self::Device { id, .. } => format!("device:{id}"),
            Self::Workload { id, .. } => format!("workload:{id}"),
        }
    }

    /// The person whose [`Holder::identity`] this is; nothing if it is that of a machine.
    #[must_use]
    pub fn person(identity: &str) -> Option<Self> {
        let (kind, rest) = identity.split_once(':')?;
        match kind {
            "email" => rest.parse().ok().map(Self::Email),
            "identity" => {
                let (issuer, subject) = rest.split_once(' ')?;
                Some(Self::Identity { issuer: issuer.parse().ok()?, subject: subject.parse().ok()? })
            }
            _ => None,
        }
    }

    /// Whether it is a person or a machine.
    #[must_use]
    pub const fn client(&self) -> Client {
        match self {
            Self::Email(_) | Self::Identity { .. } => Client::Users,
            Self::Device { .. } | Self::Workload { .. } => Client::Devices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_read_from_their_identity_and_a_machine_is_none() {
        let ann = Holder::Email("ann@acme.example".parse().unwrap());
        let bob = Holder::Identity {
            issuer: "https://idp.acme.example".parse().unwrap(),
            subject: "1".parse().unwrap(),
        };
        for holder in [ann, bob] {
            assert_eq!(Holder::person(&holder.identity()), Some(holder));
        }
        for other in
            ["device:9f86", "copy:1", "workload:9f86", "email:ann", "identity:https://idp.acme.example", ""]
        {
            assert_eq!(Holder::person(other), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_a_device_does_not_make_it_another_holder() {
        let lab = |name: &str| Holder::Device { id: "9f86".parse().unwrap(), name: name.parse().ok() };
        assert_eq!(lab("Lab 3").identity(), lab("Lab 4").identity());
    }
}
