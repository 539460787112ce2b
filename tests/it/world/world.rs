//! One world, step by step.

use std::collections::BTreeSet;

use jiff::Timestamp;
use usher::{
    domain::{
        chain::{RECENT, resolve},
        license::Uid,
        witness::{Head, Witness, judge, next_incarnation},
    },
    keys::nonce::NonceKeys,
};

use super::{
    broken::{Broken, Rules},
    checks::{Checks, Context, Counted},
    client::{Character, Client, Disk},
    ledger::Ledger,
    message::{Answer, Ask, Request, Said},
    plan::{HOUR, Plan},
    random::Random,
    server::{Event, Server, later},
};

/// The most messages under way; the oldest is lost.
const UNDER_WAY: usize = 24;

/// A message under way.
#[derive(Debug, Clone)]
enum Message {
    /// With how many calls its client had done when it sent it.
    Request(Request, usize),
    Answer(Answer),
}

/// A world.
pub struct World<'a> {
    pub plan: Plan,
    pub rules: Rules,
    pub random: Random,
    pub checks: Checks,
    keys: &'a NonceKeys,
    pub ledger: Ledger,
    backups: Vec<(Ledger, Witness)>,
    witness: Witness,
    pub clients: Vec<Client>,
    snapshots: Vec<(u32, Disk)>,
    /// Devices of which there was more than one copy, or whose disk was not kept.
    pub copied: BTreeSet<u32>,
    network: Vec<(usize, Message)>,
    /// The true time, and how far the server's clock is ahead of it, in seconds.
    pub now: Timestamp,
    skew: i64,
    fresh: u64,
    events: Vec<Event>,
    /// Prints each step.
    is_told: bool,
}

impl<'a> World<'a> {
    pub fn new(seed: u64, keys: &'a NonceKeys, rules: Rules, is_told: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let character = |random: &mut Random| random.one(&[Character::Recovers, Character::Silent]);
        let clients = (0..plan.devices)
            .map(|device| Client::new(device, Disk::default(), character(&mut random), rules))
            .collect();
        let ledger = Ledger::new();
        Self {
            plan,
            rules,
            random,
            checks: Checks::default(),
            keys,
            witness: Witness { mark: ledger.mark, audit: None },
            ledger,
            backups: Vec::new(),
            clients,
            snapshots: Vec::new(),
            copied: BTreeSet::new(),
            network: Vec::new(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            skew: 0,
            fresh: 0,
            events: Vec::new(),
            is_told,
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{} {}", self.now, what());
        }
    }

    /// One step: something is delivered, somebody acts, time passes, or something breaks.
    pub fn step(&mut self) -> Result<(), String> {
        match self.random.below(1_000) {
            0..550 => self.deliver(),
            550..840 => {
                self.act();
                Ok(())
            }
            840..900 => {
                let minutes = self.random.one(&[1, 1, 10, 10, 10, 60, 60, 60, 180, 180, 780, 1_800]);
                self.now = later(self.now, minutes * 60);
                Ok(())
            }
            900..920 => self.administer(),
            _ => {
                self.break_something();
                Ok(())
            }
        }
    }

    fn act(&mut self) {
        let client = self.random.below(self.clients.len());
        let acting = &mut self.clients[client];
        // Who waits for an answer is patient for a while.
        if acting.is_off || (acting.disk.pending.is_some() && self.random.in_thousand(700)) {
            return;
        }
        if self.random.in_thousand(20) {
            if let Some(request) = acting.deactivate(&mut self.random) {
                self.forget(client);
                self.send(client, request);
            }
            return;
        }
        let waited = acting.waits();
        let request = acting.act(&mut self.random);
        if waited && !acting.waits() {
            self.checks.counts.one(Counted::ThreadsThatWaited);
        }
        self.send(client, request);
    }

    fn send(&mut self, client: usize, request: Request) {
        self.tell(|| format!("{client} sends {request:?}"));
        let calls = self.clients[client].calls;
        self.under_way(client, Message::Request(request, calls));
    }

    fn under_way(&mut self, client: usize, message: Message) {
        if self.network.len() == UNDER_WAY {
            self.network.remove(0);
        }
        self.network.push((client, message));
    }

    /// Whoever goes over to another activation closes the connections of the former one. A request for an activation
    /// may come late all the same, but not where the ledger has lost what it made: nobody could tell it from a new one.
    fn forget(&mut self, client: usize) {
        let restored = self.checks.counts.of(Counted::LedgersRestored) > 0;
        self.network.retain(|(from, message)| match message {
            Message::Request(Request { ask: Ask::State { .. } | Ask::Refresh { .. }, .. }, _) => {
                *from != client
            }
            Message::Request(Request { ask: Ask::Activate { .. }, .. }, _) => *from != client || !restored,
            _ => true,
        });
    }

    fn deliver(&mut self) -> Result<(), String> {
        if self.network.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.network.len());
        let (client, message) = self.network[at].clone();
        if !self.random.in_thousand(self.plan.doubled) {
            self.network.remove(at);
        }
        if self.random.in_thousand(self.plan.lost) {
            return Ok(());
        }
        match message {
            // HTTP gives a request up long before its client has done so many other calls.
            Message::Request(_, calls) if self.clients[client].calls - calls >= RECENT => Ok(()),
            Message::Request(request, _) => self.request(client, &request),
            Message::Answer(answer) => self.answer(client, &answer),
        }
    }

