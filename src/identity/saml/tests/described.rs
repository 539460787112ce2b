//! What a provider may say of itself.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::mint::{IDP, Mint, NOW, at, time};
use crate::identity::saml::{
    Refusal,
    metadata::{Description, described, pinned},
};

fn key(kind: &str, mint: &Mint) -> String {
    let certificate = BASE64_STANDARD.encode(&mint.certificate);
    format!(
        r#"<md:KeyDescriptor{kind}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>
{certificate}
</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#
    )
}

fn service(binding: &str, location: &str) -> String {
    format!(
        r#"<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" Location="{location}"/>"#
    )
}

fn entity(attributes: &str, inner: &str) -> String {
    format!(
        r#"<!-- made by hand --><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" {attributes}><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{inner}</md:IDPSSODescriptor></md:EntityDescriptor>"#
    )
}

fn read(xml: &str) -> Result<Description, Refusal> {
    described(xml.as_bytes(), IDP, at(NOW))
}

#[test]
fn a_description_says_where_people_sign_in_and_whose_keys_sign() {
    let id = format!("entityID=\"{IDP}\"");
    let sso = service("HTTP-POST", "https://idp.acme.example/post")
        + &service("HTTP-Redirect", "https://idp.acme.example/sso?a=b&amp;c=d");
    let ours = key(" use=\"signing\"", Mint::ours());
    let keys = format!("{ours}{ours}{}", key(" use=\"encryption\"", Mint::strangers()));
    let good = read(&entity(&id, &format!("{keys}{sso}"))).unwrap();
    assert_eq!(good.sign_on, "https://idp.acme.example/sso?a=b&c=d");
    let [certificate] = &good.certificates[..] else { panic!("{good:?}") };
    assert_eq!((&certificate.der, certificate.until), (&Mint::ours().certificate, at(NOW + 86_400)));
    assert_eq!(certificate.sha256.len(), 64);
    let turning = read(&entity(&id, &format!("{}{}{sso}", key("", Mint::strangers()), ours))).unwrap();
    assert_eq!(turning.certificates.len(), 2);

    let until = |seconds| format!("{id} validUntil=\"{}\"", time(seconds));
    assert!(read(&entity(&until(1), &format!("{ours}{sso}"))).is_ok());
    let elsewhere = service("HTTP-Redirect", "http://idp.acme.example/sso");
    let weak = key("", &Mint::rsa(1_024));
    let no_certificate = ours.replace("ds:X509Certificate", "ds:X509SKI");
    for (attributes, inner, why) in [
        ("entityID=\"urn:x\"", format!("{ours}{sso}"), Refusal::OtherEntity),
        ("", format!("{ours}{sso}"), Refusal::OtherEntity),
        (&until(0), format!("{ours}{sso}"), Refusal::Expired),
        (&id, ours.clone(), Refusal::SignOn),
        (&id, format!("{ours}{elsewhere}"), Refusal::SignOn),
        (&id, sso.clone(), Refusal::NoCertificate),
        (&id, format!("{no_certificate}{sso}"), Refusal::NoCertificate),
        (&id, format!("{weak}{sso}"), Refusal::Certificate),
        (&id, format!("{}{sso}", ours.replace("MII", "***")), Refusal::Certificate),
    ] {
        assert_eq!(read(&entity(attributes, &inner)).unwrap_err(), why, "{inner}");
    }
    let other = entity(&id, &format!("{ours}{sso}"));
    assert_eq!(
        read(&other.replace("EntityDescriptor", "EntitiesDescriptor")).unwrap_err(),
        Refusal::NotADescription
    );
    assert_eq!(read(&other.replace("IDPSSO", "SPSSO")).unwrap_err(), Refusal::NotADescription);
    assert_eq!(read(&other.replace("2.0:protocol", "1.1:protocol")).unwrap_err(), Refusal::NotADescription);
    assert_eq!(read(&format!("<!DOCTYPE a>{other}")).unwrap_err(), Refusal::Doctype);
}

#[test]
fn certificates_that_are_written_down_are_read_one_by_one() {
    let pem = |mint: &Mint| {
        let certificate = BASE64_STANDARD.encode(&mint.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n")
    };
    let two = pinned(&[pem(Mint::ours()), pem(&Mint::ec())]).unwrap();
    assert_eq!((two.len(), &two[0].der), (2, &Mint::ours().certificate));
    assert_eq!(pinned(&[]).unwrap_err(), Refusal::NoCertificate);
    for bad in [
        "",
        "MA==",
        "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
        &pem(Mint::ours()).repeat(2),
    ] {
        assert_eq!(pinned(&[bad.to_owned()]).unwrap_err(), Refusal::Certificate, "{bad}");
    }
    assert_eq!(pinned(&[pem(&Mint::rsa(1_024))]).unwrap_err(), Refusal::Certificate);
    let many: Vec<String> = (0..9).map(|_| pem(&Mint::ec())).collect();
    assert_eq!(pinned(&many).unwrap_err(), Refusal::TooManyCertificates);
}
