//! Signatures that are none, or of somebody else, or over something else; and XML that is more than it seems.

use openssl::{base64, hash::MessageDigest, pkey::PKey, sign::Signer};

use super::{
    Refusal, expected, is_ann, judged,
    mint::{ENVELOPED, EXCLUSIVE, Mint, RSA_SHA256, SHA256, Say, name_id, template},
};
use crate::identity::saml::gate::judge;

/// The plain answer, under a signature that is made as `template` says.
fn signed_as(template: &str) -> String {
    let say = Say::default();
    say.response(&Mint::ours().sign(&say.assertion(template)), "")
}

fn refused(xml: &str, why: Refusal) {
    assert_eq!(judged(Mint::ours(), xml).unwrap_err(), why, "{xml}");
}

#[test]
fn keys_of_rsa_and_of_elliptic_curves_sign() {
    let ec = Mint::ec();
    for mint in [Mint::ours(), &ec] {
        assert!(is_ann(&judged(mint, &mint.answer(&Say::default()))));
        assert!(is_ann(&judged(mint, &mint.whole(&Say::default()))));
    }
    // Both at once, as Keycloak does it.
    let (mint, say) = (Mint::ours(), Say::default());
    let inner = mint.sign(&say.assertion(&mint.template("_assertion")));
    let both = mint.sign(&say.response(&inner, &mint.template("_response")));
    assert!(is_ann(&judged(mint, &both)));
}

#[test]
fn what_nobody_signed_is_refused() {
    let say = Say::default();
    refused(&say.response(&say.assertion(""), ""), Refusal::Unsigned);
}

#[test]
fn without_a_certificate_nothing_is_believed() {
    let mut without = expected(Mint::ours());
    without.certificates.clear();
    let xml = Mint::ours().answer(&Say::default());
    assert_eq!(judge(xml.as_bytes(), &without).unwrap_err(), Refusal::NoCertificate);
}

#[test]
fn while_keys_turn_either_signs() {
    let mut both = expected(Mint::strangers());
    both.certificates.push(Mint::ours().certificate.clone());
    assert!(is_ann(&judge(Mint::ours().answer(&Say::default()).as_bytes(), &both)));
}

#[test]
fn a_stranger_who_brings_their_own_certificate_stays_a_stranger() {
    let certificate = base64::encode_block(&Mint::strangers().certificate);
    let key_info = format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    );
    let with = |mint: &Mint| {
        let say = Say::default();
        let template =
            mint.template("_assertion").replace("</ds:Signature>", &format!("{key_info}</ds:Signature>"));
        say.response(&mint.sign(&say.assertion(&template)), "")
    };
    refused(&with(Mint::strangers()), Refusal::Signature);
    // What is there says nothing, neither for nor against.
    assert!(is_ann(&judged(Mint::ours(), &with(Mint::ours()))));
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    let xml = Mint::ours().answer(&Say::default());
    assert!(is_ann(&judged(Mint::ours(), &xml)));
    refused(&xml.replace(">ann<", ">eve<"), Refusal::Signature);
    refused(&xml.replace("ann@acme.example", "eve@acme.example"), Refusal::Signature);
    let whole = Mint::ours().whole(&Say::default());
    refused(&whole.replace(">ann<", ">eve<"), Refusal::Signature);
    refused(&whole.replace("ID=\"_response\"", "ID=\"_other\""), Refusal::ReferenceUri);
}

#[test]
fn no_signature_but_rsa_and_ecdsa_over_sha_256_and_stronger_is_let_through() {
    let by = |algorithm: &str| template(algorithm, SHA256, "#_assertion", &[ENVELOPED, EXCLUSIVE]);
    for (algorithm, is_let_through) in [
        (RSA_SHA256, true),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", true),
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", false),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha224", false),
    ] {
        let xml = signed_as(&by(algorithm));
        if is_let_through {
            assert!(is_ann(&judged(Mint::ours(), &xml)), "{algorithm}");
        } else {
            refused(&xml, Refusal::SignatureAlgorithm);
        }
    }
    let digest = |algorithm: &str| template(RSA_SHA256, algorithm, "#_assertion", &[ENVELOPED, EXCLUSIVE]);
    assert!(is_ann(&judged(Mint::ours(), &signed_as(&digest("http://www.w3.org/2001/04/xmlenc#sha512")))));
    refused(&signed_as(&digest("http://www.w3.org/2000/09/xmldsig#sha1")), Refusal::DigestAlgorithm);
}

