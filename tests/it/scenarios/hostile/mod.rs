//! Two thousand edits that nobody would make on purpose, generated from the schemas: whatever the API server accepts ends Ready,
//! or Stalled with a sentence, and recovers when it is taken back.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt as _, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Map, Value, json};
use usher::{cluster::api::definitions, service::edge::Edge as _};

use super::{Place, with};
use crate::ground::{Machine, license, seat, shared, until};

/// How many edits of each kind.
const EDITS: [(&str, usize); 5] =
    [("License", 900), ("UserAssignment", 400), ("Edition", 300), ("Seat", 300), ("Authority", 100)];
/// How many at once.
const AT_ONCE: usize = 24;
/// The most that a sentence may have, in characters.
const LONGEST: usize = 300;

/// SplitMix64: small, seeded, and good enough to be nasty.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_of(&mut self, values: &[&str]) -> Value {
        json!(values[self.below(values.len())])
    }
}

/// Texts that mean something somewhere, and some that mean trouble.
const TEXTS: [&str; 26] = [
    "cad",
    "default",
    "standard",
    "a",
    "",
    " ",
    "-",
    "..",
    "ÄÖÜ",
    "a\u{0}b",
    "a\nb",
    "24h",
    "5m",
    "0s",
    "8760h",
    "999999999h",
    "Contract",
    "Lease",
    "ann@acme.example",
    "ANN@ACME.EXAMPLE",
    "https://idp.acme.example",
    "https://a.example/../b",
    "2000-01-01T00:00:00Z",
    "9998-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "{{ .Values.secret }}",
];

/// A value that the schema allows, or nearly so.
fn nasty(schema: &Value, random: &mut Random) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[random.below(words.len())].clone();
    }
    let number = |name: &str, otherwise: i64| schema[name].as_f64().map_or(otherwise, |number| number as i64);
    match schema["type"].as_str().unwrap_or("string") {
        "object" => {
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mut object = Map::new();
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let wanted = required.contains(&name.as_str());
                if random.below(10) < if wanted { 9 } else { 4 } {
                    object.insert(name.clone(), nasty(member, random));
                }
            }
            Value::Object(object)
        }
        "array" => (0..random.below(4)).map(|_| nasty(&schema["items"], random)).collect(),
        "boolean" => json!(random.below(2) == 0),
        "integer" => {
            let (least, most) = (number("minimum", -9), number("maximum", 9));
            json!([least, most, least + 1, 2, 1, least - 1, most + 1][random.below(7)])
        }
        _ if random.below(20) == 0 => json!("x".repeat(random.below(300))),
        _ => random.one_of(&TEXTS),
    }
}

/// Some members of the spec, each something that the schema allows or nearly so.
fn edit(schema: &Value, random: &mut Random) -> Value {
    let properties: Vec<(&String, &Value)> = schema["properties"].as_object().unwrap().iter().collect();
    let mut spec = Map::new();
    for _ in 0..=random.below(4) {
        let (name, member) = properties[random.below(properties.len())];
        spec.insert(name.clone(), if random.below(9) == 0 { Value::Null } else { nasty(member, random) });
    }
    json!({"spec": spec})
}

/// The spec's schema of a kind.
fn schema(kind: &str) -> (String, Value) {
    let found = definitions().into_iter().find(|definition| definition.spec.names.kind == kind).unwrap();
    let plural = found.spec.names.plural.clone();
    let schema = serde_json::to_value(&found.spec.versions[0].schema).unwrap();
    (plural, schema["openAPIV3Schema"]["properties"]["spec"].clone())
}

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
        "Edition" => json!({"kind": kind, "spec": {"authorityRef": {"name": "default"}}}),
        _ => json!({"kind": kind, "spec": {
            "issuer": format!("https://hostile.acme.example/a/{name}"), "allowedNamespaces": {"from": "All"}}}),
    };
    with(object, &named)
}

