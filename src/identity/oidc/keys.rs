//! What a provider publishes of itself, and its keys, kept as long as they are good.
//!
//! ```text
//!   nothing ──first need──► metadata, keys ──older than FRESH, or an unknown kid──► asked again: new, or the last good ones
//! ```
//!
//! Whoever finds them wanting waits for the one who asks already; and whatever tokens come, a provider is asked at most once in
//! [`PAUSE`] because of its age, and once because of unknown keys: nobody can make Usher a nuisance to it by signing with keys that nobody
//! has. (The two are counted apart: Keycloak makes some keys only when it first signs with them, right after it was asked.)

use std::sync::Arc;

use futures::lock::Mutex;
use jiff::Timestamp;
use openidconnect::{
    AdditionalProviderMetadata, DiscoveryError, IssuerUrl, JsonWebKey as _, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};

use crate::identity::{
    fetch::{self, Fetcher},
    kept::{self, FRESH, LOOK, PAUSE},
};

/// What RFC 9207 adds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Further {
    /// Whether `iss` comes with each answer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Further {}

/// What a provider publishes.
pub type Metadata = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Why there is nothing of a provider.
pub type Error = DiscoveryError<fetch::Error>;

/// Why a provider is asked.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// What is kept is old, or there is nothing.
    Age,
    /// A token names a key that is not among those that are kept.
    UnknownKey,
}

#[derive(Default)]
struct Kept {
    said: kept::Kept<Metadata>,
    /// When the provider was asked last, for each [`Why`].
    aged: Option<Timestamp>,
    unknown: Option<Timestamp>,
}

/// What is known of a provider, and what is wrong with it.
pub(super) struct Standing {
    pub(super) good: Option<Arc<Metadata>>,
    pub(super) trouble: Option<(String, Timestamp)>,
}

impl Kept {
    fn asked(&mut self, why: Why) -> &mut Option<Timestamp> {
        match why {
            Why::Age => &mut self.aged,
            Why::UnknownKey => &mut self.unknown,
        }
    }
}

/// The metadata and keys of one provider.
pub(super) struct Published {
    issuer: IssuerUrl,
    fetcher: Fetcher,
    kept: Mutex<Kept>,
}

impl Published {
    pub(super) fn of(issuer: IssuerUrl, fetcher: Fetcher) -> Self {
        Self { issuer, fetcher, kept: Mutex::default() }
    }

    /// What is published: what was, if that is young, or if the provider is away.
    pub(super) async fn now(&self, now: Timestamp) -> Result<Arc<Metadata>, Error> {
        self.unless(Why::Age, now, |_, since| kept::is_within(FRESH, since, now)).await
    }

    /// The same, where the key `kid` is among the keys if the provider has it by now.
    pub(super) async fn with_key(&self, kid: Option<&str>, now: Timestamp) -> Result<Arc<Metadata>, Error> {
        let has = |metadata: &Metadata| {
            kid.is_none_or(|kid| {
                metadata.jwks().keys().iter().any(|key| key.key_id().is_some_and(|id| id.as_str() == kid))
            })
        };
        self.unless(Why::UnknownKey, now, |metadata, _| has(metadata)).await
    }

    /// What is known of the provider, which is asked if that was some minutes ago.
    pub(super) async fn standing(&self, now: Timestamp) -> Standing {
        let asked = self.unless(Why::Age, now, |_, since| kept::is_within(LOOK, since, now)).await;
        let trouble = self.kept.lock().await.said.trouble.clone();
        Standing { good: asked.ok(), trouble }
    }

