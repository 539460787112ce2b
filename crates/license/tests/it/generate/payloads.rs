//! Documents that are signed as they should be, over something that is no payload.

use usher_license::MAX_DEPTH;

use super::{
    documents::Case,
    keys::{add, license_of, nested, signing_key},
};

/// Genuinely signed, and not a payload.
pub(super) fn payloads(good: &str, case: &mut Case<'_>) {
    let mut edited = |expect: &str, name: &str, from: &str, to: &str| {
        case(expect, name, license_of(&good.replacen(from, to, 1), &signing_key()));
    };
    edited("duplicate-member", "the payload's exp twice", r#""exp":"#, r#""exp":1,"exp":"#);
    edited("duplicate-member", "an inner member twice", r#""namespace":"#, r#""name":"x","namespace":"#);
    edited("duplicate-member", "an unknown member twice", r#""iss":"#, r#""later":1,"later":2,"iss":"#);
    edited("unsupported-schema", "schema 2", r#""schema":1"#, r#""schema":2"#);
    edited(
        "unsupported-schema",
        "schema 2 of other types",
        r#""schema":1,"state":"active""#,
        r#""schema":2,"state":7"#,
    );
    edited("malformed", "no schema", r#""schema":1,"#, "");
    edited("malformed", "no exp", r#""exp":"#, r#""expires":"#);
    edited("malformed", "an exp with a fraction", r#""exp":1"#, r#""exp":0.1"#);
    edited("malformed", "an exp that is text", r#","nbf""#, r#","nbf":"","x""#);
    edited("malformed", "a negative nbf", r#""nbf":"#, r#""nbf":-"#);
    edited("malformed", "an aud that is a list", r#""aud":"cad""#, r#""aud":["cad"]"#);
    edited("malformed", "a state of no meaning", r#""active""#, r#""paused""#);
    edited("malformed", "a holder by two names", r#""email":"#, r#""issuer":"i","subject":"s","email":"#);
    edited("malformed", "a holder of no kind", r#"{"user":"#, r#"{"group":"#);
    edited("malformed", "negative seats", r#""seats":2"#, r#""seats":-2"#);
    edited("malformed", "features that are an object", r#""features":["#, r#""features":{},"x":["#);
    edited("malformed", "something after the payload", r#""a-7"}"#, r#""a-7"}{}"#);
    case(
        "too-deep",
        "a deep payload",
        license_of(&add(good, &format!(r#""later":{}"#, nested(MAX_DEPTH))), &signing_key()),
    );
    case("malformed", "an empty payload", license_of("", &signing_key()));
}
