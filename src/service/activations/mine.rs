//! Somebody who is signed in, in their browser or on their machine, sees what is theirs, ends a device of theirs, and asks for a seat where everybody may.
//!
//! ```text
//!   ledger: seats that may be theirs, devices, sessions ─┐
//!   declared: Seats for them, and their places ──────────┼──► standing, License by License ──► where their provider counts
//!   ledger: Licenses under which they wait ──────────────┘
//! ```
//!
//! What is shown decides nothing. What is ended is asked about anew: whose the seat is that the device is active on; and so is what is asked for: whether the
//! License gives a seat to whoever asks, as it was last reconciled.

mod told;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Activations, Device, Failure, Runtime, TRIES, crowded, license_named, person::holders};
use crate::{
    domain::{
        contract::Contract,
        license::{Key, License, Phase},
        principal::Principal,
        standing::{Candidate, Person, Standing, standing},
        terms::{Provisioning, SignIn},
        text::Product,
    },
    ledger::{
        activations::Living,
        holdings::{ActiveOn, Holdings, MaybeSeat, OnSeat, OpenOn},
    },
    service::intent::Declared,
};

pub use told::MineAnswer;

/// So many Licenses, devices and sessions are shown.
pub const SHOWN: u32 = 50;

/// What is somebody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mine {
    /// License by License.
    pub licenses: Vec<MyLicense>,
    /// Licenses of which they have nothing, and of which they are given a seat, or a place in the queue, if they ask.
    pub open: Vec<(Key, Product)>,
    /// There is more than is shown here.
    pub has_more: bool,
}

/// What they have of one License.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MyLicense {
    /// Its namespace and name.
    pub key: Key,
    /// What it says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// How it stands.
    pub phase: Phase,
    /// How they stand.
    pub place: Place,
    /// Where their seat is active.
    pub devices: Vec<MyDevice>,
    /// Where it is in use.
    pub sessions: Vec<MySession>,
}

impl MyLicense {
    /// The product, if that is known yet.
    #[must_use]
    pub fn product(&self) -> Option<&Product> {
        self.contract.as_ref().map(|contract| &contract.license.product)
    }
}

/// How somebody stands under a License.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// They have a seat.
    Seat,
    /// They have one, and it rests.
    Rests,
    /// They wait, at this place if it is one of the first.
    Waits(Option<u32>),
    /// The seat is held by their address, which somebody had before them.
    Anothers,
}

/// A device on which a seat is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MyDevice {
    /// The activation.
    pub id: String,
    /// What its client said of it.
    pub device: Device,
    /// When it began.
    pub since: Timestamp,
    /// When it was last heard of.
    pub heard_at: Timestamp,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MySession {
    /// What its client said of the device.
    pub device: Device,
    /// When it was opened.
    pub since: Timestamp,
}

/// The ledger is being made true again after a loss.
fn not_yet() -> Failure {
    Failure::Unavailable("the ledger is being rebuilt, and does not know everybody yet".into())
}

impl<L: Activations> Runtime<L> {
    /// What is theirs.
    ///
    /// # Errors
    /// When Usher cannot tell now.
    pub async fn mine(&self, who: &Principal) -> Result<Mine, Failure> {
        self.may_answer()?;
        // As it was before anything was read: what is theirs may not be known again yet.
        let rebuilding = self.is_rebuilding();
        let provider = self.provider_of(who)?;
        let (person, now) = (Person::from(who), self.edge.now());
        // One more than is shown: then it is known whether there are more.
        let mut held = self.ledger.holdings(&person, now, SHOWN.saturating_add(1)).await?;
        let mut declared = self.people.intent.declared(&holders(&person), most().saturating_add(1));
        let there = [held.seats.len(), held.devices.len(), held.sessions.len(), declared.len()];
        held.devices.truncate(most());
        held.sessions.truncate(most());
        held.seats.retain(|seat| self.admits(&provider, &seat.key));
        declared.retain(|seat| self.admits(&provider, &seat.license));
        // Only an address that counts asks for anything.
        let mut open = if person.email.is_some() { self.people.intent.open() } else { Vec::new() };
        open.retain(|(key, _)| self.admits(&provider, key));
        let mut licenses = by_seats(&person, &held, &declared, now)?;
        for Declared { license: key, position, .. } in declared {
            if licenses.contains_key(&key) {
                continue;
            }
            let met = self.ledger.met(&key, &person).await?;
            let is_anothers = met.as_ref().is_some_and(|met| {
                standing(&person, &met.candidates, met.elsewhere) == Standing::HolderChanged
            });
            let place = if is_anothers { Place::Anothers } else { Place::Waits(position) };
            let contract = met.and_then(|met| met.contract);
            licenses.insert(key.clone(), license(key, contract, place, now));
        }
        open.retain(|(key, _)| !licenses.contains_key(key));
        let has_more = there.into_iter().chain([open.len()]).any(|there| there > most());
        open.truncate(most());
        let licenses: Vec<_> = licenses.into_values().take(most()).collect();
        if rebuilding && licenses.is_empty() {
            return Err(not_yet());
        }
        Ok(Mine { licenses, open, has_more })
    }

