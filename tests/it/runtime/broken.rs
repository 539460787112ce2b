//! Values that are almost what a schema of the contract asks for.

use serde_json::{Value, json};

use super::contract::CONTRACT;

/// Values that are not of this schema, each `good` but for one thing.
pub fn broken(schema: &Value, good: &Value) -> Vec<(String, Value)> {
    let schema = resolved(schema);
    let mut all = Vec::new();
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!([]),
        json!([[[]]]),
        json!({}),
        json!("\u{0}"),
    ];
    for other in others {
        let kind = match &other {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::String(_) => "string",
        };
        let has_rule = schema.get("pattern").is_some();
        if !kinds(&schema).contains(&kind) || (kind == "string" && has_rule) {
            all.push((format!("{other} instead of {good}"), other));
        }
    }
    if let (Some(rule), true) = (schema.get("maxLength"), schema.get("pattern").is_some()) {
        let longer = "x".repeat(usize::try_from(rule.as_u64().unwrap()).unwrap() + 1);
        all.extend([("too long".to_owned(), json!(longer)), ("empty".to_owned(), json!(""))]);
    }
    let Some(members) = schema.get("properties").and_then(Value::as_object) else { return all };
    let but = |name: &str, value: Value| {
        let mut object = good.clone();
        object[name] = value;
        object
    };
    all.push(("a member more".to_owned(), but("\u{0}__proto__", json!({}))));
    for name in schema["required"].as_array().unwrap() {
        let mut object = good.clone();
        object.as_object_mut().unwrap().remove(name.as_str().unwrap());
        all.push((format!("{name} is missing"), object));
    }
    for (name, member) in members {
        let inner = broken(member, good.get(name).unwrap_or(&Value::Null));
        all.extend(inner.into_iter().map(|(what, value)| (format!("{name}: {what}"), but(name, value))));
    }
    all
}

/// The schema, or the one that it means.
pub fn resolved(schema: &Value) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return resolved(CONTRACT.pointer(reference.strip_prefix('#').unwrap()).unwrap());
    }
    schema.clone()
}

/// The kinds that a value of this schema may be of.
fn kinds(schema: &Value) -> Vec<&str> {
    let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let alternatives = alternatives
        .map(|one| if one.get("$ref").is_some() { "reference" } else { one["type"].as_str().unwrap() });
    let own = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::String(kind) => vec![kind.as_str()],
        _ => vec![],
    };
    own.into_iter().chain(alternatives).collect()
}