#[test]
fn a_certificate_is_no_shared_secret() {
    // Signed with RSA for the digest, then with the certificate as the key of an HMAC, which is what the header says.
    let hmac = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
    let xml = signed_as(&Mint::ours().template("_assertion")).replace(RSA_SHA256, hmac);
    let (start, end) = (xml.find("<ds:SignedInfo>").unwrap(), xml.find("</ds:SignedInfo>").unwrap());
    let info = &xml[start..end + "</ds:SignedInfo>".len()];
    let mut canonical =
        info.replace("<ds:SignedInfo>", "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">");
    for name in ["CanonicalizationMethod", "SignatureMethod", "Transform", "DigestMethod"] {
        let (empty, whole) = (format!("<ds:{name} "), format!("\"></ds:{name}>"));
        canonical = canonical
            .split(&empty)
            .enumerate()
            .map(|(at, part)| if at == 0 { part.to_owned() } else { part.replacen("\"/>", &whole, 1) })
            .collect::<Vec<_>>()
            .join(&empty);
    }
    let key = PKey::hmac(&Mint::ours().certificate).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.update(canonical.as_bytes()).unwrap();
    let value = base64::encode_block(&signer.sign_to_vec().unwrap());
    let (before, after) = xml.split_once("<ds:SignatureValue>").unwrap();
    let (_, after) = after.split_once("</ds:SignatureValue>").unwrap();
    refused(
        &format!("{before}<ds:SignatureValue>{value}</ds:SignatureValue>{after}"),
        Refusal::SignatureAlgorithm,
    );
}

#[test]
fn a_signature_is_over_the_element_that_it_stands_in_as_it_is_and_over_nothing_else() {
    let over = |uri: &str, transforms: &[&str]| template(RSA_SHA256, SHA256, uri, transforms);
    refused(&signed_as(&over("", &[ENVELOPED, EXCLUSIVE])), Refusal::ReferenceUri);
    refused(&signed_as(&over("#xpointer(/)", &[ENVELOPED, EXCLUSIVE])), Refusal::ReferenceUri);
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let twice = [ENVELOPED, EXCLUSIVE, EXCLUSIVE];
    for transforms in [&[ENVELOPED][..], &[ENVELOPED, inclusive], &twice] {
        refused(&signed_as(&over("#_assertion", transforms)), Refusal::Transforms);
    }
    // What xmlsec itself does not make.
    let unsigned = Say::default();
    let reversed = over("#_assertion", &[EXCLUSIVE, ENVELOPED]);
    refused(&unsigned.response(&unsigned.assertion(&reversed), ""), Refusal::Transforms);
    let good = Mint::ours().template("_assertion");
    let xpath = r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>true()</ds:XPath></ds:Transform>"#;
    refused(
        &signed_as(&good.replace("<ds:Transforms>", &format!("<ds:Transforms>{xpath}"))),
        Refusal::Transforms,
    );
    let inside = good.replace(
        &format!("{EXCLUSIVE}\"/></ds:Transforms>"),
        &format!("{EXCLUSIVE}\"><ds:XPath>true()</ds:XPath></ds:Transform></ds:Transforms>"),
    );
    refused(&unsigned.response(&unsigned.assertion(&inside), ""), Refusal::Transforms);
    let canonical = good.replacen(EXCLUSIVE, inclusive, 1);
    refused(&signed_as(&canonical), Refusal::Canonicalization);
    let (before, reference) = good.split_once("<ds:Reference").unwrap();
    let (reference, after) = reference.split_once("</ds:Reference>").unwrap();
    let twice = format!(
        "{before}<ds:Reference{reference}</ds:Reference><ds:Reference{reference}</ds:Reference>{after}"
    );
    refused(&signed_as(&twice), Refusal::References);
    assert!(is_ann(&judged(Mint::ours(), &signed_as(&good))));
}

#[test]
fn whoever_has_many_prefixes_kept_is_refused_before_they_are_looked_for() {
    let good = Mint::ours().template("_assertion");
    let with = |inner: &str, last: bool| {
        let (before, after) =
            if last { good.rsplit_once(EXCLUSIVE) } else { good.split_once(EXCLUSIVE) }.unwrap();
        let name = if last { "Transform" } else { "CanonicalizationMethod" };
        let after = after.strip_prefix("\"/>").unwrap();
        format!("{before}{EXCLUSIVE}\">{inner}</ds:{name}>{after}")
    };
    let list = |attributes: &str, inner: &str| {
        format!("<e:InclusiveNamespaces xmlns:e=\"{EXCLUSIVE}\" {attributes}>{inner}</e:InclusiveNamespaces>")
    };
    let prefixes = |bytes: usize| format!("PrefixList=\"{}\"", "z ".repeat(bytes / 2));
    let unsigned = |template: &str| Say::default().response(&Say::default().assertion(template), "");
    for (last, why) in [(false, Refusal::Canonicalization), (true, Refusal::Transforms)] {
        assert!(is_ann(&judged(Mint::ours(), &signed_as(&with(&list("PrefixList=\"xs a\"", ""), last)))));
        assert!(is_ann(&judged(Mint::ours(), &signed_as(&with(&list(&prefixes(256), ""), last)))));
        let one = list("PrefixList=\"xs\"", "");
        for inner in [
            list(&prefixes(258), ""),
            list(&prefixes(80_000), ""),
            list(&format!("xmlns:x=\"urn:x\" x:{}", prefixes(258)), ""),
            list("", "<ds:X/>"),
            list("", "zz"),
            one.repeat(2),
            format!("{one}z"),
            "<ds:X/>".into(),
        ] {
            refused(&unsigned(&with(&inner, last)), why);
        }
    }
}

#[test]
fn a_digest_is_one_text() {
    let xml = Mint::ours().answer(&Say::default());
    refused(&xml.replace("<ds:DigestValue>", "<ds:DigestValue><!--x-->"), Refusal::Comment);
    refused(&xml.replace("<ds:DigestValue>", "<ds:DigestValue><ds:X/>"), Refusal::SignatureForm);
    let (before, rest) = xml.split_once("<ds:SignedInfo>").unwrap();
    let (info, after) = rest.split_once("</ds:SignedInfo>").unwrap();
    let twice =
        format!("{before}<ds:SignedInfo>{info}</ds:SignedInfo><ds:SignedInfo>{info}</ds:SignedInfo>{after}");
    refused(&twice, Refusal::SignatureForm);
    refused(&xml.replace("</ds:Signature>", "<ds:Object/></ds:Signature>"), Refusal::SignatureForm);
}

#[test]
fn what_is_more_than_it_seems_is_refused_before_a_parser_sees_it() {
    let mint = Mint::ours();
    // Truncated by a comment: canonical XML leaves it out, so the signature is good over both.
    let named = Say { name_id: name_id("2.0:nameid-format:persistent", "ann.evil"), ..Say::default() };
    let xml = mint.answer(&named);
    assert_eq!(judged(mint, &xml).unwrap().name_id, "ann.evil");
    refused(&xml.replace(">ann.evil<", ">ann<!-- -->.evil<"), Refusal::Comment);
    let xml = mint.answer(&Say::default());
    refused(&xml.replace(">ann<", "><![CDATA[ann]]><"), Refusal::Cdata);
    refused(&xml.replace(">ann<", ">a<?x?>nn<"), Refusal::Instruction);
    refused(&xml.replace(">ann<", ">&ann;<"), Refusal::Entity);
    refused(
        &format!("<!DOCTYPE p:Response [<!ENTITY ann \"ann\">]>{xml}").replace(">ann<", ">&ann;<"),
        Refusal::Doctype,
    );
    let external = format!("<!DOCTYPE p:Response SYSTEM \"https://other.acme.example/x\">{xml}");
    refused(&external, Refusal::Doctype);
    // The same text by number: one text for every parser, and the signature is good.
    assert!(is_ann(&judged(mint, &xml.replace(">ann<", ">&#97;nn<"))));
    assert!(is_ann(&judged(mint, &format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}"))));
}

#[test]
fn what_is_encrypted_is_refused() {
    let say = Say::default();
    let encrypted = "<a:EncryptedAssertion/>";
    refused(&say.response(encrypted, ""), Refusal::Encrypted);
    let beside = Mint::ours().answer(&say).replace("</p:Response>", "<a:EncryptedAssertion/></p:Response>");
    refused(&beside, Refusal::Encrypted);
    let name = Say { name_id: "<a:EncryptedID/>".into(), ..Say::default() };
    refused(&Mint::ours().answer(&name), Refusal::Encrypted);
}
