//! Somebody who has signed in: they activate devices on a seat that is theirs.
//!
//! What they may is asked each time: whether they are signed in, whether their provider is still there and counts in the namespace, and
//! whether a seat is theirs ([`crate::domain::standing`]).

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Activations, Asked, Failure, Proof, Reply, Runtime, TRIES, Wish,
    activate::{Beginning, Begun},
    crowded, digest, ground, license_named,
    rebuild::Lost,
    settled,
};
use crate::{
    domain::{
        chain::{self, Call, Operation, limits},
        contract::Contract,
        license::{Holder, Key},
        principal::Principal,
        refusal::{Code, Refusal},
        standing::{Person, Standing, standing},
        terms::SignIn,
    },
    keys::token,
    ledger::{
        activations::Taken,
        people::{Met, Pin, SignedIn},
    },
    service::providers::{Absent, Provider},
};

/// How long somebody who may take a seat by coming waits for it, and how often it is looked for.
const SEATED: Duration = Duration::from_secs(4);
const AGAIN: Duration = Duration::from_millis(100);

/// Who has signed in, and where; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Me")]
pub struct MeAnswer {
    /// What to call them.
    pub name: String,
    /// Their address, if one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Else why none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_no_email: Option<String>,
    /// Their IdentityProvider.
    pub provider: String,
    /// How that is known.
    pub issuer: String,
    /// How it knows them.
    pub subject: String,
    /// What the program has called the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// When they signed in on it.
    pub since: String,
    /// Until when they are signed in on it, if they do not use it.
    pub until: String,
}

impl<L: Activations> Runtime<L> {
    /// Who shows the access token of `proof`.
    ///
    /// # Errors
    /// When nobody does, or Usher cannot answer now.
    pub async fn me(&self, proof: &Proof<'_>) -> Result<MeAnswer, Failure> {
        let SignedIn { principal, login, .. } = self.signed_in(proof).await?;
        Ok(MeAnswer {
            name: principal.name,
            why_no_email: principal.email.as_ref().err().map(ToString::to_string),
            email: principal.email.ok().map(|email| email.to_string()),
            provider: principal.provider.to_string(),
            issuer: principal.issuer.to_string(),
            subject: principal.subject.to_string(),
            device: Some(login.device).filter(|device| !device.is_empty()),
            since: login.since.to_string(),
            until: login.ends_at.to_string(),
        })
    }

    /// Who shows the access token of `proof`, and the key to which it is bound.
    pub(super) async fn signed_in(&self, proof: &Proof<'_>) -> Result<SignedIn, Failure> {
        self.may_answer()?;
        let signed_in = self.ledger.signed_in(&token::hash(proof.token), self.edge.now()).await?;
        let signed_in = signed_in.ok_or(Code::Unauthorized)?;
        self.has_key(signed_in.login.jkt.as_ref(), proof)?;
        Ok(signed_in)
    }

    /// Activates an installation on a seat of whoever shows an access token. If that is bound to a key, so is the activation, to the same one: a request has
    /// one proof.
    pub(super) async fn activate_as_person(&self, asked: &Asked<'_>, wish: &Wish) -> Result<Reply, Failure> {
        let SignedIn { principal, .. } = self.signed_in(&asked.proof()).await?;
        let key = license_named(&wish.license)?;
        self.counts_in(&principal, &key)?;
        let person = Person::from(&principal);
        let no_email = principal.email.err().map(|why| why.to_string());
        let (mut turn, mut comes) = (None, false);
        for _ in 0..TRIES {
            let Some(met) = self.ledger.met(&key, &person).await? else {
                return Err(missing(&key, no_email.as_deref()).into());
            };
            if turn.is_none() {
                turn = self.lanes.turn_at(&met.license).await;
                // Others have gone before us meanwhile.
                continue;
            }
            let (holder, pins) = match standing(&person, &met.candidates, met.elsewhere) {
                Standing::Theirs { holder, pins } => (holder, pins),
                Standing::HolderChanged => return Err(Code::HolderChanged.into()),
                Standing::Nothing if !comes && self.comes(&met, &person).await? => {
                    comes = true;
                    // Nobody else waits meanwhile.
                    turn = None;
                    self.seated(&key, &person).await?;
                    continue;
                }
                Standing::Nothing => return Err(self.nothing(&key, &person, no_email.as_deref()).into()),
            };
            let pin = pins.then(|| Pin {
                holder: holder.clone(),
                issuer: person.issuer.clone(),
                subject: person.subject.clone(),
            });
            if let Some(reply) =
                self.try_as_person(asked, wish, (&key, &met), (&person, &holder, pin)).await?
            {
                return Ok(reply);
            }
        }
        Err(crowded())
    }

    /// Who has proven them, as it is today.
    pub(super) fn provider_of(&self, principal: &Principal) -> Result<Arc<Provider>, Failure> {
        let name = principal.provider.as_str();
        match self.people.providers.of_proven(name, &principal.issuer) {
            Ok(provider) => Ok(provider),
            Err(Absent::Idle) => {
                Err(Failure::Unavailable(format!("the identity provider {name} is not at work").into()))
            }
            Err(Absent::Gone) => {
                let detail = format!("The identity provider {name} is not known here any more.");
                Err(Refusal::new(Code::Unauthorized, detail).into())
            }
        }
    }

