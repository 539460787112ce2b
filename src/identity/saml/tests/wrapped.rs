//! Signature wrapping: a genuine signature, moved to where it vouches for something else ("On Breaking SAML", 2012, permutations 1 to 8; 9 and 10 as
//! testing tools count them). Each document is genuine but for where its parts are, and each has Eve in it where a careless reader looks.

use super::{
    Refusal, is_ann, judged,
    mint::{Mint, Say, name_id},
};

/// The genuine assertion, its signature, and Eve's.
struct Parts {
    /// Signed.
    signed: String,
    /// The same without its signature: what was digested.
    bare: String,
    signature: String,
    /// Eve's, without a signature.
    evil: String,
}

impl Parts {
    fn new() -> Self {
        let (mint, say) = (Mint::ours(), Say::default());
        let signed = mint.sign(&say.assertion(&mint.template("_assertion")));
        let start = signed.find("<ds:Signature ").unwrap();
        let end = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        let signature = signed[start..end].to_owned();
        let evil = Say {
            assertion_id: "_evil".into(),
            name_id: name_id("2.0:nameid-format:persistent", "eve"),
            ..Say::default()
        };
        Self { bare: say.assertion(""), evil: evil.assertion(""), signed, signature }
    }

    /// Eve's, with this in it where a signature is.
    fn evil_with(&self, inner: &str) -> String {
        self.evil.replacen("</a:Issuer>", &format!("</a:Issuer>{inner}"), 1)
    }

    /// The signature with this in it.
    fn signature_with(&self, inner: &str) -> String {
        self.signature.replace("</ds:Signature>", &format!("{inner}</ds:Signature>"))
    }
}

fn response(inner: &str) -> String {
    Say::default().response(inner, "")
}

/// The genuine response with its signature in it, the same without, the signature, and Eve's response with `inner` where a signature is.
fn responses() -> (String, String, impl Fn(&str) -> String) {
    let (mint, say) = (Mint::ours(), Say::default());
    let whole = mint.whole(&say);
    let start = whole.find("<ds:Signature ").unwrap();
    let end = whole.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let signature = whole[start..end].to_owned();
    let bare = format!("{}{}", &whole[..start], &whole[end..]);
    let evil = Say { name_id: name_id("2.0:nameid-format:persistent", "eve"), ..Say::default() };
    let evil = move |inner: &str| {
        evil.response(&evil.assertion(""), inner).replace("ID=\"_response\"", "ID=\"_evil\"")
    };
    (bare, signature, evil)
}

fn refused(number: u8, xml: &str, why: Refusal) {
    assert!(xml.contains("eve"), "{number}");
    assert_eq!(judged(Mint::ours(), xml).unwrap_err(), why, "{number}: {xml}");
}

#[test]
fn a_genuine_signature_vouches_for_nothing_but_what_it_stands_in() {
    let parts = Parts::new();
    assert!(is_ann(&judged(Mint::ours(), &response(&parts.signed))));
    let (bare, signature, evil) = responses();
    let (head, tail) = signature.split_at(signature.len() - "</ds:Signature>".len());
    refused(1, &evil(&format!("{head}{bare}{tail}")), Refusal::Misplaced);
    refused(2, &evil(&format!("{bare}{signature}")), Refusal::Misplaced);
    refused(3, &response(&format!("{}{}", parts.evil, parts.signed)), Refusal::ManyAssertions);
    let around = parts.evil.replace("</a:Assertion>", &format!("{}</a:Assertion>", parts.signed));
    refused(4, &response(&around), Refusal::ManyAssertions);
    refused(
        5,
        &response(&format!("{}{}", parts.evil_with(&parts.signature), parts.bare)),
        Refusal::ManyAssertions,
    );
    refused(6, &response(&parts.evil_with(&parts.signature_with(&parts.bare))), Refusal::ManyAssertions);
    let extensions = format!("<p:Extensions>{}</p:Extensions>{}", parts.evil, parts.signed);
    refused(7, &response(&extensions), Refusal::ManyAssertions);
    let object = format!("<ds:Object>{}</ds:Object>", parts.bare);
    refused(8, &response(&parts.evil_with(&parts.signature_with(&object))), Refusal::ManyAssertions);
    // Two of SignedInfo: one that is signed, one that fits.
    let (start, end) =
        (parts.signature.find("<ds:SignedInfo>").unwrap(), parts.signature.find("</ds:SignedInfo>").unwrap());
    let fitting = parts.signature[start..end].replace("#_assertion", "#_evil") + "</ds:SignedInfo>";
    let evil = parts.evil_with(&parts.signature_with(&fitting));
    refused(9, &response(&evil), Refusal::SignatureForm);
    refused(9, &response(&format!("{evil}<Wrapper>{}</Wrapper>", parts.signed)), Refusal::ManyAssertions);
    // The signature beside Eve's assertion instead of in it, with what it signs inside.
    let beside = Say::default().response(&parts.evil, &parts.signature_with(&object));
    refused(10, &beside, Refusal::ManyAssertions);
}

