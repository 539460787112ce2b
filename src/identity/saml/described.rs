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

use super::{
    Description, Question, Reader, Refusal, Source, child::Answer, metadata::Certificate, reader::Read,
};
use crate::identity::{
    Url, fetch,
    oidc::{LOOK, PAUSE},
    with_causes,
};

/// After so long it is asked for again when somebody signs in.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

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
    good: Option<(Arc<Description>, Timestamp)>,
    asked: Option<Timestamp>,
    trouble: Option<(String, Timestamp)>,
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
        (good, self.kept.lock().await.trouble.clone())
    }

    async fn unless(&self, now: Timestamp, young: SignedDuration) -> Result<Arc<Description>, Unknown> {
        let mut kept = self.kept.lock().await;
        let too_early = kept.asked.is_some_and(|asked| now.duration_since(asked) < PAUSE);
        if let Some((good, since)) = &kept.good
            && (too_early || self.is_pinned() || now.duration_since(*since) < young)
        {
            return Ok(good.clone());
        }
        if too_early {
            return Err(Unknown::JustNow);
        }
        kept.asked = Some(now);
        match self.ask(now).await {
            Ok(description) => {
                let description = Arc::new(description);
                kept.good = Some((description.clone(), now));
                kept.trouble = None;
                Ok(description)
            }
            // The last good one is kept.
            Err(error) => {
                let since = kept.trouble.as_ref().map_or(now, |(_, since)| *since);
                kept.trouble = Some((with_causes(&error), since));
                kept.good.as_ref().map(|(good, _)| good.clone()).ok_or(error)
            }
        }
    }

    /// Whether it is all written down, so that nobody need be asked.
    fn is_pinned(&self) -> bool {
        matches!(self.source, Source::Pinned { .. })
    }

    async fn ask(&self, now: Timestamp) -> Result<Description, Unknown> {
        match &self.source {
            Source::Metadata { url, fetcher } => {
                let (status, xml) = fetcher.get(url).await?;
                if status != 200 {
                    return Err(Unknown::Status(status));
                }
                let question = Question::Metadata { xml, entity_id: self.entity_id.clone(), now };
                let read: Read<Description> =
                    self.reader.ask(&question).await.and_then(|answer| match answer {
                        Answer::Described(description) => Ok(Ok(description)),
                        Answer::Refused(refusal) => Ok(Err(refusal)),
                        Answer::Proven(_) | Answer::Certificates(_) => Err(super::Unread::Senseless),
                    });
                let description = read??;
                let sign_on = description.sign_on.parse::<Url>().map_err(|_| Refusal::SignOn)?;
                fetcher.permits(&sign_on)?;
                Ok(description)
            }
            Source::Pinned { sign_on, certificates } => {
                let question = Question::Certificates { pems: certificates.clone() };
                let read: Read<Vec<Certificate>> =
                    self.reader.ask(&question).await.and_then(|answer| match answer {
                        Answer::Certificates(certificates) => Ok(Ok(certificates)),
                        Answer::Refused(refusal) => Ok(Err(refusal)),
                        Answer::Proven(_) | Answer::Described(_) => Err(super::Unread::Senseless),
                    });
                Ok(Description { sign_on: sign_on.to_string(), certificates: read?? })
            }
        }
    }
}
