//! An installation is activated: by an activation key here, by somebody who has signed in in [`super::person`], by a pod in [`super::workload`].

use zeroize::Zeroizing;

use super::{
    Activations, Asked, Device, Failure, Happened, Reply, Runtime, TRIES,
    answer::{self, given},
    crowded, digest,
    ground::{self, Footing},
    rebuild::{Lost, Remains, risen},
};
use crate::{
    domain::{
        chain::{self, Call, Digest, Operation, Verdict, limits},
        contract::{ActivationKey, Contract},
        features::Carries,
        hex,
        license::{Holder, Key, Uid},
        refusal::{Code, Refusal},
        terms::{Admission, Client},
    },
    keys::token::{self, Credential, Purpose},
    ledger::{
        activations::{Activation, Advance, Seen, Shown, Slotted, Step, Taken},
        people::Pin,
    },
    service::possession::Possession,
};

/// What is to be activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The License: namespace/name. It must be the key's own.
    pub license: String,
    /// On what. A pod need not say: which installation it is, Kubernetes says.
    pub device: Option<Device>,
    /// What the client has of an activation that the server does not know.
    pub lost: Option<Remains>,
}

impl Wish {
    /// On what.
    pub(super) fn device(&self) -> Result<&Device, Refusal> {
        let missing = || Refusal::new(Code::RequestInvalid, "The body has no device: say on what.");
        self.device.as_ref().ok_or_else(missing)
    }
}

/// An activation whose place goes on as another one's.
pub(super) struct Superseded {
    /// As it was read.
    pub(super) seen: Seen,
    /// Its chain, ended.
    pub(super) chain: chain::Chain,
    /// It counts as a recovery.
    pub(super) counts: bool,
}

/// A decision to begin.
pub(super) struct Begun {
    pub(super) chain: chain::Chain,
    /// The activation's id, if it was there before and the ledger has lost it.
    pub(super) id: Option<Uid>,
    /// The holder's former activations, ended.
    pub(super) superseded: Vec<Superseded>,
}

impl Begun {
    /// Something that was not there before.
    pub(super) fn anew(chain: chain::Chain) -> Self {
        Self { chain, id: None, superseded: Vec::new() }
    }

    /// What goes on in the place of `former`.
    pub(super) fn in_place_of(former: &Seen, recovery: chain::Recovery) -> Self {
        let superseded =
            Superseded { seen: former.clone(), chain: recovery.superseded, counts: recovery.counts };
        Self { superseded: vec![superseded], ..Self::anew(recovery.chain) }
    }
}

/// What begins.
pub(super) struct Beginning<'a> {
    pub(super) begun: Begun,
    /// The License.
    pub(super) key: &'a Key,
    /// Its turn, in which places were counted.
    pub(super) turn: i64,
    /// Which life of the ledger this is.
    pub(super) incarnation: u32,
    pub(super) footing: &'a Footing<'a>,
    /// The new activation's id, if it is new.
    pub(super) id: Uid,
    pub(super) entropy: [u8; 32],
    /// Who holds the place, as the document says it.
    pub(super) holder: Holder,
    /// Of a person: which device, for a person has several.
    pub(super) fingerprint: String,
    pub(super) device: &'a Device,
    /// The activation key by which it begins.
    pub(super) by_key: Option<String>,
    /// The seat that is pinned with it.
    pub(super) pin: Option<Pin>,
    /// Of a pod: in which slot it is.
    pub(super) workload: Option<Slotted>,
    /// The key to which it is bound from the beginning, as it was proven with the request.
    pub(super) possession: Option<&'a Possession>,
}

