//! A pod: it activates by its service account's token, in the slot that is its own ([`crate::domain::workload`]), and shows that token with each later call.
//!
//! ```text
//!   TokenReview: which service account, bound to which pod ──► named by the License? ──► what owns the pod (API server)
//!     ──► what the owner holds (ledger) ──► which pods are there (API server, after that) ──► the slot ──► record, in the turn of what is held
//! ```
//!
//! What is held is read before the pods are listed: so a pod that has activated is in the list, or gone. Whoever begins meanwhile has taken the turn, and all is
//! asked again.

use super::{
    Activations, Asked, Device, Failure, Proof, Reply, Runtime, TRIES, Wish,
    activate::{Beginning, Begun, Superseded},
    crowded, digest, ground, license_named,
};
use crate::{
    domain::{
        chain::{self, Chain, Operation},
        contract::Contract,
        features::Carries,
        license::{Holder, Key, Uid},
        refusal::{Code, Refusal},
        terms::Client,
        workload::{self, Account, Held, Pod, PodName, Slot, Speaker, Way},
    },
    keys::token::Credential,
    ledger::activations::{Living, Seen, Slotted, Workplace},
    service::callers::{Known, Placed},
};

/// Who speaks for an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Voice {
    /// Whoever made it.
    Own,
    /// The pod that came after the one that made it.
    Successor(Uid),
    /// Another pod, while the one that made it is there.
    Copy,
}

impl<L: Activations> Runtime<L> {
    /// Activates the pod to which a service account's token is bound.
    pub(super) async fn activate_as_workload(
        &self,
        asked: &Asked<'_>,
        wish: &Wish,
        unproven_audiences: &[String],
    ) -> Result<Reply, Failure> {
        self.may_answer()?;
        let key = license_named(&wish.license)?;
        let known = self.known(asked.token, unproven_audiences, &self.signers.issuers()).await?;
        let account = account(&known, &key)?;
        let (mut turn, mut placed): (_, Option<Placed>) = (None, None);
        for _ in 0..TRIES {
            let owner = placed.as_ref().map(|placed| placed.owner.identity()).unwrap_or_default();
            let found = self.ledger.workplace(&key, &owner).await?;
            let found = found.ok_or_else(|| not_named(&account, &key))?;
            let Some(contract) = &found.contract else { return Err(Code::LicenseNotReady.into()) };
            may_run(contract, &account)?;
            if contract.license.terms.client == Some(Client::Users) {
                return Err(Code::DeviceNotAllowed.into());
            }
            let Some(placed) = &placed else {
                let pod = PodName::of(account.clone(), &known.extra).ok_or(Code::TokenUnbound)?;
                placed = Some(self.callers.placed(&pod).await?.ok_or_else(gone)?);
                turn = Some(self.workload_lanes.turn_at(&found.license).await);
                // Others have gone before us meanwhile.
                continue;
            };
            if let Some(reply) = self.try_as_workload(asked, wish, (&key, &found, contract), placed).await? {
                return Ok(reply);
            }
        }
        drop(turn);
        Err(crowded())
    }

    /// `None` if somebody else was faster.
    async fn try_as_workload(
        &self,
        asked: &Asked<'_>,
        wish: &Wish,
        (key, found, contract): (&Key, &Workplace, &Contract),
        Placed { owner, pod }: &Placed,
    ) -> Result<Option<Reply>, Failure> {
        let caller = digest(&[b"workload", key.namespace.as_bytes(), pod.uid.0.as_bytes()]);
        let call = self.call(Operation::Activate, caller, asked);
        if let Some(reply) = self.begun_before(Some(contract), &found.license, &call).await? {
            return Ok(Some(reply));
        }
        let held: Vec<Held> = found.held.iter().filter_map(of_slot).collect();
        let account = Account { namespace: key.namespace.clone(), name: owner.account.clone() };
        let there = self.pods_beside(pod, &held, &account).await?;
        let (slot, way) = workload::slot(owner.kind, pod, &there, &held);
        if way == Way::Fork {
            return Err(Code::PodActive.into());
        }
        let owner_text = owner.identity();
        let id = workload::fingerprint(&key.namespace, &owner_text, &slot).ok_or(Code::Unavailable)?;
        let device = device(wish, pod, id);
        let holder = Holder::Workload { id: device.id.clone(), name: device.name.clone() };
        let now = self.edge.now();
        let (entropy, new) = self.new_id();
        let mut footing = self.footing(contract, (&new, &Carries::default()), found.incarnation, now);
        let mates = mates(found, &slot);
        if !mates.iter().any(|(_, chain)| chain::as_of(chain, now).holds_place()) {
            let taken = self.taken(contract, &holder.identity(), None, now).await?;
            let lost = self.lost(contract, wish, (&holder, &device)).await?;
            let had_one = lost.is_some_and(|lost| lost.had_a_place(now));
            let place = if had_one { ground::place_again } else { ground::place };
            footing.ground.place = place(contract, &taken, now);
        }
        let superseded = mates.into_iter().filter(|(seen, _)| {
            let speaks = |slotted: &Slotted| workload::speaker(owner.kind, &slotted.pod, pod, &there);
            seen.activation.workload.as_ref().is_some_and(|slotted| speaks(slotted) != Speaker::Copy)
        });
        let superseded = superseded.filter_map(|(seen, chain)| {
            let chain = chain::end(chain, chain::Why::Superseded)?;
            Some(Superseded { seen: seen.clone(), chain, counts: false })
        });
        let begun = Begun {
            superseded: superseded.collect(),
            ..Begun::anew(chain::activate(&call, &footing.ground)?)
        };
        self.begin(Beginning {
            begun,
            key,
            turn: found.turn,
            incarnation: found.incarnation,
            footing: &footing,
            id: new,
            entropy,
            holder,
            fingerprint: String::new(),
            device: &device,
            by_key: None,
            pin: None,
            workload: Some(Slotted { owner: owner_text, slot, pod: pod.uid.clone() }),
            possession: asked.possession,
        })
        .await
    }

