//! A provider of SAML, as far as attacks take one: it says what it is told to say, and signs it.

use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Name},
};
use samael::crypto::{Crypto, CryptoProvider as _};

pub const IDP: &str = "https://idp.acme.example/saml";
pub const USHER: &str = "https://usher.acme.example/signin/saml/metadata";
pub const CONSUMER: &str = "https://usher.acme.example/signin/saml";
pub const REQUEST: &str = "_request-0123456789abcdef";
/// When everything happens, in Unix seconds.
pub const NOW: i64 = 1_800_000_000;

pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// `NOW` and so many seconds, as SAML writes it.
pub fn time(seconds: i64) -> String {
    at(NOW + seconds).to_string()
}

/// A key, and the certificate that is known of it.
pub struct Mint {
    key: PKey<Private>,
    pub certificate: Vec<u8>,
    algorithm: &'static str,
}

impl Mint {
    fn of(key: PKey<Private>, algorithm: &'static str) -> Self {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "idp").unwrap();
        let name = name.build();
        let mut certificate = X509::builder().unwrap();
        certificate.set_version(2).unwrap();
        certificate.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        certificate.set_subject_name(&name).unwrap();
        certificate.set_issuer_name(&name).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::from_unix(NOW + 86_400).unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        Self { key, certificate: certificate.build().to_der().unwrap(), algorithm }
    }

    pub fn rsa(bits: u32) -> Self {
        Self::of(PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap(), RSA_SHA256)
    }

    pub fn ec() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        Self::of(key, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
    }

    /// The provider's.
    pub fn ours() -> &'static Self {
        static OURS: LazyLock<Mint> = LazyLock::new(|| Mint::rsa(2_048));
        &OURS
    }

    /// Somebody else's.
    pub fn strangers() -> &'static Self {
        static STRANGERS: LazyLock<Mint> = LazyLock::new(|| Mint::rsa(2_048));
        &STRANGERS
    }

    /// `xml` with its first signature filled in.
    pub fn sign(&self, xml: &str) -> String {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = Crypto::sign_xml(xml, &self.key.private_key_to_der().unwrap()).unwrap();
        signed.split_once("?>").map_or(signed.as_str(), |(_, rest)| rest).trim().to_owned()
    }

    /// The plain answer, with its assertion signed.
    pub fn answer(&self, say: &Say) -> String {
        say.response(&self.sign(&say.assertion(&self.template(&say.assertion_id))), "")
    }

    /// The same, with all of it signed, and nothing by itself.
    pub fn whole(&self, say: &Say) -> String {
        self.sign(&say.response(&say.assertion(""), &self.template("_response")))
    }

    /// A signature over the element `id` that is still to be made.
    pub fn template(&self, id: &str) -> String {
        template(self.algorithm, SHA256, &format!("#{id}"), &[ENVELOPED, EXCLUSIVE])
    }
}

/// The same, otherwise than it should be.
pub fn template(by: &str, digest: &str, uri: &str, transforms: &[&str]) -> String {
    let transforms: String =
        transforms.iter().map(|transform| format!(r#"<ds:Transform Algorithm="{transform}"/>"#)).collect();
    format!(
        r#"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{by}"/><ds:Reference URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue></ds:SignatureValue></ds:Signature>"#
    )
}

/// What the provider is told to say: all of it true, unless a test says otherwise.
#[derive(Clone)]
pub struct Say {
    pub response_attributes: String,
    pub response_issuer: String,
    pub status: String,
    pub assertion_id: String,
    pub assertion_attributes: String,
    pub issuer: String,
    pub name_id: String,
    pub confirmation: String,
    pub conditions: String,
    pub authentication: String,
    pub attributes: String,
}

pub fn issuer(entity_id: &str) -> String {
    format!("<a:Issuer>{entity_id}</a:Issuer>")
}

pub fn status(code: &str) -> String {
    format!(r#"<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{code}"/></p:Status>"#)
}

pub fn response_attributes(destination: &str, request: &str, issued: i64) -> String {
    format!(
        r#"Version="2.0" IssueInstant="{}" Destination="{destination}" InResponseTo="{request}""#,
        time(issued)
    )
}

pub fn confirmation(recipient: &str, request: &str, until: i64) -> String {
    format!(
        r#"<a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><a:SubjectConfirmationData Recipient="{recipient}" InResponseTo="{request}" NotOnOrAfter="{}"/></a:SubjectConfirmation>"#,
        time(until)
    )
}

pub fn audience(of: &str) -> String {
    format!("<a:AudienceRestriction><a:Audience>{of}</a:Audience></a:AudienceRestriction>")
}

pub fn conditions(from: i64, until: i64, inner: &str) -> String {
    format!(
        r#"<a:Conditions NotBefore="{}" NotOnOrAfter="{}">{inner}</a:Conditions>"#,
        time(from),
        time(until)
    )
}

pub fn name_id(format: &str, name: &str) -> String {
    format!(r#"<a:NameID Format="urn:oasis:names:tc:SAML:{format}">{name}</a:NameID>"#)
}

impl Default for Say {
    fn default() -> Self {
        Self {
            response_attributes: response_attributes(CONSUMER, REQUEST, 0),
            response_issuer: issuer(IDP),
            status: status("Success"),
            assertion_id: "_assertion".into(),
            assertion_attributes: format!(r#"Version="2.0" IssueInstant="{}""#, time(0)),
            issuer: issuer(IDP),
            name_id: name_id("2.0:nameid-format:persistent", "ann"),
            confirmation: confirmation(CONSUMER, REQUEST, 300),
            conditions: conditions(-60, 300, &audience(USHER)),
            authentication: format!(
                r#"<a:AuthnStatement AuthnInstant="{}"><a:AuthnContext/></a:AuthnStatement>"#,
                time(0)
            ),
            attributes: r#"<a:AttributeStatement><a:Attribute Name="email"><a:AttributeValue>ann@acme.example</a:AttributeValue></a:Attribute></a:AttributeStatement>"#.into(),
        }
    }
}

impl Say {
    pub fn assertion(&self, signature: &str) -> String {
        format!(
            r#"<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="{}" {}>{}{signature}<a:Subject>{}{}</a:Subject>{}{}{}</a:Assertion>"#,
            self.assertion_id,
            self.assertion_attributes,
            self.issuer,
            self.name_id,
            self.confirmation,
            self.conditions,
            self.authentication,
            self.attributes,
        )
    }

    pub fn response(&self, inner: &str, signature: &str) -> String {
        format!(
            r#"<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" {}>{}{signature}{}{inner}</p:Response>"#,
            self.response_attributes, self.response_issuer, self.status,
        )
    }
}
