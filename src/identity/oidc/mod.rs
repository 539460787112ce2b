//! OpenID Connect: Usher as a relying party, by code and PKCE.
//!
//! ```text
//!   begin ─► (where to send the browser, Pending) ─► … the browser comes back with code, state, iss … ─► finish ─► Principal, Again
//!                                                                            later, and again and again: Again ─► ask_again ─► Answer
//! ```
//!
//! What [`Pending`] has must come from the very browser that was sent away, and once: that is for whoever keeps it.

mod again;
mod keys;
pub mod token;
mod user_info;

use std::sync::Arc;

use jiff::Timestamp;
use openidconnect::{
    AccessToken, AuthType, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    Scope as WireScope, TokenResponse as _, TokenUrl, UserInfoUrl,
    core::{CoreClientAuthMethod, CoreIdToken, CoreJwsSigningAlgorithm, CoreResponseType},
    url::Url,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    Claims, Known, Principal, Standing, drawn,
    fetch::{self, Fetcher, Loopback},
    with_causes,
};
use crate::domain::{
    principal::Mailboxes,
    text::{ClientId as ClientIdText, Label, ProviderIssuer, Scope},
};
use again::{AT_ONCE, Client};
pub use again::{Again, Answer};
pub use keys::{Error as Undiscovered, Metadata};
use token::{Answers, Check, Expected};

/// A way to sign ID tokens that may be allowed: of a provider's own key, never of a shared secret.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl From<Algorithm> for CoreJwsSigningAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RsaSsaPkcs1V15Sha256,
            Algorithm::Ps256 => Self::RsaSsaPssSha256,
            Algorithm::Es256 => Self::EcdsaP256Sha256,
            Algorithm::Es384 => Self::EcdsaP384Sha384,
            Algorithm::EdDsa => Self::EdDsa,
        }
    }
}

/// How Usher is known to a provider, and what it makes of what that says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The provider's name.
    pub provider: Label,
    /// How the provider is known.
    pub issuer: ProviderIssuer,
    /// How it knows Usher.
    pub client: ClientIdText,
    /// By what it believes that.
    pub secret: Zeroizing<String>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<Scope>,
    /// In which ways its ID tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// What trusts its TLS, as PEM; the public authorities if not given.
    pub ca: Option<String>,
    /// Which claims say what.
    pub claims: Claims,
    /// Which addresses it may say.
    pub mailboxes: Mailboxes,
}

/// What is kept of a sign-in until the browser comes back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Comes back in the URL.
    pub state: String,
    /// Comes back in the ID token.
    nonce: String,
    /// Goes with the code.
    verifier: String,
}

/// What the browser brings back (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Callback {
    /// The state.
    #[serde(default)]
    pub state: String,
    /// The code.
    pub code: Option<String>,
    /// Who says so.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The provider does not answer as it should.
    #[error("the identity provider does not answer as it should: {0}")]
    Away(String),
    /// The browser was sent away by another request.
    #[error("the state is not that of this sign-in")]
    State,
    /// Another provider answers (RFC 9207).
    #[error("another identity provider answers than the one that was asked")]
    MixUp,
    /// The provider does not let the person in, or the person did not want to.
    #[error("the identity provider says no: {0}")]
    Denied(String),
    /// The provider does not take the code.
    #[error("the identity provider does not take the code back: {0}")]
    Code(String),
    /// The ID token is not what it must be.
    #[error("the ID token of the identity provider is not to be believed: {0}")]
    Token(#[from] Check),
    /// Its UserInfo endpoint says of somebody else what was asked of this person.
    #[error("the UserInfo endpoint of the identity provider speaks of somebody else")]
    OtherPerson,
    /// It does not say whom it is about.
    #[error("{0}")]
    Subject(String),
}

/// Usher, as one provider knows it.
pub struct RelyingParty {
    settings: Settings,
    published: keys::Published,
    fetcher: Fetcher,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    places: Semaphore,
}

impl RelyingParty {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When `ca` cannot be read.
    pub fn new(settings: Settings, loopback: Loopback) -> Result<Self, fetch::Error> {
        let fetcher = Fetcher::new(settings.ca.as_deref(), loopback)?;
        let issuer = IssuerUrl::new(settings.issuer.to_string())
            .map_err(|_| fetch::Error::NotHttps(settings.issuer.to_string()))?;
        let algorithms = settings.algorithms.iter().map(|algorithm| (*algorithm).into()).collect();
        let (published, places) = (keys::Published::of(issuer, fetcher.clone()), Semaphore::new(AT_ONCE));
        Ok(Self { published, settings, fetcher, algorithms, places })
    }

    /// How it is known.
    #[must_use]
    pub fn issuer(&self) -> &ProviderIssuer {
        &self.settings.issuer
    }

    /// How it stands. It is asked if that was some minutes ago, and not twice in [`super::PAUSE`].
    pub async fn standing(&self, now: Timestamp) -> Standing {
        let keys::Standing { good, mut trouble } = self.published.standing(now).await;
        let unfit = good.as_deref().and_then(|metadata| self.fit(metadata).err());
        trouble = trouble.or_else(|| unfit.map(|unfit| (unfit, now)));
        let known = good.map(|metadata| Known {
            host: metadata.authorization_endpoint().url().host_str().unwrap_or_default().to_owned(),
            keys: metadata.jwks().keys().len(),
            certificates: Vec::new(),
        });
        Standing { known, trouble }
    }

    /// What it publishes of itself, which must be good to sign in with.
    ///
    /// # Errors
    /// When it does not, or names endpoints that are not to be gone to.
    pub async fn published(&self, now: Timestamp) -> Result<Arc<Metadata>, Refused> {
        let metadata = self.published.now(now).await.map_err(away)?;
        self.fit(&metadata).map_err(Refused::Away)?;
        Ok(metadata)
    }

