//! The server of this world: gathers, asks the real rules, commits to the ledger, answers.

use jiff::{SignedDuration, Timestamp};
use usher::{
    domain::{
        chain::{
            Call, Chain, Ground, Position, Presented, Recovery, Verdict, Why, activate,
            limits::{self, Taken},
            repeated,
        },
        document::Times,
        refusal::{Code, Refusal},
    },
    keys::nonce::{NonceKey, NonceKeys},
};

use super::{
    broken::{Broken, Rules},
    ledger::{Ledger, Row},
    message::{Ask, Id, Request, Said},
    plan::{LIFETIME, Plan},
};

/// What a commit did, for the checks.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A position was used for a call.
    Used { id: Id, at: Position, call: Call, restored: bool },
    /// The recorded answer was given again.
    Again { id: Id, at: Position, call: Call },
    /// An activation began.
    Begun {
        id: Id,
        rebuilt: Option<Position>,
        /// It took over the place of the device's former activation.
        in_place: bool,
    },
    /// A document was signed, good until then.
    Signed { id: Id, until: Timestamp },
    /// A fork was recorded.
    Forked { id: Id },
    /// The caller was refused as a copy.
    IsCopy { id: Id, at: Position },
    /// A nonce was refused as used.
    RefusedAsUsed { id: Id, at: Position, call: Call },
    /// A copy was given an activation of its own.
    Replaced,
    /// A place was freed before the document had to end.
    Released { id: Id },
    /// A document has ended, by the server's clock.
    Lapsed { id: Id },
    /// A device was activated again.
    Recovered { device: u32 },
}

/// The server.
pub struct Server<'a> {
    pub plan: &'a Plan,
    pub rules: Rules,
    pub keys: &'a NonceKeys,
    pub ledger: &'a mut Ledger,
    pub now: Timestamp,
    /// Never used twice, in whatever life of the ledger.
    pub fresh: &'a mut u64,
    pub events: &'a mut Vec<Event>,
}

/// The key of every world.
pub fn keys() -> NonceKeys {
    NonceKeys::new(NonceKey::from_secret([7; 32]), Vec::new())
}

pub fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn name(id: Id) -> String {
    id.to_string()
}

