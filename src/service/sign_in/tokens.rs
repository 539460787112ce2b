//! A program is given tokens, for a code or for a device token, and gives them back.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::{Errand, Failure, People, SignIn, agree::Granted, recheck::under_way};
use crate::{
    domain::{
        authorization::CLIENT,
        device::NotYet,
        login::{self, ACCESS, HELD_UP, Shown, after, ends_at},
        refusal::{Code, Refusal},
        refused::NotSignedIn,
    },
    keys::token::{self, Purpose},
    ledger::{
        CommitError,
        people::{Begun, Login, SignedIn},
    },
    service::{
        possession::Possession,
        providers::{Absent, Provider},
    },
};

/// What a program asks for (RFC 6749, sections 4.1.3 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant<'a> {
    /// A login, for a code.
    Code {
        /// The code.
        code: &'a str,
        /// Where the program listened for it.
        redirect_uri: &'a str,
        /// That of which it has shown the hash.
        verifier: &'a str,
    },
    /// A login, if somebody has signed in for the device that has this code (RFC 8628, section 3.4).
    DeviceCode(&'a str),
    /// To go on.
    DeviceToken(&'a str),
}

/// What it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// `DPoP` if they are bound to a key (RFC 9449, section 5), else `Bearer`.
    pub token_type: &'static str,
    /// After so many seconds the access token is good for nothing.
    pub expires_in: i64,
    /// The next device token; of a login that is bound to a key, the same one.
    pub refresh_token: Zeroizing<String>,
    /// After so many seconds without use that is good for nothing.
    pub refresh_token_expires_in: i64,
}

/// Why it is given nothing (RFC 6749, section 5.2).
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Another client asks.
    #[error("client_id must be {CLIENT}")]
    Client,
    /// What it shows is good for nothing.
    #[error("{0}")]
    Grant(&'static str),
    /// What a device calls itself is no name.
    #[error("device_name must be letters, digits, spaces and . _ ( ) # -")]
    DeviceName,
    /// At no provider devices are signed in by a code.
    #[error("nobody signs in here by a device code: no IdentityProvider has deviceCodes: Allowed")]
    NoDevices,
    /// The proof of possession is missing or does not hold (RFC 9449, section 5).
    #[error("{}", .0.detail)]
    Proof(Refusal),
    /// What it shows was good until a moment ago, and may be a repetition.
    #[error("this device token was used a moment ago: if you have no other, come again in a minute")]
    Late,
    /// Nobody has signed in for the device, or not with a yes, or it asks too soon.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// Usher cannot answer now.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl Denied {
    /// What the audit is told of it; nothing if nobody was denied anything.
    #[must_use]
    pub fn told(&self) -> Option<NotSignedIn> {
        match self {
            Self::Client => Some(NotSignedIn::Client),
            Self::Grant(_) => Some(NotSignedIn::Grant),
            Self::NoDevices => Some(NotSignedIn::NoDevices),
            // One that is not of now is made again.
            Self::Proof(refusal) if refusal.code == Code::ProofStale => None,
            Self::Proof(_) => Some(NotSignedIn::Proof),
            Self::Failure(Failure::Refused(why)) => why.told(),
            // Whether it is a repetition or a theft, the next one shows.
            Self::DeviceName | Self::Late | Self::NotYet(_) | Self::Failure(Failure::Unavailable(_)) => None,
        }
    }
}

