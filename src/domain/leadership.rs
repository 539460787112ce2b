//! Who leads, of several that would.
//!
//! ```text
//!               the Lease is free, or mine, or another's that was not renewed for `duration`: claim
//!   Following ─────────────────────────────────────────────────────────────────────────────────────► Leading
//!       ▲                                                                                              │  ▲
//!       └──── nothing was renewed for `give_up`, or another one has the Lease, or it was released ─────┘  └─ renewed
//! ```
//!
//! 1. A Lease of another is judged by how long *I* have seen it unchanged, never by the times written in it: clocks that
//!    differ do no harm.
//! 2. A lead counts from before the claim was sent, another's patience from after the Lease was read: with `give_up` below
//!    `duration` the former has ended before the latter begins, if clocks run within a quarter of each other's speed.
//! 3. Who cannot renew stops by itself; it need not hear of anybody else.
//! 4. A Lease that is gone is not free: somebody may have deleted it under a leader. It is waited for like another's,
//!    except where there never was one. The leader puts it back. Whoever else does waits once more before it leads: that
//!    nothing was there names no version, so a claim that came late may have passed over another's lead.
//! 5. A Lease under my own name is free to me: whoever bore this name before is dead. Whoever gives names sees to that.
//!    If I claimed where nothing was and heard no answer, it may be that claim that came late: rule 4 holds for it.
//!
//! A lead is a promise about time, and a process can be paused longer than any promise. What was decided under it is
//! fenced elsewhere: by the ledger's epoch, and by the versions that cluster writes carry.

use std::time::Duration;

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For how long a Lease must be seen unchanged before another may claim it.
    pub duration: Duration,
    /// For how long a leader that cannot renew goes on.
    pub give_up: Duration,
    /// How often a leader renews.
    pub renew: Duration,
    /// How often the others look.
    pub look: Duration,
}

impl Terms {
    /// A leader that dies is followed within `duration` and a look: 14 s, of the 20 s until the first write.
    pub const USUAL: Self = Self {
        duration: Duration::from_secs(12),
        give_up: Duration::from_secs(8),
        renew: Duration::from_secs(3),
        look: Duration::from_secs(2),
    };
}

/// The Lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who has it; nobody after a release.
    pub holder: Option<String>,
    /// Changes with each write.
    pub version: String,
    /// For how long its holder asked the others to wait.
    pub duration: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write my name into the Lease, if it is still as it was read.
    Claim,
    /// Look again then.
    Wait(Duration),
}

/// The Lease as it was seen last, and since when it is so. Whoever starts may look at it long before it would lead.
#[derive(Debug, Clone, Default)]
pub struct Seen(Option<(Option<String>, Duration)>);

impl Seen {
    /// It was read just before `now`. Returns since when it is so.
    pub fn note(&mut self, found: Option<&Record>, now: Duration) -> Duration {
        let version = found.map(|record| record.version.clone());
        let since = match &self.0 {
            Some((seen, since)) if *seen == version => *since,
            _ => now,
        };
        self.0 = Some((version, since));
        since
    }
}

/// One that would lead. All instants are of one clock, which is never turned, and of no other's.
#[derive(Debug, Clone)]
pub struct Candidate {
    me: String,
    terms: Terms,
    /// There never was a Lease: one that is not there is free.
    newcomer: bool,
    /// A claim was sent where nothing was, and none was accepted since.
    unanswered: bool,
    seen: Seen,
    /// What I hold ends then, if nothing more is renewed.
    until: Option<Duration>,
    /// Since when what I hold is a lead; not yet if that lies ahead.
    from: Duration,
}

impl Candidate {
    /// One that goes by the name of `me`, which nobody else who lives has, and has seen this of the Lease.
    #[must_use]
    pub fn new(me: String, terms: Terms, newcomer: bool, seen: Seen) -> Self {
        Self { me, terms, newcomer, unanswered: false, seen, until: None, from: Duration::ZERO }
    }

    /// Until when I lead, if nothing more is renewed.
    #[must_use]
    pub fn leads_until(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| now < *until && self.from <= now)
    }

    /// What to do, given the Lease as it was read just before `now`.
    pub fn evaluate(&mut self, found: Option<&Record>, now: Duration) -> Step {
        let since = self.seen.note(found, now);
        self.newcomer &= found.is_none();
        let step = self.judge(found, since, now);
        self.unanswered |= step == Step::Claim && found.is_none();
        step
    }

    fn judge(&mut self, found: Option<&Record>, since: Duration, now: Duration) -> Step {
        let holder = found.map(|record| record.holder.as_deref());
        match holder {
            Some(None) => Step::Claim,
            Some(Some(holder)) if holder == self.me => Step::Claim,
            None if self.newcomer || self.leads_until(now).is_some() => Step::Claim,
            Some(Some(_)) | None => {
                self.until = None;
                let patience = found.map_or(self.terms.duration, |r| r.duration.max(self.terms.duration));
                let free = since.saturating_add(patience);
                if now >= free {
                    Step::Claim
                } else {
                    Step::Wait(free.min(now.saturating_add(self.terms.look)))
                }
            }
        }
    }

    /// The claim that was sent at `sent` was accepted; `created` if there was nothing before. Returns when to renew.
    pub fn claimed(&mut self, created: bool, sent: Duration, now: Duration) -> Duration {
        let led = self.leads_until(now).is_some();
        if (created || self.unanswered) && !led && !self.newcomer {
            self.from = now.saturating_add(self.terms.duration);
        }
        (self.newcomer, self.unanswered) = (false, false);
        self.until = Some(sent.saturating_add(self.terms.give_up));
        sent.saturating_add(self.terms.renew)
    }

    /// I lead no longer, whatever the Lease says.
    pub fn resign(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests;
