//! A provider is asked again about somebody whom it has let in: by its refresh token (OpenID Connect Core, section 12).
//!
//! ```text
//!   a token response ─┬─ an ID token that holds, of the same person ───► Yes, as at a sign-in
//!                     ├─ an ID token of another person, or issuer ─────► Another
//!                     ├─ an ID token that does not hold ───────────────► Unbelieved: nothing is known
//!                     └─ no ID token ──────────────────────────────────► Yes, and nothing is known of them
//!   `invalid_grant` ───────────────────────────────────────────────────► No
//!   another error; no connection; the status 429 ──────────────────────► Unbelieved, Away: nothing is known
//!   no whole answer, or one that is none; a status from 500 on ────────► Lost: nothing is known, and the token may be used up
//! ```
//!
//! Providers may give another refresh token each time, and take each once. So what came last is kept whatever else came with it, and a no
//! after an answer that was lost may only mean that the token was used up: whoever keeps it decides by that.

use jiff::{SignedDuration, Timestamp};
use openidconnect::{
    EmptyAdditionalClaims, EndpointMaybeSet, EndpointNotSet, EndpointSet, ExtraTokenFields, IdTokenFields,
    Nonce, OAuth2TokenResponse as _, RefreshToken, RequestTokenError, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Answers, Check, Principal, Refused, RelyingParty, plain, with_causes};
use crate::domain::text::Subject;

/// So many questions are under way at one provider: hundreds a second of one that answers, and a part of those who wait of one that does not.
pub(super) const AT_ONCE: usize = 16;

/// What some providers say beside (Keycloak the first, Google and others the second).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Beside {
    #[serde(default)]
    refresh_expires_in: Value,
    #[serde(default)]
    refresh_token_expires_in: Value,
}

impl ExtraTokenFields for Beside {}

type Fields = IdTokenFields<
    EmptyAdditionalClaims,
    Beside,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// What a token endpoint answers.
pub(super) type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

/// Whoever asks there.
pub(super) type Client = openidconnect::Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// By what a provider is asked again about one person: a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    token: Zeroizing<String>,
    /// Of the request by which the person has signed in.
    nonce: String,
    /// To which client the provider gave it. It is good for nothing with another one, and that says nothing of the person.
    client: String,
    /// By the provider's own word, the first instant at which it is good for nothing.
    until: Option<Timestamp>,
}

/// What a provider says of somebody whom it has let in.
pub enum Answer {
    /// They may go on; who they are, if it says that, too; and by what it is asked the next time.
    Yes(Option<Principal>, Again),
    /// They may not.
    No,
    /// It speaks of somebody else.
    Another,
    /// What it says is neither yes nor no; by what it is asked the next time, if it said that.
    Unbelieved(String, Option<Again>),
    /// It was not asked.
    Away(String),
    /// It was, and its answer was lost.
    Lost(String),
}

impl Again {
    /// What the provider gave.
    pub(super) fn given(tokens: &Tokens, nonce: &str, client: &str, now: Timestamp) -> Option<Self> {
        let token = Zeroizing::new(tokens.refresh_token()?.secret().clone());
        let Beside { refresh_expires_in, refresh_token_expires_in } = tokens.extra_fields().extra_fields();
        // Keycloak says 0 of one that does not end.
        let seconds = [refresh_expires_in, refresh_token_expires_in].into_iter().find_map(Value::as_i64);
        let until = seconds
            .filter(|seconds| *seconds > 0)
            .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
        Some(Self { token, nonce: nonce.to_owned(), client: client.to_owned(), until })
    }

    /// Whether it is good for nothing any more, by the provider's own word.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl RelyingParty {
    /// Whether the provider can be asked by it: not if Usher is another client there than it was.
    #[must_use]
    pub fn can_ask(&self, again: &Again) -> bool {
        again.client == self.settings.client.as_str()
    }

    /// What the provider says of `subject` today.
    pub async fn ask_again(&self, again: &Again, subject: &Subject, now: Timestamp) -> Answer {
        // Nobody waits for a place: whoever finds none is asked about the next time.
        let Ok(_place) = self.places.try_acquire() else {
            return Answer::Away("too many questions are under way there".to_owned());
        };
        let metadata = match self.published(now).await {
            Ok(metadata) => metadata,
            Err(away) => return Answer::Away(away.to_string()),
        };
        let (client, token) = (self.client(&metadata), RefreshToken::new((*again.token).clone()));
        let request = match client.exchange_refresh_token(&token) {
            Ok(request) => request,
            Err(error) => return Answer::Away(error.to_string()),
        };
        let tokens = match request.request_async(&self.fetcher).await {
            Ok(tokens) => tokens,
            Err(error) => return unanswered(error),
        };
        // One that gives no other goes by this one.
        let next = Again::given(&tokens, &again.nonce, &again.client, now).unwrap_or_else(|| again.clone());
        let Some(token) = tokens.id_token() else { return Answer::Yes(None, next) };
        let nonce = Nonce::new(again.nonce.clone());
        match self.believed(token, tokens.access_token(), Answers::Again(&nonce), now).await {
            Ok(who) if who.subject == *subject => Answer::Yes(Some(who), next),
            Ok(_) | Err(Refused::Token(Check::Issuer)) => Answer::Another,
            Err(refused) => Answer::Unbelieved(refused.to_string(), Some(next)),
        }
    }
}

type Unanswered =
    RequestTokenError<crate::identity::fetch::Error, StandardErrorResponse<CoreErrorResponseType>>;

fn unanswered(error: Unanswered) -> Answer {
    match error {
        RequestTokenError::ServerResponse(said) if *said.error() == CoreErrorResponseType::InvalidGrant => {
            Answer::No
        }
        RequestTokenError::ServerResponse(said) => {
            Answer::Unbelieved(format!("it says {}", plain(said.error().as_ref())), None)
        }
        RequestTokenError::Request(error) if error.may_be_done() => Answer::Lost(with_causes(&error)),
        RequestTokenError::Request(error) => Answer::Away(with_causes(&error)),
        // What could not be read may hold tokens: nothing of it is said.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Answer::Lost("its answer is none of a token endpoint".to_owned())
        }
    }
}