    /// They ask for a seat of `license`, and wait a moment for it, or for their place in the queue. `false` if it is not given to whoever asks.
    ///
    /// # Errors
    /// When Usher cannot answer now.
    pub async fn ask_for_mine(&self, who: &Principal, license: &str) -> Result<bool, Failure> {
        self.may_answer()?;
        let (person, provider) = (Person::from(who), self.provider_of(who)?);
        let Ok(key) = license_named(license) else { return Ok(false) };
        if !self.admits(&provider, &key) {
            return Ok(false);
        }
        let Some(met) = self.ledger.met(&key, &person).await? else { return Ok(false) };
        let is_open = met.contract.as_ref().is_some_and(|contract| {
            let License { sign_in, terms, .. } = &contract.license;
            *sign_in == SignIn::Verified && terms.provisioning == Provisioning::Named
        });
        let has_nothing = standing(&person, &met.candidates, met.elsewhere) == Standing::Nothing;
        if !is_open || !has_nothing || !self.comes(&met, &person).await? {
            return Ok(false);
        }
        self.seated(&key, &person).await?;
        Ok(true)
    }

    /// Ends the activation `id`, which frees a device of their seat. `false` if it is none of theirs.
    ///
    /// # Errors
    /// When Usher cannot answer now.
    pub async fn end_mine(&self, who: &Principal, id: &str) -> Result<bool, Failure> {
        for _ in 0..TRIES {
            let Some(living) = self.on_seat_of(who, id).await? else { return Ok(false) };
            let by = living.seen.activation.holder.clone();
            if self.ends(living, Some(by)).await? {
                return Ok(true);
            }
        }
        Err(crowded())
    }

    /// The activation `id`, if it is on a seat that this one holds.
    pub(super) async fn on_seat_of(&self, who: &Principal, id: &str) -> Result<Option<Living>, Failure> {
        self.may_answer()?;
        let rebuilding = self.is_rebuilding();
        let (person, provider) = (Person::from(who), self.provider_of(who)?);
        let Some(living) = self.activation(id).await? else {
            return if rebuilding { Err(not_yet()) } else { Ok(None) };
        };
        let met = self.ledger.met(&living.key, &person).await?;
        let activation = &living.seen.activation;
        let is_theirs = self.admits(&provider, &living.key)
            && met.is_some_and(|met| {
                met.license == activation.license
                    && holds(&person, &met.candidates, met.elsewhere).as_ref() == Some(&activation.holder)
            });
        Ok(is_theirs.then_some(living))
    }
}

fn most() -> usize {
    usize::try_from(SHOWN).unwrap_or(usize::MAX)
}

/// Who holds the seat among these that is theirs.
fn holds(person: &Person, candidates: &[Candidate], elsewhere: bool) -> Option<String> {
    match standing(person, candidates, elsewhere) {
        Standing::Theirs { holder, .. } => Some(holder),
        Standing::HolderChanged | Standing::Nothing => None,
    }
}

fn license(key: Key, contract: Option<Contract>, place: Place, now: Timestamp) -> MyLicense {
    let phase = contract.as_ref().map_or(Phase::Active, |contract| contract.license.phase(now));
    MyLicense { key, contract, phase, place, devices: Vec::new(), sessions: Vec::new() }
}

/// The Licenses under which a seat is bound that may be theirs.
fn by_seats(
    person: &Person,
    held: &Holdings,
    declared: &[Declared],
    now: Timestamp,
) -> Result<BTreeMap<Key, MyLicense>, serde_json::Error> {
    let mut licenses = BTreeMap::new();
    // Those of one License are beside each other.
    for seats in held.seats.chunk_by(|one, next| one.license == next.license) {
        let Some(MaybeSeat { license: uid, key, contract, .. }) = seats.first() else { continue };
        let candidates: Vec<_> = seats.iter().map(|seat| seat.candidate.clone()).collect();
        let mut mine = license(key.clone(), contract.clone(), Place::Anothers, now);
        if let Some(holder) = holds(person, &candidates, held.elsewhere) {
            let rests = declared.iter().any(|seat| seat.license == *key && seat.rests);
            mine.place = if rests && mine.phase.grants() { Place::Rests } else { Place::Seat };
            let seat = OnSeat { license: uid.clone(), holder };
            mine.devices =
                held.devices.iter().filter(|on| on.seat == seat).map(device).collect::<Result<_, _>>()?;
            mine.sessions =
                held.sessions.iter().filter(|on| on.seat == seat).map(session).collect::<Result<_, _>>()?;
        }
        // A License that was made again stands beside the former one until that is gone: one of the two is shown.
        licenses.insert(key.clone(), mine);
    }
    Ok(licenses)
}

fn device(on: &ActiveOn) -> Result<MyDevice, serde_json::Error> {
    let device = serde_json::from_str(&on.device)?;
    Ok(MyDevice { id: on.id.clone(), device, since: on.since, heard_at: on.heard_at })
}

fn session(on: &OpenOn) -> Result<MySession, serde_json::Error> {
    Ok(MySession { device: serde_json::from_str(&on.device)?, since: on.since })
}

#[cfg(test)]
mod tests;
