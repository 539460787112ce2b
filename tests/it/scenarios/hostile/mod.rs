//! Two thousand edits that nobody would make on purpose, generated from the schemas: whatever the API server accepts ends Ready, or
//! Stalled with a sentence that names the field and what to do next, and recovers when it is taken back. What becomes of an Edition its License
//! says. Meanwhile a License that nobody touched goes on, and the three oracles are asked about it.

mod edits;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt as _, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use regex_lite::Regex;
use serde_json::{Value, json};
use usher::service::edge::Edge as _;

use super::with;
use crate::{
    faults::place::{Disk, Place, authority_is_ready},
    ground::{Ground, Machine, Operator, license, seat, until},
};
use edits::{Random, edit, schema};

/// How many edits of each kind.
const EDITS: [(&str, usize); 5] =
    [("License", 900), ("UserAssignment", 400), ("Edition", 300), ("Seat", 300), ("Authority", 100)];
/// How many at once.
const AT_ONCE: usize = 24;
/// The most that a sentence may have, in characters.
const LONGEST: usize = 300;
/// A seed that somebody wants to see again.
const SEED: &str = "USHER_HOSTILE_SEED";
/// How a sentence begins to say what to do next.
const NEXT: &str =
    r"\b(create|correct|set|make|delete|take|give|list|add|run|rename|let|must list|must let|must be)\b";

/// What there is of the License that nobody touched, before and afterwards.
const UNTOUCHED: &[&str] = &[
    "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued",
    "Seat ann: Bound, in ann-seat, True Bound",
    "Seat bob: Bound, in bob-seat, True Bound",
    "Seat cy: Waiting 1, True NoFreeSeat",
    "Secret ann-seat of Seat ann: ann@acme.example",
    "Secret bob-seat of Seat bob: bob@acme.example",
    "Secret cad-license of License cad: license",
];

/// An object of the kind that is as it should be.
fn good(kind: &str, name: &str) -> Value {
    let named = json!({"metadata": {"name": name}, "apiVersion": "usher.dev/v1alpha1"});
    let of_cad = json!({"licenseRef": {"name": "cad"}});
    let object = match kind {
        "License" => license(2),
        "Seat" => with(
            seat("ann"),
            &json!({"spec": {"holder": {"user": {"email": format!("{name}@acme.example")}}}}),
        ),
        "UserAssignment" => json!({"kind": kind, "spec": of_cad}),
        "Edition" => {
            json!({"kind": kind, "spec": {"authorityRef": {"name": "default"}, "features": [{"name": GOOD}]}})
        }
        _ => json!({"kind": kind, "spec": {
            "issuer": format!("https://hostile.acme.example/a/{name}"), "allowedNamespaces": {"from": "All"}}}),
    };
    with(object, &named)
}

/// By these features it is told which Edition a License was last seen with.
const GOOD: &str = "as-it-should-be";
const NASTY: &str = "as-it-was-edited";

/// The Edition with one feature more.
fn marked(mut edition: Value, mark: &str) -> Value {
    let features = &mut edition["spec"]["features"];
    if !features.is_array() {
        *features = json!([]);
    }
    features.as_array_mut().unwrap().push(json!({"name": mark}));
    edition
}

/// The License that follows an Edition of this name.
fn follower(edition: &str) -> Value {
    json!({"apiVersion": "usher.dev/v1alpha1", "kind": "License", "metadata": {"name": edition}, "spec": {
        "product": "cad", "customer": "acme", "seats": 2, "editionRef": {"name": edition}}})
}