    /// Whether its people count in the License's namespace, today.
    pub(super) fn admits(&self, provider: &Provider, key: &Key) -> bool {
        provider.allowed_namespaces.admit(&self.people.intent.labels(&key.namespace))
    }

    /// The same of whoever has proven them.
    fn counts_in(&self, principal: &Principal, key: &Key) -> Result<(), Failure> {
        let provider = self.provider_of(principal)?;
        if self.admits(&provider, key) {
            return Ok(());
        }
        let detail = format!(
            "People of the identity provider {} do not count in the namespace {}.",
            provider.name, key.namespace
        );
        Err(Refusal::new(Code::NamespaceNotAllowed, detail).into())
    }

    /// Whether somebody to whom nothing is given yet may take a seat by coming: then it is on record that they have asked.
    pub(super) async fn comes(&self, met: &Met, person: &Person) -> Result<bool, Failure> {
        let (Some(contract), now) = (&met.contract, self.edge.now()) else { return Ok(false) };
        if self.people.intent.asks(&contract.license.key, &holders(person)) {
            // They wait for a free seat already.
            return Ok(false);
        }
        Ok(match contract.license.sign_in {
            SignIn::None => false,
            SignIn::Members => true,
            SignIn::Verified => {
                let asks = person.email.is_some();
                asks && settled(self.ledger.ask_for(&met.license, person, now).await)?.unwrap_or(false)
            }
        })
    }

    /// Waits for whoever leads to give them a seat, or a place in the queue, for a moment.
    pub(super) async fn seated(&self, license: &Key, person: &Person) -> Result<(), Failure> {
        let begun = self.edge.elapsed();
        while self.edge.elapsed().saturating_sub(begun) < SEATED {
            let met = self.ledger.met(license, person).await?;
            let is_theirs = |met: Met| standing(person, &met.candidates, met.elsewhere) != Standing::Nothing;
            if met.is_none_or(is_theirs) || self.people.intent.asks(license, &holders(person)) {
                break;
            }
            self.edge.wait(AGAIN).await;
        }
        Ok(())
    }

    /// Why nothing is theirs.
    fn nothing(&self, key: &Key, person: &Person, no_email: Option<&str>) -> Refusal {
        if self.people.intent.asks(key, &holders(person)) {
            return Code::SeatWaiting.into();
        }
        missing(key, no_email)
    }

    /// `None` if somebody else was faster.
    async fn try_as_person(
        &self,
        asked: &Asked<'_>,
        wish: &Wish,
        (key, met): (&Key, &Met),
        (person, holder, pin): (&Person, &str, Option<Pin>),
    ) -> Result<Option<Reply>, Failure> {
        let caller =
            digest(&[b"person", person.issuer.as_str().as_bytes(), person.subject.as_str().as_bytes()]);
        let call = self.call(Operation::Activate, caller, asked);
        if let Some(reply) = self.begun_before(met.contract.as_ref(), &met.license, &call).await? {
            return Ok(Some(reply));
        }
        let Some(contract) = &met.contract else { return Err(Code::LicenseNotReady.into()) };
        let device = wish.device()?;
        let now = self.edge.now();
        let taken = self.taken(contract, holder, Some(device.id.as_str()), now).await?;
        // What the ledger has as a person's is one.
        let holder = Holder::person(holder).ok_or(Code::SeatMissing)?;
        let (entropy, id) = self.new_id();
        let lost = self.lost(contract, wish, (&holder, device)).await?;
        let of = lost.as_ref().map_or(&id, |lost| &lost.id);
        let mut footing = self.footing(contract, (of, &taken.carries), met.incarnation, now);
        footing.ground.place = ground::device(contract, &taken, now);
        let begun = begin(contract, &taken, &call, &footing.ground, lost.as_ref())?;
        self.begin(Beginning {
            begun,
            key,
            turn: met.turn,
            incarnation: met.incarnation,
            footing: &footing,
            id,
            entropy,
            holder,
            fingerprint: device.id.to_string(),
            device,
            by_key: None,
            pin,
            workload: None,
            possession: asked.possession,
        })
        .await
    }
}

/// All that a seat of this person can be held by.
pub(super) fn holders(person: &Person) -> Vec<String> {
    person.by_email().into_iter().chain([person.identity()]).collect()
}

fn missing(key: &Key, no_email: Option<&str>) -> Refusal {
    let why = no_email.map(|why| format!(" Your address does not count: {why}.")).unwrap_or_default();
    Refusal::new(Code::SeatMissing, format!("No seat of {key} is yours.{why}"))
}

/// Whether a person's device may begin, and how: anew, as what the ledger has lost, or in the place of what was active on it.
fn begin(
    contract: &Contract,
    taken: &Taken,
    call: &Call,
    ground: &chain::Ground,
    lost: Option<&Lost>,
) -> Result<Begun, Refusal> {
    let Some(former) = &taken.former else {
        if let Some(lost) = lost
            && let Some(chain) = chain::rebuild(lost.presented, lost.until, call, ground)?
        {
            return Ok(Begun { id: Some(lost.id.clone()), ..Begun::anew(chain) });
        }
        return Ok(Begun::anew(chain::activate(call, ground)?));
    };
    let former_chain = chain::as_of(&former.activation.chain, ground.now);
    let recoveries = limits::recovery(contract.license.terms.clones.recoveries, &taken.recovered, ground.now);
    let recovery = chain::recover(&former_chain, call, recoveries, ground)?;
    Ok(Begun::in_place_of(former, recovery))
}
