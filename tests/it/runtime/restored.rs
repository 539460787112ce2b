//! The ledger is restored from a backup, or gone: activations go on, and what it has lost is rebuilt.

use ::http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::DeleteParams};
use serde_json::json;
use usher::{
    cluster::api::Type,
    ledger::{Ledger, postgres::Postgres, sqlite::Sqlite},
};

use super::{
    Own, for_devices,
    program::{Call, Program, Told, drawn, key_named},
};
use crate::{
    faults::{
        lost::usher_ledger,
        place::Disk,
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, copied::copied, operator::Engine, postgres::database, until},
    scenarios::{Place, with},
};

/// A ledger that can be taken from its operator.
trait Store {
    type Engine: Engine;

    async fn start(&self, client: Client) -> Operator<Self::Engine>;
}

impl Store for Disk {
    type Engine = Sqlite;

    async fn start(&self, client: Client) -> Operator {
        Operator::start(client, &self.ledger(), std::sync::Arc::new(Machine)).await
    }
}

/// The URL of a database.
struct Database(String);

impl Store for Database {
    type Engine = Postgres;

    async fn start(&self, client: Client) -> Operator<Postgres> {
        Operator::start_at(client, &self.0, std::sync::Arc::new(Machine)).await
    }
}

/// An operator with a ledger that can be taken from it.
struct Scene<S: Store = Disk> {
    ground: Ground,
    disk: S,
    place: Place,
    operator: Operator<S::Engine>,
    program: Program,
    key: String,
}

async fn start<S: Store>(ground: &Ground, store: &S) -> (Operator<S::Engine>, Program) {
    let operator = store.start(Client::try_from(ground.usher_config().await).unwrap()).await;
    let program = Program::at(&operator.listen().await);
    (operator, program)
}

impl Scene {
    async fn new(seats: u32) -> Self {
        Self::on(Disk::new(), seats).await
    }
}

impl<S: Store> Scene<S> {
    async fn on(disk: S, seats: u32) -> Self {
        let ground = Ground::own();
        let (operator, program) = start(&ground, &disk).await;
        let place = Place::new(&ground).await;
        place.apply(&for_devices(seats)).await;
        let key = key_named(&place.secrets, "lab").await;
        place.license_says("cad", "Issued").await;
        Self { ground, disk, place, operator, program, key }
    }

    /// Stops, has something done to the ledger, and starts again.
    async fn again(self, meanwhile: impl AsyncFnOnce(&mut S, &Place)) -> Self {
        let Self { ground, mut disk, place, operator, key, .. } = self;
        operator.stop().await;
        meanwhile(&mut disk, &place).await;
        let (operator, program) = start(&ground, &disk).await;
        Self { ground, disk, place, operator, program, key }
    }

    /// Activates a device; asked again until the License may grant.
    async fn activate(&self, device: &str) -> Told {
        let key = drawn();
        until("it is activated", async || {
            let told = self.program.activate(&self.place.namespace, &self.key, device, Some(&key)).await;
            (!told.text.contains("license-not-ready")).then_some(told)
        })
        .await
    }

    /// Activates with what is left of an activation; asked again while the ledger is being rebuilt.
    async fn rebuild(&self, device: &str, own: &Own, document: &str, key: &str) -> Told {
        let lost = json!({"nonce": own.nonce, "document": document});
        let license = format!("{}/cad", self.place.namespace);
        let body = json!({"license": license, "device": {"id": device}, "lost": lost});
        until("the License is rebuilt", async || {
            let body = Some(body.clone());
            let call = Call { token: Some(&self.key), key: Some(key), body, ..Call::default() };
            let told = self.program.send(Method::POST, "/v1/activations", &call).await;
            let later = [429, 503].contains(&told.status) || told.text.contains("license-not-ready");
            (!later).then_some(told)
        })
        .await
    }

    /// Refreshes; asked again until somebody signs.
    async fn refresh(&self, own: &Own) -> Told {
        let key = drawn();
        until("it is answered", async || {
            let told = self.program.present(own, "refresh", Some(&key)).await;
            (told.status != 503 && !told.text.contains("license-not-ready")).then_some(told)
        })
        .await
    }

    async fn says_rebuilt(&self) {
        until("the Authority says so", async || {
            let status = self.place.authorities.get("default").await.unwrap().status?;
            status
                .conditions
                .into_iter()
                .find(|c| c.type_ == Type::LedgerMissing && c.reason == "LedgerRebuilt")
        })
        .await;
    }
}

