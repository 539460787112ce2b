//! What of a provider's answer is believed. Pure, but for xmlsec. It runs in the child process only: see [`super::child`].
//!
//! ```text
//!   bytes ─► filter ─► tree: one response, one assertion, all in its place ─► signature ─► the signed bytes ─► tree ─► checks ─► Proven
//! ```
//!
//! 1. What is refused is refused before a more powerful part sees it.
//! 2. Nothing counts but the assertion as it was digested under a key of the provider. (Of an unsigned response around a signed assertion the
//!    checks must hold all the same.)
//! 3. An absent value is a wrong one: whatever SAML lets a provider leave out that Usher relies on must be there.

use jiff::{SignedDuration, Timestamp};
use roxmltree::{Document, Node};
use serde::{Deserialize, Serialize};

use super::{
    Refusal,
    filter::{Comments, filtered},
    name_id::NameIdFormat,
    signature::{is_formed, signed_part},
    tree::{ASSERTION, PROTOCOL, SIGNATURE, all, elements, is, one, parsed, text},
};

/// How far clocks may be apart.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// An answer is at most so old: it goes from provider to Usher at once.
const OLDEST: SignedDuration = SignedDuration::from_mins(10);
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The provider's entity id.
    pub entity_id: String,
    /// Its certificates, in DER.
    #[serde(with = "super::child::base64s")]
    pub certificates: Vec<Vec<u8>>,
    /// Usher's own entity id.
    pub audience: String,
    /// Where answers are brought.
    pub consumer: String,
    /// The id of the request that is answered.
    pub request: String,
    /// How the provider is to name people, if it is said.
    pub format: Option<NameIdFormat>,
    /// When it is.
    pub now: Timestamp,
}

/// What is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The assertion's id, which is good once.
    pub assertion: String,
    /// When it would have been too old in any case, leeway included.
    pub until: Timestamp,
    /// In which way the person is named.
    pub format: NameIdFormat,
    /// The name.
    pub name_id: String,
    /// What else is said of the person.
    pub attributes: Vec<Attribute>,
}

/// Something that is said of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// What it is.
    pub name: String,
    /// The same for people.
    pub friendly: Option<String>,
    /// The values.
    pub values: Vec<String>,
}

/// What is proven by `bytes`.
///
/// # Errors
/// Why nothing is.
pub fn judge(bytes: &[u8], expected: &Expected) -> Result<Proven, Refusal> {
    let xml = filtered(bytes, Comments::Refused)?;
    let tree = parsed(xml)?;
    let response = tree.root_element();
    let signed_id = is_in_shape(&tree)?;
    let part = signed_part(xml, &expected.certificates)?;
    let signed_tree = parsed(filtered(part.as_bytes(), Comments::Refused)?)?;
    let signed = signed_tree.root_element();
    // xmlsec and we must have seen the same element.
    if signed.attribute("ID") != Some(signed_id) {
        return Err(Refusal::Signature);
    }
    if is(signed, PROTOCOL, "Response") {
        is_answer(signed, true, expected)?;
        return proven(one(signed, ASSERTION, "Assertion", Refusal::NoAssertion)?, expected);
    }
    is_answer(response, false, expected)?;
    if is(signed, ASSERTION, "Assertion") { proven(signed, expected) } else { Err(Refusal::Signature) }
}

/// Whether it is a response with one assertion and nothing misplaced, each signature formed as it must be. Returns the id of the outermost
/// element that is signed.
fn is_in_shape<'a>(tree: &'a Document<'_>) -> Result<&'a str, Refusal> {
    let response = tree.root_element();
    if !is(response, PROTOCOL, "Response") || response.attribute("Version") != Some("2.0") {
        return Err(Refusal::NotAResponse);
    }
    succeeded(response)?;
    let named = |name: &'static str| tree.descendants().filter(move |node| node.tag_name().name() == name);
    let encrypted =
        ["EncryptedAssertion", "EncryptedID", "EncryptedAttribute", "EncryptedData", "EncryptedKey"];
    if encrypted.into_iter().any(|name| named(name).next().is_some()) {
        return Err(Refusal::Encrypted);
    }
    if named("Response").count() > 1 {
        return Err(Refusal::Misplaced);
    }
    match named("Assertion").count() {
        0 => return Err(Refusal::NoAssertion),
        1 => {}
        _ => return Err(Refusal::ManyAssertions),
    }
    let assertion = one(response, ASSERTION, "Assertion", Refusal::NoAssertion)?;
    has_no_id_twice(tree)?;
    let of = |parent: Node<'a, '_>| {
        all(parent, SIGNATURE, "Signature").next().map(|signature| (signature, parent))
    };
    let signatures: Vec<_> = [of(response), of(assertion)].into_iter().flatten().collect();
    if named("Signature").count() != signatures.len() {
        return Err(Refusal::Misplaced);
    }
    for (signature, signed) in &signatures {
        is_formed(*signature, *signed)?;
    }
    let outermost = signatures.first().ok_or(Refusal::Unsigned)?;
    outermost.1.attribute("ID").ok_or(Refusal::Unsigned)
}

