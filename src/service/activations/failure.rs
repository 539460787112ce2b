//! Why a call of the runtime is not done.

use crate::{
    domain::refusal::{Code, Refusal},
    ledger::Unavailable,
    service::callers::{Away, Blind},
};

/// Why a call is not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is refused.
    #[error("refused: {}", .0.code)]
    Refused(Refusal),
    /// Usher cannot answer now: the database is away, or it has only just begun.
    #[error("unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Who asks is known to Kubernetes only, and that does not answer.
    #[error(transparent)]
    Unreachable(#[from] Away),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl From<Blind> for Failure {
    fn from(blind: Blind) -> Self {
        match blind {
            Blind::Away(away) => Self::Unreachable(away),
            Blind::NotGranted => Code::PodsNotGranted.into(),
        }
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
