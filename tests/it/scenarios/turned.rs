//! A control plane of its own, whose operator's clock is turned.

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::Value;
use std::sync::Arc;
use usher::service::edge::Edge as _;

use super::Place;
use crate::ground::{Ground, Operator, operator::Turned, seat, wait_for};

/// Where the clock is turned.
pub struct World {
    pub ground: Ground,
    pub clock: Arc<Turned>,
    pub operator: Operator,
    pub began: Timestamp,
    _directory: tempfile::TempDir,
}

impl World {
    /// A control plane whose operator's clock shows the real time, until it is turned.
    pub async fn new() -> Self {
        let (ground, clock) = (Ground::own(), Turned::new());
        let directory = tempfile::tempdir().unwrap();
        let client = Client::try_from(ground.usher_config().await).unwrap();
        let operator = Operator::start(client, &directory.path().join("ledger.db"), clock.clone()).await;
        let began = clock.now();
        Self { ground, clock, operator, began, _directory: directory }
    }

    /// So many hours after the beginning, as people write it.
    pub fn after(&self, hours: i64) -> String {
        format!("{:.0}", self.began + SignedDuration::from_hours(hours))
    }

    /// Turns the clock to a second after `instant`.
    pub fn turn_to(&self, instant: Timestamp) {
        let ahead = instant.duration_since(self.clock.now());
        assert!(ahead.is_positive(), "a clock is not turned back");
        self.clock.forward(ahead + SignedDuration::from_secs(1));
    }

    /// A namespace with this License, and these Seats in order.
    pub async fn place(&self, license: &Value, seats: &[&str]) -> Place {
        let place = Place::new(&self.ground).await;
        place.apply(license).await;
        for name in seats {
            place.apply(&seat(name)).await;
            wait_for(&place.seats, name, "is seen", |seat| seat.status.is_some()).await;
        }
        place
    }
}