#[test]
fn a_signature_where_none_belongs_is_refused_and_so_is_one_for_another_element() {
    let parts = Parts::new();
    let beside = Say::default().response(&parts.evil, &parts.signature);
    assert_eq!(judged(Mint::ours(), &beside).unwrap_err(), Refusal::ReferenceUri);
    assert_eq!(
        judged(Mint::ours(), &response(&parts.evil_with(&parts.signature))).unwrap_err(),
        Refusal::ReferenceUri
    );
    let deeper = parts.evil_with(&format!("<a:Advice>{}</a:Advice>", parts.signature));
    assert_eq!(judged(Mint::ours(), &response(&deeper)).unwrap_err(), Refusal::Misplaced);
    let elsewhere = parts.signed.replacen("</a:Issuer>", "</a:Issuer><x:Signature xmlns:x=\"urn:x\"/>", 1);
    assert_eq!(judged(Mint::ours(), &response(&elsewhere)).unwrap_err(), Refusal::Misplaced);
}

#[test]
fn no_two_elements_have_one_id_however_it_is_written() {
    let parts = Parts::new();
    for id in ["ID=\"_assertion\"", "Id=\"_assertion\"", "id=\"_assertion\"", "xml:id=\"_assertion\""] {
        let xml = response(&parts.signed).replace("<p:Status>", &format!("<p:Status {id}>"));
        assert_eq!(judged(Mint::ours(), &xml).unwrap_err(), Refusal::DuplicateId, "{id}");
    }
    let other = response(&parts.signed).replace("<p:Status>", "<p:Status ID=\"_other\">");
    assert!(is_ann(&judged(Mint::ours(), &other)));
}

#[test]
fn an_assertion_of_another_name_or_in_another_place_is_none() {
    let parts = Parts::new();
    for (inner, why) in [
        (
            parts.signed.replace("urn:oasis:names:tc:SAML:2.0:assertion\" ID", "urn:x\" ID"),
            Refusal::NoAssertion,
        ),
        (format!("<p:Extensions>{}</p:Extensions>", parts.signed), Refusal::NoAssertion),
        (format!("{0}{0}", parts.signed), Refusal::ManyAssertions),
        (String::new(), Refusal::NoAssertion),
    ] {
        assert_eq!(judged(Mint::ours(), &response(&inner)).unwrap_err(), why, "{inner}");
    }
    assert_eq!(judged(Mint::ours(), &parts.signed).unwrap_err(), Refusal::NotAResponse);
    let request = response(&parts.signed).replace("p:Response", "p:LogoutResponse");
    assert_eq!(judged(Mint::ours(), &request).unwrap_err(), Refusal::NotAResponse);
    let old = response(&parts.signed).replacen("Version=\"2.0\"", "Version=\"1.1\"", 1);
    assert_eq!(judged(Mint::ours(), &old).unwrap_err(), Refusal::NotAResponse);
}
