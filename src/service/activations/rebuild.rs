//! What the ledger has lost: an activation is rebuilt from what its client has left of it, and a nonce may prove a restore that nobody
//! has noticed.

use super::{Activations, Device, Failure, Happened, Runtime, Wish};
use crate::{
    domain::{
        chain::{Chain, Presented},
        contract::Contract,
        license::{Holder, Key, Uid},
        refusal::Code,
    },
    ledger::activations::Recorded,
    service::issue::activation_of,
};
use jiff::Timestamp;

/// What a client has of an activation that the server does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Its last nonce.
    pub nonce: String,
    /// Its last document.
    pub document: String,
}

/// An activation that is not in the ledger, although we have given its document.
pub(super) struct Lost {
    pub(super) id: Uid,
    /// What its nonce is.
    pub(super) presented: Presented,
    /// The last instant of its document.
    pub(super) until: Timestamp,
}

impl Lost {
    /// Whether it had a place until now.
    pub(super) fn had_a_place(&self, now: Timestamp) -> bool {
        matches!(self.presented, Presented::Genuine(_)) && now <= self.until
    }
}

impl<L: Activations> Runtime<L> {
    /// What was lost, if `wish` has its remains and they are genuine, and of this holder's device. One that is known was not lost: its device is activated like
    /// any other.
    pub(super) async fn lost(
        &self,
        contract: &Contract,
        wish: &Wish,
        (holder, device): (&Holder, &Device),
    ) -> Result<Option<Lost>, Failure> {
        let (Some(remains), Some(issuer)) = (&wish.lost, &contract.issuer) else { return Ok(None) };
        let Some(signer) = self.signers.of(issuer) else { return Err(Code::Unavailable.into()) };
        let Some((id, until)) =
            activation_of(&contract.license, (holder, &device.id), &signer, &remains.document)
        else {
            return Ok(None);
        };
        let presented = self.nonces()?.read(&id.0, &remains.nonce);
        let is_known = self.ledger.activation(&id.0).await?.is_some();
        Ok((!is_known).then_some(Lost { id, presented, until }))
    }

    /// Whoever leads is told that the ledger has begun another life.
    pub(super) fn say_risen(&self, key: &Key, recorded: &Recorded) {
        if recorded.new_incarnation {
            self.news.tell(key, Happened::Restored);
        }
    }
}

/// The incarnation that begins with `chain`, if the ledger is not as far.
pub(super) fn risen(chain: &Chain, known: u32) -> Option<u32> {
    Some(chain.head.incarnation).filter(|incarnation| *incarnation > known)
}