impl Server<'_> {
    /// One request in one transaction.
    pub fn handle(&mut self, request: &Request) -> Said {
        self.ledger.mark.commits += 1;
        match &request.ask {
            Ask::Activate { device, lost } => {
                let lost = lost.as_ref().map(|(id, nonce, until)| (*id, nonce.as_str(), *until));
                self.activate(request, *device, lost)
            }
            Ask::State { id, nonce } => self.present(request, *id, nonce, false),
            Ask::Refresh { id, nonce } => self.present(request, *id, nonce, true),
            Ask::Deactivate { id } => self.deactivate(*id, request.caller),
        }
    }

    fn ground(&self, place: Result<(), Refusal>) -> Ground {
        let later = |seconds| later(self.now, seconds);
        Ground {
            incarnation: self.ledger.mark.incarnation.try_into().unwrap(),
            policy: self.plan.policy,
            now: self.now,
            times: Times {
                issued_at: self.now,
                not_before: self.now,
                expires_at: later(LIFETIME),
                lease_until: later(LIFETIME / 2),
                renew_at: Some(later(LIFETIME / 4)),
            },
            grants: Ok(()),
            place,
        }
    }

    /// Lets lapse what has ended, then counts.
    fn place(&mut self, seat: u32) -> Result<(), Refusal> {
        self.lapse();
        let transfers = self.ledger.transfers(seat);
        let taken = Taken { places: self.ledger.held(seat), transfers: &transfers, ended: 0 };
        self.rules.place(&self.plan.limits, taken, self.now)
    }

    pub fn lapse(&mut self) {
        for (id, row) in &mut self.ledger.rows {
            if let Some(lapsed) = self.rules.expire(&row.chain, self.now) {
                row.chain = lapsed;
                self.events.push(Event::Lapsed { id: *id });
            }
        }
    }

    fn activate(&mut self, request: &Request, device: u32, lost: Option<(Id, &str, Timestamp)>) -> Said {
        let call = request.call();
        if let Some(said) = self.made_before(&call) {
            return said;
        }
        let is_former = |row: &Row| row.device == device && !row.of_copy && row.lives();
        let former = self.ledger.rows.iter().find(|(_, row)| is_former(row)).map(|(id, _)| *id);
        let (seat, unknown) =
            (self.plan.seat(device), lost.filter(|(id, ..)| !self.ledger.rows.contains_key(id)));
        let place = self.place(seat);
        let ground = self.ground(place);
        let rebuilt = |(id, nonce, until): (Id, &str, Timestamp)| {
            let rebuilt =
                self.rules.rebuild(self.keys.read(&name(id), nonce), until, &call, &ground).transpose()?;
            Some((id, rebuilt))
        };
        let (id, made) = match former {
            Some(former) => (self.fresh(), self.recover(former, device, &call, &ground)),
            None => match unknown.and_then(rebuilt) {
                Some(rebuilt) => rebuilt,
                None => (self.fresh(), activate(&call, &ground)),
            },
        };
        match made {
            Ok(chain) => self.begin(id, chain, device, false),
            Err(refusal) => Said::Refused(refusal.code),
        }
    }

    fn fresh(&mut self) -> Id {
        *self.fresh += 1;
        *self.fresh
    }

    /// The answer to a call that has made an activation.
    fn made_before(&mut self, call: &Call) -> Option<Said> {
        let by = |row: &Row| (row.chain.made_by.caller, row.chain.made_by.key) == (call.caller, call.key);
        let row =
            self.ledger.rows.values().find(|row| by(row) && !self.rules.breaks(Broken::RepeatedIsNew))?;
        Some(match repeated(&row.chain, call) {
            Verdict::Again => row.answer.clone(),
            Verdict::Refused(refusal) => Said::Refused(refusal.code),
            other => panic!("{other:?}"),
        })
    }

    fn recover(&mut self, id: Id, device: u32, call: &Call, ground: &Ground) -> Result<Chain, Refusal> {
        let recovered = self.ledger.recoveries(device);
        let allowed = limits::recovery(self.plan.recoveries, &recovered, self.now);
        let former = self.ledger.rows.get_mut(&id).unwrap();
        let Recovery { superseded, chain, counts } =
            self.rules.recover(&former.chain, call, allowed, ground)?;
        former.chain = superseded;
        if counts {
            self.ledger.recoveries.push((device, self.now));
            self.events.extend([Event::Released { id }, Event::Recovered { device }]);
        }
        Ok(chain)
    }

    fn begin(&mut self, id: Id, chain: Chain, device: u32, of_copy: bool) -> Said {
        let token = self.fresh();
        let in_place = self.events.iter().any(|event| matches!(event, Event::Recovered { .. }));
        self.events.push(Event::Begun { id, rebuilt: chain.last.used, in_place });
        self.events.push(Event::Signed { id, until: chain.expires_at });
        let answer = self.given(id, token, &chain, true);
        let row = Row { chain, answer: answer.clone(), device, seat: self.plan.seat(device), token, of_copy };
        self.ledger.rows.insert(id, row);
        answer
    }

    /// The answer, of which the ledger's incarnation may have to rise.
    fn given(&mut self, id: Id, token: u64, chain: &Chain, with_document: bool) -> Said {
        let mark = &mut self.ledger.mark;
        if !self.rules.breaks(Broken::MarkStays) {
            mark.incarnation = mark.incarnation.max(chain.head.incarnation.into());
        }
        let nonce = self.keys.nonce(&name(id), chain.head);
        Said::Given { id, token, nonce, document: with_document.then_some(chain.expires_at) }
    }

    fn present(&mut self, request: &Request, id: Id, nonce: &str, renews: bool) -> Said {
        let row = self.ledger.rows.get(&id).filter(|row| row.token == request.caller);
        let Some(row) = row else { return Said::Unauthorized };
        let (seat, device, holds) = (row.seat, row.device, row.chain.holds_place());
        let place = if holds { Ok(()) } else { self.place(seat) };
        let (ground, call) = (self.ground(place), request.call());
        let row = &self.ledger.rows[&id];
        let presented = self.rules.read(self.keys, &name(id), nonce);
        let verdict = self.rules.present(&row.chain, presented, &call, &ground);
        let said = self.carry_out((id, device), renews, call, verdict);
        if let (Said::Refused(Code::NonceUsed), Presented::Genuine(at)) = (&said, presented) {
            self.events.push(Event::RefusedAsUsed { id, at, call });
        }
        said
    }

    fn carry_out(&mut self, (id, device): (Id, u32), renews: bool, call: Call, verdict: Verdict) -> Said {
        let row = &self.ledger.rows[&id];
        match verdict {
            Verdict::Go { after, restored } => {
                let at = after.last.used.unwrap();
                self.events.push(Event::Used { id, at, call, restored });
                if renews {
                    self.events.push(Event::Signed { id, until: after.expires_at });
                }
                let answer = self.given(id, row.token, &after, renews);
                let row = self.ledger.rows.get_mut(&id).unwrap();
                (row.chain, row.answer) = (after, answer.clone());
                answer
            }
            Verdict::Again => {
                let (at, answer) = (row.chain.last.used.unwrap(), row.answer.clone());
                self.events.push(Event::Again { id, at, call });
                answer
            }
            Verdict::Fork { at, after, replace, refusal } => {
                self.ledger.rows.get_mut(&id).unwrap().chain = after;
                if self.ledger.forks.insert((id, at)) {
                    self.events.push(Event::Forked { id });
                }
                self.events.push(Event::IsCopy { id, at });
                if replace { self.replace(&call, device, &refusal) } else { Said::Refused(refusal.code) }
            }
            Verdict::Refused(refusal) => Said::Refused(refusal.code),
        }
    }

    /// A copy is given an activation of its own, once for each of its calls.
    fn replace(&mut self, call: &Call, device: u32, refusal: &Refusal) -> Said {
        if let Some(said) = self.made_before(call) {
            return said;
        }
        let place = self.place(self.plan.seat(device));
        let place = self.rules.place_of_copy(place);
        match activate(call, &self.ground(place)) {
            Ok(chain) => {
                self.events.push(Event::Replaced);
                let id = self.fresh();
                self.begin(id, chain, device, true)
            }
            Err(_) => Said::Refused(refusal.code),
        }
    }

    fn deactivate(&mut self, id: Id, token: u64) -> Said {
        let row = self.ledger.rows.get_mut(&id).filter(|row| row.token == token);
        let Some(row) = row else { return Said::Unauthorized };
        if let Some(ended) = self.rules.end(&row.chain, Why::Deactivated) {
            if row.chain.holds_place() {
                self.events.push(Event::Released { id });
            }
            row.chain = ended;
            self.ledger.transfers.push((row.seat, self.now));
        }
        Said::Over
    }

    /// An administrator takes an activation away.
    pub fn withdraw(&mut self, id: Id) {
        let row = self.ledger.rows.get_mut(&id).unwrap();
        if let Some(ended) = self.rules.end(&row.chain, Why::Withdrawn) {
            if row.chain.holds_place() {
                self.events.push(Event::Released { id });
            }
            row.chain = ended;
            self.ledger.mark.commits += 1;
        }
    }
}