fn has_no_id_twice(tree: &Document<'_>) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::new();
    let attributes = tree.descendants().flat_map(|node| node.attributes().collect::<Vec<_>>());
    let ids = attributes.filter(|attribute| attribute.name().eq_ignore_ascii_case("id"));
    for id in ids {
        if !seen.insert(id.value().to_owned()) {
            return Err(Refusal::DuplicateId);
        }
    }
    Ok(())
}

fn succeeded(response: Node<'_, '_>) -> Result<(), Refusal> {
    let status = one(response, PROTOCOL, "Status", Refusal::Denied)?;
    let code = one(status, PROTOCOL, "StatusCode", Refusal::Denied)?;
    if code.attribute("Value") == Some(SUCCESS) { Ok(()) } else { Err(Refusal::Denied) }
}

/// Whether the response answers us. Only one that is not signed itself may be without an issuer.
fn is_answer(response: Node<'_, '_>, is_signed: bool, expected: &Expected) -> Result<(), Refusal> {
    succeeded(response)?;
    if response.attribute("Destination") != Some(expected.consumer.as_str()) {
        return Err(Refusal::Destination);
    }
    if response.attribute("InResponseTo") != Some(expected.request.as_str()) {
        return Err(Refusal::InResponseTo);
    }
    is_recent(response, expected.now)?;
    let says_no_issuer = all(response, ASSERTION, "Issuer").next().is_none();
    if says_no_issuer && !is_signed { Ok(()) } else { is_issuer(response, expected) }
}

fn is_issuer(parent: Node<'_, '_>, expected: &Expected) -> Result<(), Refusal> {
    let issuer = one(parent, ASSERTION, "Issuer", Refusal::Issuer)?;
    let is_entity = issuer.attribute("Format").is_none_or(|format| format == ENTITY);
    if is_entity && text(issuer).map(str::trim) == Some(expected.entity_id.as_str()) {
        Ok(())
    } else {
        Err(Refusal::Issuer)
    }
}

/// The instant in the attribute `name`.
fn instant(node: Node<'_, '_>, name: &str, otherwise: Refusal) -> Result<Option<Timestamp>, Refusal> {
    node.attribute(name).map(|text| text.parse().map_err(|_| otherwise)).transpose()
}

/// Not so far from `now` as clocks are apart at most.
fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(now)
}

fn is_recent(node: Node<'_, '_>, now: Timestamp) -> Result<(), Refusal> {
    let issued = instant(node, "IssueInstant", Refusal::IssuedLongAgo)?.ok_or(Refusal::IssuedLongAgo)?;
    if issued > later(now, LEEWAY) {
        return Err(Refusal::IssuedAhead);
    }
    if issued < later(now, -(OLDEST + LEEWAY)) { Err(Refusal::IssuedLongAgo) } else { Ok(()) }
}

/// Whether `now` is within what the two attributes say. Returns the end.
fn is_within(node: Node<'_, '_>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let (from, end) =
        (instant(node, "NotBefore", Refusal::NotYet)?, instant(node, "NotOnOrAfter", Refusal::Expired)?);
    if from.is_some_and(|from| from > later(now, LEEWAY)) {
        return Err(Refusal::NotYet);
    }
    if end.is_some_and(|end| end <= later(now, -LEEWAY)) { Err(Refusal::Expired) } else { Ok(end) }
}

