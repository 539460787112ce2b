//! A client that obeys rule 5, on a disk that may be copied, rolled back or wiped.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use usher::domain::refusal::Code;

use super::{
    broken::{Broken, Rules},
    message::{Answer, Ask, Id, Request, Said},
    random::Random,
};

/// What a client keeps, synced before it is used.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub activation: Option<Activation>,
    /// What was sent and not answered with success. It is repeated unchanged until it is.
    pub pending: Option<Request>,
}

/// An activation, as its client knows it.
#[derive(Debug, Clone)]
pub struct Activation {
    pub id: Id,
    pub token: u64,
    pub nonce: String,
    pub document: Timestamp,
}

/// What becomes of a copy when it is told that it is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Character {
    /// It activates again.
    Recovers,
    /// It says nothing any more, and runs until its document ends.
    Silent,
    /// It tries all that it knows, again and again, for other activations too, and forges nonces.
    Stubborn,
}

/// One running copy of a device.
#[derive(Debug)]
pub struct Client {
    pub device: u32,
    pub disk: Disk,
    pub character: Character,
    /// Its other thread waits for the lock of rule 5.
    waits: bool,
    /// Which of rule 5 it breaks, and the disk as it was before the last answer was written.
    rules: Rules,
    former: Option<Disk>,
    /// Calls that were answered with success.
    pub calls: usize,
    pub is_off: bool,
    /// All that it was ever given: only the stubborn use it.
    knows: Vec<Activation>,
}

/// A nonce of a later call, with the tag of this one.
fn forged(nonce: &str) -> String {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(nonce).unwrap();
    bytes[15] = bytes[15].wrapping_add(1);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Client {
    pub fn new(device: u32, disk: Disk, character: Character, rules: Rules) -> Self {
        let (waits, calls, is_off, knows, former) = (false, 0, false, Vec::new(), None);
        Self { device, disk, character, waits, rules, former, calls, is_off, knows }
    }

    /// Whether its other thread waits for the lock.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The next request. One thread holds the lock, and repeats what is pending; the other one waits, and is next.
    pub fn act(&mut self, random: &mut Random) -> Request {
        if let Some(pending) = self.disk.pending.clone() {
            let other = random.in_thousand(200);
            if !(other && self.rules.breaks(Broken::NoLock)) {
                self.waits |= other;
                return self.again(pending, random);
            }
        }
        let Some(Activation { id, token, nonce, .. }) = self.known(random) else {
            return self.activate(None, random.next());
        };
        let ask = match random.below(1_000) {
            roll if self.waits || roll < 300 => Ask::State { id, nonce },
            roll if roll < 320 => Ask::Deactivate { id },
            _ => Ask::Refresh { id, nonce },
        };
        self.waits = false;
        let request = self.send(ask, token, random.next());
        if self.rules.breaks(Broken::UsedUnwritten) && random.in_thousand(100) {
            // The answer of which it knows was not on the disk when it died.
            self.disk = self.former.take().unwrap_or_else(|| self.disk.clone());
        }
        request
    }

    fn again(&mut self, pending: Request, random: &mut Random) -> Request {
        if !self.rules.breaks(Broken::KeyForEachAttempt) {
            return pending;
        }
        let Request { caller, ask, .. } = pending;
        self.send(ask, caller, random.next())
    }

    fn activate(&mut self, lost: Option<(Id, String, Timestamp)>, key: u64) -> Request {
        self.send(Ask::Activate { device: self.device, lost }, u64::from(self.device), key)
    }

    fn known(&self, random: &mut Random) -> Option<Activation> {
        if self.character != Character::Stubborn || self.knows.is_empty() || !random.in_thousand(300) {
            return self.disk.activation.clone();
        }
        let [some, other] = [(); 2].map(|()| &self.knows[random.below(self.knows.len())]);
        Some(match random.below(3) {
            0 => Activation { nonce: forged(&some.nonce), ..some.clone() },
            1 => Activation { nonce: other.nonce.clone(), ..some.clone() },
            _ => some.clone(),
        })
    }

    /// Writes the request down before it is sent.
    fn send(&mut self, ask: Ask, caller: u64, key: u64) -> Request {
        let request = Request { key, caller, ask };
        self.disk.pending = Some(request.clone());
        request
    }

    /// Gives the activation up, whatever else is pending.
    pub fn deactivate(&mut self, random: &mut Random) -> Option<Request> {
        let Activation { id, token, .. } = *self.disk.activation.as_ref()?;
        Some(self.send(Ask::Deactivate { id }, token, random.next()))
    }

    /// Takes an answer; whether it was waited for.
    pub fn take(&mut self, answer: &Answer) -> bool {
        let before = self.disk.clone();
        let Some(pending) = self.disk.pending.take_if(|pending| *pending == answer.to) else {
            return false;
        };
        self.former = self.rules.breaks(Broken::UsedUnwritten).then_some(before);
        match &answer.said {
            Said::Given { id, token, nonce, document } => {
                let had = self.disk.activation.as_ref().map(|had| had.document);
                let document = document.or(had).unwrap_or(Timestamp::MIN);
                let activation = Activation { id: *id, token: *token, nonce: nonce.clone(), document };
                self.knows.push(activation.clone());
                self.disk.activation = Some(activation);
                self.calls += 1;
            }
            Said::Over => self.disk.activation = None,
            Said::Unauthorized => self.is_unknown(&pending),
            Said::Refused(code) => self.is_refused(*code, pending),
        }
        true
    }

    /// The ledger lost the activation: it is to be rebuilt. The key stays with the nonce.
    fn is_unknown(&mut self, pending: &Request) {
        match (&pending.ask, &self.disk.activation) {
            (Ask::State { .. } | Ask::Refresh { .. }, Some(Activation { id, nonce, document, .. })) => {
                let lost = Some((*id, nonce.clone(), *document));
                self.activate(lost, pending.key);
            }
            _ => self.disk.activation = None,
        }
    }

    fn is_refused(&mut self, code: Code, pending: Request) {
        let gives_up = self.rules.breaks(Broken::GivesUp);
        match code {
            Code::SeatsExhausted
            | Code::DevicesExhausted
            | Code::TransfersExhausted
            | Code::RecoveriesExhausted
            | Code::ActivationQuarantined => self.disk.pending = Some(pending).filter(|_| !gives_up),
            Code::ActivationEnded => self.disk.activation = None,
            Code::NonceUnknown | Code::NonceUsed | Code::IdempotencyKeyUsed | Code::ActivationSuperseded => {
                match self.character {
                    Character::Recovers => self.disk.activation = None,
                    Character::Silent => self.is_off = true,
                    Character::Stubborn => {}
                }
            }
            other => panic!("the chain refuses nothing as {other}"),
        }
    }
}
