//! Where people sign in: whose what is, the client secret, and a provider that comes and goes.

use std::sync::Arc;

use jiff::SignedDuration;
use kube::{Api, Client, api::DeleteParams};
use serde_json::{Value, json};
use usher::{
    cluster::{
        Settings,
        api::{Condition, IdentityProvider},
    },
    ledger::sqlite::Sqlite,
    service::{
        edge::Edge as _,
        providers::{Provider, Providers as _},
    },
};

use super::{ready, stalled, turned::World, with};
use crate::ground::{Ground, Machine, Operator, apply, idp, issuer::Issuer, shared, until, wait_for};

/// IdentityProviders, as an administrator of the cluster sees them.
struct Desk<'a> {
    ground: &'a Ground,
    client: Client,
    providers: Api<IdentityProvider>,
}

impl<'a> Desk<'a> {
    async fn new(ground: &'a Ground) -> Self {
        let client = ground.admin().await;
        Self { ground, providers: Api::all(client.clone()), client }
    }

    async fn apply(&self, object: &Value) {
        apply(&self.client, "", object).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        self.providers.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until Ready gives `reason`, about what is declared now.
    async fn says(&self, name: &str, reason: &str) -> IdentityProvider {
        let says = |provider: &IdentityProvider| {
            ready(conditions(provider)).is_some_and(|ready| {
                ready.reason == reason && Some(ready.observed_generation) == provider.metadata.generation
            })
        };
        wait_for(&self.providers, name, &format!("says {reason}"), says).await
    }

    /// The client secret of the provider, or another one in its place.
    fn bring_secret(&self, name: &str, value: &str) {
        let ground = self.ground;
        ground.kubectl(&["delete", "secret", name, "-n", "usher-system", "--ignore-not-found"]);
        let (type_, entry) = ("--type=usher.dev/client-secret", format!("--from-literal=secret={value}"));
        ground.kubectl(&["create", "secret", "generic", name, "-n", "usher-system", type_, &entry]);
    }
}

fn conditions(provider: &IdentityProvider) -> &[Condition] {
    provider.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

fn message(provider: &IdentityProvider) -> &str {
    &ready(conditions(provider)).unwrap().message
}

/// One whose people have addresses of its own name's domain; its client secret is named after it.
fn provider(name: &str, issuer: &str, ca: Option<&str>) -> Value {
    json!({
        "kind": "IdentityProvider", "metadata": {"name": name},
        "spec": {
            "oidc": {"issuer": issuer, "clientId": "usher", "clientSecretRef": {"name": name, "key": "secret"},
                "ca": ca, "allowLoopback": true},
            "domains": [format!("{name}.acme.example")], "allowedNamespaces": {"from": "All"},
        },
    })
}

/// Nobody answers there.
fn nowhere(name: &str) -> Value {
    with(
        provider(name, &format!("https://127.0.0.1:9/{name}"), None),
        &json!({"spec": {"oidc": {"ca": null}}}),
    )
}

#[tokio::test]
async fn people_can_sign_in_once_the_client_secret_is_there_and_the_provider_was_asked() {
    let desk = Desk::new(shared()).await;
    // A realm that no other test takes.
    let issuer = idp::issuer().replace("/realms/acme", "/realms/master");
    desk.apply(&provider("keycloak", &issuer, Some(&idp::ca()))).await;
    let told = desk.says("keycloak", "ClientSecretMissing").await;
    assert!(stalled(conditions(&told)));
    let command = message(&told).split_once("make it with: kubectl ").unwrap().1.replace("SECRET", "s3cret");
    desk.ground.kubectl(&command.split(' ').collect::<Vec<_>>());

    let opened = desk.says("keycloak", "Discovered").await;
    assert_eq!(
        message(&opened),
        "people of keycloak.acme.example sign in at localhost; whoever leaves there is signed out of Usher within 24h, having to sign in again"
    );
    assert!(!stalled(conditions(&opened)));
    let status = opened.status.unwrap();
    assert_eq!((status.issuer, status.authorization_host.as_deref()), (Some(issuer), Some("localhost")));
    let rows = desk.ground.kubectl(&["get", "idp", "keycloak", "-o", "wide"]);
    let heading = rows.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        heading,
        "NAME ISSUER DOMAINS READY REASON ENTITY-ID NAMESPACES SIGNS-IN-AT LEAVERS-OUT-IN MESSAGE AGE"
    );
    assert!(status.keys.unwrap() >= 1 && status.discovered_at.is_some());
    assert_eq!(status.leaving.unwrap().within, "24h");

    // Taken away, it is missed; one of another type is none.
    desk.ground.kubectl(&["delete", "secret", "keycloak", "-n", "usher-system"]);
    assert!(stalled(conditions(&desk.says("keycloak", "ClientSecretMissing").await)));
    desk.ground.kubectl(&[
        "create",
        "secret",
        "generic",
        "keycloak",
        "-n",
        "usher-system",
        "--from-literal=secret=s3cret",
    ]);
    desk.apply(&with(
        nowhere("other-type"),
        &json!({"spec": {"oidc": {"clientSecretRef": {"name": "keycloak"}}}}),
    ))
    .await;
    desk.says("other-type", "ClientSecretMissing").await;
    for name in ["keycloak", "other-type"] {
        desk.delete(name).await;
    }
}

#[tokio::test]
async fn a_domain_is_that_of_whoever_claimed_it_first_and_passes_on_when_that_one_goes() {
    let desk = Desk::new(shared()).await;
    for name in ["first", "second"] {
        desk.bring_secret(name, "s3cret");
    }
    let shared_domain = json!({"spec": {"domains": ["shared.acme.example"]}});
    desk.apply(&with(nowhere("first"), &shared_domain)).await;
    let first = desk.says("first", "ProviderAway").await;
    assert!(!stalled(conditions(&first)), "it may come back by itself");
    // Creation times have whole seconds.
    let created = first.metadata.creation_timestamp.clone().unwrap().0;
    until("a second has passed", async || {
        (Machine.now() >= created + SignedDuration::from_secs(1)).then_some(())
    })
    .await;
    desk.apply(&with(nowhere("second"), &shared_domain)).await;
    let second = desk.says("second", "DomainTaken").await;
    assert!(stalled(conditions(&second)));
    assert_eq!(
        message(&second),
        "the domain shared.acme.example belongs to IdentityProvider first, which was there first: take it out of spec.domains of one of the two"
    );
    let untouched = desk.providers.get("first").await.unwrap();
    assert_eq!(untouched.metadata.resource_version, first.metadata.resource_version);

    desk.delete("first").await;
    desk.says("second", "ProviderAway").await;
    desk.delete("second").await;
}

#[tokio::test]
async fn an_issuer_that_is_away_leaves_what_it_last_said_and_comes_back_by_itself() {
    let world = World::new().await;
    let desk = Desk::new(&world.ground).await;
    let mut issuer = Issuer::start().await;
    desk.bring_secret("acme", "s3cret");
    let acme = provider("acme", &issuer.url(), Some(issuer.ca()));
    desk.apply(&acme).await;
    let unfit = desk.says("acme", "ProviderAway").await;
    assert!(
        message(&unfit).contains("it signs ID tokens by EdDSA, and none of that is let through"),
        "{}",
        message(&unfit)
    );
    desk.apply(&with(acme, &json!({"spec": {"oidc": {"algorithms": ["EdDSA"]}}}))).await;
    let before = desk.says("acme", "Discovered").await.status.unwrap();
    assert_eq!((before.issuer, before.keys), (Some(issuer.url()), Some(1)));

    issuer.stop();
    world.clock.forward(SignedDuration::from_mins(5));
    let away = desk.says("acme", "ProviderAway").await;
    assert!(!stalled(conditions(&away)));
    assert!(message(&away).ends_with("; what it last published is used meanwhile"), "{}", message(&away));
    let status = away.status.unwrap();
    assert_eq!((status.keys, &status.discovered_at), (Some(1), &before.discovered_at));
    let at_work = |name: &str| world.operator.providers.named(name);
    assert!(at_work("acme").is_some(), "its people are told by whoever signs them in");

    issuer.serve(&["a", "b"]).await;
    world.clock.forward(SignedDuration::from_secs(30));
    let back = desk.says("acme", "Discovered").await.status.unwrap();
    assert_eq!(back.keys, Some(2));
    assert_ne!(back.discovered_at, before.discovered_at);
}

#[tokio::test]
async fn what_is_changed_counts_without_a_restart() {
    let world = World::new().await;
    let desk = Desk::new(&world.ground).await;
    let of_domain = |domain: &str| world.operator.providers.of_domain(&domain.parse().unwrap());
    let appears = async |domain: &str| until(domain, async || of_domain(domain)).await;
    let is_another = async |former: &Arc<Provider>| {
        until("it is another one", async || {
            of_domain("acme.acme.example").filter(|now| !Arc::ptr_eq(now, former))
        })
        .await
    };
    desk.bring_secret("acme", "s3cret");
    desk.apply(&nowhere("acme")).await;
    let first = appears("acme.acme.example").await;
    assert_eq!(first.reauthenticate_after, SignedDuration::from_hours(24));

    desk.apply(&with(nowhere("acme"), &json!({"spec": {"reauthenticateAfter": "8h"}}))).await;
    let second = is_another(&first).await;
    assert_eq!(second.reauthenticate_after, SignedDuration::from_hours(8));

    let entry = json!({"stringData": {"secret": "another"}}).to_string();
    world.ground.kubectl(&["patch", "secret", "acme", "-n", "usher-system", "-p", &entry]);
    let third = is_another(&second).await;

    // A replica that does not lead knows as much, as soon as it is ready.
    let disk = tempfile::tempdir().unwrap();
    let ledger = Sqlite::open(&disk.path().join("ledger.db")).await.unwrap();
    let client = Client::try_from(world.ground.usher_config().await).unwrap();
    let settings = Settings { identity: Some("second".into()), ..Settings::default() };
    let replica = Operator::follow(client, ledger, Arc::new(Machine), settings).await;
    let there = replica.providers.named("acme").unwrap();
    assert_eq!(there.reauthenticate_after, SignedDuration::from_hours(8));
    assert!(!replica.is_leader());
    replica.stop().await;

    // Paused, it stays as it is.
    let paused = json!({"metadata": {"annotations": {"usher.dev/paused": "true"}}});
    desk.apply(&with(nowhere("acme"), &paused)).await;
    desk.apply(&with(with(nowhere("acme"), &paused), &json!({"spec": {"reauthenticateAfter": "9h"}}))).await;
    desk.bring_secret("beside", "s3cret");
    desk.apply(&nowhere("beside")).await;
    appears("beside.acme.example").await;
    assert!(Arc::ptr_eq(&third, &of_domain("acme.acme.example").unwrap()));

    desk.delete("acme").await;
    until("it is gone", async || of_domain("acme.acme.example").is_none().then_some(())).await;
    assert!(of_domain("beside.acme.example").is_some());
}