fn api(client: &Client, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("usher.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    match kind {
        "Authority" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

/// What an object says of its present generation.
#[derive(Debug, PartialEq)]
enum Verdict {
    Ready,
    Stalled(String),
    /// Not ready and not stalled: something else is at fault, which says so itself.
    NotReady(String),
}

/// Nothing while it says nothing yet, or what it said when its Edition was another one.
fn verdict(object: &DynamicObject, mark: Option<&str>) -> Option<Verdict> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let of = |type_: &str| conditions.iter().find(|condition| condition["type"] == type_);
    let said = |condition: &Value| condition["message"].as_str().unwrap_or("").to_owned();
    let ready = of("Ready")?;
    if ready["observedGeneration"].as_i64() != object.metadata.generation {
        return None;
    }
    let seen = |mark: &str| {
        let features = object.data["status"]["effective"]["features"].as_array();
        features.is_some_and(|features| features.iter().any(|feature| feature["name"] == mark))
    };
    match (ready["status"].as_str(), of("Stalled")) {
        (Some("True"), None) if mark.is_none_or(seen) => Some(Verdict::Ready),
        (Some("True"), None) => None,
        (_, Some(stalled)) => Some(Verdict::Stalled(said(stalled))),
        _ => Some(Verdict::NotReady(said(ready))),
    }
}

/// What is wrong with a sentence about an object with these fields.
fn wrong_with(verdict: &Verdict, fields: &BTreeSet<String>) -> Option<String> {
    let (Verdict::Stalled(sentence) | Verdict::NotReady(sentence)) = verdict else { return None };
    let names_one = fields.iter().any(|field| sentence.contains(&format!("spec.{field}")));
    let says_what_to_do = Regex::new(NEXT).unwrap().is_match(sentence);
    let stalled = matches!(verdict, Verdict::Stalled(_));
    let wrong = match sentence.chars().count() {
        0 => "it says nothing",
        length if length > LONGEST => "too long",
        _ if stalled && !names_one => "it names no field",
        _ if stalled && !says_what_to_do => "it does not say what to do",
        _ => return None,
    };
    Some(format!("{wrong}: {sentence}"))
}

/// Those who edit one kind of object.
struct Editors<'a> {
    kind: &'static str,
    schema: Value,
    /// Of the kind, and of whoever speaks for it.
    fields: BTreeSet<String>,
    objects: Api<DynamicObject>,
    /// Who says how it stands: the objects themselves, or the Licenses that follow Editions.
    speakers: Api<DynamicObject>,
    seed: u64,
    tally: &'a Tally,
}

#[derive(Default)]
struct Tally {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl<'a> Editors<'a> {
    fn new(place: &Place<'_>, kind: &'static str, seed: u64, tally: &'a Tally) -> Self {
        let api = |kind| {
            let (plural, schema) = schema(kind);
            (api(&place.client, &place.namespace, kind, &plural), schema)
        };
        let (objects, schema) = api(kind);
        let (speakers, of_speaker) = api(if kind == "Edition" { "License" } else { kind });
        let fields = [&schema, &of_speaker]
            .into_iter()
            .flat_map(|schema| schema["properties"].as_object().unwrap().keys());
        Self { kind, fields: fields.cloned().collect(), schema, objects, speakers, seed, tally }
    }

    fn is_of_editions(&self) -> bool {
        self.kind == "Edition"
    }

    /// The edit of this number: the object as it should be, and as it is edited.
    fn edit(&self, n: usize) -> (String, Value, Value) {
        let of_kind = u64::try_from(self.kind.len()).unwrap() << 32;
        let mut random = Random(self.seed ^ u64::try_from(n).unwrap() ^ of_kind);
        let name = format!("{}-{n}", self.kind.to_lowercase());
        let good = good(self.kind, &name);
        let nasty = with(good.clone(), &edit(&self.schema, &mut random));
        let nasty = if self.is_of_editions() { marked(nasty, NASTY) } else { nasty };
        (name, good, nasty)
    }

