//! An installation is activated, by an activation key.

use zeroize::Zeroizing;

use super::{
    Activations, Asked, Device, Failure, Happened, Reply, Runtime, TRIES,
    answer::given,
    crowded, digest, ground,
    rebuild::{Lost, Remains, risen},
};
use crate::{
    domain::{
        chain::{self, Call, Operation, Verdict, limits},
        contract::{ActivationKey, Contract},
        hex,
        license::{Holder, Uid},
        refusal::{Code, Refusal},
        terms::{Admission, Client},
    },
    keys::token::{self, Purpose},
    ledger::activations::{Activation, Advance, Seen, Shown, Step, Taken},
};

/// What is to be activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The License: namespace/name. It must be the key's own.
    pub license: String,
    /// On what.
    pub device: Device,
    /// What the client has of an activation that the server does not know.
    pub lost: Option<Remains>,
}

/// A decision to begin.
struct Begun {
    chain: chain::Chain,
    /// The activation's id, if it was there before and the ledger has lost it.
    id: Option<Uid>,
    /// The holder's former activation, ended, and whether that counts as a recovery.
    superseded: Option<(Seen, chain::Chain, bool)>,
}

impl<L: Activations> Runtime<L> {
    /// Activates an installation. The same request with the same key is given the same activation, its token and its first nonce.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn activate(&self, asked: &Asked<'_>, wish: &Wish) -> Result<Reply, Failure> {
        if !Purpose::ActivationKey.is_of(asked.token) {
            return Err(Code::Unauthorized.into());
        }
        self.may_answer()?;
        let hash = token::hash(asked.token);
        let mut turn = None;
        for _ in 0..TRIES {
            let Some(shown) = self.ledger.activation_key(&hash).await? else {
                return Err(Code::Unauthorized.into());
            };
            if turn.is_none() {
                turn = self.turn_at(&shown.license).await;
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
        // By the key's name: whoever has the key that came after it, with the same name, is the same caller.
        let caller = digest(&[b"activation key", shown.license.0.as_bytes(), shown.name.as_bytes()]);
        let call = self.call(Operation::Activate, caller, asked);
        if let Some(seen) = self.ledger.begun_by(&shown.license, &String::from(call.key)).await? {
            return match chain::repeated(&seen.activation.chain, &call) {
                Verdict::Refused(refusal) => Err(refusal.into()),
                _ => self.reply(&seen.activation).map(Some),
            };
        }
        let now = self.edge.now();
        let (contract, declared) = allowed(wish, shown)?;
        let holder = Holder::Device { id: wish.device.id.clone(), name: wish.device.name.clone() };
        let taken = self.taken(contract, &holder.identity(), now).await?;
        let (entropy, new) = self.new_id();
        let lost = self.lost(contract, wish).await?;
        let id = lost.as_ref().map_or(&new, |lost| &lost.id);
        let footing = self.footing(contract, id, shown.incarnation, now);
        let begun = begin(contract, &taken, &call, &footing.ground, (declared, shown.used), lost.as_ref())?;
        let id = begun.id.unwrap_or(new);
        let document = footing.sign(&id, &holder, &wish.device, &entropy)?;
        let activation = Activation {
            id: id.0.clone(),
            license: shown.license.clone(),
            holder: holder.identity(),
            device: serde_json::to_string(&wish.device)?,
            token: token::hash(&self.token(&id.0)?),
            chain: begun.chain,
            answer: serde_json::to_string(&footing.answer(&id, "active", Some(&document)))?,
            since: now,
        };
        let counts = begun.superseded.as_ref().is_none_or(|(.., recovery)| !recovery);
        let step = Step {
            turn: Some(shown.turn),
            incarnation: risen(&activation.chain, shown.incarnation),
            advance: begun.superseded.map(|(seen, chain, recovery)| Advance {
                id: seen.activation.id,
                version: seen.version,
                chain,
                answer: None,
                recovery,
            }),
            by_key: counts.then(|| shown.name.clone()),
            given: Some(given(&document)),
            begin: Some(activation.clone()),
            ..Step::new(shown.license.clone(), shown.key.clone(), now, entropy)
        };
        let Some(recorded) = self.record_signed(step, footing.signer()?).await? else { return Ok(None) };
        self.news.tell(&shown.key, Happened::Taken);
        self.say_risen(&shown.key, &recorded);
        self.reply(&activation).map(Some)
    }

    /// What whoever began `activation` is told.
    pub(super) fn reply(&self, activation: &Activation) -> Result<Reply, Failure> {
        Ok(Reply {
            nonce: self.nonces()?.nonce(&activation.id, activation.chain.head),
            body: activation.answer.clone(),
            token: Some(self.token(&activation.id)?),
        })
    }

    pub(super) fn token(&self, id: &str) -> Result<Zeroizing<String>, Failure> {
        Ok(Purpose::Activation.token(&self.nonces()?.token_seed(id), id))
    }

    /// A new activation's id: 128 bits that nobody can guess.
    pub(super) fn new_id(&self) -> ([u8; 32], Uid) {
        let entropy = self.edge.entropy();
        let id = digest(&[b"activation", &entropy]);
        (entropy, Uid(hex(id.0.get(..16).unwrap_or_default())))
    }
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
    let ground = chain::Ground { place: ground::place(contract, taken, now), ..ground.clone() };
    // It was activated by the key while that was good, and goes on.
    if let (None, Some(lost)) = (&taken.former, lost)
        && let Some(chain) = chain::rebuild(lost.presented, lost.until, call, &ground)?
    {
        return Ok(Begun { chain, id: Some(lost.id.clone()), superseded: None });
    }
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
        return Ok(Begun { chain: chain::activate(call, &ground)?, id: None, superseded: None });
    };
    let chain = &former.activation.chain;
    let chain = chain::expire(chain, now).unwrap_or_else(|| chain.clone());
    if chain.made_by.caller != call.caller && chain.holds_place() {
        return Err(Code::DeviceActive.into());
    }
    let recoveries = limits::recovery(license.terms.clones.recoveries, &taken.recovered, now);
    let recovery = chain::recover(&chain, call, recoveries, &ground)?;
    if !recovery.counts {
        may_use?;
    }
    Ok(Begun {
        chain: recovery.chain,
        id: None,
        superseded: Some((former.clone(), recovery.superseded, recovery.counts)),
    })
}
