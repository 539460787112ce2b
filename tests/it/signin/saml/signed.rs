//! Keycloak asks for signed requests: it believes Usher's own, and nobody's whom it was not told of.

use openidconnect::url::Url;
use reqwest::StatusCode;
use usher::{
    domain::principal::Mailboxes,
    identity::{
        Claims,
        fetch::Loopback,
        saml::{Home, OwnKey, ServiceProvider, Settings, Source, description},
    },
    service::edge::Edge as _,
};

use super::brought::reader;
use crate::ground::{Machine, idp, saml_key};

const CLIENT: &str = "urn:acme.example:asks-for-signatures";

fn home() -> Home {
    Home {
        entity_id: "https://usher.acme.example/signin/saml/metadata".into(),
        consumer: "https://usher.acme.example/signin/saml".parse().unwrap(),
    }
}

fn usher() -> ServiceProvider {
    let settings = Settings {
        provider: "acme".parse().unwrap(),
        entity_id: idp::issuer().parse().unwrap(),
        audience: Some(CLIENT.parse().unwrap()),
        format: None,
        claims: Claims::default(),
        mailboxes: Mailboxes::default(),
    };
    let url = format!("{}/protocol/saml/descriptor", idp::issuer());
    let source = Source::metadata(&url, Some(&idp::ca()), Loopback::Allowed).unwrap();
    ServiceProvider::new(settings, source, reader())
}

/// The same request, of whose query this is made.
fn but(url: &Url, change: impl Fn((String, String)) -> Option<(String, String)>) -> Url {
    let mut changed = url.clone();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter_map(change).collect();
    changed.query_pairs_mut().clear().extend_pairs(pairs);
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_signed_requests_lets_in_ushers_and_no_others() {
    idp::imports(description(&home(), &saml_key()).unwrap(), CLIENT).await;
    let usher = usher();
    let begun = async |key: &OwnKey| {
        let begun = usher.begin(&home(), key, &Machine.entropy(), Machine.now()).await;
        begun.unwrap().0
    };
    let asks_who_it_is = async |url: &Url| {
        let (status, page) = idp::shown(url).await;
        match status {
            StatusCode::OK => assert!(page.contains("kc-login"), "{page}"),
            _ => assert!(page.contains("Invalid requester"), "{status} {page}"),
        }
        status == StatusCode::OK
    };
    let good = begun(&saml_key()).await;
    assert!(asks_who_it_is(&good).await);

    let unsigned = but(&good, |(name, value)| {
        (!["SigAlg", "Signature"].contains(&name.as_str())).then_some((name, value))
    });
    assert!(!asks_who_it_is(&unsigned).await, "a request that nobody has signed");
    let strangers = OwnKey::fresh(Machine.now()).unwrap();
    assert!(!asks_who_it_is(&begun(&strangers).await).await, "a request that somebody else has signed");
    let other = begun(&saml_key()).await;
    let of =
        |url: &Url, wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    for taken in ["RelayState", "Signature", "SAMLRequest"] {
        let mixed = but(&good, |(name, value)| {
            let value = if name == taken { of(&other, taken) } else { value };
            Some((name, value))
        });
        assert!(!asks_who_it_is(&mixed).await, "a request with the {taken} of another one");
    }
    assert!(asks_who_it_is(&good).await, "nothing of that is in its way");
}