impl<L: Activations> Runtime<L> {
    /// Activates an installation. The same request with the same key is given the same activation, its token and its first nonce.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn activate(&self, asked: &Asked<'_>, wish: &Wish) -> Result<Reply, Failure> {
        if let Some(possession) = asked.possession {
            self.proofs.judge(possession, Some(asked.token))?;
        }
        match Credential::of(asked.token) {
            Some(Credential::Own(Purpose::ActivationKey)) => self.activate_by_key(asked, wish).await,
            Some(Credential::Own(Purpose::Access)) => self.activate_as_person(asked, wish).await,
            Some(Credential::Kubernetes { unproven_audiences }) => {
                self.activate_as_workload(asked, wish, &unproven_audiences).await
            }
            _ => Err(Code::Unauthorized.into()),
        }
    }

    async fn activate_by_key(&self, asked: &Asked<'_>, wish: &Wish) -> Result<Reply, Failure> {
        self.may_answer()?;
        let hash = token::hash(asked.token);
        let mut turn = None;
        for _ in 0..TRIES {
            let Some(shown) = self.ledger.activation_key(&hash).await? else {
                return Err(Code::Unauthorized.into());
            };
            if turn.is_none() {
                turn = self.lanes.turn_at(&shown.license).await;
                // Others have gone before us meanwhile.
                continue;
            }
            if let Some(reply) = self.try_to_activate(asked, wish, &shown).await? {
                return Ok(reply);
            }
        }
        Err(crowded())
    }

    /// `None` if somebody else was faster.
    async fn try_to_activate(
        &self,
        asked: &Asked<'_>,
        wish: &Wish,
        shown: &Shown,
    ) -> Result<Option<Reply>, Failure> {
        let caller = key_caller(&shown.license, &shown.name);
        let call = self.call(Operation::Activate, caller, asked);
        if let Some(reply) = self.begun_before(shown.contract.as_ref(), &shown.license, &call).await? {
            return Ok(Some(reply));
        }
        let now = self.edge.now();
        let (contract, declared) = allowed(wish, shown)?;
        let device = wish.device()?;
        let holder = Holder::Device { id: device.id.clone(), name: device.name.clone() };
        let taken = self.taken(contract, &holder.identity(), None, now).await?;
        let (entropy, new) = self.new_id();
        let lost = self.lost(contract, wish, (&holder, device)).await?;
        let id = lost.as_ref().map_or(&new, |lost| &lost.id);
        let footing = self.footing(contract, (id, &taken.carries), shown.incarnation, now);
        let begun = begin(contract, &taken, &call, &footing.ground, (declared, shown.used), lost.as_ref());
        if begun.as_ref().is_err_and(|refusal| refusal.code == Code::DeviceNotListed) {
            self.note_asking(&shown.license, &shown.key, device);
        }
        let begun = begun?;
        self.begin(Beginning {
            begun,
            key: &shown.key,
            turn: shown.turn,
            incarnation: shown.incarnation,
            footing: &footing,
            id: new,
            entropy,
            holder,
            fingerprint: String::new(),
            device,
            by_key: Some(shown.name.clone()),
            pin: None,
            workload: None,
            possession: asked.possession,
        })
        .await
    }

    /// The answer to the very call that began something under `license` before, if one did.
    pub(super) async fn begun_before(
        &self,
        contract: Option<&Contract>,
        license: &Uid,
        call: &Call,
    ) -> Result<Option<Reply>, Failure> {
        let Some(seen) = self.ledger.begun_by(license, &String::from(call.key)).await? else {
            return Ok(None);
        };
        match chain::repeated(&seen.activation.chain, call) {
            Verdict::Refused(refusal) => Err(refusal.into()),
            _ => {
                let living = self.ledger.activation(&seen.activation.id).await?;
                let carries = living.map(|living| living.carries).unwrap_or_default();
                self.reply(contract, &seen.activation, &carries).await.map(Some)
            }
        }
    }

    /// Signs, records, and replies. `None` if somebody else was faster.
    pub(super) async fn begin(&self, beginning: Beginning<'_>) -> Result<Option<Reply>, Failure> {
        let Beginning { begun, key, turn, incarnation, footing, entropy, holder, device, .. } = beginning;
        let now = footing.ground.now;
        let id = begun.id.unwrap_or(beginning.id);
        let document = footing.sign(&id, &holder, device, &entropy)?;
        let activation = Activation {
            id: id.0.clone(),
            license: footing.contract.license.uid.clone(),
            holder: holder.identity(),
            device: serde_json::to_string(device)?,
            fingerprint: beginning.fingerprint,
            token: token::hash(&self.token(&id.0)?),
            chain: begun.chain,
            answer: serde_json::to_string(&footing.answer(&id, "active", Some(&document)))?,
            since: now,
            workload: beginning.workload,
            jkt: beginning.possession.and_then(Possession::proven).map(str::to_owned),
        };
        let counts = begun.superseded.iter().all(|superseded| !superseded.counts);
        let mut ends = begun.superseded.into_iter().map(|Superseded { seen, chain, counts }| Advance {
            recovery: counts,
            ..Advance::new(seen.activation.id, seen.version, chain)
        });
        let step = Step {
            turn: Some(turn),
            incarnation: risen(&activation.chain, incarnation),
            advance: ends.next(),
            also: ends.collect(),
            by_key: beginning.by_key.filter(|_| counts),
            pin: beginning.pin,
            given: Some(given(&document)),
            begin: Some(activation.clone()),
            ..Step::new(activation.license.clone(), key.clone(), now, entropy)
        };
        let Some(recorded) = self.record_signed(step, footing.signer()?).await? else { return Ok(None) };
        self.news.tell(key, Happened::Taken);
        self.say_risen(key, &recorded);
        self.reply(Some(footing.contract), &activation, &footing.carries).await.map(Some)
    }

    /// What whoever began `activation` is told.
    pub(super) async fn reply(
        &self,
        contract: Option<&Contract>,
        activation: &Activation,
        carries: &Carries,
    ) -> Result<Reply, Failure> {
        let told = match contract {
            Some(contract) => Some(self.told(&contract.license, (activation, carries), None).await?),
            None => None,
        };
        Ok(Reply {
            nonce: self.nonces()?.nonce(&activation.id, activation.chain.head),
            body: activation.answer.clone(),
            begun: Some(answer::Begun { token: self.token(&activation.id)?, told }),
        })
    }

    pub(super) fn token(&self, id: &str) -> Result<Zeroizing<String>, Failure> {
        let nonces = self.nonces()?;
        Ok(nonces.marked(Purpose::Activation.token(&nonces.token_seed(id), id)))
    }

    /// A new activation's id: 128 bits that nobody can guess.
    pub(super) fn new_id(&self) -> ([u8; 32], Uid) {
        let entropy = self.edge.entropy();
        let id = digest(&[b"activation", &entropy]);
        (entropy, Uid(hex(id.0.get(..16).unwrap_or_default())))
    }
}

