//! Signing in, at a real identity provider and in a real browser.

mod agent;
mod device;
mod faults;
mod groups;
mod introspection;
mod leaving;
mod mine;
mod oidc;
mod people;
mod pictures;
mod saml;
mod seats;
mod second;
mod store;
mod tabs;
mod theirs;

use std::sync::Arc;

use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use usher::{
    cluster::api::IdentityProvider,
    domain::{namespaces::Namespaces, principal::Mailboxes, terms::DeviceCodes},
    identity::{
        Claims,
        oidc::{Algorithm, Settings},
    },
    service::{edge::Edge, providers::Providers as _},
};

use crate::{
    ground::{Ground, Listening, Machine, Operator, apply, idp, license, until},
    runtime::program::Program,
    scenarios::{Place, with},
};

/// Usher, as Keycloak's realm `acme` knows it.
fn settings() -> Settings {
    Settings {
        provider: "acme".parse().unwrap(),
        issuer: idp::issuer().parse().unwrap(),
        client: "usher".parse().unwrap(),
        secret: "for development only".to_owned().into(),
        scopes: vec!["email".parse().unwrap(), "profile".parse().unwrap()],
        algorithms: vec![Algorithm::Es256],
        ca: Some(idp::ca()),
        claims: Claims::default(),
        mailboxes: Mailboxes { domains: vec!["acme.example".parse().unwrap()], authority: false },
    }
}

/// A cluster of its own, with the License `cad` of one seat on one device, for people.
struct Scene {
    operator: Operator,
    listening: Listening,
    place: Place,
    program: Program,
    directory: tempfile::TempDir,
    // Last: it goes when all else has.
    ground: Ground,
}

impl Scene {
    async fn new() -> Self {
        Self::at("localhost").await
    }

    /// The same, where people and programs reach it at `host`.
    async fn at(host: &str) -> Self {
        Self::by(host, Arc::new(Machine)).await
    }

    /// The same, with this clock.
    async fn by(host: &str, edge: Arc<dyn Edge>) -> Self {
        let ground = Ground::own();
        let directory = tempfile::tempdir().unwrap();
        let client = Client::try_from(ground.usher_config().await).unwrap();
        client_secret(&ground);
        let operator = Operator::start(client, &directory.path().join("ledger.db"), edge).await;
        let listening = operator.listen_at(host).await;
        let place = Place::new(&ground).await;
        place.apply(&for_people()).await;
        place.license_says("cad", "Issued").await;
        let program = Program::at(&listening);
        Self { operator, listening, place, program, directory, ground }
    }

    fn providers(&self) -> Api<IdentityProvider> {
        Api::all(self.place.client.clone())
    }

    /// The IdentityProvider `acme`, whose people count in these namespaces.
    async fn people_count_in(&self, allowed: &Value, namespaces: Namespaces) {
        apply(&self.place.client, "", &acme(allowed)).await.unwrap();
        until("people sign in there", async || {
            let acme = self.operator.providers.named("acme")?;
            (acme.allowed_namespaces == namespaces).then_some(())
        })
        .await;
    }
}

impl Scene {
    /// From now on, at the IdentityProvider `acme`.
    async fn devices_are_signed_in(&self) {
        let allowed = Patch::Merge(json!({"spec": {"deviceCodes": "Allowed"}}));
        self.providers().patch("acme", &PatchParams::default(), &allowed).await.unwrap();
        until("devices are signed in there", async || {
            let acme = self.operator.providers.named("acme")?;
            (acme.device_codes == DeviceCodes::Allowed).then_some(())
        })
        .await;
    }
}

/// By what Keycloak believes that it is Usher.
fn client_secret(ground: &Ground) {
    let secret = "--from-literal=secret=for development only";
    let of_type = "--type=usher.dev/client-secret";
    ground.kubectl(&["create", "secret", "generic", "acme", "-n", "usher-system", of_type, secret]);
}

/// The IdentityProvider `acme`, whose people count in these namespaces.
fn acme(allowed: &Value) -> Value {
    json!({
        "kind": "IdentityProvider", "metadata": {"name": "acme"},
        "spec": {
            "oidc": {"issuer": idp::issuer(), "clientId": "usher", "clientSecretRef": {"name": "acme", "key": "secret"},
                "ca": idp::ca(), "allowLoopback": true},
            "domains": ["acme.example"], "allowedNamespaces": allowed,
        },
    })
}

fn for_people() -> Value {
    with(license(1), &json!({"spec": {"client": "Users", "devicesPerSeat": 1}}))
}
