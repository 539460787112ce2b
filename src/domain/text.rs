//! Text that people write, parsed once.
//!
//! `text!` declares a type, and from that one declaration come its parser, its serde form and the
//! schema that the API server enforces (as a CEL rule, so that the refusal is the very sentence
//! that our own parser gives).

use std::borrow::Cow;

/// A text that does not obey the rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {message}")]
pub struct InvalidText {
    /// The type's name for people.
    pub what: &'static str,
    /// What to write instead.
    pub message: Cow<'static, str>,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, max $max:literal, $pattern:literal, $message:literal, example $example:literal) => {
        text!(@type $(#[$doc])* $name, $what, $max, $pattern, $message, $example, |text: String| text);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, max $max:literal, $pattern:literal, $message:literal, example $example:literal, lowercase) => {
        text!(@type $(#[$doc])* $name, $what, $max, $pattern, $message, $example, |text: String| text.to_ascii_lowercase());
    };
    (@type $(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $pattern:literal, $message:literal, $example:literal, $normalize:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::text::InvalidText;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::text::InvalidText;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                static RULE: std::sync::LazyLock<Option<regex_lite::Regex>> =
                    std::sync::LazyLock::new(|| regex_lite::Regex::new($pattern).ok());
                if text.len() <= $max && RULE.as_ref().is_some_and(|rule| rule.is_match(&text)) {
                    let normalize: fn(String) -> String = $normalize;
                    Ok(Self(normalize(text)))
                } else {
                    Err($crate::domain::text::InvalidText { what: $what, message: $message.into() })
                }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": $max,
                    "x-kubernetes-validations": [{
                        "rule": concat!("self.matches(r'", $pattern, "')"),
                        "message": concat!($what, " ", $message),
                    }],
                })
            }
        }

        #[cfg(test)]
        impl $name {
            /// The example in the type's documentation.
            pub(crate) const EXAMPLE: &'static str = $example;
        }
    };
}
pub(crate) use text;

