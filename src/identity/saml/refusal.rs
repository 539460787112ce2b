//! Why an answer of a provider is not believed: a closed list, a code of its own for each.

use serde::{Deserialize, Serialize};

macro_rules! refusals {
    ($($name:ident $code:literal $sentence:literal,)*) => {
        /// Why an answer is not believed, or a description of a provider not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Refusal {
            $(#[doc = $sentence] #[serde(rename = $code)] $name,)*
        }

        impl Refusal {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code, for programs and for whoever is asked for help.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The sentence, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

refusals! {
    // What is not even looked at.
    Encoding "encoding" "it is not UTF-8 without a byte order mark",
    TooLarge "too-large" "it is larger than any makes sense",
    Doctype "doctype" "it has a document type",
    Comment "comment" "it has a comment",
    Cdata "cdata" "it has a CDATA section",
    Instruction "processing-instruction" "it has a processing instruction",
    Entity "entity" "it refers to an entity that XML itself does not have",
    TooDeep "too-deep" "it is nested too deep",
    TooManyElements "too-many-elements" "it has too many elements",
    TooManyAttributes "too-many-attributes" "an element has too many attributes",
    NotXml "not-xml" "it is not well-formed XML",
    // What it is.
    NotAResponse "not-a-response" "it is not a response of SAML 2.0",
    Denied "denied" "the identity provider did not let the person in",
    Encrypted "encrypted" "something in it is encrypted",
    NoAssertion "no-assertion" "it has no assertion in its place",
    ManyAssertions "many-assertions" "it has more than one assertion",
    Misplaced "misplaced" "something is where it does not belong",
    DuplicateId "duplicate-id" "two of its elements have the same ID",
    // Who signed it.
    NoCertificate "no-certificate" "no certificate is known that it could be signed with",
    Unsigned "unsigned" "neither it nor its assertion is signed",
    SignatureForm "signature-form" "its signature is not formed as one of SAML",
    SignatureAlgorithm "signature-algorithm" "it is signed in a way that is not let through",
    Canonicalization "canonicalization" "its signature is over another form of it than exclusive canonical XML",
    Transforms "transforms" "its signature is over something that was made of it",
    References "references" "its signature is not over exactly one thing",
    ReferenceUri "reference-uri" "its signature is over something else than the element that it stands in",
    DigestAlgorithm "digest-algorithm" "it is digested in a way that is not let through",
    Signature "signature" "its signature is not by a key of the identity provider, or it was changed",
    // What it says.
    Issuer "issuer" "another identity provider says it",
    Destination "destination" "it is for another address than Usher's",
    InResponseTo "in-response-to" "it answers another sign-in",
    IssuedLongAgo "issued-long-ago" "it was said too long ago",
    IssuedAhead "issued-ahead" "it is said to be from the future",
    Subject "subject" "it does not say whom it is about, in a name of 1 to 200 printable characters without spaces",
    NameIdFormat "name-id-format" "it names the person in another way than is known here",
    Transient "transient" "it names the person by a name for this one time",
    Confirmation "confirmation" "it does not say that whoever brings it is the person",
    Recipient "recipient" "it is to be brought to another address than Usher's",
    Expired "expired" "it is not good any more",
    NotYet "not-yet" "it is not good yet",
    Condition "condition" "it has a condition that Usher does not know",
    Audience "audience" "it is for somebody else than Usher",
    Authentication "authentication" "it does not say that the person has signed in",
    Used "used" "it was used before",
    // Descriptions.
    NotADescription "not-a-description" "it is not the description of one identity provider",
    OtherEntity "other-entity" "it describes another identity provider",
    SignOn "sign-on" "it names no https address where people sign in by redirect",
    Certificate "certificate" "a certificate in it cannot be read, or its key is weaker than RSA of 2048 or EC of 256 bits",
    TooManyCertificates "too-many-certificates" "it has more certificates than any makes sense",
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.sentence(), self.code())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_refusal_has_a_code_of_its_own() {
        let codes: HashSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            let wire = serde_json::to_string(refusal).unwrap();
            assert_eq!(wire, format!("\"{}\"", refusal.code()));
            assert_eq!(serde_json::from_str::<Refusal>(&wire).unwrap(), *refusal);
        }
    }
}
