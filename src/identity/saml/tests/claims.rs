//! What is signed as it should be, and says what it should not.

use super::{
    Refusal, expected, is_ann, judged,
    mint::{
        CONSUMER, IDP, Mint, NOW, REQUEST, Say, USHER, at, audience, conditions, confirmation, issuer,
        name_id, response_attributes, status, time,
    },
};
use crate::identity::saml::{NameIdFormat, gate::judge};

/// Whether it is refused for this reason, whichever part is signed.
fn refused(say: &Say, why: Refusal) {
    let mint = Mint::ours();
    assert_eq!(judged(mint, &mint.answer(say)).unwrap_err(), why, "{}", mint.answer(say));
    assert_eq!(judged(mint, &mint.whole(say)).unwrap_err(), why, "{}", mint.whole(say));
}

fn believed(say: &Say) {
    let mint = Mint::ours();
    for xml in [mint.answer(say), mint.whole(say)] {
        let proven = judged(mint, &xml);
        assert!(is_ann(&proven), "{proven:?} {xml}");
    }
}

#[test]
fn what_is_right_is_believed_word_for_word() {
    believed(&Say::default());
    let mint = Mint::ours();
    let proven = judged(mint, &mint.whole(&Say::default())).unwrap();
    assert_eq!((proven.assertion.as_str(), proven.format), ("_assertion", NameIdFormat::Persistent));
    assert_eq!(proven.until, at(NOW + 360));
    let [email] = &proven.attributes[..] else { panic!("{:?}", proven.attributes) };
    assert_eq!((email.name.as_str(), &email.values[..]), ("email", &["ann@acme.example".to_owned()][..]));
}