    fn request(&mut self, client: usize, request: &Request) -> Result<(), String> {
        if self.random.in_thousand(self.plan.crashes) {
            self.crash();
            return Ok(());
        }
        let said = self.serve(Some(client), request)?;
        if self.random.in_thousand(300) {
            self.witness.mark = self.ledger.mark;
        }
        if self.random.in_thousand(self.plan.crashes) {
            self.crash();
            return Ok(());
        }
        self.under_way(client, Message::Answer(Answer { to: request.clone(), said }));
        Ok(())
    }

    /// The server handles a request, and all is checked.
    pub fn serve(&mut self, client: Option<usize>, request: &Request) -> Result<Said, String> {
        let is_last = |client: usize| {
            let known = self.clients[client].disk.activation.as_ref().map(|known| &known.nonce);
            matches!(&request.ask, Ask::State { nonce, .. } | Ask::Refresh { nonce, .. } if Some(nonce) == known)
        };
        let from = client.map(|client| (client, is_last(client)));
        let said = self.with_server(from, |server| server.handle(request))?;
        self.tell(|| format!("to {client:?} for {request:?}: {said:?}"));
        Ok(said)
    }

    fn with_server<T>(
        &mut self,
        from: Option<(usize, bool)>,
        act: impl FnOnce(&mut Server<'_>) -> T,
    ) -> Result<T, String> {
        self.events.clear();
        let clock = later(self.now, self.skew);
        let mut server = Server {
            plan: &self.plan,
            rules: self.rules,
            keys: self.keys,
            ledger: &mut self.ledger,
            now: clock,
            fresh: &mut self.fresh,
            events: &mut self.events,
        };
        let done = act(&mut server);
        let context = Context { plan: &self.plan, now: self.now, clock, from, copied: &self.copied };
        self.checks.committed(context, &mut self.ledger, &self.events)?;
        Ok(done)
    }

    /// A client is given an answer.
    pub fn answer(&mut self, client: usize, answer: &Answer) -> Result<(), String> {
        let taking = &mut self.clients[client];
        if taking.is_off {
            return Ok(());
        }
        let id = |client: &Client| client.disk.activation.as_ref().map(|known| known.id);
        let before = id(taking);
        if !taking.take(answer) {
            return Ok(());
        }
        let (moved, device) = (id(taking) != before, taking.device);
        self.tell(|| format!("{client} takes {answer:?}"));
        if moved || answer.said == Said::Unauthorized {
            self.forget(client);
        }
        self.checks.answered(self.copied.contains(&device), &answer.said)
    }

    /// What people and the server do now and then.
    fn administer(&mut self) -> Result<(), String> {
        let ids: Vec<u64> = self.ledger.rows.keys().copied().collect();
        match self.random.below(10) {
            0 if !ids.is_empty() => {
                let id = self.random.one(&ids);
                self.with_server(None, |server| server.withdraw(id))
            }
            1..5 => self.with_server(None, |server| {
                server.lapse();
            }),
            _ => {
                for (id, row) in &mut self.ledger.rows {
                    if let Some(resolved) = resolve(&row.chain) {
                        self.ledger.history.forked.remove(id);
                        self.ledger.history.judged.insert(*id, resolved.head);
                        row.chain = resolved;
                    }
                }
                Ok(())
            }
        }
    }

    fn break_something(&mut self) {
        let client = self.random.below(self.clients.len());
        match self.random.below(10) {
            0..3 => self.snapshot(client),
            3 if self.plan.clones => self.boot(None),
            4 if self.plan.rollbacks => self.boot(Some(client)),
            5 if self.plan.wipes => self.replace(client, Disk::default()),
            6 | 7 if self.plan.restores => self.back_up(),
            8 if self.plan.restores && self.random.in_thousand(500) => self.restore(),
            9 if self.plan.jumps => {
                self.skew = self.random.one(&[0, -HOUR, HOUR, 20 * HOUR]);
                self.checks.counts.one(Counted::JumpsOfTheClock);
            }
            _ => {}
        }
    }

    fn snapshot(&mut self, client: usize) {
        let Client { device, disk, .. } = &self.clients[client];
        // Some devices stay the only ones of their kind.
        if *device > self.plan.devices / 2 {
            self.snapshots.push((*device, disk.clone()));
        }
    }

    /// A snapshot is booted: beside all others, or in the stead of a client of that device.
    fn boot(&mut self, instead_of: Option<usize>) {
        if self.snapshots.is_empty() || self.clients.len() > 12 {
            return;
        }
        let (device, disk) = self.snapshots[self.random.below(self.snapshots.len())].clone();
        match instead_of {
            Some(client) if self.clients[client].device == device => self.replace(client, disk),
            Some(_) => {}
            None => self.copy(device, disk),
        }
    }

    fn replace(&mut self, client: usize, disk: Disk) {
        let device = self.clients[client].device;
        if device > self.plan.devices / 2 && self.clients.len() <= 12 {
            self.clients[client].is_off = true;
            self.copy(device, disk);
        }
    }

    fn copy(&mut self, device: u32, disk: Disk) {
        let character = self.random.one(&[Character::Recovers, Character::Silent, Character::Stubborn]);
        self.tell(|| format!("{} boots device {device} from {disk:?}", self.clients.len()));
        self.clients.push(Client::new(device, disk, character, self.rules));
        self.copied.insert(device);
        self.checks.counts.one(Counted::CopiesBooted);
    }

    fn back_up(&mut self) {
        if self.backups.len() < 4 {
            self.backups.push((self.ledger.clone(), self.witness.clone()));
        }
    }

    fn restore(&mut self) {
        if self.backups.is_empty() {
            return;
        }
        let (ledger, witness) = self.backups[self.random.below(self.backups.len())].clone();
        self.ledger = ledger;
        if self.plan.cluster_too && self.random.in_thousand(500) {
            self.witness = witness;
        }
        self.network.retain(|(_, message)| {
            !matches!(message, Message::Request(Request { ask: Ask::Activate { .. }, .. }, _))
        });
        self.checks.restored(&self.ledger);
        self.tell(|| format!("restored to {:?}", self.ledger.mark));
        self.start();
    }

    fn crash(&mut self) {
        self.checks.counts.one(Counted::Crashes);
        self.start();
    }

    /// The server's clock is put right.
    pub fn right_clock(&mut self) {
        self.skew = 0;
    }

    /// The server starts: a ledger that is older than its witness was restored.
    fn start(&mut self) {
        let head = Head {
            mark: self.ledger.mark,
            audit: None,
            since: self.now,
            restored: false,
            owner: None,
            lost: None,
            rebuilding: false,
        };
        if self.rules.breaks(Broken::IncarnationStays) {
            return;
        }
        if judge(&head, None, Some(&self.witness), &Uid("here".into())).loss.is_some() {
            self.ledger.mark.incarnation = next_incarnation(head.mark.incarnation, Some(&self.witness));
            self.tell(|| format!("it is older than its witness, and is now {:?}", self.ledger.mark));
        }
    }
}
