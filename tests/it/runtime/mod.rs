//! What programs ask of the runtime API, and what they are told: over TLS, by the real server, under a real API server.

pub mod administrators;
pub mod agent;
mod agent_clones;
mod agent_disks;
mod agent_sessions;
mod agent_stops;
mod agent_trusts;
mod agent_ways;
mod asking;
mod astray;
mod broken;
mod client;
mod clones;
mod contract;
mod crashed;
mod database;
mod ended;
mod full;
mod gateway;
mod given;
mod health;
mod heartbeats;
mod history;
mod hostile;
mod keys;
mod killed;
mod limits;
mod load;
mod lost_replies;
mod paced;
pub mod path;
pub mod pods;
pub mod possession;
pub mod program;
mod races;
mod raw;
mod refusals;
mod replicas;
mod restored;
mod sessions;
mod transcript;
pub mod workloads;

use serde_json::{Value, json};

use crate::{
    ground::{Listening, license, served, shared},
    scenarios::{Place, with},
};
pub use program::Own;
use program::{Program, key_named};

/// The License `cad` of so many seats, for devices that have the activation key `lab`.
fn for_devices(seats: u32) -> Value {
    with(license(seats), &json!({"spec": {"activationKeys": [{"name": "lab"}]}}))
}

/// A namespace with a License, and a program that has its activation key.
struct Scene {
    place: Place,
    program: Program,
    key: String,
}

impl Scene {
    async fn new(license: &Value) -> Self {
        Self::of(Place::new(shared()).await, served(), license).await
    }

    /// The same in this place, served there.
    async fn of(place: Place, listening: &Listening, license: &Value) -> Self {
        place.apply(license).await;
        let key = key_named(&place.secrets, "lab").await;
        place.license_says("cad", "Issued").await;
        Self { place, program: Program::at(listening), key }
    }

    /// Activates a device, which must go.
    async fn active(&self, device: &str) -> Own {
        Own::of(&self.activate(device).await)
    }

    async fn activate(&self, device: &str) -> program::Told {
        self.program.activate(&self.place.namespace, &self.key, device, Some(&program::drawn())).await
    }
}
