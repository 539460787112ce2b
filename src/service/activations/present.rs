//! A nonce is used: for the state of an activation, or for a new document.

use jiff::Timestamp;

use super::{
    Activations, Answer, Asked, Device, Failure, Happened, Proof, Reply, Runtime, TRIES, answer::given,
    crowded, digest, ground, rebuild::risen, settled, workload::Voice,
};
use crate::{
    domain::{
        chain::{self, Call, Chain, Operation, Position, Verdict},
        license::{Holder, Uid},
        refusal::{Code, Refusal},
    },
    keys::token,
    ledger::activations::{Activation, Advance, Living, Step},
};

/// What is known of an activation when it is asked for.
pub(super) struct Met<'a> {
    pub(super) living: &'a Living,
    pub(super) device: Device,
    id: Uid,
    pub(super) call: Call,
    pub(super) now: Timestamp,
    /// Of a workload: the pod that has it from now on, if that is another one.
    pod: Option<Uid>,
}

impl<L: Activations> Runtime<L> {
    /// Uses `nonce` for `operation`: the reply has the next one.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn present(
        &self,
        id: &str,
        nonce: &str,
        operation: Operation,
        asked: &Asked<'_>,
    ) -> Result<Reply, Failure> {
        let caller = digest(&[b"activation", id.as_bytes()]);
        let call = self.call(operation, caller, asked);
        for _ in 0..TRIES {
            let living = self.of_token(id, &asked.proof()).await?;
            let voice = self.voice(&living, &asked.proof(), true).await?;
            if let Some(reply) = self.try_to_present(&living, voice, nonce, call).await? {
                return Ok(reply);
            }
        }
        Err(crowded())
    }

    /// Whether `nonce` is the one to use next. Changes nothing.
    ///
    /// # Errors
    /// When it is not, or Usher cannot answer now.
    pub async fn check(&self, id: &str, nonce: &str, proof: &Proof<'_>) -> Result<Reply, Failure> {
        let living = self.own(id, proof, true).await?;
        let activation = &living.seen.activation;
        chain::check(&activation.chain, self.nonces()?.read(id, nonce))?;
        if living.contract.is_none() {
            return Err(Code::LicenseNotReady.into());
        }
        let body = serde_json::to_string(&stands(activation)?)?;
        Ok(Reply { nonce: nonce.to_owned(), body, begun: None })
    }

    /// The activation `id`, if `proof` is its own. `goes_on` if the call is of use to whoever runs, and not to end it.
    pub(super) async fn own(&self, id: &str, proof: &Proof<'_>, goes_on: bool) -> Result<Living, Failure> {
        let living = self.of_token(id, proof).await?;
        match self.voice(&living, proof, goes_on).await? {
            Voice::Own | Voice::Successor(_) => Ok(living),
            Voice::Copy => Err(Code::PodActive.into()),
        }
    }

    /// The activation `id`, if the token is its own, and so is the key if it is bound to one. Whether there is such an activation is told to nobody else.
    async fn of_token(&self, id: &str, proof: &Proof<'_>) -> Result<Living, Failure> {
        self.may_answer()?;
        let living = self.activation(id).await?;
        let own = living.filter(|living| token::matches(proof.token, &living.seen.activation.token));
        let own = own.ok_or(Code::Unauthorized)?;
        self.has_key(own.seen.activation.jkt.as_ref(), proof)?;
        Ok(own)
    }

    /// `None` if somebody else was faster.
    async fn try_to_present(
        &self,
        living: &Living,
        voice: Voice,
        nonce: &str,
        call: Call,
    ) -> Result<Option<Reply>, Failure> {
        let Some(contract) = &living.contract else { return Err(Code::LicenseNotReady.into()) };
        let activation = &living.seen.activation;
        let met = Met {
            living,
            device: serde_json::from_str(&activation.device)?,
            id: Uid(activation.id.clone()),
            call,
            now: self.edge.now(),
            pod: match &voice {
                Voice::Successor(pod) => Some(pod.clone()),
                Voice::Own | Voice::Copy => None,
            },
        };
        let mut footing = self.footing(contract, (&met.id, &living.carries), living.incarnation, met.now);
        let (chain, mut turn) = (chain::as_of(&activation.chain, met.now), None);
        if let (chain::State::Lapsed, Some(slotted)) = (chain.state, &activation.workload) {
            let (place, counted) = self.place_in_slot(living, contract, slotted).await?;
            (footing.ground.place, turn) = (place, Some(counted));
        } else if chain.state == chain::State::Lapsed {
            let of_person = Some(activation.fingerprint.as_str()).filter(|device| !device.is_empty());
            let taken = self.taken(contract, &activation.holder, of_person, met.now).await?;
            footing.ground.place = match of_person {
                Some(_) => ground::device(contract, &taken, met.now),
                None => ground::place(contract, &taken, met.now),
            };
            turn = Some(taken.turn);
        }
        let presented = self.nonces()?.read(&activation.id, nonce);
        let verdict = match voice {
            Voice::Copy => chain::copied(&chain, presented, Code::PodActive, footing.ground.policy),
            Voice::Own | Voice::Successor(_) => chain::present(&chain, presented, &met.call, &footing.ground),
        };
        match verdict {
            Verdict::Go { after, .. } => self.go(&met, &footing, after, turn).await,
            Verdict::Again => Ok(Some(Reply {
                nonce: self.nonces()?.nonce(&activation.id, activation.chain.head),
                body: activation.answer.clone(),
                begun: None,
            })),
            Verdict::Fork { at, after, replace, refusal } => {
                let fork = Fork { at, changed: (after.state != activation.chain.state).then_some(after) };
                if replace {
                    self.replace(&met, &footing, fork, refusal).await
                } else {
                    self.fork(&met, fork, refusal).await
                }
            }
            Verdict::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn go(
        &self,
        met: &Met<'_>,
        footing: &ground::Footing<'_>,
        after: Chain,
        turn: Option<i64>,
    ) -> Result<Option<Reply>, Failure> {
        let Living { seen, key, .. } = met.living;
        let entropy = self.edge.entropy();
        let device = || Holder::Device { id: met.device.id.clone(), name: met.device.name.clone() };
        let holder = Holder::person(&seen.activation.holder).unwrap_or_else(device);
        let document = match met.call.operation {
            Operation::Refresh => Some(footing.sign(&met.id, &holder, &met.device, &entropy)?),
            Operation::State | Operation::Activate => None,
        };
        let mut answer = footing.answer(&met.id, word(&after), document.as_ref());
        if document.is_none() {
            answer.lease = stands(&seen.activation)?.lease;
        }
        let body = serde_json::to_string(&answer)?;
        let nonce = self.nonces()?.nonce(&seen.activation.id, after.head);
        let step = Step {
            turn,
            incarnation: risen(&after, met.living.incarnation),
            advance: Some(Advance {
                answer: Some(body.clone()),
                pod: met.pod.clone(),
                ..Advance::new(seen.activation.id.clone(), seen.version, after)
            }),
            given: document.as_ref().map(given),
            ..Step::new(seen.activation.license.clone(), key.clone(), met.now, entropy)
        };
        let recorded = match &footing.signer {
            Some(signer) => self.record_signed(step, signer).await?,
            None => settled(self.ledger.record(step).await)?,
        };
        let Some(recorded) = recorded else { return Ok(None) };
        self.say_risen(key, &recorded);
        Ok(Some(Reply { nonce, body, begun: None }))
    }

    /// Tells of a fork that is new.
    pub(super) fn say_forked(&self, met: &Met<'_>) {
        let contract = met.living.contract.as_ref();
        self.news.forked(contract.map(|contract| contract.license.terms.clones.policy).unwrap_or_default());
        self.news.tell(&met.living.key, Happened::Forked);
    }

    /// The fork is recorded, and told of if it is new.
    pub(super) async fn fork(
        &self,
        met: &Met<'_>,
        fork: Fork,
        refusal: Refusal,
    ) -> Result<Option<Reply>, Failure> {
        let Some(recorded) = settled(self.ledger.record(fork.step(met, [0; 32])).await)? else {
            return Ok(None);
        };
        if recorded.new_fork {
            self.say_forked(met);
        }
        Err(refusal.into())
    }
}

/// A fork that was seen.
pub(super) struct Fork {
    /// Where.
    at: Position,
    /// The chain from now on, if that is another one.
    changed: Option<Chain>,
}

impl Fork {
    /// What records it.
    pub(super) fn step(self, met: &Met<'_>, entropy: [u8; 32]) -> Step {
        let Living { seen, key, .. } = met.living;
        Step {
            advance: self.changed.map(|chain| Advance::new(seen.activation.id.clone(), seen.version, chain)),
            fork: Some((seen.activation.id.clone(), self.at)),
            ..Step::new(seen.activation.license.clone(), key.clone(), met.now, entropy)
        }
    }
}

pub(super) fn word(chain: &Chain) -> &'static str {
    match chain.state {
        chain::State::Active => "active",
        chain::State::Quarantined => "quarantined",
        chain::State::Lapsed => "lapsed",
        chain::State::Ended(_) => "ended",
    }
}

/// How it stands, as its last answer said it, without the document: the lease is that of the last document.
pub(super) fn stands(activation: &Activation) -> Result<Answer, Failure> {
    let last: Answer = serde_json::from_str(&activation.answer)?;
    Ok(Answer { state: word(&activation.chain).to_owned(), document: None, keys: None, ..last })
}