fn api(client: &Client, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("usher.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    match kind {
        "Authority" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

/// What an object says of its present generation: `true` for Ready, else why it is stalled. Nothing while it says nothing yet.
fn verdict(object: &DynamicObject) -> Option<Result<(), String>> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let of = |type_: &str| conditions.iter().find(|condition| condition["type"] == type_);
    let ready = of("Ready")?;
    if ready["observedGeneration"].as_i64() != object.metadata.generation {
        return None;
    }
    match (ready["status"].as_str(), of("Stalled")) {
        (Some("True"), None) => Some(Ok(())),
        (_, Some(stalled)) => Some(Err(stalled["message"].as_str().unwrap_or("").to_owned())),
        // Not ready and not stalled: something else is at fault, which says so itself.
        _ => Some(Err(ready["message"].as_str().unwrap_or("").to_owned())),
    }
}

#[tokio::test]
async fn whatever_is_accepted_ends_ready_or_says_in_a_sentence_why_not_and_recovers() {
    let seed = u64::from_le_bytes(Machine.entropy()[..8].try_into().unwrap());
    println!("seed {seed}");
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong: Mutex<Vec<String>> = Mutex::default();
    for (kind, count) in EDITS {
        let (plural, schema) = schema(kind);
        let api = api(&place.client, &place.namespace, kind, &plural);
        let (schema, api) = (&schema, &api);
        let (accepted, refused, wrong) = (&accepted, &refused, &wrong);
        stream::iter(0..count)
            .for_each_concurrent(AT_ONCE, async |n| {
                let mut random =
                    Random(seed ^ u64::try_from(n).unwrap() ^ (u64::try_from(kind.len()).unwrap() << 32));
                let name = format!("{}-{n}", kind.to_lowercase());
                let good = good(kind, &name);
                let nasty = with(good.clone(), &edit(schema, &mut random));
                let params = PatchParams::apply("a-user").force();
                api.patch(&name, &params, &Patch::Apply(&good)).await.unwrap();
                // Seen as it should be: some things are fixed with the first look.
                recovers(api, kind, &good, &good).await;
                match api.patch(&name, &params, &Patch::Apply(&nasty)).await {
                    Err(kube::Error::Api(status)) if is_refusal(&status) => {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => wrong.lock().unwrap().push(format!("{nasty}: {error}")),
                    Ok(_) => {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        if let Some(said) = judged(api, kind, &nasty).await {
                            wrong.lock().unwrap().push(format!("{nasty}: {said}"));
                        }
                    }
                }
                // What cannot be taken back is made anew.
                if api.patch(&name, &params, &Patch::Apply(&good)).await.is_ok() {
                    recovers(api, kind, &good, &nasty).await;
                }
                api.delete(&name, &Default::default()).await.unwrap();
            })
            .await;
    }
    let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
    println!("{accepted} accepted, {refused} refused");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {accepted}:\n{}", wrong.len(), wrong[..wrong.len().min(9)].join("\n"));
    assert!(
        accepted > 300 && refused > 300,
        "{accepted} accepted and {refused} refused: the edits are too dull"
    );
    // After all that, the one that nobody touched does what it should.
    place.license_says("cad", "Issued").await;
    place.apply(&seat("ann")).await;
    place.seat("ann", usher::cluster::api::SeatState::Bound).await;
}

/// Whether the API server said no. It answers 500 to lists that name something twice or not at all.
fn is_refusal(status: &kube::core::Status) -> bool {
    [400, 422].contains(&status.code) || status.message.starts_with("failed to create typed patch object")
}

/// What is wrong with how the object ends, if anything. An Edition says nothing of itself: Licenses say it.
async fn judged(api: &Api<DynamicObject>, kind: &str, object: &Value) -> Option<String> {
    if kind == "Edition" {
        return None;
    }
    let name = object["metadata"]["name"].as_str().unwrap();
    let what = format!("it says how it stands: {object}");
    match until(&what, async || verdict(&api.get_opt(name).await.unwrap()?)).await {
        Ok(()) => None,
        Err(sentence) if sentence.is_empty() => Some("it says nothing".into()),
        Err(sentence) if sentence.chars().count() > LONGEST => Some(format!("too long: {sentence}")),
        Err(_) => None,
    }
}

/// Taken back, it is as it was.
async fn recovers(api: &Api<DynamicObject>, kind: &str, good: &Value, nasty: &Value) {
    if kind == "Edition" {
        return;
    }
    let name = good["metadata"]["name"].as_str().unwrap();
    until(&format!("it recovers: {nasty}"), async || {
        matches!(verdict(&api.get_opt(name).await.unwrap()?), Some(Ok(()))).then_some(())
    })
    .await;
}
