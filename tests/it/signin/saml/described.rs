//! What a provider says of itself, when it changes, and when it is away.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::SignedDuration;
use usher::{
    domain::principal::Mailboxes,
    identity::{
        Claims, Standing,
        fetch::Loopback,
        saml::{ServiceProvider, Settings, Source},
    },
};

use super::{
    brought::reader,
    mint::{IDP, Mint, NOW, at},
};
use crate::ground::issuer::Issuer;

/// What the provider says of itself with the keys of `mints`.
fn description(mints: &[&Mint]) -> String {
    let key = |mint: &&Mint| {
        let certificate = BASE64_STANDARD.encode(&mint.certificate);
        format!(
            r#"<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#
        )
    };
    let keys: String = mints.iter().map(key).collect();
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{IDP}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.acme.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
    )
}

fn said(standing: &Standing) -> (Option<usize>, Option<&str>) {
    let trouble = standing.trouble.as_ref().map(|(trouble, _)| trouble.as_str());
    (standing.known.as_ref().map(|known| known.keys), trouble)
}

#[tokio::test]
async fn keys_turn_without_a_word_and_while_a_provider_is_away_the_last_ones_count() {
    let mut issuer = Issuer::start().await;
    issuer.stop();
    issuer.describe(description(&[Mint::ours()])).await;
    let settings = Settings {
        provider: "acme".parse().unwrap(),
        entity_id: IDP.parse().unwrap(),
        audience: None,
        format: None,
        claims: Claims::default(),
        mailboxes: Mailboxes::default(),
    };
    let source = |ca| Source::metadata(&format!("{}saml", issuer.url()), ca, Loopback::Allowed).unwrap();
    let usher = ServiceProvider::new(settings.clone(), source(Some(issuer.ca())), reader());
    let after = |minutes| at(NOW) + SignedDuration::from_mins(minutes);
    assert_eq!(said(&usher.standing(after(0)).await), (Some(1), None));
    // Its certificate is of nobody whom the world trusts.
    let unknown = ServiceProvider::new(settings, source(None), reader());
    let standing = unknown.standing(after(0)).await;
    assert!(said(&standing).1.unwrap().contains("certificate"), "{standing:?}");

    issuer.stop();
    let standing = usher.standing(after(5)).await;
    assert!(matches!(said(&standing), (Some(1), Some(_))), "{standing:?}");
    issuer.describe(description(&[Mint::ours(), Mint::strangers()])).await;
    assert_eq!(said(&usher.standing(after(10)).await), (Some(2), None));
    issuer.stop();
    issuer.describe(description(&[])).await;
    let standing = usher.standing(after(15)).await;
    let why = "what it says of itself cannot be used: no certificate is known that it could be signed with (no-certificate)";
    assert!(matches!(said(&standing), (Some(2), Some(trouble)) if trouble.starts_with(why)), "{standing:?}");
}
