//! `schema/license.v1.json` against what the crate writes and reads. The checker knows as much of JSON Schema 2020-12 as that
//! file uses, and refuses a keyword that it does not know.

use serde_json::{Map, Value};
use usher_license::Claims;

use crate::{
    generate::{self, Documents},
    vectors,
};

const SCHEMA: &str = include_str!("../../schema/license.v1.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("JSON")
}

/// Where the first disagreement is.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |why: String| Err(format!("{at}: {why}"));
    for (keyword, argument) in schema.as_object().expect("a schema") {
        match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => {}
            "type" if argument == type_of(value) => {}
            "type" => return fail(format!("expected {argument}, found {value}")),
            "const" if argument == value => {}
            "const" => return fail(format!("expected {argument}, found {value}")),
            "enum" if argument.as_array().expect("a list").contains(value) => {}
            "enum" => return fail(format!("expected one of {argument}, found {value}")),
            "minimum" if value.as_i64() >= argument.as_i64() => {}
            "minimum" => return fail(format!("expected {argument} or more, found {value}")),
            "maximum" if value.as_u64() <= argument.as_u64() => {}
            "maximum" => return fail(format!("expected {argument} or less, found {value}")),
            "required" => require(argument, value, at)?,
            "properties" => properties(argument.as_object().expect("an object"), value, at)?,
            "additionalProperties" => only(argument, schema, value, at)?,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(argument, item, &format!("{at}[{index}]"))?;
                }
            }
            "oneOf" => {
                let fits = argument
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter(|one| check(one, value, at).is_ok())
                    .count();
                if fits != 1 {
                    return fail(format!("fits {fits} of the alternatives"));
                }
            }
            _ => return fail(format!("the checker does not know {keyword}")),
        }
    }
    Ok(())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn require(names: &Value, value: &Value, at: &str) -> Result<(), String> {
    let missing = names
        .as_array()
        .expect("a list")
        .iter()
        .find(|name| value.get(name.as_str().expect("a name")).is_none());
    missing.map_or(Ok(()), |name| Err(format!("{at}: {name} is missing")))
}

fn properties(known: &Map<String, Value>, value: &Value, at: &str) -> Result<(), String> {
    let members = value.as_object().into_iter().flatten();
    members
        .filter_map(|(name, member)| Some((name, member, known.get(name)?)))
        .try_for_each(|(name, member, schema)| check(schema, member, &format!("{at}.{name}")))
}

fn only(argument: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let unknown = value
        .as_object()
        .into_iter()
        .flatten()
        .find(|(name, _)| schema["properties"].get(name.as_str()).is_none());
    match unknown {
        Some((name, _)) if argument == false => Err(format!("{at}: {name} is unknown")),
        _ => Ok(()),
    }
}

/// The same schema, but with no room for unknown members anywhere.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for member in members.values_mut() {
                *member = closed(member.take());
            }
            if members.contains_key("properties") && members.contains_key("type") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}

fn payload(document: &str) -> Option<Value> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(document.split('.').nth(1)?).ok()?).ok()
}

#[test]
fn every_document_that_verifies_fits_the_schema() {
    let file: Documents = vectors::load("documents.json");
    for case in file.cases.iter().filter(|case| case.expect == "ok") {
        check(&schema(), &payload(&case.document).expect("a payload"), &case.name).expect("a fit");
    }
}

#[test]
fn the_schema_names_every_member_that_the_crate_writes() {
    let sample = serde_json::to_value(generate::claims()).expect("JSON");
    check(&closed(schema()), &sample, "sample").expect("a fit");
}

#[test]
fn schema_and_reader_agree_on_what_a_payload_is() {
    let file: Documents = vectors::load("documents.json");
    let payloads: Vec<Value> = file.cases.iter().filter_map(|case| payload(&case.document)).collect();
    assert!(payloads.len() > 40);
    for payload in payloads {
        let read = serde_json::from_value::<Claims>(payload.clone());
        assert_eq!(check(&schema(), &payload, "payload").is_ok(), read.is_ok(), "{payload}: {read:?}");
    }
}

#[test]
fn every_member_that_the_schema_requires_is_required_by_the_reader() {
    let sample = serde_json::to_value(generate::claims()).expect("JSON");
    for name in sample.as_object().expect("an object").keys() {
        let mut without = sample.clone();
        without.as_object_mut().expect("an object").remove(name);
        let read = serde_json::from_value::<Claims>(without.clone());
        assert_eq!(check(&schema(), &without, "payload").is_ok(), read.is_ok(), "without {name}");
    }
}
