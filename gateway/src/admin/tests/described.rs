//! Checks answers against the API's description.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::super::OPENAPI;
use super::super::route::{Found, TABLE, find};

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("JSON")
}

/// Each operation in the description, as in `GET /policies`.
pub(super) fn operations() -> BTreeSet<String> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys().filter(|key| *key != "parameters");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

/// Fails unless the description of the operation allows this status and body, without additional fields.
pub(super) fn check(method: &Method, path: &str, status: u16, body: &str) {
    let document = document();
    let schema = match find(method, path) {
        Found::Route { route, .. } => {
            let (method, pattern, _) =
                TABLE.iter().find(|(_, _, known)| *known == route).expect("a route of the table");
            let operation = &document["paths"][pattern][method.as_str().to_lowercase()];
            let mut response = &operation["responses"][status.to_string()];
            if let Some(reference) = response["$ref"].as_str() {
                response = document.pointer(reference.trim_start_matches('#')).expect("what is referred to");
            }
            response["content"]["application/json"]["schema"].clone()
        }
        _ => json!({"$ref": "#/components/schemas/Error"}),
    };
    assert!(schema.is_object(), "the description has no {status} for {method} {path}");
    let mut components = document["components"].clone();
    close(&mut components["schemas"]);
    let schema = json!({"allOf": [schema], "components": components});
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let errors: Vec<_> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {path} {status}: {errors:#?} in {body:#}");
}

/// Forbids fields that a schema does not name. Clients must accept new fields, but the description must name them all.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".into(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(array) => array.iter_mut().for_each(close),
        _ => {}
    }
}
