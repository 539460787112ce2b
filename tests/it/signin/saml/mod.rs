//! By SAML: at a real Keycloak in a real Chromium, and against whoever brings what is not theirs.

mod brought;
mod described;
mod escapes;
#[path = "../../../../src/identity/saml/tests/mint.rs"]
#[expect(dead_code, reason = "the attacks on the gate use more of it")]
mod mint;
mod signed;

use fantoccini::Locator;
use serde_json::json;
use usher::{
    cluster::api::{IdentityProvider, SeatState},
    domain::namespaces::Namespaces,
    service::providers::Providers as _,
};
use usher_license::{Holder, User};

use super::{
    Scene,
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{Listening, apply, idp, seat, until, wait_for},
    runtime::{Own, program::drawn},
};

impl Scene {
    /// The IdentityProvider `acme`, by SAML: people count everywhere. Keycloak has what Usher says of itself, and so asks for signed requests.
    pub(super) async fn people_come_by_saml(&self) -> IdentityProvider {
        let Listening { url, ca } = &self.listening;
        let said = idp::http(ca).get(format!("{url}/signin/saml/metadata")).send().await.unwrap();
        // Each Usher of these tests is another one.
        let audience = format!("urn:acme.example:usher:{}", drawn());
        idp::imports(said.text().await.unwrap(), &audience).await;
        let provider = json!({
            "kind": "IdentityProvider", "metadata": {"name": "acme"},
            "spec": {
                "saml": {"entityId": idp::issuer(), "metadataUrl": format!("{}/protocol/saml/descriptor", idp::issuer()),
                    "audience": audience, "nameIDFormat": "Persistent", "ca": idp::ca(), "allowLoopback": true},
                "domains": ["acme.example"], "emailAuthority": true, "allowedNamespaces": {"from": "All"},
            },
        });
        apply(&self.place.client, "", &provider).await.unwrap();
        until("people sign in there", async || {
            let acme = self.operator.providers.named("acme")?;
            (acme.allowed_namespaces == Namespaces::All).then_some(())
        })
        .await;
        let providers = kube::Api::all(self.place.client.clone());
        let is_told = |provider: &IdentityProvider| {
            provider.status.as_ref().is_some_and(|status| status.authorization_host.is_some())
        };
        wait_for(&providers, "acme", "says where people sign in", is_told).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_saml_and_activates_on_the_seat_that_is_theirs() {
    // Keycloak is at `localhost`: another site, so its form brings no cookie but the one that is meant for that.
    let scene = Scene::at("127.0.0.1").await;
    let acme = scene.people_come_by_saml().await;
    let status = acme.status.unwrap();
    assert_eq!(
        (status.issuer, status.authorization_host.as_deref()),
        (Some(idp::issuer()), Some("localhost"))
    );
    let [certificate] = &status.certificates[..] else { panic!("{:?}", status.certificates) };
    assert!(certificate.sha256.len() == 64 && certificate.until.starts_with("20"), "{certificate:?}");
    assert_eq!(status.leaving.unwrap().within, "24h");
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;

    let machine = Machine::new(&scene);
    let browser = idp::browser(1280, 800).await;
    let (mut login, _said, url) = machine.login();
    begun(&browser, &url, "ann@acme.example").await;
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, "Continue as Ann on Lab 3?").await;
    assert_eq!(browser.current_url().await.unwrap().path(), "/signin/continue");
    // What was good for the way back is gone.
    let names: Vec<String> =
        browser.get_all_cookies().await.unwrap().iter().map(|cookie| cookie.name().to_owned()).collect();
    assert!(!names.iter().any(|name| name.starts_with("__Host-usher-saml")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("__Host-usher-asked-")), "{names:?}");
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(&browser, "You are signed in. You can close this page.").await;
    browser.close().await.unwrap();
    assert!(login.wait().unwrap().success());
    let (_, who) = machine.said("whoami");
    assert!(
        who.starts_with("Ann (ann@acme.example), of acme, is signed in on this machine until 20"),
        "{who}"
    );

    let told = machine.activate(&machine.access_token(), "9f86d081").await;
    Own::of(&told);
    assert_eq!(told.claims().holder, Some(Holder::User(User::Email { email: "ann@acme.example".into() })));
    crate::runtime::path::verified(&scene.place, &told.text("document")).await;
}
