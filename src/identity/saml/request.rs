//! What Usher says to providers: its request, and what it is. Pure.

use std::{fmt::Write as _, io::Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use jiff::{Timestamp, tz::TimeZone};

use super::{NameIdFormat, tree};
use crate::identity::Url;

const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// Usher, as providers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its entity id: where its description is, unless a provider knows it by another one.
    pub entity_id: String,
    /// Where answers are brought.
    pub consumer: Url,
}

/// `text`, fit for an attribute or an element.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            char => out.push(char),
        }
    }
    out
}

/// An instant as `xs:dateTime`, in whole seconds.
fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The request `id` (SAML Core, section 3.4.1).
fn request(home: &Home, sign_on: &str, id: &str, format: Option<NameIdFormat>, now: Timestamp) -> String {
    let (consumer, entity_id) = (escaped(home.consumer.as_str()), escaped(&home.entity_id));
    let format = format.map(|format| format!(r#" Format="{}""#, format.uri())).unwrap_or_default();
    format!(
        r#"<p:AuthnRequest xmlns:p="{}" xmlns:a="{}" ID="{}" Version="2.0" IssueInstant="{}" Destination="{}" AssertionConsumerServiceURL="{consumer}" ProtocolBinding="{POST}"><a:Issuer>{entity_id}</a:Issuer><p:NameIDPolicy{format} AllowCreate="true"/></p:AuthnRequest>"#,
        tree::PROTOCOL,
        tree::ASSERTION,
        escaped(id),
        instant(now),
        escaped(sign_on),
    )
}

/// Where to send a browser with the request `id` (SAML Bindings, section 3.4).
pub(super) fn redirect(
    home: &Home,
    sign_on: &Url,
    (id, relay_state): (&str, &str),
    format: Option<NameIdFormat>,
    now: Timestamp,
) -> std::io::Result<Url> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(request(home, sign_on.as_str(), id, format, now).as_bytes())?;
    let encoded = BASE64_STANDARD.encode(deflated.finish()?);
    let mut url = sign_on.clone();
    url.query_pairs_mut().append_pair("SAMLRequest", &encoded).append_pair("RelayState", relay_state);
    Ok(url)
}

/// What Usher is, for whoever sets a provider up (SAML Metadata, section 2.4.4). It has no key: it signs nothing, and nothing is to be
/// encrypted for it.
#[must_use]
pub fn description(home: &Home) -> String {
    let (consumer, entity_id) = (escaped(home.consumer.as_str()), escaped(&home.entity_id));
    let mut formats = String::new();
    for format in [NameIdFormat::Persistent, NameIdFormat::EmailAddress, NameIdFormat::Unspecified] {
        // Writing to a String does not fail.
        let _ = write!(formats, "<NameIDFormat>{}</NameIDFormat>", format.uri());
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<EntityDescriptor xmlns="{}" entityID="{entity_id}"><SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="{}">{formats}<AssertionConsumerService Binding="{POST}" Location="{consumer}" index="0" isDefault="true"/></SPSSODescriptor></EntityDescriptor>
"#,
        tree::METADATA,
        tree::PROTOCOL,
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::DeflateDecoder;

    use super::*;

    fn home() -> Home {
        Home {
            entity_id: "https://usher.acme.example/signin/saml/metadata".into(),
            consumer: "https://usher.acme.example/signin/saml".parse().unwrap(),
        }
    }

    #[test]
    fn a_request_says_who_asks_and_where_the_answer_goes() {
        let sign_on: Url = "https://idp.acme.example/sso?a=b&c='".parse().unwrap();
        let format = Some(NameIdFormat::Persistent);
        let url = redirect(&home(), &sign_on, ("_1", "relay"), format, Timestamp::UNIX_EPOCH).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let [_, _, (request, deflated), (relay, state)] = &pairs[..] else { panic!("{url}") };
        assert_eq!(
            (request.as_str(), relay.as_str(), state.as_str()),
            ("SAMLRequest", "RelayState", "relay")
        );
        let deflated = BASE64_STANDARD.decode(deflated).unwrap();
        let mut xml = String::new();
        DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
        let tree = tree::parsed(&xml).unwrap();
        let root = tree.root_element();
        for (name, value) in [
            ("ID", "_1"),
            ("Version", "2.0"),
            ("IssueInstant", "1970-01-01T00:00:00Z"),
            ("Destination", sign_on.as_str()),
            ("AssertionConsumerServiceURL", "https://usher.acme.example/signin/saml"),
            ("ProtocolBinding", POST),
        ] {
            assert_eq!(root.attribute(name), Some(value), "{xml}");
        }
        let issuer =
            tree::one(root, tree::ASSERTION, "Issuer", crate::identity::saml::Refusal::Issuer).unwrap();
        assert_eq!(tree::text(issuer), Some(&*home().entity_id));
    }

    #[test]
    fn what_usher_says_of_itself_is_xml_with_its_addresses() {
        let said = description(&home());
        let tree = roxmltree::Document::parse(&said).unwrap();
        assert_eq!(tree.root_element().attribute("entityID"), Some(&*home().entity_id));
        let service =
            tree.descendants().find(|node| node.tag_name().name() == "AssertionConsumerService").unwrap();
        assert_eq!(service.attribute("Location"), Some(home().consumer.as_str()));
        assert!(!said.contains("KeyDescriptor"), "no key is advertised that is not there");
    }
}
