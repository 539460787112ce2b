//! What a provider says of itself: where people sign in, and by which keys it signs (SAML Metadata, section 2.4). It runs in the child process
//! only: see [`super::child`].
//!
//! Whoever writes the description decides who everybody is. What it says counts because it was fetched over TLS from where the IdentityProvider
//! says, or was written there itself; its own signature, by a key that it brings along, would prove nothing.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use openssl::{
    asn1::Asn1Time,
    pkey::Id,
    x509::{X509, X509Ref},
};
use roxmltree::Node;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Refusal,
    filter::{Comments, filtered},
    tree::{METADATA, PROTOCOL, SIGNATURE, all, is, one, parsed, text},
};

/// A provider that turns its keys has two for a while.
const CERTIFICATES: usize = 8;
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// What is known of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Where people sign in.
    pub sign_on: String,
    /// Whose keys sign.
    pub certificates: Vec<Certificate>,
}

/// A certificate, of which the key counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// All of it, in DER.
    #[serde(with = "super::child::base64")]
    pub der: Vec<u8>,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its end.
    pub until: Timestamp,
}

/// What this description says of the provider `entity_id`.
///
/// # Errors
/// Why it says nothing.
pub fn described(bytes: &[u8], entity_id: &str, now: Timestamp) -> Result<Description, Refusal> {
    let tree = parsed(filtered(bytes, Comments::Skipped)?)?;
    let entity = tree.root_element();
    if !is(entity, METADATA, "EntityDescriptor") {
        return Err(Refusal::NotADescription);
    }
    if entity.attribute("entityID") != Some(entity_id) {
        return Err(Refusal::OtherEntity);
    }
    let role = one(entity, METADATA, "IDPSSODescriptor", Refusal::NotADescription)?;
    for valid in [entity, role] {
        let until = valid.attribute("validUntil").map(str::parse::<Timestamp>).transpose();
        if until.map_err(|_| Refusal::Expired)?.is_some_and(|until| until <= now) {
            return Err(Refusal::Expired);
        }
    }
    let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
    if !protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL) {
        return Err(Refusal::NotADescription);
    }
    let mut services = all(role, METADATA, "SingleSignOnService");
    let sign_on = services.find(|service| service.attribute("Binding") == Some(REDIRECT));
    let sign_on = sign_on.and_then(|service| service.attribute("Location"));
    let sign_on = sign_on.filter(|url| url.starts_with("https://")).ok_or(Refusal::SignOn)?;
    let signs = |key: &Node<'_, '_>| key.attribute("use").is_none_or(|kind| kind == "signing");
    let keys = all(role, METADATA, "KeyDescriptor").filter(signs);
    let certificates: Vec<Certificate> = keys
        .flat_map(|key| {
            key.descendants().filter(|node| is(*node, SIGNATURE, "X509Certificate")).collect::<Vec<_>>()
        })
        .map(|node| base64(text(node).unwrap_or_default()))
        .collect::<Result<_, _>>()?;
    Ok(Description { sign_on: sign_on.to_owned(), certificates: distinct(certificates)? })
}

/// The certificates in these texts, each one in PEM.
///
/// # Errors
/// When one is none, or its key is weak.
pub fn pinned(pems: &[String]) -> Result<Vec<Certificate>, Refusal> {
    let read = pems.iter().map(|pem| {
        let inner = pem.trim().strip_prefix("-----BEGIN CERTIFICATE-----");
        base64(
            inner
                .and_then(|rest| rest.strip_suffix("-----END CERTIFICATE-----"))
                .ok_or(Refusal::Certificate)?,
        )
    });
    distinct(read.collect::<Result<_, _>>()?)
}

fn base64(text: &str) -> Result<Certificate, Refusal> {
    let text: String = text.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(text).map_err(|_| Refusal::Certificate)?;
    let read = X509::from_der(&der).map_err(|_| Refusal::Certificate)?;
    let until = until(&read).filter(|_| is_strong(&read)).ok_or(Refusal::Certificate)?;
    let sha256 = Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Certificate { der, sha256, until })
}

/// Reads the time zone, which C's calendar does when it is first asked.
pub(super) fn warm_up() {
    drop(Asn1Time::from_unix(0));
}

fn until(certificate: &X509Ref) -> Option<Timestamp> {
    let since_epoch = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
    Timestamp::from_second(i64::from(since_epoch.days) * 86_400 + i64::from(since_epoch.secs)).ok()
}

fn is_strong(certificate: &X509Ref) -> bool {
    certificate.public_key().is_ok_and(|key| match key.id() {
        Id::RSA => key.bits() >= 2_048,
        Id::EC => key.bits() >= 256,
        _ => false,
    })
}

fn distinct(found: Vec<Certificate>) -> Result<Vec<Certificate>, Refusal> {
    let mut certificates: Vec<Certificate> = Vec::new();
    for certificate in found {
        if !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    match certificates.len() {
        0 => Err(Refusal::NoCertificate),
        1..=CERTIFICATES => Ok(certificates),
        _ => Err(Refusal::TooManyCertificates),
    }
}
