//! The world itself: what is declared, what the ledger knows, what is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use usher::{
    domain::{
        allocation::Standing,
        license::{Key, License, Reassign, Seat, Uid, Validity},
        terms::{Admission, Enforcement, Offline, SignIn, Terms},
        text::Label,
        witness::Loss,
    },
    keys::{KeyPair, Signer, key_set::Request},
    ledger::{Facts, Ledger as _, sqlite::Sqlite},
    service::{
        reconcile_license::{Outcome, Wanted, reconcile_license, seat_secret, settle},
        recover_license::{Found, Remains, recover_license},
    },
};

use super::happens::{Happens, group};

pub(super) struct Crash;

pub(super) struct World {
    directory: PathBuf,
    ledger: Sqlite,
    /// How often the ledger was lost.
    pub(super) lost: u32,
    /// There was something to recover.
    recoverable: bool,
    signer: Signer,
    pub(super) license: License,
    pub(super) seats: BTreeMap<String, Seat>,
    /// Who is of the group, by their number.
    pub(super) belong: BTreeMap<u8, Option<Label>>,
    /// Name to the subject and the bytes.
    pub(super) secrets: BTreeMap<String, (Uid, String)>,
    /// Seats that say that they are bound.
    pub(super) bound: BTreeSet<Uid>,
    pub(super) made: i64,
    pub(super) now: Timestamp,
    lost_at: Timestamp,
    /// Who lost a seat that cools, and when.
    pub(super) cool: BTreeMap<String, Timestamp>,
    /// The highest limit since the last look that came to its end: until then what it allowed may still be seen.
    pub(super) cap: usize,
    /// How much one look may do.
    at_most: usize,
}

fn uid(text: String) -> Uid {
    Uid(text)
}

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

impl World {
    pub(super) async fn new(directory: &Path, at_most: usize) -> Self {
        let (root, signing) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let issuer: usher::domain::text::Issuer = "https://usher.acme.example/a/default".parse().unwrap();
        let request = Request { iss: issuer.clone(), serial: 1, keys: Vec::new() };
        let keys = request.sign(&root, 1).unwrap();
        Self {
            directory: directory.to_owned(),
            lost: 0,
            recoverable: false,
            ledger: Sqlite::open(&directory.join("ledger.db")).await.unwrap(),
            signer: Signer::new(issuer, signing, keys, None),
            license: License {
                key: Key::new("design", "cad"),
                uid: uid("license-0".into()),
                product: "cad".parse().unwrap(),
                customer: "acme".parse().unwrap(),
                authority: "default".parse().ok(),
                edition: "standard".parse().ok(),
                terms: Terms::default(),
                seats: 2,
                overage_percent: 0,
                max_per_user: None,
                reassign: Reassign::After(0),
                groups: Vec::new(),
                enforcement: Enforcement::Enforce,
                offline: Offline::Allowed,
                validity: Validity::default(),
                suspended: false,
                sign_in: SignIn::None,
                admission: Admission::Open,
                activation_keys: Vec::new(),
                workloads: Vec::new(),
                workloads_that_see_users: Vec::new(),
                secret: "cad-license".parse().unwrap(),
            },
            seats: BTreeMap::new(),
            secrets: BTreeMap::new(),
            belong: BTreeMap::new(),
            bound: BTreeSet::new(),
            made: 0,
            now: start(),
            lost_at: start(),
            cool: BTreeMap::new(),
            cap: 2,
            at_most,
        }
    }

