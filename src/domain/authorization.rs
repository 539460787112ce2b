//! What a program asks for when somebody is to sign in: by code and PKCE, and back to this very machine.
//!
//! ```text
//!   not our client, or not back to loopback ──► a page, and no redirect: who asks is not to be trusted with one
//!   anything else that is wrong ───────────────► back to the program, with the error
//! ```
//!
//! Sources: RFC 6749, sections 4.1.1 and 4.1.2.1; RFC 7636 (PKCE, with S256 and nothing else); RFC 8252, section 7.3 (an address of loopback,
//! never a name, for names can be made to lead elsewhere; any port).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::domain::text::{ClientState, CodeChallenge, DeviceName, LoopbackUri};

/// The one client: programs on people's own machines, which can keep no secret.
pub const CLIENT: &str = "usher";

/// The request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unverified {
    /// Must be `code`.
    #[serde(default)]
    pub response_type: String,
    /// Must be `usher`.
    #[serde(default)]
    pub client_id: String,
    /// Where the program listens.
    #[serde(default)]
    pub redirect_uri: String,
    /// By what the program knows the answer as its own.
    #[serde(default)]
    pub state: String,
    /// The hash of what the program will show with the code.
    #[serde(default)]
    pub code_challenge: String,
    /// Must be `S256`.
    #[serde(default)]
    pub code_challenge_method: String,
    /// What the program calls the machine.
    #[serde(default)]
    pub device_name: String,
}

/// The request, as it may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Where the program listens.
    pub redirect_uri: LoopbackUri,
    /// By what the program knows the answer as its own.
    pub state: ClientState,
    /// The hash of what the program will show with the code.
    pub code_challenge: CodeChallenge,
    /// What the program calls the machine.
    pub device: Option<DeviceName>,
}

/// Why nothing is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A page says so: what is asked for is not what our client asks for.
    Here(&'static str),
    /// The program is told.
    Back {
        /// Where it listens.
        redirect_uri: LoopbackUri,
        /// Its state, if it can be read.
        state: Option<ClientState>,
        /// The error's code (RFC 6749, section 4.1.2.1).
        error: &'static str,
        /// What is wrong.
        description: &'static str,
    },
}

impl Unverified {
    /// What is asked for.
    ///
    /// # Errors
    /// Why that is not granted.
    pub fn verified(&self) -> Result<Authorization, Refused> {
        if self.client_id != CLIENT {
            return Err(Refused::Here(
                "The program that sent you here is not known: client_id must be usher.",
            ));
        }
        let redirect_uri: LoopbackUri = self.redirect_uri.parse().map_err(|_| {
            Refused::Here(
                "The program that sent you here does not listen on this machine: redirect_uri must be such as http://127.0.0.1:4321/ or http://[::1]:4321/.",
            )
        })?;
        let state = self.state.parse::<ClientState>();
        let back = |error, description| Refused::Back {
            redirect_uri: redirect_uri.clone(),
            state: state.clone().ok(),
            error,
            description,
        };
        if self.response_type != "code" {
            return Err(back("unsupported_response_type", "response_type must be code"));
        }
        if self.code_challenge_method != "S256" {
            return Err(back("invalid_request", "code_challenge_method must be S256"));
        }
        let code_challenge = self.code_challenge.parse();
        let code_challenge = code_challenge
            .map_err(|_| back("invalid_request", "code_challenge must be the base64url of a SHA-256"))?;
        let device = match self.device_name.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|_| {
                back("invalid_request", "device_name must be letters, digits, spaces and . _ ( ) # -")
            })?),
        };
        let Ok(state) = state.clone() else {
            return Err(back("invalid_request", "state must be there, in printable ASCII"));
        };
        Ok(Authorization { redirect_uri, state, code_challenge, device })
    }
}

impl Authorization {
    /// Whether `verifier` is what the program has shown the hash of.
    #[must_use]
    pub fn is_of(&self, verifier: &str) -> bool {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        (43..=128).contains(&verifier.len())
            && bool::from(challenge.as_bytes().ct_eq(self.code_challenge.as_str().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn asked() -> Unverified {
        Unverified {
            response_type: "code".into(),
            client_id: "usher".into(),
            redirect_uri: "http://127.0.0.1:4321/".into(),
            state: "af0ifjsldkj".into(),
            code_challenge: CHALLENGE.into(),
            code_challenge_method: "S256".into(),
            device_name: "Lab 3".into(),
        }
    }

    #[test]
    fn what_our_client_asks_for_is_granted_on_every_port_of_loopback() {
        let granted = asked().verified().unwrap();
        assert_eq!(granted.device.unwrap().as_str(), "Lab 3");
        for redirect_uri in ["http://[::1]:1/", "http://127.0.0.1:65535", "http://127.0.0.1:80/back"] {
            let asked = Unverified { redirect_uri: redirect_uri.into(), ..asked() };
            assert_eq!(asked.verified().unwrap().redirect_uri.as_str(), redirect_uri);
        }
        assert!(Unverified { device_name: String::new(), ..asked() }.verified().unwrap().device.is_none());
    }

    #[test]
    fn nobody_is_sent_to_another_host_nor_for_another_client() {
        for redirect_uri in [
            "",
            "https://evil.example/",
            "http://localhost:4321/",
            "http://127.0.0.1",
            "http://127.0.0.1:4321@evil.example/",
            "http://127.0.0.1.evil.example:4321/",
            &asked().redirect_uri.replace("127.0.0.1", "127.0.0.2"),
            &asked().redirect_uri.replace("127.0.0.1", "user@127.0.0.1"),
            "http://127.0.0.1:4321/?a=b",
            "http://127.0.0.1:4321/#a",
            "http://127.0.0.1:4321/\r\nx",
            "https://127.0.0.1:4321/",
            "usher://127.0.0.1:4321/",
        ] {
            let refused = Unverified { redirect_uri: redirect_uri.into(), ..asked() }.verified();
            assert!(matches!(refused, Err(Refused::Here(_))), "{redirect_uri}");
        }
        let refused = Unverified { client_id: "other".into(), ..asked() }.verified();
        assert!(matches!(refused, Err(Refused::Here(_))));
    }

    #[test]
    fn whatever_else_is_wrong_the_program_is_told() {
        let error = |asked: Unverified| match asked.verified() {
            Err(Refused::Back { error, state, .. }) => (error, state.is_some()),
            other => panic!("{other:?}"),
        };
        let wrong = |what: fn(&mut Unverified)| {
            let mut asked = asked();
            what(&mut asked);
            error(asked)
        };
        assert_eq!(wrong(|asked| asked.response_type = "token".into()), ("unsupported_response_type", true));
        assert_eq!(wrong(|asked| asked.code_challenge_method = "plain".into()), ("invalid_request", true));
        assert_eq!(wrong(|asked| asked.code_challenge_method.clear()), ("invalid_request", true));
        assert_eq!(wrong(|asked| asked.code_challenge = "short".into()), ("invalid_request", true));
        assert_eq!(wrong(|asked| asked.device_name = "<b>".into()), ("invalid_request", true));
        assert_eq!(wrong(|asked| asked.state.clear()), ("invalid_request", false));
    }

    #[test]
    fn a_code_is_for_whoever_has_the_verifier() {
        let granted = asked().verified().unwrap();
        assert!(granted.is_of(VERIFIER));
        for other in ["", CHALLENGE, &VERIFIER.replace('d', "e"), &"a".repeat(129)] {
            assert!(!granted.is_of(other), "{other}");
        }
    }
}
