//! A copy is given an activation of its own, where `clones.policy` is `Replace`.
//!
//! It holds a place as a device that was never seen: no Seat is its, and neither is the activation that its state is a copy of.

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
        license::{Holder, Uid},
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
        if Holder::person(&former.holder).is_some() {
            let detail = format!(
                "{} Whose seat it is may sign in there, which activates it as a device of its own.",
                refusal.detail
            );
            return self.fork(met, fork, Refusal::new(refusal.code, detail)).await;
        }
        // A pod's place is its slot's, and its pod must be shown with each call: what is given to a copy would be bound to neither.
        if former.workload.is_some() {
            return self.fork(met, fork, refusal).await;
        }
        if let Some(reply) = self.begun_before(Some(footing.contract), &former.license, &met.call).await? {
            return Ok(Some(reply));
        }
        let (entropy, id) = self.new_id();
        let holder = copy_identity(&id);
        let taken = self.taken(footing.contract, &holder, None, met.now).await?;
        let chain = match begun(met, footing, &taken) {
            Ok(chain) => chain,
            Err(why) => {
                let detail =
                    format!("{} It is given no activation of its own: {}", refusal.detail, why.detail);
                return self.fork(met, fork, Refusal::new(refusal.code, detail)).await;
            }
        };
        let device = Holder::Device { id: met.device.id.clone(), name: met.device.name.clone() };
        // Whoever it was copied from may have a seat; it has none.
        let footing = Footing {
            carries: Carries::default(),
            ground: footing.ground.clone(),
            signer: footing.signer.clone(),
            ..*footing
        };
        let document = footing.sign(&id, &device, &met.device, &entropy)?;
        let activation = Activation {
            id: id.0.clone(),
            license: former.license.clone(),
            holder,
            device: former.device.clone(),
            fingerprint: String::new(),
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

/// [`Holder::identity`] of the copy that is given the activation `id`: it has the fingerprint of the device that it was copied from,
/// and is not that device.
fn copy_identity(id: &Uid) -> String {
    format!("copy:{id}")
}

/// Whether a copy may go on by itself.
fn begun(met: &Met<'_>, footing: &Footing<'_>, taken: &Taken) -> Result<Chain, Refusal> {
    if footing.contract.license.admission == Admission::Listed {
        return Err(Code::DeviceNotListed.into());
    }
    let place = ground::place(footing.contract, taken, met.now);
    chain::activate(&met.call, &Ground { place, ..footing.ground.clone() })
}
