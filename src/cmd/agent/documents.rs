//! What the program reads: the document, its key set, and how it stands. Each file is replaced as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use usher_client::{Activation, Problem, Standing, standing, write_atomically};
use usher_license::Claims;

use super::trouble::Why;
use crate::cmd::{Failure, instant};

/// How it stands, in `status.json`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum Status {
    /// All is well.
    Good {
        /// Until then.
        until: u64,
        /// What is to be mended before then: a disk, the clock, the server's address.
        #[serde(skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// The server has not been reached for a whole lease.
    Grace {
        /// When the document ends.
        ends: u64,
        /// Why it was not reached.
        why: String,
    },
    /// The server refuses.
    Refused {
        /// When the document ends.
        ends: u64,
        /// The stable code.
        code: String,
        /// What happened, and what to do.
        why: String,
    },
    /// Nothing may run.
    Over {
        /// Why.
        why: String,
    },
}

impl Status {
    /// How a program stands that has a document with these claims.
    pub(super) fn of(claims: &Claims, trouble: Option<&Why>, now: u64) -> Self {
        match (standing(claims, now), trouble) {
            (Standing::Over, Some(Why::Refused(problem))) => Self::Over { why: problem.to_string() },
            (Standing::Over, Some(why)) => Self::Over { why: format!("the document has ended: {why}") },
            (Standing::Over, None) => Self::Over { why: "the document has ended".to_owned() },
            (_, Some(Why::Refused(problem))) => Self::refused(problem, claims.exp),
            (Standing::Grace { ends }, Some(why)) => Self::Grace { ends, why: why.to_string() },
            (Standing::Grace { ends }, None) => {
                Self::Grace { ends, why: "it is time to ask the server".to_owned() }
            }
            (Standing::Good { until }, Some(Why::Broken(why))) => {
                Self::Good { until, trouble: Some(why.clone()) }
            }
            (Standing::Good { until }, _) => Self::Good { until, trouble: None },
        }
    }

    pub(super) fn refused(problem: &Problem, ends: u64) -> Self {
        Self::Refused { ends, code: problem.code.clone(), why: problem.to_string() }
    }

    /// To whoever reads the log.
    pub(super) fn say(&self) {
        let when = |at: &u64| instant(*at).unwrap_or_default();
        let text = match self {
            Self::Good { until, trouble: None } => format!("licensed until {}", when(until)),
            Self::Good { until, trouble: Some(why) } => format!("licensed until {}, but: {why}", when(until)),
            Self::Grace { ends, why } => {
                format!("the license ends at {} if the server is not reached: {why}", when(ends))
            }
            Self::Refused { ends, why, .. } => format!("the license ends at {}: {why}", when(ends)),
            Self::Over { why } => format!("the license is over: {why}"),
        };
        anstream::eprintln!("usher: {text}");
    }
}

/// The folder, and what is in it.
pub(super) struct Documents {
    folder: PathBuf,
    told: Option<Status>,
}

const DOCUMENT: &str = "license.jws";
const KEY_SET: &str = "keys.jws";
const STATUS: &str = "status.json";

impl Documents {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), told: None })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key set first: whoever reads a new document has the keys to it.
    pub(super) fn write(&self, activation: &Activation) -> Result<(), Failure> {
        self.put(KEY_SET, activation.keys.as_bytes())?;
        self.put(DOCUMENT, activation.document.as_bytes())
    }

    /// What the program has, if it has anything.
    pub(super) fn read(&self, of: &Activation) -> Option<Activation> {
        let read = |name| fs::read_to_string(self.folder.join(name)).ok();
        Some(Activation { document: read(DOCUMENT)?, keys: read(KEY_SET)?, ..of.clone() })
    }

    /// Says how it stands, if that is new. Gives whether it is.
    pub(super) fn tell(&mut self, status: &Status) -> Result<bool, Failure> {
        if self.told.as_ref() == Some(status) {
            return Ok(false);
        }
        self.put(STATUS, &serde_json::to_vec(status)?)?;
        self.told = Some(status.clone());
        Ok(true)
    }

    /// Takes all of it away: the place was given back.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        for name in [DOCUMENT, STATUS, KEY_SET] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(name, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_atomically(&self.folder.join(name), bytes).map_err(|error| self.failed(name, &error))
    }

    fn failed(&self, name: &str, error: &io::Error) -> Failure {
        format!("cannot write {}: {error}", self.folder.join(name).display()).into()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cmd::agent) fn claims() -> Claims {
        let claims = serde_json::json!({
            "iss": "https://usher.acme.example/a/default", "sub": "activation/a", "aud": "cad", "jti": "1", "iat": 0, "nbf": 0,
            "exp": 300, "schema": 1, "state": "active", "license": {"namespace": "design", "name": "cad", "uid": "u", "customer": "acme"},
            "features": [], "limits": {}, "lease": {"until": 200, "renew_at": 100},
        });
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn the_program_is_told_how_it_stands_and_why() {
        let problem: Problem = serde_json::from_str(
            r#"{"code": "nonce-used", "title": "t", "detail": "It was used.", "next": "Ask."}"#,
        )
        .unwrap();
        let (refused, failed) = (Why::Refused(problem), Why::Away("no route".to_owned()));
        let broken = Why::Broken("disk full".to_owned());
        let at =
            |trouble: Option<&Why>, now| serde_json::to_string(&Status::of(&claims(), trouble, now)).unwrap();
        assert_eq!(at(None, 0), r#"{"state":"good","until":200}"#);
        assert_eq!(at(Some(&failed), 199), r#"{"state":"good","until":200}"#);
        assert_eq!(at(Some(&broken), 199), r#"{"state":"good","until":200,"trouble":"disk full"}"#);
        assert_eq!(at(Some(&broken), 200), r#"{"state":"grace","ends":300,"why":"disk full"}"#);
        assert_eq!(at(Some(&failed), 200), r#"{"state":"grace","ends":300,"why":"no route"}"#);
        assert_eq!(
            at(Some(&refused), 0),
            r#"{"state":"refused","ends":300,"code":"nonce-used","why":"It was used. Ask. (nonce-used)"}"#
        );
        assert_eq!(at(Some(&failed), 300), r#"{"state":"over","why":"the document has ended: no route"}"#);
        assert_eq!(at(Some(&refused), 300), r#"{"state":"over","why":"It was used. Ask. (nonce-used)"}"#);
    }
}
