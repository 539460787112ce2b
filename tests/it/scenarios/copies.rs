//! Copies of a License's Secret in other namespaces, and the finalizer that goes with them.

use std::{pin::Pin, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use usher::{cluster::api::License, service::edge::Edge};

use super::{Place, claims, license_conditions, ready, stalled, substance, with};
use crate::ground::{Ground, Machine, Operator, license, seat, shared, until, wait_for};

/// A namespace that lets Usher in.
pub async fn granted(ground: &Ground) -> Place {
    let place = Place::new(ground).await;
    ground.grant(&place.namespace);
    place
}

/// Runs the command at the end of a sentence.
pub fn run_told(ground: &Ground, sentence: &str) {
    let command = sentence.split_once("with: kubectl ").unwrap_or_else(|| panic!("no command: {sentence}")).1;
    ground.kubectl(&command.split(' ').collect::<Vec<_>>());
}

/// The License `cad` with copies in these namespaces.
pub fn copied_to(places: &[&Place]) -> Value {
    let namespaces: Vec<&str> = places.iter().map(|place| place.namespace.as_str()).collect();
    with(license(1), &json!({"spec": {"secret": {"name": "cad-license", "namespaces": namespaces}}}))
}

pub async fn finalizers(place: &Place) -> Vec<String> {
    place.licenses.get("cad").await.unwrap().finalizers().to_vec()
}

/// Waits until the License has our finalizer, or has it no longer.
async fn is_finalized(place: &Place, is: bool) {
    let has = |license: &License| license.finalizers().contains(&"usher.dev/copies".to_owned());
    wait_for(&place.licenses, "cad", "has its finalizer or not", |license| has(license) == is).await;
}

/// Waits until the License is stalled for `reason`, with these words in the sentence, which is returned.
async fn says(place: &Place, reason: &str, words: &str) -> String {
    let told = |license: &License| {
        let conditions = license_conditions(license);
        let ready = ready(conditions).filter(|ready| ready.reason == reason && stalled(conditions))?;
        ready.message.contains(words).then(|| ready.message.clone())
    };
    let what = format!("says {reason}: {words}");
    told(&wait_for(&place.licenses, "cad", &what, |license| told(license).is_some()).await).unwrap()
}

async fn license_is_gone(place: &Place) {
    until("the License is gone", async || {
        place.licenses.get_opt("cad").await.unwrap().is_none().then_some(())
    })
    .await;
}

pub async fn delete_namespace(place: &Place) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await.unwrap();
}

