//! Who signed it. Checked are first the form of each signature, then by xmlsec that a key of the provider made it.
//!
//! What counts afterwards are the very bytes that the digest was made of, and nothing of what they were cut from. So whatever else is in a
//! response, wherever it was put, says nothing.

use roxmltree::Node;
use samael::crypto::{
    AllowedSignatureAlgorithm, CertificateDer, Crypto, CryptoProvider as _, ReduceMode, XmlSec,
};

use super::{
    Refusal,
    tree::{SIGNATURE, elements, is, one, text},
};

/// Without xmlsec, samael verifies nothing: then this does not compile.
const _: fn(Crypto) -> XmlSec = |crypto| crypto;

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// The longest list of prefixes that are digested though nothing has them, in bytes. A provider names two or three; each is looked for at each
/// element, in all that are around it, and by that a list of thousands is minutes of work for whoever sends it.
const PREFIXES: usize = 256;

/// RSA and ECDSA, over SHA-256 and stronger. Nothing by a shared secret: a certificate is no secret.
const SIGNED_BY: [AllowedSignatureAlgorithm; 6] = [
    AllowedSignatureAlgorithm::RsaSha256,
    AllowedSignatureAlgorithm::RsaSha384,
    AllowedSignatureAlgorithm::RsaSha512,
    AllowedSignatureAlgorithm::EcdsaSha256,
    AllowedSignatureAlgorithm::EcdsaSha384,
    AllowedSignatureAlgorithm::EcdsaSha512,
];

/// Whether `signature`, of `signed`, has the one form that SAML 2.0 knows (Core, section 5.4).
pub(super) fn is_formed(signature: Node<'_, '_>, signed: Node<'_, '_>) -> Result<(), Refusal> {
    const FORM: Refusal = Refusal::SignatureForm;
    let parts = elements(signature).ok_or(FORM)?;
    let is_known = |part: &Node<'_, '_>| {
        ["SignedInfo", "SignatureValue", "KeyInfo"].iter().any(|name| is(*part, SIGNATURE, name))
    };
    if !parts.iter().all(is_known) {
        return Err(FORM);
    }
    text(one(signature, SIGNATURE, "SignatureValue", FORM)?).ok_or(FORM)?;
    let info = one(signature, SIGNATURE, "SignedInfo", FORM)?;
    let parts = elements(info).ok_or(FORM)?;
    let algorithm = |name, otherwise| -> Result<&str, Refusal> {
        one(info, SIGNATURE, name, FORM)?.attribute("Algorithm").ok_or(otherwise)
    };
    let method = one(info, SIGNATURE, "CanonicalizationMethod", FORM)?;
    if algorithm("CanonicalizationMethod", Refusal::Canonicalization)? != EXCLUSIVE
        || !has_few_prefixes(method)
    {
        return Err(Refusal::Canonicalization);
    }
    let by = algorithm("SignatureMethod", Refusal::SignatureAlgorithm)?;
    if !SIGNED_BY.iter().any(|allowed| allowed.signature_uri() == by) {
        return Err(Refusal::SignatureAlgorithm);
    }
    let reference = one(info, SIGNATURE, "Reference", Refusal::References)?;
    if parts.len() != 3 {
        return Err(FORM);
    }
    refers_to(reference, signed)
}

fn refers_to(reference: Node<'_, '_>, signed: Node<'_, '_>) -> Result<(), Refusal> {
    const FORM: Refusal = Refusal::SignatureForm;
    let id = signed.attribute("ID").filter(|id| !id.is_empty()).ok_or(Refusal::ReferenceUri)?;
    if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(Refusal::ReferenceUri);
    }
    let transforms = one(reference, SIGNATURE, "Transforms", Refusal::Transforms)?;
    let transforms = elements(transforms).ok_or(Refusal::Transforms)?;
    let named: Vec<_> = transforms
        .iter()
        .map(|transform| transform.attribute("Algorithm").filter(|_| is(*transform, SIGNATURE, "Transform")))
        .collect();
    if named != [Some(ENVELOPED), Some(EXCLUSIVE)] {
        return Err(Refusal::Transforms);
    }
    if !transforms.iter().all(|transform| has_few_prefixes(*transform)) {
        return Err(Refusal::Transforms);
    }
    let digest = one(reference, SIGNATURE, "DigestMethod", FORM)?.attribute("Algorithm");
    if !SIGNED_BY.iter().any(|allowed| Some(allowed.digest_uri()) == digest) {
        return Err(Refusal::DigestAlgorithm);
    }
    text(one(reference, SIGNATURE, "DigestValue", FORM)?).ok_or(FORM)?;
    if elements(reference).ok_or(FORM)?.len() == 3 { Ok(()) } else { Err(FORM) }
}

/// Whether nothing is said to `method` but some prefixes: one short list, and nothing in it or beside it. (xmlsec takes the list from an attribute of
/// that name in whatever namespace, so all of them count.)
fn has_few_prefixes(method: Node<'_, '_>) -> bool {
    match elements(method).as_deref() {
        Some([]) => true,
        Some([list]) => {
            let bytes: usize = list.attributes().map(|attribute| attribute.value().len()).sum();
            is(*list, EXCLUSIVE, "InclusiveNamespaces") && bytes <= PREFIXES && !list.has_children()
        }
        _ => false,
    }
}

/// What the keys of these certificates have signed of `xml`, as it was digested.
pub(super) fn signed_part(xml: &str, certificates: &[Vec<u8>]) -> Result<String, Refusal> {
    // samael verifies nothing where it knows no certificate.
    if certificates.is_empty() {
        return Err(Refusal::NoCertificate);
    }
    let certificates: Vec<CertificateDer> = certificates.iter().cloned().map(CertificateDer::from).collect();
    let reduced = Crypto::reduce_xml_to_signed_with_allowed_algorithms(
        xml,
        &certificates,
        ReduceMode::PreDigest,
        Some(&SIGNED_BY),
    );
    reduced.map_err(|_| Refusal::Signature)
}

/// Loads all that verifying takes, so that nothing is opened for it any more.
pub(super) fn warm_up() {
    // This is no certificate, so it comes to nothing.
    drop(Crypto::verify_signed_xml("<a/>", &CertificateDer::from(vec![0]), None));
}