fn next(own: &Own, told: &Told) -> Own {
    Own { nonce: told.nonce.clone().unwrap_or_else(|| panic!("refused: {told:?}")), ..own.clone() }
}

#[tokio::test]
async fn after_a_backup_is_restored_what_it_has_goes_on_and_what_it_lost_is_rebuilt_if_a_place_is_free() {
    let scene = Scene::new(2).await;
    let a = Own::of(&scene.activate("a").await);
    let backup = usher_ledger(&["backup", "-"], &scene.disk.ledger(), b"").unwrap();
    goes_on(scene, a, async |disk, _| {
        usher_ledger(&["restore", "-"], &disk.ledger(), &backup).unwrap();
    })
    .await;
}

/// Each restore begins a life of the ledger, and a backup of the first one may come back when others have passed.
#[tokio::test]
async fn on_postgresql_too_what_a_restored_backup_has_goes_on_and_what_it_lost_is_rebuilt() {
    let scene = Scene::on(Database(database().await), 2).await;
    let a = Own::of(&scene.activate("a").await);
    let mut backup = String::new();
    let scene = scene.again(async |now, _| backup = copied(&now.0).await).await;
    goes_on(scene, a, async |now, _| now.0 = backup).await;
}

/// `a` was active when the backup was made.
async fn goes_on<S: Store>(scene: Scene<S>, a: Own, restore: impl AsyncFnOnce(&mut S, &Place)) {
    let a = next(&a, &scene.refresh(&a).await);
    let begun = scene.activate("b").await;
    let (b, document) = (Own::of(&begun), begun.text("document"));
    let scene = scene.again(restore).await;

    let told = scene.refresh(&a).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(scene.refresh(&a).await.code(), "nonce-used");
    assert_eq!(scene.refresh(&b).await.code(), "unauthorized");
    let other = Own::of(&scene.activate("x").await);
    let key = drawn();
    assert_eq!(scene.rebuild("b", &b, &document, &key).await.code(), "seats-exhausted");
    assert_eq!(scene.program.deactivate(&other).await.status, 204);
    let told = scene.rebuild("b", &b, &document, &key).await;
    let rebuilt = Own::of(&told);
    assert_eq!((&rebuilt.id, &rebuilt.token), (&b.id, &b.token), "the very same activation");
    assert_eq!(scene.rebuild("b", &b, &document, &key).await, told);
    assert_eq!(scene.refresh(&b).await.code(), "nonce-used");
    assert_eq!(scene.refresh(&rebuilt).await.status, 200);
    scene.operator.stop().await;
}

#[tokio::test]
async fn an_empty_ledger_has_activations_rebuilt_and_the_highest_nonce_wins() {
    let scene = Scene::new(2).await;
    let begun = scene.activate("a").await;
    let (copy, old) = (Own::of(&begun), begun.text("document"));
    let own = next(&copy, &scene.refresh(&copy).await);
    let scene = scene.again(async |disk, _| disk.lose()).await;
    scene.says_rebuilt().await;
    assert_eq!(scene.refresh(&own).await.code(), "unauthorized");
    assert_eq!(key_named(&scene.place.secrets, "lab").await, scene.key, "it was ours, and goes on");
    // The document of another device, or a nonce that we have not given, brings nothing back.
    for (device, nonce) in [("b", own.nonce.as_str()), ("a", "AAAA")] {
        let forged = Own { nonce: nonce.to_owned(), ..own.clone() };
        let new = Own::of(&scene.rebuild(device, &forged, &old, &drawn()).await);
        assert_ne!(new.id, own.id, "{device}");
        assert_eq!(scene.program.deactivate(&new).await.status, 204);
    }
    let of_copy = Own::of(&scene.rebuild("a", &copy, &old, &drawn()).await);
    assert_eq!(of_copy.id, own.id);
    let own = next(&own, &scene.refresh(&own).await);
    assert_eq!(scene.refresh(&of_copy).await.code(), "nonce-used");
    assert_eq!(scene.refresh(&own).await.status, 200);
    scene.operator.stop().await;
}