    /// Makes it, edits it, and takes that back.
    async fn edits(&self, n: usize) {
        let (name, good, nasty) = self.edit(n);
        let params = PatchParams::apply("a-user").force();
        self.objects.patch(&name, &params, &Patch::Apply(&good)).await.unwrap();
        if self.is_of_editions() {
            self.speakers.patch(&name, &params, &Patch::Apply(&follower(&name))).await.unwrap();
        }
        // Seen as it should be: some things are fixed with the first look.
        self.recovers(&name, &good).await;
        match self.objects.patch(&name, &params, &Patch::Apply(&nasty)).await {
            Err(kube::Error::Api(status)) if is_refusal(&status) => {
                self.tally.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.tally.wrong.lock().unwrap().push(format!("{nasty}: {error}")),
            Ok(_) => {
                self.tally.accepted.fetch_add(1, Ordering::Relaxed);
                let verdict = self.judged(&name, NASTY, &format!("it says how it stands: {nasty}")).await;
                if let Some(wrong) = wrong_with(&verdict, &self.fields) {
                    self.tally.wrong.lock().unwrap().push(format!("{nasty}: {wrong}"));
                }
            }
        }
        // What cannot be taken back is made anew.
        if self.objects.patch(&name, &params, &Patch::Apply(&good)).await.is_ok() {
            self.recovers(&name, &nasty).await;
        }
        if self.is_of_editions() {
            self.speakers.delete(&name, &Default::default()).await.unwrap();
        }
        self.objects.delete(&name, &Default::default()).await.unwrap();
    }

    async fn judged(&self, name: &str, mark: &str, what: &str) -> Verdict {
        let mark = self.is_of_editions().then_some(mark);
        until(what, async || verdict(&self.speakers.get_opt(name).await.unwrap()?, mark)).await
    }

    /// As it should be, it is Ready.
    async fn recovers(&self, name: &str, from: &Value) {
        let mark = self.is_of_editions().then_some(GOOD);
        until(&format!("it recovers: {from}"), async || {
            (verdict(&self.speakers.get_opt(name).await.unwrap()?, mark)? == Verdict::Ready).then_some(())
        })
        .await;
    }
}

/// Whether the API server said no. It answers 500 to lists that name something twice or not at all.
fn is_refusal(status: &kube::core::Status) -> bool {
    [400, 422].contains(&status.code) || status.message.starts_with("failed to create typed patch object")
}

fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => u64::from_le_bytes(Machine.entropy()[..8].try_into().unwrap()),
    }
}

#[tokio::test]
async fn whatever_is_accepted_ends_ready_or_says_in_a_sentence_why_not_and_recovers() {
    let (seed, tally) = (seed(), Tally::default());
    // Shown when the test fails.
    println!("{SEED}={seed}");
    let (ground, disk) = (Ground::own(), Disk::new());
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    authority_is_ready(&place.client).await;
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    place.ends_as(UNTOUCHED).await;
    for (kind, count) in EDITS {
        let editors = Editors::new(&place, kind, seed, &tally);
        stream::iter(0..count).for_each_concurrent(AT_ONCE, |n| editors.edits(n)).await;
    }
    let (accepted, refused) = (tally.accepted.into_inner(), tally.refused.into_inner());
    println!("{accepted} accepted, {refused} refused");
    let wrong = tally.wrong.into_inner().unwrap();
    let first = wrong[..wrong.len().min(9)].join("\n");
    assert!(wrong.is_empty(), "{SEED}={seed}: {} of {accepted}:\n{first}", wrong.len());
    assert!(
        accepted > 300 && refused > 300,
        "{SEED}={seed}: {accepted} accepted and {refused} refused: the edits are too dull"
    );
    // The three oracles: all that is left is as it was, never were there more holders than seats, and then there is silence.
    place.ends_as(UNTOUCHED).await;
    place.never_over(2);
    place.is_silent(&operator).await;
    operator.stop().await;
}

#[test]
fn a_sentence_without_a_field_or_a_next_step_is_found() {
    let fields = BTreeSet::from(["seats".to_owned()]);
    let wrong = |sentence: &str| wrong_with(&Verdict::Stalled(sentence.to_owned()), &fields);
    assert_eq!(wrong("spec.seats is odd: set it to a number"), None);
    assert_eq!(
        wrong("it is odd: set it to a number").unwrap(),
        "it names no field: it is odd: set it to a number"
    );
    assert_eq!(wrong("spec.seats is odd").unwrap(), "it does not say what to do: spec.seats is odd");
    assert_eq!(wrong(&"x".repeat(LONGEST + 1)).unwrap(), format!("too long: {}", "x".repeat(LONGEST + 1)));
    assert_eq!(wrong("").unwrap(), "it says nothing: ");
    assert_eq!(wrong_with(&Verdict::NotReady("its Authority is on its way".into()), &fields), None);
}