pub async fn namespace_is_gone(place: &Place) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    until(&format!("{} is gone", place.namespace), async || {
        namespaces.get_opt(&place.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_copy_lies_where_its_owner_lets_usher_in_and_is_kept_to_the_byte() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let operator = Operator::start_narrow(&ground, &directory.path().join("ledger.db")).await;
    let (place, farm, lab) = (granted(&ground).await, Place::new(&ground).await, granted(&ground).await);
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    assert_eq!(finalizers(&place).await, [""; 0], "none without copies");

    // Without consent: a condition with the command, and the other one is there.
    place.apply(&copied_to(&[&farm, &lab])).await;
    let told = says(&place, "NamespaceNotGranted", &farm.namespace).await;
    lab.secret("cad-license").await;
    assert!(farm.secrets.list(&Default::default()).await.unwrap().items.is_empty());
    run_told(&ground, &told);
    let copy = farm.secret("cad-license").await;
    place.license_says("cad", "Issued").await;
    is_finalized(&place, true).await;
    let original = place.secret("cad-license").await;
    assert_eq!((&copy.data, &copy.type_), (&original.data, &original.type_));
    assert!(copy.owner_references().is_empty());
    assert_eq!(copy.labels()["usher.dev/license-namespace"], place.namespace);

    // Repaired to the byte: edited, stripped of its labels, deleted.
    let good = substance(&copy);
    let is_good = |secret: &Secret| substance(secret) == good;
    let edits = [
        json!({"data": {"license.jws": "Zm9yZ2Vk", "more": "Zm9yZ2Vk"}}),
        json!({"metadata": {"labels": null}}),
        json!({"metadata": {"labels": {"usher.dev/license": "other", "usher.dev/license-namespace": null}}}),
    ];
    for edit in edits {
        farm.secrets.patch("cad-license", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
        wait_for(&farm.secrets, "cad-license", &format!("is as before {edit}"), is_good).await;
    }
    farm.secrets.delete("cad-license", &DeleteParams::default()).await.unwrap();
    wait_for(&farm.secrets, "cad-license", "is as before", is_good).await;

    // It follows what the document says.
    place.apply(&with(copied_to(&[&farm, &lab]), &json!({"spec": {"suspended": true}}))).await;
    for there in [&place, &farm, &lab] {
        let suspended = |secret: &Secret| claims(secret).state == usher_license::State::Suspended;
        wait_for(&there.secrets, "cad-license", "is suspended", suspended).await;
    }
    operator.stop().await;
}

#[tokio::test]
async fn a_copy_goes_with_its_reason_and_the_finalizer_with_the_last_one() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = Operator::start_narrow(&ground, &ledger).await;
    let (place, farm, lab) = (granted(&ground).await, granted(&ground).await, granted(&ground).await);
    place.apply(&copied_to(&[&farm, &lab])).await;
    for there in [&farm, &lab] {
        there.secret("cad-license").await;
    }

    // An entry, and the last entry.
    place.apply(&copied_to(&[&lab])).await;
    farm.no_secret("cad-license").await;
    lab.secret("cad-license").await;
    is_finalized(&place, true).await;
    place.apply(&license(1)).await;
    lab.no_secret("cad-license").await;
    is_finalized(&place, false).await;

    // Another name for the Secret.
    place.apply(&copied_to(&[&farm, &lab])).await;
    farm.secret("cad-license").await;
    let renamed = with(copied_to(&[&farm, &lab]), &json!({"spec": {"secret": {"name": "cad-document"}}}));
    place.apply(&renamed).await;
    for there in [&place, &farm, &lab] {
        there.secret("cad-document").await;
        there.no_secret("cad-license").await;
    }

    // The namespace, and the License.
    delete_namespace(&lab).await;
    namespace_is_gone(&lab).await;
    says(&place, "NamespaceNotGranted", &format!("there is no namespace {}", lab.namespace)).await;
    farm.secret("cad-document").await;
    place.delete_license("cad").await;
    license_is_gone(&place).await;
    farm.no_secret("cad-document").await;
    // Of what follows under the same name nothing is taken for that of the former.
    place.apply(&copied_to(&[&farm])).await;
    place.license_says("cad", "Issued").await;
    farm.secret("cad-license").await;

    // Deleted while Usher is stopped, it waits, and goes when Usher is back.
    operator.stop().await;
    place.delete_license("cad").await;
    let left = place.licenses.get("cad").await.unwrap();
    assert!(left.metadata.deletion_timestamp.is_some());
    farm.secret("cad-license").await;
    let operator = Operator::start_narrow(&ground, &ledger).await;
    license_is_gone(&place).await;
    farm.no_secret("cad-license").await;
    operator.stop().await;
}

#[tokio::test]
async fn a_copy_whose_consent_is_withdrawn_stays_as_it_is_and_holds_up_nobody() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let operator = Operator::start_narrow(&ground, &directory.path().join("ledger.db")).await;
    let (place, farm) = (granted(&ground).await, granted(&ground).await);
    place.apply(&copied_to(&[&farm])).await;
    let before = substance(&farm.secret("cad-license").await);

    ground.revoke(&farm.namespace);
    let told = says(&place, "NamespaceNotGranted", "stays as it is until its exp").await;
    place.apply(&with(copied_to(&[&farm]), &json!({"spec": {"suspended": true}}))).await;
    let suspended = |secret: &Secret| claims(secret).state == usher_license::State::Suspended;
    wait_for(&place.secrets, "cad-license", "is suspended", suspended).await;
    says(&place, "NamespaceNotGranted", "stays as it is until its exp").await;
    assert_eq!(substance(&farm.secret("cad-license").await), before, "not a byte");
    run_told(&ground, &told);
    wait_for(&farm.secrets, "cad-license", "is suspended", suspended).await;
    place.license_says("cad", "Suspended").await;

    // Nobody holds up the deletion of somebody else's License, and what stays goes when it can be reached.
    ground.revoke(&farm.namespace);
    says(&place, "NamespaceNotGranted", "stays as it is until its exp").await;
    place.delete_license("cad").await;
    license_is_gone(&place).await;
    farm.secret("cad-license").await;
    // Nor does what is left of it hold up a License of the same name, whose copy comes when the former one's is gone.
    place.apply(&copied_to(&[&farm])).await;
    says(&place, "NamespaceNotGranted", &farm.namespace).await;
    run_told(&ground, &told);
    place.license_says("cad", "Issued").await;
    let uid = place.licenses.get("cad").await.unwrap().uid().unwrap();
    let is_new = |secret: &Secret| claims(secret).license.uid == uid;
    wait_for(&farm.secrets, "cad-license", "is of the new License", is_new).await;

    // An entry that is taken out while its namespace is out of reach hinders nothing.
    ground.revoke(&farm.namespace);
    says(&place, "NamespaceNotGranted", "stays as it is until its exp").await;
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    is_finalized(&place, true).await;
    farm.secret("cad-license").await;
    run_told(&ground, &told);
    farm.no_secret("cad-license").await;
    is_finalized(&place, false).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_copy_never_takes_the_place_of_a_secret_that_is_not_ours_or_another_licenses() {
    let (place, farm, lab) =
        (Place::new(shared()).await, Place::new(shared()).await, Place::new(shared()).await);
    let own = json!({"kind": "Secret", "metadata": {"name": "cad-license"}, "stringData": {"a": "b"}});
    farm.apply(&own).await;
    let before = substance(&farm.secret("cad-license").await);
    place.apply(&copied_to(&[&farm, &lab])).await;
    let told = says(&place, "SecretNameTaken", &format!("{}/cad-license", farm.namespace)).await;
    assert!(told.contains("take the namespace out of spec.secret.namespaces"), "{told}");
    lab.secret("cad-license").await;
    place.secret("cad-license").await;

    // Nor that of another License.
    let named = |name: &str, base: Value| with(base, &json!({"spec": {"secret": {"name": name}}}));
    farm.apply(&named("other", license(1))).await;
    farm.license_says("cad", "Issued").await;
    let others = substance(&farm.secret("other").await);
    place.apply(&named("other", copied_to(&[&farm, &lab]))).await;
    let told = says(&place, "SecretNameTaken", &format!("{}/other", farm.namespace)).await;
    assert!(told.contains("belongs to another License"), "{told}");
    lab.secret("other").await;
    assert_eq!(substance(&farm.secret("cad-license").await), before, "not a byte");
    place.delete_license("cad").await;
    license_is_gone(&place).await;
    lab.no_secret("other").await;
    assert_eq!(substance(&farm.secret("other").await), others, "not a byte");
    assert_eq!(substance(&farm.secret("cad-license").await), before, "not a byte");

    // Nor that of one that says that it is Usher's, but is not about this License.
    let labels = json!({"app.kubernetes.io/managed-by": "usher", "usher.dev/license": "cad",
        "usher.dev/license-namespace": place.namespace, "usher.dev/subject": "somebody"});
    let posing = json!({"kind": "Secret", "type": "usher.dev/license", "stringData": {"a": "b"},
        "metadata": {"name": "posing", "labels": labels}});
    lab.apply(&posing).await;
    let before = substance(&lab.secret("posing").await);
    place.apply(&named("posing", copied_to(&[&lab]))).await;
    says(&place, "SecretNameTaken", &format!("{}/posing", lab.namespace)).await;
    assert_eq!(substance(&lab.secret("posing").await), before, "not a byte");
    lab.secrets.delete("posing", &DeleteParams::default()).await.unwrap();
    lab.secret("posing").await;
    place.license_says("cad", "Issued").await;
}

/// A clock by which nobody is woken who waits for long: whoever looks again was told to.
struct Told;

impl Edge for Told {
    fn now(&self) -> Timestamp {
        Machine.now()
    }
    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let is_long = until.duration_since(self.now()) > SignedDuration::from_secs(10);
        if is_long { Box::pin(std::future::pending()) } else { Machine.wait_until(until) }
    }
    fn elapsed(&self) -> Duration {
        Machine.elapsed()
    }
    fn wait(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Machine.wait(wait)
    }
    fn entropy(&self) -> [u8; 32] {
        Machine.entropy()
    }
}

#[tokio::test]
async fn a_name_that_is_let_go_reaches_whoever_waits_for_it_at_once() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), Arc::new(Told)).await;
    let (place, farm) = (Place::new(&ground).await, Place::new(&ground).await);
    let named = |name: &str, secret: &str| {
        let spec = json!({"metadata": {"name": name}, "spec": {"secret": {"name": secret}}});
        with(license(1), &spec)
    };
    let says = async |place: &Place, name: &str, reason: &str| drop(place.license_says(name, reason).await);

    // The name of a License's own Secret, of a Seat's, and of a copy.
    farm.apply(&named("first", "ann-seat")).await;
    says(&farm, "first", "Issued").await;
    farm.apply(&named("second", "ann-seat")).await;
    says(&farm, "second", "SecretNameTaken").await;
    farm.delete_license("first").await;
    says(&farm, "second", "Issued").await;
    farm.apply(&license(1)).await;
    farm.apply(&seat("ann")).await;
    farm.seat_says("ann", "SecretNameTaken").await;
    place.apply(&with(copied_to(&[&farm]), &json!({"spec": {"secret": {"name": "ann-seat"}}}))).await;
    says(&place, "cad", "SecretNameTaken").await;
    farm.apply(&named("second", "another")).await;
    until("one of the two has it", async || {
        let of_seat =
            farm.seats.get("ann").await.unwrap().status.is_some_and(|status| status.secret.is_some());
        let copied = ready(license_conditions(&place.licenses.get("cad").await.unwrap()))
            .is_some_and(|ready| ready.reason == "Issued");
        assert!(!(of_seat && copied), "both");
        (of_seat || copied).then_some(())
    })
    .await;
    // And a copy lets one go.
    place.apply(&with(copied_to(&[&farm]), &json!({"spec": {"secret": {"name": "of-copy"}}}))).await;
    says(&place, "cad", "Issued").await;
    farm.apply(&named("second", "of-copy")).await;
    says(&farm, "second", "SecretNameTaken").await;
    place.apply(&license(1)).await;
    says(&farm, "second", "Issued").await;
    operator.stop().await;
}

