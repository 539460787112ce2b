//! A refusal of the license crate, in words for people and for programs.

use serde_json::{Value, json};
use usher_license::{Error, Expiry};

use crate::cmd::describe::{BAD, instant, printable, styled};

/// `refused (code): why`, and on a second line what to do next.
pub(super) fn for_people(error: &Error, now: u64) -> String {
    let verdict = styled(BAD, &format!("refused ({})", error.code()));
    format!("{verdict}: {}\nnext: {}\n", why(error, now), error.next())
}

/// The same as members of an object.
pub(super) fn for_programs(error: &Error) -> Value {
    json!({"verdict": "refused", "code": error.code(), "message": error.to_string(), "next": error.next()})
}

/// The crate's messages are for logs and count seconds; here people read dates.
fn why(error: &Error, now: u64) -> String {
    match error {
        Error::Expired { cause: Expiry::Document { exp, .. } } => {
            format!("the document was valid until {}", instant(*exp, now))
        }
        Error::NotYetValid { nbf, .. } => format!("the document is valid from {} on", instant(*nbf, now)),
        Error::KeyExpired { kid, exp, .. } => {
            format!("the key `{}` was good until {}", printable(kid), instant(*exp, now))
        }
        other => printable(&other.to_string()),
    }
}