    /// Whether one can sign in with what it publishes, or why not.
    fn fit(&self, metadata: &Metadata) -> Result<(), String> {
        let endpoints =
            [Some(metadata.authorization_endpoint().url()), metadata.token_endpoint().map(TokenUrl::url)];
        for endpoint in endpoints {
            let endpoint = endpoint.ok_or("it names no token endpoint")?;
            self.fetcher.permits(endpoint).map_err(|error| with_causes(&error))?;
        }
        let signs_by = metadata.id_token_signing_alg_values_supported();
        if signs_by.iter().any(|by| self.algorithms.contains(by)) {
            return Ok(());
        }
        let names =
            signs_by.iter().filter_map(|by| Some(serde_json::to_value(by).ok()?.as_str()?.to_owned()));
        let names = names.take(8).collect::<Vec<_>>().join(", ");
        Err(format!("it signs ID tokens by {names}, and none of that is let through"))
    }

    /// Where to send a browser so that somebody signs in and it comes back to `redirect`. `entropy` is for this sign-in alone.
    ///
    /// # Errors
    /// When the provider is away.
    pub async fn begin(
        &self,
        redirect: &Url,
        entropy: &[u8; 32],
        now: Timestamp,
    ) -> Result<(Url, Pending), Refused> {
        let metadata = self.published(now).await?;
        let [state, nonce, verifier] = ["state", "nonce", "verifier"].map(|what| drawn(entropy, what));
        let pending = Pending { state, nonce, verifier };
        let client = self.client(&metadata).set_redirect_uri(RedirectUrl::from_url(redirect.clone()));
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pending.verifier.clone()));
        let (state, nonce) = (pending.state.clone(), pending.nonce.clone());
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            request = request.add_scope(WireScope::new(scope.to_string()));
        }
        Ok((request.url().0, pending))
    }

    /// Who came back with `callback` to `redirect`, and by what the provider can be asked about them again.
    ///
    /// # Errors
    /// Why nobody did.
    pub async fn finish(
        &self,
        pending: &Pending,
        callback: &Callback,
        redirect: &Url,
        now: Timestamp,
    ) -> Result<(Principal, Option<Again>), Refused> {
        if !bool::from(callback.state.as_bytes().ct_eq(pending.state.as_bytes())) {
            return Err(Refused::State);
        }
        let metadata = self.published(now).await?;
        let promised = metadata.additional_metadata().authorization_response_iss_parameter_supported;
        if callback.iss.as_deref().map_or(promised, |iss| iss != self.settings.issuer.as_str()) {
            return Err(Refused::MixUp);
        }
        let code = match (&callback.error, &callback.code) {
            (None, Some(code)) => AuthorizationCode::new(code.clone()),
            (error, _) => return Err(Refused::Denied(plain(error.as_deref().unwrap_or("no code")))),
        };
        let client = self.client(&metadata).set_redirect_uri(RedirectUrl::from_url(redirect.clone()));
        let exchange = client.exchange_code(code).map_err(away)?;
        let tokens = exchange
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()))
            .request_async(&self.fetcher)
            .await
            .map_err(|error| match error {
                openidconnect::RequestTokenError::ServerResponse(said) => {
                    Refused::Code(plain(said.error().as_ref()))
                }
                other => away(other),
            })?;
        let token = tokens.id_token().ok_or(Check::Malformed)?;
        let nonce = Nonce::new(pending.nonce.clone());
        let who = self.believed(token, tokens.access_token(), Answers::This(&nonce), now).await?;
        Ok((who, Again::given(&tokens, &pending.nonce, self.settings.client.as_str(), now)))
    }

    /// Usher, as the provider's endpoints know it.
    fn client(&self, metadata: &Metadata) -> Client {
        let methods = metadata.token_endpoint_auth_methods_supported();
        let only_post =
            methods.is_some_and(|methods| !methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let (id, secret) = (self.settings.client.to_string(), (*self.settings.secret).clone());
        Client::from_provider_metadata(metadata.clone(), ClientId::new(id), Some(ClientSecret::new(secret)))
            .set_auth_type(if only_post { AuthType::RequestBody } else { AuthType::BasicAuth })
    }

    /// Who an ID token is about that came with this access token.
    async fn believed(
        &self,
        token: &CoreIdToken,
        access_token: &AccessToken,
        answers: Answers<'_>,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        let kid = token::unverified_kid(token);
        let metadata = self.published.with_key(kid.as_deref(), now).await.map_err(away)?;
        let verified = token::verify(
            token,
            &Expected {
                issuer: metadata.issuer(),
                client: &ClientId::new(self.settings.client.to_string()),
                algorithms: &self.algorithms,
                keys: metadata.jwks(),
                answers,
                access_token,
                now,
            },
        )?;
        let Settings { provider, issuer, claims, mailboxes, .. } = &self.settings;
        let endpoint = metadata.userinfo_endpoint().map(UserInfoUrl::url);
        let known = user_info::completed(verified, claims, endpoint, access_token, &self.fetcher).await?;
        claims
            .principal(&known, (provider, issuer), mailboxes)
            .map_err(|error| Refused::Subject(error.to_string()))
    }
}

/// What others said, fit for a page and a log: short and plain.
fn plain(said: &str) -> String {
    said.chars().filter(|char| char.is_ascii_alphanumeric() || " _-.".contains(*char)).take(64).collect()
}

fn away(error: impl std::error::Error + 'static) -> Refused {
    Refused::Away(with_causes(&error))
}