#[tokio::test]
async fn in_the_wide_mode_a_namespace_that_comes_later_gets_its_copy_and_ushers_own_gets_none() {
    let (place, later) = (Place::new(shared()).await, Place::new(shared()).await);
    delete_namespace(&later).await;
    namespace_is_gone(&later).await;
    place.apply(&copied_to(&[&later])).await;
    says(&place, "NamespaceNotGranted", &format!("there is no namespace {}", later.namespace)).await;
    shared().kubectl(&["create", "namespace", &later.namespace]);
    shared().kubectl(&["label", "namespace", &later.namespace, "usher.dev/test=true"]);
    later.secret("cad-license").await;
    place.license_says("cad", "Issued").await;

    let into_own = json!({"spec": {"secret": {"name": "usher-copy", "namespaces": ["usher-system"]}}});
    place.apply(&with(license(1), &into_own)).await;
    let told = says(&place, "InvalidSpec", "usher-system").await;
    assert!(told.contains("take it out of spec.secret.namespaces"), "{told}");
    later.no_secret("cad-license").await;
    let own: Api<Secret> = Api::namespaced(place.client.clone(), "usher-system");
    assert!(own.get_opt("usher-copy").await.unwrap().is_none());
    place.delete_license("cad").await;
    license_is_gone(&place).await;
}
