//! People who have come: whoever signs in, on whatever replica, may take a seat of the Licenses that admit them.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tracing::debug;

use crate::{
    cluster::{Context, queue::Task},
    domain::license::Key,
    ledger::{
        Ledger,
        people::{Arrival, News},
    },
};

/// How often the ledger is asked.
const PACE: Duration = Duration::from_secs(1);
/// What others wrote may be seen so much later than they say: their clocks may be behind, and their transactions take a while.
const LATE: SignedDuration = SignedDuration::from_secs(10);

/// Asks for looks at Licenses to which somebody came, until it is dropped. Whoever takes the lead has all looked at first.
pub(super) async fn follow<L: Ledger>(context: &Context<L>) -> Infallible {
    let (mut told, mut asked_at): (BTreeSet<Arrival>, Timestamp) = (BTreeSet::new(), context.edge.now());
    loop {
        let now = context.edge.now();
        let since = asked_at.min(now).checked_sub(LATE).unwrap_or(Timestamp::UNIX_EPOCH);
        match context.ledger.arrivals(since).await {
            Ok(arrivals) => {
                let news = arrivals.difference(&told).map(|arrival| &arrival.news);
                context.push(licenses(context, news).into_iter().map(Task::License));
                (told, asked_at) = (arrivals, now);
            }
            Err(error) => debug!(%error, "who has come is seen later"),
        }
        context.edge.wait(PACE).await;
    }
}

fn licenses<'a, L>(context: &Context<L>, news: impl Iterator<Item = &'a News>) -> BTreeSet<Key> {
    let (mut concerned, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for one in news {
        match one {
            News::Asked(license) | News::Contests(license) => drop(concerned.insert(license.clone())),
            News::Proven(provider, of) => groups.extend(of.iter().map(|group| (provider, group))),
        }
    }
    if !groups.is_empty() {
        concerned.extend(context.index.licenses_for(&groups));
    }
    concerned
}
