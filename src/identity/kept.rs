//! What a provider has said of itself, kept as long as it is good; and how often it is asked.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::with_causes;

/// After so long it is asked again when somebody signs in.
pub const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// A provider is not asked twice within this.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// After so long it is asked again by whoever watches over the provider.
pub const LOOK: SignedDuration = SignedDuration::from_mins(5);

/// Whether `then` is less than `span` ago. What lies ahead was written by a clock that has been turned back since, and is long ago.
pub fn is_within(span: SignedDuration, then: Timestamp, now: Timestamp) -> bool {
    then <= now && now.duration_since(then) < span
}

/// What it said last that was good, and when; and what is wrong since when, if it was not good when it was asked last.
pub struct Kept<T> {
    pub good: Option<(Arc<T>, Timestamp)>,
    pub trouble: Option<(String, Timestamp)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { good: None, trouble: None }
    }
}

impl<T> Kept<T> {
    /// What counts once it has said this: the last that was good is kept.
    pub fn told<E: std::error::Error>(&mut self, said: Result<T, E>, now: Timestamp) -> Result<Arc<T>, E> {
        match said {
            Ok(good) => {
                let good = Arc::new(good);
                *self = Self { good: Some((good.clone(), now)), trouble: None };
                Ok(good)
            }
            Err(error) => {
                let since = self.trouble.as_ref().map_or(now, |(_, since)| *since);
                self.trouble = Some((with_causes(&error), since));
                self.good.as_ref().map(|(good, _)| good.clone()).ok_or(error)
            }
        }
    }
}