    /// What is kept if `suits` says so, or if it is too early to ask again; else what the provider says now.
    async fn unless(
        &self,
        why: Why,
        now: Timestamp,
        suits: impl FnOnce(&Metadata, Timestamp) -> bool,
    ) -> Result<Arc<Metadata>, Error> {
        let mut kept = self.kept.lock().await;
        let too_early = kept.asked(why).is_some_and(|asked| kept::is_within(PAUSE, asked, now));
        if let Some((metadata, since)) = &kept.said.good
            && (too_early || suits(metadata, *since))
        {
            return Ok(metadata.clone());
        }
        if too_early {
            return Err(DiscoveryError::Other("it was asked just now, and did not answer".into()));
        }
        *kept.asked(why) = Some(now);
        let said = Metadata::discover_async(self.issuer.clone(), &self.fetcher).await;
        kept.said.told(said, now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::fetch::Loopback;

    const START: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    /// A provider that has published the key `a`, and does not answer any more.
    fn gone() -> Published {
        let issuer = IssuerUrl::new("https://127.0.0.1:9".into()).unwrap();
        let metadata: Metadata = serde_json::from_value(json!({
            "issuer": issuer, "authorization_endpoint": "https://127.0.0.1:9/a", "jwks_uri": "https://127.0.0.1:9/k",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
        }))
        .unwrap();
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
        let metadata = metadata.set_jwks(serde_json::from_value(jwks).unwrap());
        let good = Some((Arc::new(metadata), at(0)));
        let said = kept::Kept { good, trouble: None };
        let kept = Kept { said, aged: Some(at(0)), unknown: None };
        Published { issuer, fetcher: Fetcher::new(None, Loopback::Allowed).unwrap(), kept: Mutex::new(kept) }
    }

    #[tokio::test]
    async fn keys_are_asked_for_again_when_one_is_unknown_but_not_again_and_again() {
        let published = gone();
        let asked = async || published.kept.lock().await.unknown;
        published.with_key(Some("a"), at(3_000)).await.unwrap();
        assert_eq!(asked().await, None, "a key that is known calls for nothing");
        let kept = published.with_key(Some("b"), at(1)).await.unwrap();
        assert_eq!(asked().await, Some(at(1)), "one that is unknown does, at once");
        assert_eq!(kept.jwks().keys().len(), 1, "and what was last good is kept, for nobody answered");
        published.with_key(Some("b"), at(30)).await.unwrap();
        assert_eq!(asked().await, Some(at(1)), "too early");
        published.with_key(Some("b"), at(31)).await.unwrap();
        assert_eq!(asked().await, Some(at(31)), "again");
    }

    #[tokio::test]
    async fn what_a_provider_publishes_is_asked_for_again_after_an_hour() {
        let published = gone();
        let asked = async || published.kept.lock().await.aged.unwrap();
        published.now(at(3_599)).await.unwrap();
        assert_eq!(asked().await, at(0));
        published.now(at(3_600)).await.unwrap();
        assert_eq!(asked().await, at(3_600));
    }

    #[tokio::test]
    async fn after_the_clock_was_turned_back_a_provider_is_asked_again() {
        let published = gone();
        let asked = async || published.kept.lock().await.aged.unwrap();
        published.now(at(-1)).await.unwrap();
        assert_eq!(asked().await, at(-1), "what was learned ahead of now is old");
        published.now(at(-1)).await.unwrap();
        published.standing(at(-1)).await;
        assert_eq!(asked().await, at(-1), "and it is not asked at once again");
        published.standing(at(-40)).await;
        assert_eq!(asked().await, at(-40));
        *published.kept.lock().await.asked(Why::UnknownKey) = Some(at(1_000));
        published.with_key(Some("b"), at(30)).await.unwrap();
        assert_eq!(published.kept.lock().await.unknown, Some(at(30)));
    }

    #[tokio::test]
    async fn a_provider_that_never_answered_is_not_asked_again_at_once() {
        let published = gone();
        published.kept.lock().await.said.good = None;
        assert!(matches!(published.now(at(10)).await, Err(DiscoveryError::Other(_))));
        assert!(matches!(published.now(at(30)).await, Err(DiscoveryError::Request(_))));
        assert!(matches!(published.now(at(31)).await, Err(DiscoveryError::Other(_))));
    }

    #[tokio::test]
    async fn whoever_watches_over_a_provider_learns_that_it_is_away_and_since_when_and_what_was_last_good() {
        let published = gone();
        let standing = published.standing(at(299)).await;
        assert!(standing.good.is_some() && standing.trouble.is_none(), "asked not long ago");
        for now in [300, 310, 400] {
            let standing = published.standing(at(now)).await;
            assert_eq!(standing.good.unwrap().jwks().keys().len(), 1);
            let (said, since) = standing.trouble.unwrap();
            assert!(said.contains("the provider does not answer"), "{said}");
            assert_eq!(since, at(300));
        }
        assert_eq!(published.kept.lock().await.aged, Some(at(400)));
    }
}
