//! What users do, and what they then see.

mod activation_keys;
mod admission;
mod allocation;
mod assignments;
mod audit;
mod authority;
mod clock;
mod contract;
mod copies;
mod documents;
mod hostile;
mod identity_providers;
mod large;
mod least;
mod policy;
mod refused;
mod rekey;
mod repair;
mod requests;
mod rights;
mod roots;
mod rotation;
mod states;
pub mod turned;
mod uninstall;
mod unreadable;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt as _, api::DeleteParams};
use serde_json::Value;
use usher::cluster::api::{Authority, Condition, License, Seat, SeatState, Type, UserAssignment};

use crate::ground::{Ground, Guest, apply, until, wait_for};

/// One namespace, as somebody who works in it sees it.
pub struct Place {
    pub client: Client,
    pub namespace: String,
    pub licenses: Api<License>,
    pub seats: Api<Seat>,
    pub assignments: Api<UserAssignment>,
    pub secrets: Api<Secret>,
    /// Of the whole cluster.
    pub authorities: Api<Authority>,
    /// Those that Usher publishes.
    pub published: Api<ConfigMap>,
    _guest: Option<Guest>,
}

impl Place {
    /// A new namespace.
    pub async fn new(ground: &Ground) -> Self {
        let (client, namespace) = ground.namespace().await;
        Self {
            licenses: Api::namespaced(client.clone(), &namespace),
            seats: Api::namespaced(client.clone(), &namespace),
            assignments: Api::namespaced(client.clone(), &namespace),
            secrets: Api::namespaced(client.clone(), &namespace),
            authorities: Api::all(client.clone()),
            published: Api::namespaced(client.clone(), "usher-system"),
            client,
            namespace,
            _guest: Guest::of(ground),
        }
    }

    /// Applies an object of this namespace.
    pub async fn apply(&self, object: &Value) -> Value {
        apply(&self.client, &self.namespace, object).await.unwrap()
    }

    /// Applies an Authority.
    pub async fn apply_authority(&self, object: &Value) -> Value {
        apply(&self.client, "", object).await.unwrap()
    }

    /// Waits until the Seat is in `state`.
    pub async fn seat(&self, name: &str, state: SeatState) -> Seat {
        let is = |seat: &Seat| seat.status.as_ref().is_some_and(|status| status.state == Some(state));
        wait_for(&self.seats, name, &format!("is {state:?}"), is).await
    }

    /// Waits until the Seat waits at `position`.
    pub async fn waits_at(&self, name: &str, position: i64) -> Seat {
        let at = |seat: &Seat| {
            let waiting = seat.status.as_ref().and_then(|status| status.waiting);
            waiting.is_some_and(|waiting| waiting.position == position)
        };
        wait_for(&self.seats, name, &format!("waits at {position}"), at).await
    }

    /// Waits until the Seat's Ready gives `reason`, and returns the sentence beside it.
    pub async fn seat_says(&self, name: &str, reason: &str) -> String {
        let says = |seat: &Seat| ready(seat_conditions(seat)).is_some_and(|ready| ready.reason == reason);
        let seat = wait_for(&self.seats, name, &format!("says {reason}"), says).await;
        ready(seat_conditions(&seat)).unwrap().message.clone()
    }

    /// Waits until the License's Ready gives `reason`, about what it says today.
    pub async fn license_says(&self, name: &str, reason: &str) -> License {
        let says = |license: &License| {
            let ready = ready(license_conditions(license));
            let current = |ready: &Condition| Some(ready.observed_generation) == license.metadata.generation;
            ready.is_some_and(|ready| ready.reason == reason && current(ready))
        };
        wait_for(&self.licenses, name, &format!("says {reason}"), says).await
    }

    /// Waits until the License counts so many bound and waiting.
    pub async fn counts(&self, name: &str, bound: i64, waiting: i64) -> License {
        let counts = |license: &License| {
            let seats = license.status.as_ref().map(|status| status.seats);
            seats.is_some_and(|seats| (seats.bound, seats.waiting) == (bound, waiting))
        };
        wait_for(&self.licenses, name, &format!("counts {bound} and {waiting}"), counts).await
    }

    /// Waits until the Secret is there.
    pub async fn secret(&self, name: &str) -> Secret {
        wait_for(&self.secrets, name, "is there", |_| true).await
    }

    /// Waits until the Secret is gone.
    pub async fn no_secret(&self, name: &str) {
        until(&format!("{name} is gone"), async || {
            self.secrets.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Deletes a Seat.
    pub async fn delete_seat(&self, name: &str) {
        self.seats.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes a License.
    pub async fn delete_license(&self, name: &str) {
        self.licenses.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

pub fn license_conditions(license: &License) -> &[Condition] {
    license.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

pub fn seat_conditions(seat: &Seat) -> &[Condition] {
    seat.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == Type::Ready)
}

/// Whether only an edit can help.
pub fn stalled(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| condition.type_ == Type::Stalled && condition.status == "True")
}

/// `base` with the members of `patch`; `null` takes one out (RFC 7396).
pub fn with(mut base: Value, patch: &Value) -> Value {
    fn merge(base: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *base = patch.clone();
            return;
        };
        if !base.is_object() {
            *base = serde_json::json!({});
        }
        let members = base.as_object_mut().unwrap();
        for (name, value) in patch {
            if value.is_null() {
                members.remove(name);
            } else {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
    }
    merge(&mut base, patch);
    base
}

/// An entry of a Secret, as text.
pub fn entry(secret: &Secret, name: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[name].0.clone()).unwrap()
}

/// What the document in a Secret says.
pub fn claims(secret: &Secret) -> usher_license::Claims {
    let document = entry(secret, "license.jws");
    usher_license::License::parse(document.as_bytes()).unwrap().unverified_claims().clone()
}

/// What of a Secret is Usher's: if this is the same, no byte was changed.
pub fn substance(secret: &Secret) -> Value {
    let mut metadata = serde_json::to_value(&secret.metadata).unwrap();
    let metadata = metadata.as_object_mut().unwrap();
    metadata.retain(|name, _| ["labels", "ownerReferences", "name", "namespace"].contains(&name.as_str()));
    serde_json::json!({"type": secret.type_, "data": secret.data, "metadata": metadata})
}

/// The version that the API server gave an object when it was last written.
pub fn version(object: &impl kube::Resource) -> String {
    object.resource_version().unwrap()
}
