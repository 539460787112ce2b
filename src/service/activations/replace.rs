//! A copy is given an activation of its own, where `clones.policy` is `Replace`.
//!
//! It holds a place as a device that was never seen: no Seat is its, and neither is the activation that its state is a copy of. On a person's seat
//! it is one more of their devices.

use super::{
    Activations, Failure, Happened, Reply, Runtime,
    answer::given,
    ground::{self, Footing},
    present::{Fork, Met},
};
use crate::{
    domain::{
        chain::{self, Chain, Ground},
        features::Carries,
        license::Holder,
        refusal::{Code, Refusal},
        terms::Admission,
    },
    keys::token,
    ledger::activations::{Activation, Step, Taken},
};

impl<L: Activations> Runtime<L> {
    /// Begins an activation for whoever was told by `refusal` that it is a copy: once for each of its calls. `None` if somebody
    /// else was faster.
    pub(super) async fn replace(
        &self,
        met: &Met<'_>,
        footing: &Footing<'_>,
        fork: Fork,
        refusal: Refusal,
    ) -> Result<Option<Reply>, Failure> {
        let former = &met.living.seen.activation;
        // A pod's place is its slot's, and its pod must be shown with each call: what is given to a copy would be bound to neither.
        if former.workload.is_some() {
            return self.fork(met, fork, refusal).await;
        }
        if let Some(reply) = self.begun_before(Some(footing.contract), &former.license, &met.call).await? {
            return Ok(Some(reply));
        }
        let (entropy, id) = self.new_id();
        let person = Holder::person(&former.holder);
        // It has the fingerprint of the device that it was copied from, and is not that device.
        let copy = format!("copy:{id}");
        let (holder, device) = match &person {
            Some(_) => (former.holder.clone(), Some(copy.as_str())),
            None => (copy.clone(), None),
        };
        let taken = self.taken(footing.contract, &holder, device, met.now).await?;
        let chain = match begun(met, footing, &taken, person.is_some()) {
            Ok(chain) => chain,
            Err(why) => {
                let detail =
                    format!("{} It is given no activation of its own: {}", refusal.detail, why.detail);
                return self.fork(met, fork, Refusal::new(refusal.code, detail)).await;
            }
        };
        let fingerprint = device.unwrap_or_default().to_owned();
        // Of whatever else it was copied from, that may have a seat; it has none.
        let carries = if person.is_some() { taken.carries } else { Carries::default() };
        let own = || Holder::Device { id: met.device.id.clone(), name: met.device.name.clone() };
        let footing =
            Footing { carries, ground: footing.ground.clone(), signer: footing.signer.clone(), ..*footing };
        let document = footing.sign(&id, &person.unwrap_or_else(own), &met.device, &entropy)?;
        let activation = Activation {
            id: id.0.clone(),
            license: former.license.clone(),
            holder,
            device: former.device.clone(),
            fingerprint,
            token: token::hash(&self.token(&id.0)?),
            chain,
            answer: serde_json::to_string(&footing.answer(&id, "active", Some(&document)))?,
            since: met.now,
            workload: None,
            // It has shown that it has that key, too.
            jkt: former.jkt.clone(),
        };
        let step = Step {
            turn: Some(taken.turn),
            given: Some(given(&document)),
            begin: Some(activation.clone()),
            ..fork.step(met, entropy)
        };
        let Some(recorded) = self.record_signed(step, footing.signer()?).await? else { return Ok(None) };
        if recorded.new_fork {
            self.say_forked(met);
        }
        self.news.tell(&met.living.key, Happened::Taken);
        self.reply(Some(footing.contract), &activation, &footing.carries).await.map(Some)
    }
}

/// Whether a copy may go on by itself.
fn begun(met: &Met<'_>, footing: &Footing<'_>, taken: &Taken, on_seat: bool) -> Result<Chain, Refusal> {
    let place = if on_seat {
        ground::device(footing.contract, taken, met.now)
    } else if footing.contract.license.admission == Admission::Listed {
        return Err(Code::DeviceNotListed.into());
    } else {
        ground::place(footing.contract, taken, met.now)
    };
    chain::activate(&met.call, &Ground { place, ..footing.ground.clone() })
}