#[test]
fn an_answer_of_another_provider_is_refused() {
    refused(&Say { issuer: issuer("https://other.acme.example"), ..Say::default() }, Refusal::Issuer);
    refused(
        &Say { response_issuer: issuer("https://other.acme.example"), ..Say::default() },
        Refusal::Issuer,
    );
    refused(&Say { issuer: String::new(), ..Say::default() }, Refusal::Issuer);
    let of_another_kind = format!(r#"<a:Issuer Format="urn:x">{IDP}</a:Issuer>"#);
    refused(&Say { issuer: of_another_kind, ..Say::default() }, Refusal::Issuer);
    // Around a signed assertion the response may be without; signed, it may not.
    let (mint, without) = (Mint::ours(), Say { response_issuer: String::new(), ..Say::default() });
    assert!(is_ann(&judged(mint, &mint.answer(&without))));
    assert_eq!(judged(mint, &mint.whole(&without)).unwrap_err(), Refusal::Issuer);
}

#[test]
fn an_answer_for_another_address_is_refused() {
    for destination in
        ["https://other.acme.example/signin/saml", "", "https://usher.acme.example/signin/saml/"]
    {
        let say = Say { response_attributes: response_attributes(destination, REQUEST, 0), ..Say::default() };
        refused(&say, Refusal::Destination);
    }
    let nowhere = response_attributes(CONSUMER, REQUEST, 0).replace("Destination", "Consent");
    refused(&Say { response_attributes: nowhere, ..Say::default() }, Refusal::Destination);
    let elsewhere = confirmation("https://other.acme.example/signin/saml", REQUEST, 300);
    refused(&Say { confirmation: elsewhere, ..Say::default() }, Refusal::Recipient);
    let nowhere = confirmation(CONSUMER, REQUEST, 300).replace("Recipient", "Address");
    refused(&Say { confirmation: nowhere, ..Say::default() }, Refusal::Recipient);
}

#[test]
fn an_answer_to_another_request_is_refused_and_so_is_one_to_none() {
    let other = response_attributes(CONSUMER, "_another", 0);
    refused(&Say { response_attributes: other, ..Say::default() }, Refusal::InResponseTo);
    let none = response_attributes(CONSUMER, REQUEST, 0).replace("InResponseTo", "Consent");
    refused(&Say { response_attributes: none, ..Say::default() }, Refusal::InResponseTo);
    let other = confirmation(CONSUMER, "_another", 300);
    refused(&Say { confirmation: other, ..Say::default() }, Refusal::InResponseTo);
    let none = confirmation(CONSUMER, REQUEST, 300).replace("InResponseTo", "Address");
    refused(&Say { confirmation: none, ..Say::default() }, Refusal::InResponseTo);
}

#[test]
fn an_answer_for_somebody_else_is_refused_and_each_restriction_must_hold() {
    let of = |inner: &str| Say { conditions: conditions(-60, 300, inner), ..Say::default() };
    refused(&of(""), Refusal::Audience);
    refused(&of(&audience("https://other.acme.example")), Refusal::Audience);
    refused(&of(&format!("{}{}", audience(USHER), audience("urn:x"))), Refusal::Audience);
    refused(&Say { conditions: String::new(), ..Say::default() }, Refusal::Condition);
    refused(&of(&format!("{}<a:Condition/>", audience(USHER))), Refusal::Condition);
    let one_of_two = audience(USHER).replace("<a:Audience>", "<a:Audience>urn:x</a:Audience><a:Audience>");
    believed(&of(&one_of_two));
    believed(&of(&format!("{}{}<a:OneTimeUse/>", audience(USHER), audience(USHER))));
}

#[test]
fn times_hold_within_a_minute_of_leeway() {
    let until = |seconds| Say { confirmation: confirmation(CONSUMER, REQUEST, seconds), ..Say::default() };
    believed(&until(-59));
    refused(&until(-60), Refusal::Expired);
    let endless = confirmation(CONSUMER, REQUEST, 300).replace("NotOnOrAfter", "Address");
    refused(&Say { confirmation: endless, ..Say::default() }, Refusal::Confirmation);
    let within =
        |from, until| Say { conditions: conditions(from, until, &audience(USHER)), ..Say::default() };
    believed(&within(60, 300));
    refused(&within(61, 300), Refusal::NotYet);
    believed(&within(-300, -59));
    refused(&within(-300, -60), Refusal::Expired);
    let issued = |seconds| Say {
        assertion_attributes: format!(r#"Version="2.0" IssueInstant="{}""#, time(seconds)),
        ..Say::default()
    };
    believed(&issued(60));
    refused(&issued(61), Refusal::IssuedAhead);
    believed(&issued(-660));
    refused(&issued(-661), Refusal::IssuedLongAgo);
    let response = |seconds| Say {
        response_attributes: response_attributes(CONSUMER, REQUEST, seconds),
        ..Say::default()
    };
    believed(&response(60));
    refused(&response(61), Refusal::IssuedAhead);
    refused(&response(-661), Refusal::IssuedLongAgo);
    let ended = Say::default()
        .authentication
        .replace("AuthnInstant", &format!("SessionNotOnOrAfter=\"{}\" AuthnInstant", time(-60)));
    refused(&Say { authentication: ended, ..Say::default() }, Refusal::Expired);
}

#[test]
fn an_answer_that_lets_nobody_in_lets_nobody_in() {
    refused(&Say { status: status("Responder"), ..Say::default() }, Refusal::Denied);
    refused(&Say { status: String::new(), ..Say::default() }, Refusal::Denied);
    refused(&Say { status: status("Success") + &status("Responder"), ..Say::default() }, Refusal::Denied);
    refused(&Say { authentication: String::new(), ..Say::default() }, Refusal::Authentication);
    refused(&Say { confirmation: String::new(), ..Say::default() }, Refusal::Confirmation);
    let holder_of_key = confirmation(CONSUMER, REQUEST, 300).replace("cm:bearer", "cm:holder-of-key");
    refused(&Say { confirmation: holder_of_key, ..Say::default() }, Refusal::Confirmation);
    let twice = confirmation(CONSUMER, REQUEST, 300).repeat(2);
    refused(&Say { confirmation: twice, ..Say::default() }, Refusal::Confirmation);
}

#[test]
fn nobody_is_known_by_a_name_for_one_time_or_by_one_in_anothers_namespace() {
    let of = |name_id: String| Say { name_id, ..Say::default() };
    refused(&of(name_id("2.0:nameid-format:transient", "ann")), Refusal::Transient);
    refused(&of(name_id("2.0:nameid-format:entity", "ann")), Refusal::NameIdFormat);
    for name in ["", "a b", "änn", &"a".repeat(201), "<b>ann</b>"] {
        refused(&of(name_id("2.0:nameid-format:persistent", name)), Refusal::Subject);
    }
    refused(&of(String::new()), Refusal::Subject);
    refused(&of(Say::default().name_id.repeat(2)), Refusal::Subject);
    let qualified = |name: &str, of: &str| Say {
        name_id: Say::default().name_id.replace("Format=", &format!("{name}=\"{of}\" Format=")),
        ..Say::default()
    };
    believed(&qualified("NameQualifier", IDP));
    believed(&qualified("SPNameQualifier", USHER));
    refused(&qualified("NameQualifier", "https://other.acme.example"), Refusal::Subject);
    refused(&qualified("SPNameQualifier", "urn:x"), Refusal::Subject);
    believed(&of("<a:NameID>ann</a:NameID>".into()));
    let (mint, mut only) = (Mint::ours(), expected(Mint::ours()));
    only.format = Some(NameIdFormat::Persistent);
    assert!(is_ann(&judge(mint.answer(&Say::default()).as_bytes(), &only)));
    only.format = Some(NameIdFormat::EmailAddress);
    assert_eq!(judge(mint.answer(&Say::default()).as_bytes(), &only).unwrap_err(), Refusal::NameIdFormat);
}