impl From<CommitError> for Denied {
    fn from(error: CommitError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<crate::ledger::Unavailable> for Denied {
    fn from(error: crate::ledger::Unavailable) -> Self {
        Self::Failure(error.into())
    }
}

/// So often it is begun anew because somebody else was faster.
const TRIES: usize = 8;
const BAD_CODE: Denied = Denied::Grant("the code is unknown, was used, or is too old: sign in again");
const BAD_TOKEN: Denied =
    Denied::Grant("the device token is unknown, was used, or its login is over: sign in again");

impl<L: People> SignIn<L> {
    /// Gives tokens.
    ///
    /// # Errors
    /// Why not.
    pub async fn give(
        &self,
        client: &str,
        grant: Grant<'_>,
        possession: Option<&Possession>,
    ) -> Result<Tokens, Denied> {
        if client != CLIENT {
            return Err(Denied::Client);
        }
        // Before anything is spent.
        let key = possession.map(|possession| self.proofs.judge(possession, None));
        let key = key.transpose().map_err(Denied::Proof)?;
        match grant {
            Grant::Code { code, redirect_uri, verifier } => {
                self.exchange(code, redirect_uri, verifier, key).await
            }
            Grant::DeviceCode(code) => self.fetch(code, key).await,
            Grant::DeviceToken(token) => self.refresh(token, key.as_deref()).await,
        }
    }

    async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        key: Option<String>,
    ) -> Result<Tokens, Denied> {
        let (now, hash) = (self.edge.now(), token::hash(code));
        let Some(content) = self.ledger.pass(&hash, now).await? else {
            self.end_what_began_by(&hash).await?;
            return Err(BAD_CODE);
        };
        let granted: Granted = serde_json::from_str(&content).map_err(Failure::from)?;
        let Errand::Program(authorization) = &granted.errand else { return Err(BAD_CODE) };
        if authorization.redirect_uri.as_str() != redirect_uri {
            return Err(Denied::Grant("redirect_uri is not the one that the code was asked for with"));
        }
        if !authorization.is_of(verifier) {
            return Err(Denied::Grant("code_verifier is not what code_challenge is the hash of"));
        }
        self.begin(&hash, granted, key).await
    }

    async fn fetch(&self, code: &str, key: Option<String>) -> Result<Tokens, Denied> {
        let (now, hash) = (self.edge.now(), token::hash(code));
        self.ledger.ask_answer(&hash, now).await?.ok_or(BAD_CODE)??;
        let Some(content) = self.ledger.pass(&hash, now).await? else {
            self.end_what_began_by(&hash).await?;
            return Err(BAD_CODE);
        };
        self.begin(&hash, serde_json::from_str(&content).map_err(Failure::from)?, key).await
    }

    /// Begins a login by the code of this hash, bound to this key if there is one.
    async fn begin(&self, code: &str, granted: Granted, key: Option<String>) -> Result<Tokens, Denied> {
        let now = self.edge.now();
        let drawn = self.edge.entropy();
        let family: [u8; 16] = *drawn.first_chunk().unwrap_or(&[0; 16]);
        let entropy = self.edge.entropy();
        let device = token::device_token(&family, &entropy);
        let access = self.access(&entropy);
        let id = super::hashed("login", &[&token::family_hash(&family)]);
        let (sealer, of) = (self.sealer(), under_way(&granted.issuer, &granted.subject));
        let again = granted.again.and_then(|sealed| sealer.open(&of, &sealed));
        let login = Login {
            again: again.and_then(|again| sealer.seal(&id, &again)),
            asked_at: now,
            in_doubt: false,
            id,
            issuer: granted.issuer,
            subject: granted.subject,
            device: granted.errand.device_name().map(ToString::to_string).unwrap_or_default(),
            family: token::family_hash(&family),
            current: token::hash(&device),
            sibling: None,
            previous: None,
            late: None,
            access: token::hash(&access),
            access_until: after(now, ACCESS),
            since: now,
            used_at: now,
            ends_at: ends_at(now, now),
            jkt: key,
            version: 1,
        };
        match self.ledger.begin_login(code, &login).await? {
            Begun::Now => Ok(self.tokens(&login, access, device)),
            Begun::Before(other) => {
                self.ledger.end_login(&other).await?;
                Err(BAD_CODE)
            }
            Begun::Unknown => Err(BAD_CODE),
        }
    }

    /// A code that is shown again: two have it, and whoever was first may be the wrong one (RFC 6749, section 4.1.2).
    async fn end_what_began_by(&self, code: &str) -> Result<(), Denied> {
        if let Some(login) = self.ledger.begun_login(code).await? {
            self.ledger.end_login(&login).await?;
        }
        Ok(())
    }

    async fn refresh(&self, shown: &str, key: Option<&str>) -> Result<Tokens, Denied> {
        let Some(family) = token::family(shown) else { return Err(BAD_TOKEN) };
        let hash = token::hash(shown);
        let mut asked: Option<i64> = None;
        // Of two who go on at once one is first, and the other one is met as whoever comes after.
        for _ in 0..TRIES {
            let now = self.edge.now();
            let found = self.ledger.login(&token::family_hash(&family), now).await?;
            let Some(found) = found else { return Err(BAD_TOKEN) };
            let login = &found.login;
            has_key(login, key)?;
            // Somebody went on while the provider was asked: what they were given is not overtaken by whoever asked.
            if asked.is_some_and(|version| version != login.version) {
                break;
            }
            let (sibling, late) = match login::shown(&hash, login.tokens(), now) {
                Shown::Current => (None, login.previous.clone().map(|former| (former, after(now, HELD_UP)))),
                Shown::Previous => (Some(login.current.clone()), login.late.clone()),
                Shown::Late => return Err(Denied::Late),
                Shown::Stale => {
                    self.ledger.end_login(&login.id).await?;
                    return Err(BAD_TOKEN);
                }
            };
            let provider = self.provider_of(&found)?;
            if self.recheck(&provider, &found, now).await? {
                asked = Some(login.version);
                continue;
            }
            if found.proven_at.duration_until(now) > provider.reauthenticate_after {
                return Err(Denied::Grant(
                    "it is time to sign in again: the identity provider is to be asked",
                ));
            }
            let entropy = self.edge.entropy();
            // Whoever has the key has it alone, so its device token need not change: a reply that is lost costs nothing.
            let (device, previous, sibling, late) = match login.jkt {
                Some(_) => (Zeroizing::new(shown.to_owned()), None, None, None),
                None => (token::device_token(&family, &entropy), Some(hash.clone()), sibling, late),
            };
            let access = self.access(&entropy);
            let next = Login {
                current: token::hash(&device),
                sibling,
                previous,
                late,
                access: token::hash(&access),
                access_until: after(now, ACCESS),
                used_at: now,
                ends_at: ends_at(login.since, now),
                ..login.clone()
            };
            match self.ledger.go_on(&next).await {
                Ok(()) => return Ok(self.tokens(&next, access, device)),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict.into())
    }

    fn provider_of(&self, found: &SignedIn) -> Result<Arc<Provider>, Denied> {
        let name = found.principal.provider.as_str();
        self.providers.of_proven(name, &found.principal.issuer).map_err(|absent| match absent {
            Absent::Idle => Failure::idle(name).into(),
            Absent::Gone => Denied::Grant("the identity provider is not known here any more"),
        })
    }

    /// Ends the login whose device token or access token this is (RFC 7009). Of any other nothing is said.
    ///
    /// # Errors
    /// When Usher cannot answer now.
    pub async fn revoke(&self, shown: &str) -> Result<(), Failure> {
        let now = self.edge.now();
        let found = match token::family(shown) {
            Some(family) => self.ledger.login(&token::family_hash(&family), now).await?,
            None => self.ledger.signed_in(&token::hash(shown), now).await?,
        };
        if let Some(SignedIn { login, .. }) = found {
            self.ledger.end_login(&login.id).await?;
        }
        Ok(())
    }

    /// An access token. It bears no mark as long as the key that marks is not known: it is as good, but a stranger's to whoever paces calls.
    fn access(&self, entropy: &[u8; 32]) -> Zeroizing<String> {
        let token = Purpose::Access.token(entropy, "access");
        match self.nonces.get() {
            Some(nonces) => nonces.marked(token),
            None => token,
        }
    }

    fn tokens(&self, login: &Login, access: Zeroizing<String>, device: Zeroizing<String>) -> Tokens {
        Tokens {
            access_token: access,
            token_type: if login.jkt.is_some() { "DPoP" } else { "Bearer" },
            expires_in: ACCESS,
            refresh_token: device,
            refresh_token_expires_in: login.used_at.duration_until(login.ends_at).as_secs(),
        }
    }
}

/// Whether somebody with this key may go on with `login`, if that is bound to one.
fn has_key(login: &Login, key: Option<&str>) -> Result<(), Denied> {
    match (&login.jkt, key) {
        (None, _) => Ok(()),
        (Some(bound), Some(key)) if bound == key => Ok(()),
        (Some(_), None) => Err(Denied::Proof(Code::ProofMissing.into())),
        (Some(_), Some(_)) => {
            let detail = "The proof of possession is by another key than the login is bound to.";
            Err(Denied::Proof(Refusal::new(Code::ProofInvalid, detail)))
        }
    }
}