fn proven(assertion: Node<'_, '_>, expected: &Expected) -> Result<Proven, Refusal> {
    if assertion.attribute("Version") != Some("2.0") {
        return Err(Refusal::NotAResponse);
    }
    is_issuer(assertion, expected)?;
    is_recent(assertion, expected.now)?;
    let subject = one(assertion, ASSERTION, "Subject", Refusal::Subject)?;
    let until = is_for_the_bearer(subject, expected)?;
    conditions_hold(assertion, expected)?;
    has_signed_in(assertion, expected.now)?;
    let (format, name_id) = named(subject, expected)?;
    Ok(Proven {
        assertion: assertion.attribute("ID").unwrap_or_default().to_owned(),
        until: later(until, LEEWAY),
        format,
        name_id,
        attributes: attributes(assertion)?,
    })
}

/// Whether whoever brings it is the person. Returns until when.
fn is_for_the_bearer(subject: Node<'_, '_>, expected: &Expected) -> Result<Timestamp, Refusal> {
    let confirmation = one(subject, ASSERTION, "SubjectConfirmation", Refusal::Confirmation)?;
    if confirmation.attribute("Method") != Some(BEARER) {
        return Err(Refusal::Confirmation);
    }
    let data = one(confirmation, ASSERTION, "SubjectConfirmationData", Refusal::Confirmation)?;
    if data.attribute("Recipient") != Some(expected.consumer.as_str()) {
        return Err(Refusal::Recipient);
    }
    if data.attribute("InResponseTo") != Some(expected.request.as_str()) {
        return Err(Refusal::InResponseTo);
    }
    is_within(data, expected.now)?.ok_or(Refusal::Confirmation)
}

fn conditions_hold(assertion: Node<'_, '_>, expected: &Expected) -> Result<(), Refusal> {
    let conditions = one(assertion, ASSERTION, "Conditions", Refusal::Condition)?;
    is_within(conditions, expected.now)?;
    let mut restrictions = 0;
    for condition in elements(conditions).ok_or(Refusal::Condition)? {
        if is(condition, ASSERTION, "AudienceRestriction") {
            restrictions += 1;
            let mut audiences = all(condition, ASSERTION, "Audience");
            // Each restriction must hold, not one of them.
            if !audiences.any(|audience| text(audience).map(str::trim) == Some(expected.audience.as_str())) {
                return Err(Refusal::Audience);
            }
        } else if !is(condition, ASSERTION, "OneTimeUse") && !is(condition, ASSERTION, "ProxyRestriction") {
            return Err(Refusal::Condition);
        }
    }
    if restrictions == 0 { Err(Refusal::Audience) } else { Ok(()) }
}

fn has_signed_in(assertion: Node<'_, '_>, now: Timestamp) -> Result<(), Refusal> {
    let statement = all(assertion, ASSERTION, "AuthnStatement").next().ok_or(Refusal::Authentication)?;
    let ends = instant(statement, "SessionNotOnOrAfter", Refusal::Expired)?;
    if ends.is_some_and(|ends| ends <= later(now, -LEEWAY)) { Err(Refusal::Expired) } else { Ok(()) }
}

fn named(subject: Node<'_, '_>, expected: &Expected) -> Result<(NameIdFormat, String), Refusal> {
    let name_id = one(subject, ASSERTION, "NameID", Refusal::Subject)?;
    let format = NameIdFormat::of_uri(name_id.attribute("Format"))?;
    if expected.format.is_some_and(|expected| expected != format) {
        return Err(Refusal::NameIdFormat);
    }
    // A name within another's namespace is another name.
    let is_own = |attribute, own: &str| name_id.attribute(attribute).is_none_or(|qualifier| qualifier == own);
    if !is_own("NameQualifier", &expected.entity_id) || !is_own("SPNameQualifier", &expected.audience) {
        return Err(Refusal::Subject);
    }
    let name = text(name_id).ok_or(Refusal::Subject)?.trim();
    let is_plain = (1..=200).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok((format, name.to_owned())) } else { Err(Refusal::Subject) }
}

fn attributes(assertion: Node<'_, '_>) -> Result<Vec<Attribute>, Refusal> {
    let statements = all(assertion, ASSERTION, "AttributeStatement");
    let said = statements.flat_map(|statement| all(statement, ASSERTION, "Attribute").collect::<Vec<_>>());
    let read = said.map(|attribute| {
        // What is no text is for others.
        let values = all(attribute, ASSERTION, "AttributeValue").filter_map(text);
        Ok(Attribute {
            name: attribute.attribute("Name").ok_or(Refusal::Misplaced)?.to_owned(),
            friendly: attribute.attribute("FriendlyName").map(str::to_owned),
            values: values.map(str::to_owned).collect(),
        })
    });
    read.collect()
}
