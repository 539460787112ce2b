//! The resources, `usher.dev/v1alpha1`: exactly what users write and read.
//!
//! Texts carry their rules with them (see [`crate::domain::text`]); rules that join several fields are CEL, each with a
//! sentence that says what to write instead. An absent field means Usher's own default.

mod assignment;
mod authority;
mod bounds;
mod condition;
mod edition;
mod identity_provider;
mod license;
mod rotation;
mod seat;
mod shared;

pub use assignment::{
    GroupRef, UserAssignment, UserAssignmentSpec, UserAssignmentStatus, UserCounts, WaitingUser,
};
pub use authority::{
    AllowedNamespaces, Authority, AuthoritySpec, AuthorityStatus, KeyState, KeyStatus, LabelValue,
    NamespacesFrom, ReissuingStatus, Selector,
};
pub use bounds::{Count, GraceText, ReassignText, ReauthenticateText, RecoveryWindow, SessionTtl, TtlText};
pub(crate) use condition::seconds;
pub use condition::{Condition, Conditions, Type};
pub use edition::{Edition, EditionSpec};
pub use identity_provider::{
    CertificateStatus, ClaimsSpec, EntryRef, IdentityProvider, IdentityProviderSpec, IdentityProviderStatus,
    LeavingBy, LeavingStatus, OidcSpec, SamlSpec,
};
pub use license::{
    ActivationKeySpec, AskingDevice, GroupSpec, License, LicenseSpec, LicenseStatus, MatchSpec, OverageSpec,
    SeatCounts, SecretName, SecretSpec, SessionCounts, ValiditySpec,
};
pub(crate) use rotation::schedule;
pub use rotation::{EveryText, OverlapText, RotationSpec};
pub use seat::{
    DeviceSpec, HolderSpec, IdentitySpec, Seat, SeatSpec, SeatState, SeatStatus, UserSpec, WaitingStatus,
};
pub use shared::{
    ClonesSpec, FeatureSpec, LeaseSpec, QuotaSpec, Reference, SessionsSpec, SharedSpec, WindowedSpec,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt as _, api::ObjectMeta};

/// The API group and version.
pub const API_VERSION: &str = "usher.dev/v1alpha1";
/// The field manager of everything that Usher applies.
pub const MANAGER: &str = "usher";
/// On an object: Usher leaves it as it is.
pub const PAUSED: &str = "usher.dev/paused";

/// On an Authority: a wish for a new signing key; each new text is acted upon once.
pub const ROTATE_KEY: &str = "usher.dev/rotate-key";
/// On an Authority: the thumbprints of signing keys that are in wrong hands, with commas.
pub const REVOKE_KEYS: &str = "usher.dev/revoke-keys";

/// Whether an object is to be left as it is.
#[must_use]
pub fn paused(meta: &ObjectMeta) -> bool {
    meta.annotations.as_ref().is_some_and(|a| a.get(PAUSED).is_some_and(|value| value != "false"))
}

/// The custom resource definitions, in the order in which they are written.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        Authority::crd(),
        Edition::crd(),
        IdentityProvider::crd(),
        License::crd(),
        Seat::crd(),
        UserAssignment::crd(),
    ]
}
