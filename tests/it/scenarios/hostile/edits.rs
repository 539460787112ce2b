//! Edits that a schema allows, or nearly so.

use serde_json::{Map, Value, json};
use usher::cluster::api::definitions;

/// SplitMix64: small, seeded, and good enough to be nasty.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    pub fn one_of(&mut self, values: &[&str]) -> Value {
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
pub fn edit(schema: &Value, random: &mut Random) -> Value {
    let properties: Vec<(&String, &Value)> = schema["properties"].as_object().unwrap().iter().collect();
    let mut spec = Map::new();
    for _ in 0..=random.below(4) {
        let (name, member) = properties[random.below(properties.len())];
        spec.insert(name.clone(), if random.below(9) == 0 { Value::Null } else { nasty(member, random) });
    }
    json!({"spec": spec})
}

/// The spec's schema of a kind.
pub fn schema(kind: &str) -> (String, Value) {
    let found = definitions().into_iter().find(|definition| definition.spec.names.kind == kind).unwrap();
    let plural = found.spec.names.plural.clone();
    let schema = serde_json::to_value(&found.spec.versions[0].schema).unwrap();
    (plural, schema["openAPIV3Schema"]["properties"]["spec"].clone())
}