text! {
    /// The product that a License is for, as programs ask for it (`aud` of the document).
    Product, "product", max 63, "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "must be lower-case letters, digits, dots and dashes, such as cad or render-farm", example "cad"
}
text! {
    /// The customer that a License is for.
    Customer, "customer", max 128, "^[A-Za-z0-9]([A-Za-z0-9 ._@-]*[A-Za-z0-9.])?$",
    "must be letters, digits, spaces, dots, dashes, @ and underscores, such as acme or Acme Inc.", example "acme"
}
text! {
    /// A feature of a product.
    FeatureName, "feature name", max 63, "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
    "must be letters, digits, dots, dashes and underscores, such as render", example "render"
}
text! {
    /// A whole e-mail address, ASCII; case does not count.
    Email, "email", max 254, "^[A-Za-z0-9!#$%&*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])$",
    "must be a whole address in ASCII, such as ann@acme.example", example "ann@acme.example", lowercase
}
text! {
    /// The domain of e-mail addresses; case does not count.
    Domain, "domain", max 253, "^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])$",
    "must be a whole domain in ASCII, such as acme.example", example "acme.example", lowercase
}
text! {
    /// Where a claim is: its name, or the names on the way to it, joined by dots.
    ClaimPath, "claim", max 256, "^[!-~]+$",
    "must be a claim's name, or the names on the way to it joined by dots, such as realm_access.roles", example "realm_access.roles"
}
text! {
    /// How an identity provider knows Usher (RFC 6749, section 2.2).
    ClientId, "client id", max 256, "^[!-~]+$",
    "must be printable ASCII without spaces, such as usher", example "usher"
}
text! {
    /// What is asked of an identity provider beside `openid` (RFC 6749, section 3.3).
    Scope, "scope", max 128, "^[!#-\\[\\]-~]+$",
    "must be printable ASCII without spaces, quotes and backslashes, such as email", example "email"
}
text! {
    /// An issuer: the https URL by which an authority is known. It has one spelling: clients take dots in a path
    /// and the port of https out before they ask, and would ask for another issuer's keys.
    Issuer, "issuer", max 512, "^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:([1-9][0-9]?|[1-35-9][0-9]{2}|4[0-35-9][0-9]|44[0-24-9]|[1-9][0-9]{3,4}))?(/[.]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
    "must be an https URL without :443, query, fragment, trailing slash or a part that is only dots, such as https://usher.acme.example/a/default", example "https://usher.acme.example/a/default"
}
text! {
    /// The issuer of an identity provider of OpenID Connect: the https URL by which it is known, as it says it. Some end in a slash, which is part of it.
    OidcIssuer, "issuer", max 512, "^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:([1-9][0-9]?|[1-35-9][0-9]{2}|4[0-35-9][0-9]|44[0-24-9]|[1-9][0-9]{3,4}))?(/[.]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$",
    "must be an https URL without :443, query, fragment or a part that is only dots, exactly as the identity provider says it, such as https://idp.acme.example/realms/acme", example "https://idp.acme.example/realms/acme"
}
text! {
    /// How an identity provider is known: its issuer of OpenID Connect, or its entity id of SAML, which may be any URI.
    ProviderIssuer, "issuer", max 512, "^(https?://|urn:)[!-~]+$",
    "must be an https URL or another URI without spaces, exactly as the identity provider says it, such as https://idp.acme.example/realms/acme", example "https://idp.acme.example/realms/acme"
}
text! {
    /// Where something of a provider is that Usher goes to, or sends people to.
    HttpsUrl, "URL", max 1024, "^https://[a-z0-9\\[]([!-~]*)$",
    "must be an https URL, such as https://idp.acme.example/realms/acme/protocol/saml/descriptor", example "https://idp.acme.example/realms/acme/protocol/saml/descriptor"
}
text! {
    /// A subject: how an issuer names somebody (RFC 7519, section 4.1.2).
    Subject, "subject", max 255, "^[!-~]+$",
    "must be printable ASCII without spaces, such as 1234", example "1234"
}
text! {
    /// The fingerprint of a device.
    DeviceId, "device id", max 128, "^[A-Za-z0-9]([A-Za-z0-9._:+/=-]*[A-Za-z0-9=])?$",
    "must be letters, digits and . _ : + / = -, such as a fingerprint in hex", example "9f86d081884c7d65"
}
text! {
    /// What people call a device.
    DeviceName, "device name", max 64, "^[A-Za-z0-9]([A-Za-z0-9 ._()#-]*[A-Za-z0-9.)])?$",
    "must be letters, digits, spaces and . _ ( ) # -, such as Lab 3", example "Lab 3"
}
text! {
    /// A group at an identity provider, as the provider names it.
    ProviderGroup, "group", max 256, "^[!-~]([ -~]*[!-~])?$",
    "must be printable ASCII without spaces at its ends, such as cad-users", example "cad-users"
}
text! {
    /// The name of an object that names other objects in turn: a DNS label (RFC 1123).
    Label, "name", max 63, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "must be lower-case letters, digits and dashes, at most 63, such as cad-license", example "cad-license"
}
text! {
    /// The name of a service account: a DNS subdomain (RFC 1123).
    ServiceAccount, "service account", max 253, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    "must be the name of one in the License's own namespace: lower-case letters, digits, dashes and dots, such as render", example "render"
}
text! {
    /// The name of an entry of a Secret.
    EntryName, "key", max 253, "^[A-Za-z0-9._-]+$",
    "must be letters, digits, dots, dashes and underscores, such as client-secret", example "client-secret"
}
text! {
    /// Where a program on somebody's own machine waits for the answer (RFC 8252, section 7.3).
    LoopbackUri, "redirect_uri", max 128, "^http://(127[.]0[.]0[.]1|\\[::1\\]):[1-9][0-9]{0,4}(/[A-Za-z0-9._~/-]*)?$",
    "must be http, an address of loopback and a port, such as http://127.0.0.1:4321/", example "http://127.0.0.1:4321/"
}
text! {
    /// By what a program knows an answer as its own (RFC 6749, section 4.1.1).
    ClientState, "state", max 256, "^[!-~]+$",
    "must be printable ASCII without spaces, such as 128 random bits in hex", example "af0ifjsldkj"
}
text! {
    /// The hash of what a program will show with a code (RFC 7636, section 4.2).
    CodeChallenge, "code_challenge", max 43, "^[A-Za-z0-9_-]{43}$",
    "must be the base64url of a SHA-256", example "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
}
text! {
    /// The name of a key: its RFC 7638 thumbprint.
    KeyId, "thumbprint", max 43, "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    "must be the 43 characters that usher keygen prints, such as kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", example "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
}
text! {
    /// The public half of an Ed25519 key, as in its JWK (RFC 8037).
    PublicKey, "public key", max 43, "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    "must be 32 bytes in base64url, such as 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", example "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
}