    /// One effect that others see: afterwards the limit must hold, and perhaps the operator crashes.
    fn effect(&self, left: &mut Option<u8>) -> Result<(), Crash> {
        assert!(self.bound.len() <= self.cap, "{} seats say bound, {} allowed", self.bound.len(), self.cap);
        let own = self.license.secret.to_string();
        let of_seats = self.secrets.keys().filter(|name| **name != own).count();
        assert!(of_seats <= self.cap, "{of_seats} Secrets of Seats, {} allowed", self.cap);
        match left {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) async fn lose(&mut self) {
        self.lost += 1;
        self.lost_at = self.now;
        self.cool.clear();
        self.recoverable = true;
        let path = self.directory.join(format!("ledger-{}.db", self.lost));
        self.ledger = Sqlite::open(&path).await.unwrap();
        self.ledger.recover(Loss::Missing, None, self.now).await.unwrap();
    }

    /// What the ledger knows is made true again, if it knows less than there is.
    /// Returns whether there is more.
    async fn recover(&mut self, seats: &[Seat]) -> bool {
        // A License that was made again when the ledger had just been lost may be older, by another clock.
        let facts = self.facts().await.into_iter().find(|facts| facts.license == self.license.uid);
        let current = self.ledger.head().await.unwrap().mark.incarnation;
        if !self.recoverable || facts.as_ref().is_some_and(|facts| facts.incarnation == current) {
            return false;
        }
        let found: Vec<Found> = self
            .secrets
            .iter()
            .map(|(name, (subject, jws))| {
                let (name, subject, jws) = (name.clone(), subject.clone(), jws.clone());
                Found { name, subject, jws, keys_jws: self.signer.keys_jws.clone() }
            })
            .collect();
        let remains = Remains {
            license: &self.license,
            seats,
            unreadable: &BTreeMap::new(),
            elsewhere: &BTreeMap::new(),
            signer: &self.signer,
            found: &found,
            keys: &[],
            facts: facts.as_ref(),
            lost_at: self.lost_at,
            is_younger: false,
        };
        recover_license(&self.ledger, remains, self.at_most, self.now, [9; 32]).await.unwrap().more
    }

    /// What cools is given to nobody but its former holder, and a group has no more than its own seats.
    fn after_commit(&mut self, before: &[Facts], after: &[Facts]) {
        let holders = |facts: &[Facts]| -> BTreeSet<String> {
            let own = facts.iter().find(|facts| facts.license == self.license.uid);
            own.into_iter().flat_map(|facts| &facts.bindings).map(|binding| binding.holder.clone()).collect()
        };
        let (before, held) = (holders(before), holders(after));
        let Reassign::After(seconds) = self.license.reassign else { return };
        let cools = SignedDuration::from_secs(seconds);
        self.cool.extend(before.difference(&held).map(|lost| (lost.clone(), self.now)));
        self.cool.retain(|_, freed| *freed + cools > self.now);
        let strangers = held.difference(&before).filter(|new| !self.cool.contains_key(*new)).count();
        self.cool.retain(|holder, _| !held.contains(holder));
        let limit = usize::try_from(self.license.limit()).unwrap();
        assert!(strangers == 0 || held.len() + self.cool.len() <= limit, "{held:?} beside {:?}", self.cool);
        for facts in after.iter().filter(|facts| facts.license == self.license.uid) {
            let bound = |seat: &&Seat| facts.bindings.iter().any(|binding| binding.seat == seat.uid);
            let members =
                self.seats.values().filter(bound).filter(|seat| seat.group == Some(group())).count();
            let most = self.license.groups.first().and_then(|group| group.seats);
            assert!(
                most.is_none_or(|most| members <= usize::try_from(most).unwrap()),
                "{members} of {most:?}"
            );
        }
    }

    /// A look, in the order of `cluster::license`. Whether it is at rest.
    pub(super) async fn look(&mut self, left: &mut Option<u8>, entropy: u8) -> Result<bool, Crash> {
        // What it follows cannot be read: nothing is decided, and nothing is taken away.
        if self.license.edition.is_none() {
            return Ok(true);
        }
        let key = self.license.key.clone();
        let seats: Vec<Seat> = self.seats.values().cloned().collect();
        if self.recover(&seats).await {
            self.effect(left)?;
            return Ok(false);
        }
        let wanted = Wanted {
            license: &self.license,
            seats: &seats,
            unreadable: &BTreeMap::new(),
            signer: Some(&self.signer),
            may_grant: true,
        };
        let facts = self.ledger.facts(&key).await.unwrap();
        let (wanted, entropy) = (Some(wanted), [entropy; 32]);
        let looked = reconcile_license(&self.ledger, &key, &facts, wanted, self.at_most, self.now, entropy);
        let outcome = looked.await.unwrap();
        let after = self.ledger.facts(&key).await.unwrap();
        for facts in &after {
            assert!(facts.bindings.len() <= usize::try_from(facts.seats).unwrap(), "{facts:?}");
        }
        self.after_commit(&facts, &after);
        self.effect(left)?;
        if !outcome.removals.is_empty() {
            let removals = outcome.removals.get(..self.at_most).unwrap_or(&outcome.removals);
            for removal in removals {
                if self.secrets.get(&removal.name).is_some_and(|(subject, _)| *subject == removal.subject) {
                    self.secrets.remove(&removal.name);
                    self.effect(left)?;
                }
            }
            settle(&self.ledger, &key, removals, self.now).await.unwrap();
            self.effect(left)?;
            return Ok(false);
        }
        let all = self.show(&seats, &outcome, left)?;
        if outcome.more || !all {
            return Ok(false);
        }
        self.cap = usize::try_from(self.license.seats).unwrap();
        self.effect(&mut None)?;
        Ok(outcome.taken.is_empty())
    }

    /// Whether all was shown, or only the part of one look.
    fn show(&mut self, seats: &[Seat], outcome: &Outcome, left: &mut Option<u8>) -> Result<bool, Crash> {
        let holds = |seat: &&Seat| outcome.standings.get(&seat.uid) == Some(&Standing::Bound);
        let told = |seat: &&Seat| outcome.standings.contains_key(&seat.uid);
        for seat in seats.iter().filter(|seat| told(seat) && !holds(seat)) {
            let name = seat_secret(&seat.name);
            if self.secrets.get(&name).is_some_and(|(subject, _)| *subject == seat.uid) {
                self.secrets.remove(&name);
                self.effect(left)?;
            }
        }
        let lost = seats.iter().filter(|seat| told(seat) && !holds(seat) && self.bound.contains(&seat.uid));
        let lost: Vec<&Seat> = lost.collect();
        for seat in lost.iter().take(self.at_most) {
            self.bound.remove(&seat.uid);
            self.effect(left)?;
        }
        if lost.len() > self.at_most {
            return Ok(false);
        }
        let own = (self.license.uid.clone(), self.license.secret.to_string());
        let of_seats = seats.iter().map(|seat| (seat.uid.clone(), seat_secret(&seat.name)));
        for (subject, name) in [own].into_iter().chain(of_seats) {
            let Some(document) =
                outcome.documents.get(&subject).filter(|_| !outcome.taken.contains(&subject))
            else {
                continue;
            };
            let wanted = (subject, document.jws.clone());
            if self.secrets.get(&name) != Some(&wanted) {
                // Foreign Secrets are no part of this world: what is there is ours, of this subject or of nobody living.
                self.secrets.insert(name, wanted);
                self.effect(left)?;
            }
        }
        for seat in seats.iter().filter(holds) {
            if self.bound.insert(seat.uid.clone()) {
                self.effect(left)?;
            }
        }
        Ok(true)
    }

    /// Looks until there is nothing to do, and once more. What cools has cooled by then, and there is an Edition.
    pub(super) async fn rests(&mut self) {
        if self.license.edition.is_none() {
            self.happens(&Happens::Edition(Some(false)));
        }
        let mut looks = 0;
        self.passes(100);
        while !self.look(&mut None, 200 + looks).await.unwrap_or(false) {
            looks += 1;
            self.passes(100);
            assert!(looks < 40, "it does not come to rest");
        }
        let before = (self.facts().await, self.secrets.clone(), self.bound.clone());
        assert!(self.look(&mut None, 250).await.unwrap_or(false));
        assert_eq!(
            before,
            (self.facts().await, self.secrets.clone(), self.bound.clone()),
            "it is not silent"
        );
    }

    async fn facts(&self) -> Vec<Facts> {
        self.ledger.facts(&self.license.key).await.unwrap()
    }

    /// Who holds, and which Secrets there are, of whom: by name.
    pub(super) async fn end(&self) -> (BTreeSet<String>, BTreeMap<String, Uid>) {
        let facts = self.facts().await;
        assert_eq!(facts.len(), 1, "nothing is left of former Licenses");
        let held: BTreeSet<Uid> = facts[0].bindings.iter().map(|binding| binding.seat.clone()).collect();
        assert_eq!(held, self.bound, "what is shown is what is");
        let documents: BTreeSet<Uid> =
            facts[0].documents.iter().map(|document| document.subject.clone()).collect();
        let secrets: BTreeMap<String, Uid> =
            self.secrets.iter().map(|(name, (subject, _))| (name.clone(), subject.clone())).collect();
        assert_eq!(
            documents,
            secrets.values().cloned().collect(),
            "each document is in a Secret, and no other"
        );
        let names = self.seats.values().filter(|seat| held.contains(&seat.uid)).map(|seat| seat.name.clone());
        (names.collect(), secrets)
    }
}
