//! Devices that ask under `admission: Listed`, and that no Seat names: they are told to the ledger beside the calls, as refusals are, so that
//! whoever approves them sees which they are.
//!
//! However many ask, of one second at most so many are told, in one transaction; a device that asks again is written once in a quarter of an
//! hour; and of a License the last few are kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::{Activations, Device, Happened, Runtime};
use crate::{
    domain::license::{Key, Uid},
    ledger::activations::asking::{Asking, PAUSE},
};

/// Of so many the ledger is told at once; whoever asks beside them asks again.
const AT_ONCE: usize = 64;
/// Of so many it is known that the ledger was told of them lately.
const TOLD: usize = 1_024;

/// A device of a License.
type Id = (Uid, String);

/// Who asked.
#[derive(Default)]
pub(super) struct Asks(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    /// Who is not told of yet.
    waiting: BTreeMap<Id, (Key, Asking)>,
    /// Who was, and when.
    told: BTreeMap<Id, Timestamp>,
}

impl Asked {
    fn note(&mut self, id: Id, key: &Key, asking: Asking) {
        let pause = SignedDuration::from_secs(PAUSE);
        let is_told = |at: &Timestamp| (SignedDuration::ZERO..pause).contains(&asking.at.duration_since(*at));
        if self.told.get(&id).is_some_and(is_told) {
            return;
        }
        if self.waiting.len() < AT_ONCE || self.waiting.contains_key(&id) {
            self.waiting.insert(id, (key.clone(), asking));
        }
    }

    fn tell(&mut self, asking: &[Asking]) {
        if self.told.len().saturating_add(asking.len()) > TOLD {
            self.told.clear();
        }
        self.told.extend(asking.iter().map(|one| ((one.license.clone(), one.device.to_string()), one.at)));
    }
}

impl Asks {
    fn with<T>(&self, act: impl FnOnce(&mut Asked) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L: Activations> Runtime<L> {
    /// Notes that `device` asked to be activated under the License, and was refused because no Seat names it.
    pub(super) fn note_asking(&self, license: &Uid, key: &Key, device: &Device) {
        let asking = Asking {
            license: license.clone(),
            device: device.id.clone(),
            name: device.name.clone(),
            at: self.edge.now(),
        };
        let id = (license.clone(), device.id.to_string());
        self.asks.with(|asks| asks.note(id, key, asking));
    }

    /// Tells the ledger of those who asked, and then whoever shows the Licenses.
    pub(super) async fn tell_of_asking(&self) {
        let waiting = self.asks.with(|asks| std::mem::take(&mut asks.waiting));
        if waiting.is_empty() {
            return;
        }
        let (keys, asking): (Vec<Key>, Vec<Asking>) = waiting.into_values().unzip();
        match self.ledger.note_asking(&asking).await {
            Ok(()) => {
                self.asks.with(|asks| asks.tell(&asking));
                keys.iter().for_each(|key| self.news.tell(key, Happened::Asked));
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "which devices asked is not remembered");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::{
        domain::license::{Key, Uid},
        ledger::{
            Trail as _,
            activations::{Activations as _, asking::ASKING},
        },
        service::{activations::Device, sign_in::tests::Scene},
    };

    #[tokio::test]
    async fn however_many_ask_they_are_one_write_and_a_few_are_remembered() {
        let scene = Scene::new().await;
        scene.license("cad", &[], |_| {}).await;
        let (runtime, ledger) = (scene.runtime(), scene.ledger());
        let head = ledger.last_link().await.unwrap();
        for number in 0..10_000 {
            let device: Device =
                serde_json::from_value(serde_json::json!({"id": format!("d{number}")})).unwrap();
            runtime.note_asking(&Uid("cad".into()), &Key::new("design", "cad"), &device);
        }
        runtime.tell_of_asking().await;
        let asking = ledger.asking(&Uid("cad".into()), Timestamp::MIN).await.unwrap();
        assert_eq!(asking.len(), usize::try_from(ASKING).unwrap());
        assert_eq!(ledger.last_link().await.unwrap(), head);
        // Whoever asks on is not told of anew.
        for one in &asking {
            let device = serde_json::from_value(serde_json::json!({"id": one.device.to_string()})).unwrap();
            runtime.note_asking(&Uid("cad".into()), &Key::new("design", "cad"), &device);
        }
        runtime.asks.with(|asks| assert!(asks.waiting.is_empty()));
    }
}
