//! What is declared, for those who answer programs: from the index, on every replica.

use std::collections::BTreeMap;

use super::{Context, api::SeatState};
use crate::{
    domain::{license::Key, text::Product},
    service::intent::{Declared, Intent},
};

impl<L: Send + Sync + 'static> Intent for Context<L> {
    fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.index.namespace_labels(namespace)
    }

    fn asks(&self, license: &Key, holders: &[String]) -> bool {
        let seats = self.index.seats_of(license);
        let mut asked = seats.iter().filter_map(|seat| seat.0.as_ref().ok()?.spec.holder.holder());
        asked.any(|holder| holders.contains(&holder.identity()))
    }

    fn open(&self) -> Vec<(Key, Product)> {
        self.index.licenses_open_to_all()
    }

    fn declared(&self, holders: &[String], at_most: usize) -> Vec<Declared> {
        let seats = self.index.seats_for(holders, at_most);
        let readable = seats.iter().filter_map(|seat| seat.0.as_ref().ok());
        let declared = readable.map(|seat| {
            let status = seat.status.as_ref();
            let waiting = status.and_then(|status| status.waiting);
            Declared {
                license: Key::new(
                    seat.metadata.namespace.clone().unwrap_or_default(),
                    seat.spec.license_ref.name.as_str(),
                ),
                position: waiting.and_then(|waiting| u32::try_from(waiting.position).ok()),
                rests: status.is_some_and(|status| status.state == Some(SeatState::Suspended)),
            }
        });
        declared.collect()
    }
}