impl From<OidcIssuer> for ProviderIssuer {
    fn from(issuer: OidcIssuer) -> Self {
        Self(issuer.0)
    }
}

impl Email {
    /// What follows the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_obeys_its_own_rule() {
        assert!(Product::EXAMPLE.parse::<Product>().is_ok());
        assert!(Customer::EXAMPLE.parse::<Customer>().is_ok());
        assert!(FeatureName::EXAMPLE.parse::<FeatureName>().is_ok());
        assert!(Email::EXAMPLE.parse::<Email>().is_ok());
        assert!(Issuer::EXAMPLE.parse::<Issuer>().is_ok());
        assert!(Domain::EXAMPLE.parse::<Domain>().is_ok());
        assert!(ClaimPath::EXAMPLE.parse::<ClaimPath>().is_ok());
        assert!(ClientId::EXAMPLE.parse::<ClientId>().is_ok());
        assert!(Scope::EXAMPLE.parse::<Scope>().is_ok());
        assert!(OidcIssuer::EXAMPLE.parse::<OidcIssuer>().is_ok());
        assert!(ProviderIssuer::EXAMPLE.parse::<ProviderIssuer>().is_ok());
        assert!(HttpsUrl::EXAMPLE.parse::<HttpsUrl>().is_ok());
        assert!(Subject::EXAMPLE.parse::<Subject>().is_ok());
        assert!(DeviceId::EXAMPLE.parse::<DeviceId>().is_ok());
        assert!(DeviceName::EXAMPLE.parse::<DeviceName>().is_ok());
        assert!(ProviderGroup::EXAMPLE.parse::<ProviderGroup>().is_ok());
        assert!(Label::EXAMPLE.parse::<Label>().is_ok());
        assert!(ServiceAccount::EXAMPLE.parse::<ServiceAccount>().is_ok());
        assert!(EntryName::EXAMPLE.parse::<EntryName>().is_ok());
        assert!(LoopbackUri::EXAMPLE.parse::<LoopbackUri>().is_ok());
        assert!(ClientState::EXAMPLE.parse::<ClientState>().is_ok());
        assert!(CodeChallenge::EXAMPLE.parse::<CodeChallenge>().is_ok());
        assert!(KeyId::EXAMPLE.parse::<KeyId>().is_ok());
        assert!(PublicKey::EXAMPLE.parse::<PublicKey>().is_ok());
    }

    #[test]
    fn an_address_in_another_case_is_the_same_address() {
        let upper: Email = "Ann@ACME.example".parse().unwrap();
        assert_eq!(upper, "ann@acme.example".parse().unwrap());
    }

    #[test]
    fn half_an_address_is_refused_with_what_to_write_instead() {
        for text in ["", "ann", "ann@", "@acme.example", "ann@acme", "a b@acme.example", "änn@acme.example"]
        {
            let refusal = text.parse::<Email>().unwrap_err();
            assert_eq!(
                refusal.to_string(),
                "email must be a whole address in ASCII, such as ann@acme.example"
            );
        }
    }

    #[test]
    fn an_issuer_is_an_https_url_that_can_carry_a_path() {
        assert!("http://usher.acme.example".parse::<Issuer>().is_err());
        assert!("https://usher.acme.example/".parse::<Issuer>().is_err());
        assert!("https://usher.acme.example?x".parse::<Issuer>().is_err());
        assert!("https://127.0.0.1:8443/a/b".parse::<Issuer>().is_ok());
    }

    #[test]
    fn what_a_rule_does_not_name_is_refused() {
        fn none<T: std::str::FromStr<Err = InvalidText>>(what: &str, texts: &[&str]) {
            for text in texts.iter().chain(&["", "ä", "a\nb", "a\n", " a", "-a"]) {
                assert_eq!(text.parse::<T>().err().map(|refusal| refusal.what), Some(what), "{text:?}");
            }
        }
        none::<Product>("product", &["Cad", "cad-", "cad.", ".cad", "a b", "a_b"]);
        none::<Customer>("customer", &["acme-", "acme@", "Acme!", ".acme"]);
        none::<FeatureName>("feature name", &["a b", "render.", "render_", "a@b"]);
        none::<Email>("email", &["Ann <ann@acme.example>", "ann@acme.example ", "ann@[127.0.0.1]"]);
        none::<Issuer>("issuer", &["https://", "HTTPS://usher.acme.example", "https://usher.acme.example:x"]);
        none::<Domain>(
            "domain",
            &["acme", "acme.", ".acme.example", "a_b.example", "ann@acme.example", "127.0.0.1"],
        );
        none::<DeviceId>("device id", &["a b", "9f:", "9f-", "a@b"]);
        none::<DeviceName>("device name", &["Lab 3-", "<b>", "Lab_", "(a)"]);
        none::<ServiceAccount>("service account", &["Render", "a..b", "a.", "design/render", "a:b", "a_b"]);
        none::<Label>("name", &["Cad", "cad-", "a.b", "a_b", "a b"]);
        assert_eq!("a b".parse::<Subject>().unwrap_err().what, "subject");
        assert_eq!("ä".parse::<Subject>().unwrap_err().what, "subject");
    }

    #[test]
    fn what_is_read_from_a_resource_obeys_the_same_rule() {
        let read = serde_json::from_str::<Product>;
        assert_eq!(read(r#""cad""#).unwrap(), "cad".parse().unwrap());
        let refusal = read(r#""CAD""#).unwrap_err().to_string();
        assert!(refusal.starts_with("product must be lower-case letters"), "{refusal}");
        assert_eq!(serde_json::to_string(&"cad".parse::<Product>().unwrap()).unwrap(), r#""cad""#);
    }

    #[test]
    fn an_issuer_has_one_spelling() {
        let is_one = |text: &str| text.parse::<Issuer>().is_ok();
        for text in ["/.", "/..", "/a/../b", "/a/./b", "/...", "/a/.."] {
            assert!(!is_one(&format!("https://usher.acme.example{text}")), "{text}");
        }
        for text in ["/.well", "/..a", "/v2.0", "/a.", "/-", "/.a./b"] {
            assert!(is_one(&format!("https://usher.acme.example{text}")), "{text}");
        }
        let refused: Vec<u32> =
            (0..65_536).filter(|port| !is_one(&format!("https://a.example:{port}/b"))).collect();
        assert_eq!(refused, [0, 443]);
        assert!(!is_one("https://a.example:0443") && !is_one("https://a.example:08443"));
    }

    #[test]
    fn the_slash_at_the_end_of_a_providers_issuer_is_part_of_it() {
        let parsed = |text: &str| text.parse::<OidcIssuer>().unwrap();
        assert_eq!(parsed("https://acme.example/").as_str(), "https://acme.example/");
        assert_ne!(parsed("https://acme.example/"), parsed("https://acme.example"));
        assert!("https://acme.example/v2.0/".parse::<OidcIssuer>().is_ok());
        for text in [
            "https://acme.example//",
            "https://acme.example/?x",
            "http://acme.example/",
            "https://acme.example/../",
        ] {
            assert!(text.parse::<OidcIssuer>().is_err(), "{text}");
        }
    }

    #[test]
    fn whatever_is_an_issuer_is_how_a_provider_may_be_known_and_an_entity_id_may_be_any_uri() {
        let issuer: OidcIssuer = OidcIssuer::EXAMPLE.parse().unwrap();
        assert_eq!(ProviderIssuer::from(issuer), OidcIssuer::EXAMPLE.parse().unwrap());
        for text in
            ["http://idp.acme.example/adfs/trust", "urn:acme.example:idp", "https://sts.acme.example/1/"]
        {
            assert!(text.parse::<ProviderIssuer>().is_ok(), "{text}");
        }
        for text in
            ["", "idp", "ftp://idp.acme.example", "https://idp.acme.example/a b", "javascript:alert(1)"]
        {
            assert!(text.parse::<ProviderIssuer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_one_byte_too_long_is_refused() {
        assert!("a".repeat(63).parse::<Product>().is_ok());
        assert!("a".repeat(64).parse::<Product>().is_err());
    }
}
