//! What a call meets: the License as last reconciled, its signer, and the time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Activations, Answer, Device, Failure, LeaseAnswer, Runtime};
use crate::{
    domain::{
        chain::{
            Ground,
            limits::{self, Limits},
        },
        contract::Contract,
        document,
        features::Carries,
        license::{Holder, Uid},
        refusal::{Code, Refusal},
        terms::{Enforcement, Provisioning},
    },
    keys::Signer,
    ledger::{
        Document,
        activations::{Question, Taken},
    },
    service::issue::{Installation, Subject, issue_if_due},
};

/// What a contract lets be granted at `now`.
pub(super) struct Footing<'a> {
    pub(super) contract: &'a Contract,
    /// What whoever asks carries.
    pub(super) carries: Carries,
    pub(super) signer: Option<Arc<Signer>>,
    pub(super) ground: Ground,
}

impl<L: Activations> Runtime<L> {
    /// The footing of the activation `id`, which `carries` so much; whether there is a place is for whoever asks for one to count.
    pub(super) fn footing<'a>(
        &self,
        contract: &'a Contract,
        (id, carries): (&Uid, &Carries),
        incarnation: u32,
        now: Timestamp,
    ) -> Footing<'a> {
        let license = &contract.license;
        let signer = contract.issuer.as_ref().and_then(|issuer| self.signers.of(issuer));
        let signs = match (&contract.issuer, &signer) {
            (None, _) => Err(Code::LicenseNotReady.into()),
            // Usher has only just begun, and has not looked at the Authority.
            (Some(_), None) => Err(Code::Unavailable.into()),
            (Some(_), Some(_)) => Ok(()),
        };
        let grants = license.grants(now).and(carries.grants()).and(signs);
        let ground = Ground {
            incarnation,
            policy: license.terms.clones.policy,
            now,
            times: document::times(license, id, now),
            grants,
            place: Ok(()),
        };
        Footing { contract, carries: carries.clone(), signer, ground }
    }

    /// What is taken of the License, as the holder of this identity meets it.
    pub(super) async fn taken(
        &self,
        contract: &Contract,
        holder: &str,
        device: Option<&str>,
        now: Timestamp,
    ) -> Result<Taken, Failure> {
        let terms = &contract.license.terms;
        let before =
            |seconds: i64| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        let (transfers, per) = terms.device_transfers.unwrap_or((0, 0));
        let question = Question {
            license: &contract.license.uid,
            holder,
            device,
            now,
            transfers_after: before(per),
            recoveries_after: before(terms.clones.recoveries.1),
            ended_at_most: limits::most_ended(terms.device_transfers),
            at_most: transfers.max(terms.clones.recoveries.0),
        };
        Ok(self.ledger.taken(&question).await?)
    }
}

/// Whether there is a place for one more activation of somebody.
pub(super) fn place(contract: &Contract, taken: &Taken, now: Timestamp) -> Result<(), Refusal> {
    place_beside(contract.kept, contract, taken, now)
}

/// The same of one that the ledger has lost: of the places of which nobody knows whose they were, one was its own.
pub(super) fn place_again(contract: &Contract, taken: &Taken, now: Timestamp) -> Result<(), Refusal> {
    place_beside(contract.kept.saturating_sub(contract.unknown), contract, taken, now)
}

fn place_beside(kept: u32, contract: &Contract, taken: &Taken, now: Timestamp) -> Result<(), Refusal> {
    let license = &contract.license;
    // Whoever has a Seat has the place already.
    let places = if taken.has_seat { 0 } else { taken.places.saturating_add(kept) };
    let limits = Limits {
        provisioning: Provisioning::Floating,
        seats: if taken.has_seat { u32::MAX } else { license.places() },
        devices_per_seat: None,
        transfers: license.terms.device_transfers,
    };
    limits::place(&limits, limits::Taken { places, transfers: &taken.transfers, ended: taken.ended }, now)
}

/// Whether there is a place for one more device of a person who has a seat.
pub(super) fn device(contract: &Contract, taken: &Taken, now: Timestamp) -> Result<(), Refusal> {
    let license = &contract.license;
    let enforced = license.enforcement == Enforcement::Enforce;
    let limits = Limits {
        provisioning: Provisioning::Named,
        seats: license.places(),
        devices_per_seat: license.terms.devices_per_seat.filter(|_| enforced),
        transfers: license.terms.device_transfers,
    };
    limits::place(
        &limits,
        limits::Taken { places: taken.devices, transfers: &taken.transfers, ended: taken.ended },
        now,
    )
}

impl Footing<'_> {
    /// Who signs.
    pub(super) fn signer(&self) -> Result<&Signer, Failure> {
        self.signer.as_deref().ok_or_else(|| Code::Unavailable.into())
    }

    /// The document of an installation, made now.
    pub(super) fn sign(
        &self,
        id: &Uid,
        holder: &Holder,
        device: &Device,
        entropy: &[u8; 32],
    ) -> Result<Document, Failure> {
        let installation = Installation { id: id.clone(), holder: holder.clone(), device: device.id.clone() };
        let carried = self.carries.of_license(&self.contract.license);
        let (subject, signer) = (Subject::Activation(&installation, &carried), self.signer()?);
        let made = issue_if_due(&self.contract.license, subject, signer, None, self.ground.now, entropy)?;
        made.map(|(document, _)| document).ok_or_else(|| Code::Unavailable.into())
    }

    /// What the activation `id` is told, with `document` if the call gives one.
    pub(super) fn answer(&self, id: &Uid, state: &str, document: Option<&Document>) -> Answer {
        let license = &self.contract.license;
        Answer {
            id: id.to_string(),
            state: state.to_owned(),
            license: license.key.to_string(),
            product: license.product.to_string(),
            document: document.map(|document| document.jws.clone()),
            keys: document.map(|document| document.keys_jws.clone()),
            lease: LeaseAnswer::of(&self.ground.times),
        }
    }
}
