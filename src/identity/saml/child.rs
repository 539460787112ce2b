//! What the child process is asked and answers, and the child process itself.
//!
//! ```text
//!   parent                                              child: this very program, once for each question
//!   question, one bounded JSON ──stdin──►  warm up ─► lock down (sandbox) ─► read, decide ─► write ─► gone
//!                              ◄──stdout── answer, one bounded JSON
//! ```
//!
//! libxml2, xmlsec and OpenSSL are in C, and read what anybody on the Internet has written. Whoever takes one of them over has a process without
//! descriptors, files, sockets or secrets, whose only word can be an answer; and that counts for one sign-in at the provider under whose
//! name it was asked.

use std::io::{Read, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Refusal,
    gate::{Expected, Proven, judge},
    metadata::{self, Certificate, Description, described, pinned},
    sandbox, signature,
};

/// The largest question, in bytes: a document in base64, and certificates.
pub(super) const QUESTION: usize = 512 * 1024;
/// The largest answer, in bytes.
pub(super) const ANSWER: usize = 512 * 1024;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// What a provider's answer proves.
    Response {
        #[serde(with = "base64")]
        xml: Vec<u8>,
        expected: Expected,
    },
    /// What a provider says of itself.
    Metadata {
        #[serde(with = "base64")]
        xml: Vec<u8>,
        entity_id: String,
        now: Timestamp,
    },
    /// What certificates these are.
    Certificates { pems: Vec<String> },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Proven(Box<Proven>),
    Described(Description),
    Certificates(Vec<Certificate>),
    Refused(Refusal),
}

impl Answer {
    pub(super) fn proven(self) -> Option<Proven> {
        if let Self::Proven(proven) = self { Some(*proven) } else { None }
    }

    pub(super) fn described(self) -> Option<Description> {
        if let Self::Described(description) = self { Some(description) } else { None }
    }

    pub(super) fn certificates(self) -> Option<Vec<Certificate>> {
        if let Self::Certificates(certificates) = self { Some(certificates) } else { None }
    }
}

fn answered(question: &Question) -> Answer {
    let answer = match question {
        Question::Response { xml, expected } => {
            judge(xml, expected).map(|proven| Answer::Proven(Box::new(proven)))
        }
        Question::Metadata { xml, entity_id, now } => described(xml, entity_id, *now).map(Answer::Described),
        Question::Certificates { pems } => pinned(pems).map(Answer::Certificates),
    };
    answer.unwrap_or_else(Answer::Refused)
}

/// Why the child ends without an answer.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// All that the child process does: see above. Nothing is read before it is locked down.
///
/// # Errors
/// When it cannot be locked down, or nothing was asked.
pub fn serve(input: impl Read, mut output: impl Write) -> Result<(), Failure> {
    signature::warm_up();
    metadata::warm_up();
    sandbox::lock_down()?;
    let mut question = Vec::new();
    input.take(QUESTION as u64).read_to_end(&mut question)?;
    let answer = serde_json::to_vec(&answered(&serde_json::from_slice(&question)?))?;
    output.write_all(&answer)?;
    Ok(output.flush()?)
}

/// Bytes in JSON.
pub(super) mod base64 {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::identity::saml) fn serialize<S: Serializer>(
        bytes: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(in crate::identity::saml) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Several of them.
pub(super) mod base64s {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::identity::saml) fn serialize<S: Serializer>(
        all: &[Vec<u8>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|bytes| BASE64_STANDARD.encode(bytes)))
    }

    pub(in crate::identity::saml) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let all = Vec::<String>::deserialize(from)?;
        all.iter().map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).collect()
    }
}