    /// The pods that are there, if any but `own` holds something.
    async fn pods_beside(&self, own: &Pod, held: &[Held], account: &Account) -> Result<Vec<Pod>, Failure> {
        if held.iter().all(|held| held.pod == own.uid) {
            return Ok(Vec::new());
        }
        Ok(self.callers.pods(account).await?)
    }

    /// Who speaks for `living`. Of a workload's activation that is asked with each call, for its token may be copied with its state: `goes_on` if the call is
    /// of use to whoever runs, and not to end it.
    pub(super) async fn voice(
        &self,
        living: &Living,
        proof: &Proof<'_>,
        goes_on: bool,
    ) -> Result<Voice, Failure> {
        let Some(slotted) = &living.seen.activation.workload else { return Ok(Voice::Own) };
        let token = proof.workload.ok_or(Code::WorkloadTokenMissing)?;
        let Some(Credential::Kubernetes { unproven_audiences }) = Credential::of(token) else {
            return Err(Code::Unauthorized.into());
        };
        let known = self.known(token, &unproven_audiences, &self.signers.issuers()).await?;
        let account = account(&known, &living.key)?;
        if let Some(contract) = living.contract.as_ref().filter(|_| goes_on) {
            may_run(contract, &account)?;
        }
        let name = PodName::of(account.clone(), &known.extra).ok_or(Code::TokenUnbound)?;
        if name.uid == slotted.pod {
            return Ok(Voice::Own);
        }
        let Placed { owner, pod } = self.callers.placed(&name).await?.ok_or_else(gone)?;
        if owner.identity() != slotted.owner {
            let detail = "The service account's token is of another workload than this activation.";
            return Err(Refusal::new(Code::Unauthorized, detail).into());
        }
        let there = self.callers.pods(&account).await?;
        Ok(match workload::speaker(owner.kind, &slotted.pod, &pod, &there) {
            Speaker::Itself | Speaker::Successor => Voice::Successor(pod.uid),
            Speaker::Copy => Voice::Copy,
        })
    }

    /// Whether there is a place for an activation of a workload that has lapsed, and the turn in which that was counted.
    pub(super) async fn place_in_slot(
        &self,
        living: &Living,
        contract: &Contract,
        slotted: &Slotted,
    ) -> Result<(Result<(), Refusal>, i64), Failure> {
        let (activation, now) = (&living.seen.activation, self.edge.now());
        let found = self.ledger.workplace(&living.key, &slotted.owner).await?;
        let found = found.filter(|found| found.license == activation.license);
        let found = found.ok_or(Code::ActivationEnded)?;
        let mut others =
            mates(&found, &slotted.slot).into_iter().filter(|(seen, _)| seen.activation.id != activation.id);
        if others.any(|(_, chain)| chain::as_of(chain, now).holds_place()) {
            return Ok((Ok(()), found.turn));
        }
        let taken = self.taken(contract, &activation.holder, None, now).await?;
        Ok((ground::place(contract, &taken, now), found.turn))
    }
}

/// The service account, if it may be one of the License's at all: references stay within the namespace.
fn account(known: &Known, license: &Key) -> Result<Account, Refusal> {
    let none = || Refusal::new(Code::Unauthorized, "The token is of no service account.");
    let account = Account::of(&known.name).ok_or_else(none)?;
    if account.namespace == license.namespace {
        return Ok(account);
    }
    let detail = format!(
        "The service account {} is of the namespace {}, and the License of {}.",
        account.name, account.namespace, license.namespace
    );
    Err(Refusal::new(Code::WorkloadElsewhere, detail))
}

fn may_run(contract: &Contract, account: &Account) -> Result<(), Refusal> {
    let license = &contract.license;
    let is_named = license.workloads.iter().any(|named| named.as_str() == account.name);
    if is_named { Ok(()) } else { Err(not_named(account, &license.key)) }
}

/// The same whether there is such a License or not.
fn not_named(account: &Account, license: &Key) -> Refusal {
    let detail = format!("No License {license} names the service account {}.", account.name);
    Refusal::new(Code::WorkloadNotNamed, detail)
}

fn gone() -> Refusal {
    Refusal::new(Code::Unauthorized, "The pod to which the token is bound is gone.")
}

fn of_slot(seen: &Seen) -> Option<Held> {
    let Slotted { slot, pod, .. } = seen.activation.workload.as_ref()?;
    Some(Held { slot: slot.clone(), pod: pod.clone() })
}

/// What is held of one slot.
fn mates<'a>(found: &'a Workplace, slot: &Slot) -> Vec<(&'a Seen, &'a Chain)> {
    let of_it = |seen: &&Seen| seen.activation.workload.as_ref().is_some_and(|slotted| slotted.slot == *slot);
    found.held.iter().filter(of_it).map(|seen| (seen, &seen.activation.chain)).collect()
}

/// The installation, as people see it; its fingerprint is not the client's to choose.
fn device(wish: &Wish, pod: &Pod, id: crate::domain::text::DeviceId) -> Device {
    let said = wish.device.clone();
    let called = said.as_ref().and_then(|device| device.name.clone()).or_else(|| pod.name.parse().ok());
    Device {
        id,
        name: called,
        os_user: said.as_ref().and_then(|device| device.os_user.clone()),
        hostname: said.as_ref().and_then(|device| device.hostname.clone()),
        os: said.and_then(|device| device.os),
    }
}

#[cfg(test)]
mod tests;