#[tokio::test]
async fn while_a_ledger_is_being_rebuilt_nobody_is_told_that_they_are_unknown() {
    let scene = Scene::new(2).await;
    let begun = scene.activate("a").await;
    let (own, document) = (Own::of(&begun), begun.text("document"));
    let Scene { ground, disk, place, operator, key, .. } = scene;
    place.apply(&with(for_devices(2), &json!({"spec": {"reassignAfter": "2h"}}))).await;
    operator.stop().await;
    disk.lose();
    // Its activation keys cannot be read: the License stays unknown.
    let cut = |call: &wire::Call| match call.what.as_str() {
        "get secrets" if call.name == "cad-activation-keys" => Act::Refuse(500),
        _ => Act::Pass,
    };
    let (client, wire) = wire::client(&ground.usher_config().await, cut);
    let operator = Operator::start(client, &disk.ledger(), std::sync::Arc::new(Machine)).await;
    let program = Program::at(&operator.listen().await);
    until("it is tried", async || (!wire.hit().is_empty()).then_some(())).await;
    let lost = json!({"nonce": own.nonce, "document": document});
    let body = json!({"license": format!("{}/cad", place.namespace), "device": {"id": "a"}, "lost": lost});
    let again = drawn();
    let rebuild = async |by: &str| {
        let call = Call { token: Some(by), key: Some(&again), body: Some(body.clone()), ..Call::default() };
        program.send(Method::POST, "/v1/activations", &call).await
    };
    let stranger = format!("usher_key_{}", "A".repeat(43));
    for told in [program.refresh(&own).await, rebuild(&key).await, rebuild(&stranger).await] {
        assert_eq!((told.status, told.code()), (503, "ledger-missing".to_owned()), "{told:?}");
    }
    let told = program.send(Method::GET, "/v1/me", &Call::default()).await;
    assert_eq!(told.code(), "unauthorized", "whoever shows nothing has nothing that may be lost");

    wire.plan(|_| Act::Pass);
    let told = until("it is rebuilt", async || {
        let told = program.refresh(&own).await;
        (told.status != 503).then_some(told)
    })
    .await;
    assert_eq!(told.code(), "unauthorized", "it has its activation rebuilt");
    assert_eq!(rebuild(&stranger).await.code(), "unauthorized", "it was never known");
    assert_eq!(Own::of(&rebuild(&key).await).id, own.id, "of the places that cool one was its own");
    let other = program.activate(&place.namespace, &key, "b", Some(&drawn())).await;
    assert_eq!(other.code(), "seats-exhausted", "the other one may have been somebody's");
    operator.stop().await;
    assert!(!Sqlite::open(&disk.ledger()).await.unwrap().head().await.unwrap().rebuilding);
}

#[tokio::test]
async fn a_restore_that_nobody_noticed_is_proved_by_a_nonce() {
    let scene = Scene::new(2).await;
    let a = Own::of(&scene.activate("a").await);
    let scene = scene.again(async |_, _| {}).await;
    let saved = std::fs::read(scene.disk.ledger()).unwrap();
    let store = is_proved(scene, a, async |disk, place| {
        disk.lose();
        std::fs::write(disk.ledger(), &saved).unwrap();
        forget_the_witness(place).await;
    })
    .await;
    let ledger = Sqlite::open(&store.ledger()).await.unwrap();
    says_proven(&ledger).await;
}

#[tokio::test]
async fn on_postgresql_too_a_restore_that_nobody_noticed_is_proved_by_a_nonce() {
    let scene = Scene::on(Database(database().await), 2).await;
    let a = Own::of(&scene.activate("a").await);
    let mut saved = String::new();
    let scene = scene.again(async |now, _| saved = copied(&now.0).await).await;
    let store = is_proved(scene, a, async |now, place| {
        now.0 = saved;
        forget_the_witness(place).await;
    })
    .await;
    says_proven(&Postgres::open(&store.0).await.unwrap()).await;
}

async fn forget_the_witness(place: &Place) {
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), "usher-system");
    maps.delete("usher-witness", &DeleteParams::default()).await.unwrap();
}

/// The ledger comes back as it was, and nobody remembers more.
async fn is_proved<S: Store>(scene: Scene<S>, a: Own, restore: impl AsyncFnOnce(&mut S, &Place)) -> S {
    let a = next(&a, &scene.refresh(&a).await);
    let a = next(&a, &scene.refresh(&a).await);
    let scene = scene.again(restore).await;
    let told = scene.refresh(&a).await;
    assert_eq!(told.status, 200, "{told:?}");
    scene.says_rebuilt().await;
    let a = next(&a, &told);
    assert_eq!(scene.refresh(&a).await.status, 200);
    scene.operator.stop().await;
    assert!(scene.ground.forbidden().is_empty(), "{:?}", scene.ground.forbidden());
    scene.disk
}

async fn says_proven(ledger: &impl Ledger) {
    assert_eq!(ledger.head().await.unwrap().mark.incarnation, 2);
    let links = ledger.audit(0, 500).await.unwrap();
    assert!(links.iter().any(|link| link.entries.contains("\"loss\":\"proven\"")));
}
