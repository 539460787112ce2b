//! A session is opened, unless a limit is reached.

use super::{DASH, SessionAnswer, license};
use crate::{
    domain::{
        chain::Digest,
        hex,
        refusal::{Code, Refusal},
        sessions::{self, Elsewhere, Exhausted, Reached},
    },
    ledger::sessions::{Use, Used},
    service::activations::{Activations, Asked, Device, Failure, Happened, Runtime, TRIES, crowded, digest},
};

impl<L: Activations> Runtime<L> {
    /// Opens a session of the activation `id`. The same request with the same key is told of the same session.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn open_session(&self, id: &str, asked: &Asked<'_>) -> Result<String, Failure> {
        let Digest(key) = self.request_key(digest(&[b"session", id.as_bytes()]), asked);
        let session = format!("{id}{DASH}{}", hex(key.get(..16).unwrap_or_default()));
        for _ in 0..TRIES {
            let living = self.own(id, &asked.proof(), true).await?;
            let (license, chain) = (license(&living)?, &living.seen.activation.chain);
            sessions::may_open(license, chain.state, chain.expires_at, self.edge.now())?;
            living.carries.grants()?;
            let open = Use::Open {
                id: session.clone(),
                activation: id.to_owned(),
                request: String::from(digest(&[asked.body])),
            };
            match self.use_session(&living, open, None).await? {
                // The License or the activation has changed since it was read.
                None => {}
                Some(Used::Open { session, new }) => {
                    if new {
                        self.news.tell(&living.key, Happened::SessionOpened { over: session.over });
                    }
                    return SessionAnswer::json(&living, license, session);
                }
                Some(Used::Refused { reached, oldest }) => {
                    self.news.tell(&living.key, Happened::SessionRefused);
                    return Err(exhausted(reached, &oldest)?.into());
                }
                Some(Used::OtherRequest) => return Err(Code::IdempotencyKeyUsed.into()),
                Some(Used::Ended | Used::Closed) => return Err(Code::SessionEnded.into()),
            }
        }
        Err(crowded())
    }
}

fn exhausted(reached: Reached, oldest: &[(String, jiff::Timestamp)]) -> Result<Refusal, Failure> {
    let oldest = oldest.iter().map(|(device, since)| {
        let device: Device = serde_json::from_str(device)?;
        Ok(Elsewhere { device: device.name, since: *since })
    });
    let oldest = oldest.collect::<Result<_, serde_json::Error>>()?;
    Ok(Exhausted { reached, oldest }.into())
}
