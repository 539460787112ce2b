//! From objects to the domain's types. Pure; after this nobody sees a specification again.

mod seats;
mod signer;

use std::sync::Arc;

use kube::{Resource as _, ResourceExt as _};

use crate::{
    cluster::{
        api::{self, SharedSpec, paused},
        license::{effective, gather::Gathered},
    },
    domain::{
        assignment::Assignment,
        contract::ActivationKey,
        license::{Group, License, Reassign, Uid, Validity},
        reason::{Because, Reason},
        text::Label,
    },
    keys::Signer,
};

pub(super) use seats::{Made, Seats, is_made, made_for_nobody};

/// What a look can go by.
pub(super) enum Validated {
    /// There is no such License.
    Gone,
    /// Its Authority was not looked at yet.
    Wait,
    /// It is to be left as it is.
    Paused,
    /// It cannot be read: nothing is done, and nothing is taken away, until it is edited.
    Unreadable(Because),
    /// It is to be as it says.
    Wanted(Box<Valid>),
}

/// A License with its Seats, ready to decide on.
pub(super) struct Valid {
    pub(super) license: License,
    /// What License and Edition come to, as users are shown it; absent while the Edition cannot be read.
    pub(super) effective: Option<SharedSpec>,
    pub(super) seats: Seats,
    pub(super) assignments: Vec<Assignment>,
    pub(super) signer: Result<Arc<Signer>, Because>,
    /// The keys that its documents were signed with, whether they may sign or not.
    pub(super) keys: Option<Arc<Signer>>,
}

pub(super) fn validate(gathered: &Gathered) -> Validated {
    let Some(license) = &gathered.license else { return Validated::Gone };
    if license.meta().deletion_timestamp.is_some() {
        return Validated::Gone;
    }
    if paused(license.meta()) {
        return Validated::Paused;
    }
    let object = match &license.0 {
        Ok(object) => object,
        Err(invalid) => {
            return Validated::Unreadable(Because::new(
                Reason::InvalidSpec,
                format!("the License cannot be read: {}; correct it", invalid.error),
            ));
        }
    };
    let Some(uid) = object.uid() else { return Validated::Wait };
    let edition = edition(gathered);
    let effective = effective::effective(&object.spec.shared, edition.map(|edition| &edition.spec.shared));
    let license = match parse(gathered, object, Uid(uid), &effective) {
        Ok(license) => license,
        Err(because) => return Validated::Unreadable(because),
    };
    let Some(signer) = signer::signer(gathered, &license) else { return Validated::Wait };
    let keys = gathered.signing.as_ref().and_then(|signing| signing.as_ref().ok()).cloned();
    let living = gathered.readable_assignments().filter(|a| a.metadata.deletion_timestamp.is_none());
    let members = &gathered.members;
    let assignments = living.filter_map(|assignment| seats::assignment(assignment, members));
    let assignments: Vec<Assignment> = assignments.chain(seats::who_asked(&license, members)).collect();
    let resolved = edition.is_some() == license.edition.is_some();
    let effective = resolved.then_some(effective);
    let seats = seats::seats(gathered, &license, &assignments, resolved);
    Validated::Wanted(Box::new(Valid { license, effective, seats, assignments, signer, keys }))
}

/// The name of the License's own Secret.
pub(super) fn secret_name(license: &api::License) -> Option<Label> {
    match &license.spec.secret {
        Some(secret) => Some(secret.name.clone()),
        None => format!("{}-license", license.name_any()).parse().ok(),
    }
}

fn parse(
    gathered: &Gathered,
    object: &api::License,
    uid: Uid,
    effective: &SharedSpec,
) -> Result<License, Because> {
    let spec = &object.spec;
    let validity = spec.validity.clone().unwrap_or_default();
    let secret = secret_name(object).ok_or_else(|| {
        Because::new(Reason::InvalidSpec, "no Secret can be named after this License: set spec.secret.name")
    })?;
    Ok(License {
        key: gathered.key.clone(),
        uid,
        product: spec.product.clone(),
        customer: spec.customer.clone(),
        edition: spec.edition_ref.as_ref().map(|edition| edition.name.clone()),
        authority: effective.authority_ref.as_ref().map(|authority| authority.name.clone()),
        terms: effective::terms(effective),
        seats: spec.seats.0,
        overage_percent: spec.overage.as_ref().map_or(0, |overage| overage.percent.0),
        max_per_user: spec.max_per_user.map(|max| max.0),
        reassign: match &spec.reassign_after {
            None => Reassign::After(0),
            Some(text) => text.seconds().map_or(Reassign::Lease, Reassign::After),
        },
        groups: spec.groups.iter().map(group).collect(),
        enforcement: spec.enforcement.unwrap_or_default(),
        offline: spec.offline.unwrap_or_default(),
        validity: Validity {
            from: validity.from,
            until: validity.until,
            afterwards: validity.afterwards.unwrap_or_default(),
        },
        suspended: spec.suspended,
        sign_in: spec.sign_in.unwrap_or_default(),
        admission: spec.admission.unwrap_or_default(),
        activation_keys: spec.activation_keys.iter().map(activation_key).collect(),
        workloads: spec.workloads.iter().map(|workload| workload.service_account.clone()).collect(),
        workloads_that_see_users: spec
            .workloads
            .iter()
            .filter(|workload| workload.sees_users)
            .map(|workload| workload.service_account.clone())
            .collect(),
        secret,
    })
}

/// The Edition, if the License names one that can be read.
fn edition(gathered: &Gathered) -> Option<&api::Edition> {
    let edition = gathered.edition.as_deref()?.0.as_ref().ok()?;
    edition.metadata.deletion_timestamp.is_none().then_some(edition)
}

fn activation_key(spec: &api::ActivationKeySpec) -> ActivationKey {
    ActivationKey {
        name: spec.name.clone(),
        expires: spec.expires,
        uses: spec.uses.map(|uses| uses.0),
        sees_users: spec.sees_users,
    }
}

fn group(spec: &api::GroupSpec) -> Group {
    Group {
        name: spec.name.clone(),
        seats: spec.seats.map(|seats| seats.0),
        reserved: spec.reserved.map_or(0, |reserved| reserved.0),
        features: spec.features.clone(),
        matches: spec.matches.as_ref().map(|matches| matches.provider_groups.clone()).unwrap_or_default(),
        matches_at: spec.matches.as_ref().and_then(|matches| matches.provider.clone()),
    }
}
