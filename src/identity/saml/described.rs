//! What is known of a provider, kept as long as it is good.
//!
//! ```text
//!   nothing ──first need──► description ──older than FRESH──► asked again: new, or the last good one
//! ```
//!
//! As with OpenID Connect: whoever finds it wanting waits for the one who asks already, and nobody is asked twice in [`PAUSE`].

use std::sync::Arc;

use futures::lock::Mutex;
use jiff::{SignedDuration, Timestamp};

use super::{Description, Question, Reader, Refusal, Source, child::Answer};
use crate::identity::{
    Url, fetch,
    kept::{self, FRESH, LOOK, PAUSE},
};

/// Why nothing is known of a provider.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// It does not answer.
    #[error(transparent)]
    Away(#[from] fetch::Error),
    /// It answers with something else.
    #[error("it answers with status {0}")]
    Status(u16),
    /// What it says cannot be used.
    #[error("what it says of itself cannot be used: {0}")]
    Refused(#[from] Refusal),
    /// Nobody could read it.
    #[error(transparent)]
    Unread(#[from] super::Unread),
    /// It was asked just now.
    #[error("it was asked just now, and did not answer")]
    JustNow,
}

#[derive(Default)]
struct Kept {
    said: kept::Kept<Description>,
    asked: Option<Timestamp>,
}

/// What is known of one provider.
pub(super) struct Described {
    entity_id: String,
    source: Source,
    reader: Reader,
    kept: Mutex<Kept>,
}

impl Described {
    pub(super) fn new(entity_id: String, source: Source, reader: Reader) -> Self {
        Self { entity_id, source, reader, kept: Mutex::default() }
    }

    /// What is known, if it is young, or if the provider is away.
    pub(super) async fn now(&self, now: Timestamp) -> Result<Arc<Description>, Unknown> {
        self.unless(now, FRESH).await
    }

    /// What is known, and what is wrong since when. It is asked if that was some minutes ago.
    pub(super) async fn standing(
        &self,
        now: Timestamp,
    ) -> (Option<Arc<Description>>, Option<(String, Timestamp)>) {
        let good = self.unless(now, LOOK).await.ok();
        (good, self.kept.lock().await.said.trouble.clone())
    }

    async fn unless(&self, now: Timestamp, young: SignedDuration) -> Result<Arc<Description>, Unknown> {
        let mut kept = self.kept.lock().await;
        let too_early = kept.asked.is_some_and(|asked| kept::is_within(PAUSE, asked, now));
        if let Some((good, since)) = &kept.said.good
            && (too_early || self.is_pinned() || kept::is_within(young, *since, now))
        {
            return Ok(good.clone());
        }
        if too_early {
            return Err(Unknown::JustNow);
        }
        kept.asked = Some(now);
        let said = self.ask(now).await;
        kept.said.told(said, now)
    }

    /// Whether it is all written down, so that nobody need be asked.
    fn is_pinned(&self) -> bool {
        matches!(self.source, Source::Pinned { .. })
    }

    async fn ask(&self, now: Timestamp) -> Result<Description, Unknown> {
        match &self.source {
            Source::Metadata { url, fetcher } => {
                let (status, xml) = fetcher.get(url, None).await?;
                if status != 200 {
                    return Err(Unknown::Status(status));
                }
                let question = Question::Metadata { xml, entity_id: self.entity_id.clone(), now };
                let description = self.reader.ask(&question, Answer::described).await??;
                let sign_on = description.sign_on.parse::<Url>().map_err(|_| Refusal::SignOn)?;
                fetcher.permits(&sign_on)?;
                Ok(description)
            }
            Source::Pinned { sign_on, certificates } => {
                let question = Question::Certificates { pems: certificates.clone() };
                let certificates = self.reader.ask(&question, Answer::certificates).await??;
                Ok(Description { sign_on: sign_on.to_string(), certificates })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::fetch::Loopback;

    #[tokio::test]
    async fn after_the_clock_was_turned_back_a_provider_is_asked_again() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        // It does not answer any more.
        let source = Source::metadata("https://127.0.0.1:9/saml", None, Loopback::Allowed).unwrap();
        let described = Described::new("https://idp.acme.example".into(), source, Reader::default());
        let description =
            Description { sign_on: "https://idp.acme.example/sso".into(), certificates: Vec::new() };
        described.kept.lock().await.said.good = Some((Arc::new(description), at(0)));
        let asked = async || described.kept.lock().await.asked;
        described.now(at(3_599)).await.unwrap();
        assert_eq!(asked().await, None, "it is young");
        described.now(at(-1)).await.unwrap();
        assert_eq!(asked().await, Some(at(-1)), "what was learned ahead of now is old");
        described.now(at(-1)).await.unwrap();
        assert_eq!(asked().await, Some(at(-1)), "and it is not asked at once again");
        described.now(at(-40)).await.unwrap();
        assert_eq!(asked().await, Some(at(-40)));
    }
}