/// Whoever has the activation key `name` of `license`, or the one that came after it with that name: they are the same caller.
pub(super) fn key_caller(license: &Uid, name: &str) -> Digest {
    digest(&[b"activation key", license.0.as_bytes(), name.as_bytes()])
}

/// What the License says, and what it says of this key, if that lets this device in.
fn allowed<'a>(wish: &Wish, shown: &'a Shown) -> Result<(&'a Contract, &'a ActivationKey), Refusal> {
    let Some(contract) = &shown.contract else { return Err(Code::LicenseNotReady.into()) };
    if wish.license != shown.key.to_string() {
        let detail = format!("This activation key is not one of License {}.", wish.license);
        return Err(Refusal::new(Code::Unauthorized, detail));
    }
    let keys = &contract.license.activation_keys;
    let Some(declared) = keys.iter().find(|key| key.name.as_str() == shown.name) else {
        return Err(Code::Unauthorized.into());
    };
    if contract.license.terms.client == Some(Client::Users) {
        return Err(Code::DeviceNotAllowed.into());
    }
    Ok((contract, declared))
}

/// Whether one more may begin, and how, by a key that was used so often.
fn begin(
    contract: &Contract,
    taken: &Taken,
    call: &Call,
    ground: &chain::Ground,
    (key, used): (&ActivationKey, u32),
    lost: Option<&Lost>,
) -> Result<Begun, Refusal> {
    let (license, now) = (&contract.license, ground.now);
    if license.admission == Admission::Listed && !taken.has_seat {
        return Err(Code::DeviceNotListed.into());
    }
    let on = |place| chain::Ground { place, ..ground.clone() };
    // It was activated by the key while that was good, and goes on.
    if let (None, Some(lost)) = (&taken.former, lost)
        && let ground = on(ground::place_again(contract, taken, now))
        && let Some(chain) = chain::rebuild(lost.presented, lost.until, call, &ground)?
    {
        return Ok(Begun { id: Some(lost.id.clone()), ..Begun::anew(chain) });
    }
    let ground = on(ground::place(contract, taken, now));
    if let Some(expires) = key.expires.filter(|expires| now >= *expires) {
        let detail = format!("The activation key {} expired at {expires}.", key.name);
        return Err(Refusal::new(Code::KeyExpired, detail));
    }
    let used_up = key.uses.filter(|uses| used >= *uses);
    let may_use = used_up.map_or(Ok(()), |uses| {
        let detail = format!("The activation key {} lets {uses} devices activate, and they have.", key.name);
        Err(Refusal::new(Code::KeyUsedUp, detail))
    });
    let Some(former) = &taken.former else {
        may_use?;
        return Ok(Begun::anew(chain::activate(call, &ground)?));
    };
    let chain = chain::as_of(&former.activation.chain, now);
    if chain.made_by.caller != call.caller && chain.holds_place() {
        return Err(Code::DeviceActive.into());
    }
    let recoveries = limits::recovery(license.terms.clones.recoveries, &taken.recovered, now);
    let recovery = chain::recover(&chain, call, recoveries, &ground)?;
    if !recovery.counts {
        may_use?;
    }
    Ok(Begun::in_place_of(former, recovery))
}
