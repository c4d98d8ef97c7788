//! Converts the operator's settings to the types in a policy's manifest.

use serde_json::Value as Json;

use std::collections::{BTreeMap, HashMap};

use crate::contract::types::{Manifest, Meaning, Setting, Value};
use crate::models::Naming;
use crate::script;
use wasmgate_base::digest::sha256;

/// The operator's settings by name, in the types that the manifest asks for.
pub type Settings = HashMap<String, Value>;

/// Maximum size of a setting's text from a file, in bytes.
pub const MAX_SETTING_BYTES: usize = 256 << 10;

/// Up to this size, in bytes, operators see the text of a setting.
const SHOWN_TEXT_BYTES: usize = 1 << 10;

/// Settings that do not match the manifest.
#[derive(Debug, PartialEq)]
pub(super) struct Unsuitable {
    /// Their names.
    pub(super) settings: Vec<String>,
    /// What is wrong with each.
    pub(super) reason: String,
}

/// Converts the operator's settings to the manifest's types.
pub(super) fn resolve(manifest: &Manifest, given: &serde_json::Map<String, Json>) -> Result<Settings, Unsuitable> {
    let mut settings = Settings::new();
    let (mut names, mut reasons) = (Vec::new(), Vec::new());
    for (name, json) in given {
        match value(manifest, name, json) {
            Ok(value) => {
                settings.insert(name.clone(), value);
            }
            Err(reason) => {
                names.push(name.clone());
                reasons.push(reason);
            }
        }
    }
    if names.is_empty() { Ok(settings) } else { Err(Unsuitable { settings: names, reason: reasons.join("; ") }) }
}

/// One setting's value.
fn value(manifest: &Manifest, name: &str, json: &Json) -> Result<Value, String> {
    let Some(setting) = manifest.settings.iter().find(|setting| setting.name == name) else {
        let names = || manifest.settings.iter().map(|setting| setting.name.as_str());
        return Err(match wasmgate_base::nearest::nearest(name, names()) {
            Some(near) => format!("unknown setting `{name}`, did you mean `{near}`?"),
            None if manifest.settings.is_empty() => format!("unknown setting `{name}`; {} has none", manifest.name),
            None if manifest.name == script::COMPONENT => {
                format!("unknown setting `{name}`; a script has no settings, expected constants in its text")
            }
            None => {
                format!("unknown setting `{name}`, expected one of `{}`", names().collect::<Vec<_>>().join("`, `"))
            }
        });
    };
    let value = typed(json, &setting.default).filter(|value| in_range(value, &setting.meaning));
    value.ok_or_else(|| format!("setting `{name}` is {json}, expected {}", expected(setting)))
}

/// The operator's settings, and the tiers that the gateway made.
pub(super) fn with_tiers(mut given: Settings, naming: &Naming) -> Settings {
    for (tier, models) in naming.made.iter().flat_map(|made| &made.models) {
        given.insert(tier.clone(), Value::Texts(models.clone()));
    }
    given
}

/// The settings in force: the operator's, and the manifest's defaults for the others. Of a long text, which may be a file, only
/// its length.
pub(super) fn in_force(manifest: &Manifest, settings: &Settings) -> serde_json::Map<String, Json> {
    let value = |setting: &Setting| json(settings.get(&setting.name).unwrap_or(&setting.default));
    manifest.settings.iter().map(|setting| (setting.name.clone(), value(setting))).collect()
}

/// SHA-256 of the settings in force, in hex.
pub(super) fn digest(manifest: &Manifest, settings: &Settings) -> String {
    let value = |setting: &Setting| match settings.get(&setting.name).unwrap_or(&setting.default) {
        Value::Text(text) => Json::from(text.as_str()),
        other => json(other),
    };
    let all: BTreeMap<&str, Json> =
        manifest.settings.iter().map(|setting| (setting.name.as_str(), value(setting))).collect();
    // It has only texts and finite numbers, so that it can be written.
    sha256(&serde_json::to_vec(&all).unwrap_or_default())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Boolean(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Number(value) => (*value).into(),
        Value::Text(text) if text.len() > SHOWN_TEXT_BYTES => format!("({} bytes)", text.len()).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Texts(texts) => texts.as_slice().into(),
    }
}

fn typed(json: &Json, like: &Value) -> Option<Value> {
    Some(match like {
        Value::Boolean(_) => Value::Boolean(json.as_bool()?),
        Value::Integer(_) => Value::Integer(json.as_i64()?),
        Value::Number(_) => Value::Number(json.as_f64().filter(|n| n.is_finite())?),
        Value::Text(_) => Value::Text(json.as_str()?.to_owned()),
        Value::Texts(_) => {
            let texts = json.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
            Value::Texts(texts.collect::<Option<_>>()?)
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "ranges are of numbers that people write")]
fn in_range(value: &Value, meaning: &Meaning) -> bool {
    match (value, meaning) {
        (Value::Integer(value), Meaning::Range((from, to))) => (*from..=*to).contains(&(*value as f64)),
        (Value::Number(value), Meaning::Range((from, to))) => (*from..=*to).contains(value),
        _ => true,
    }
}

/// What a setting may be, in words.
fn expected(setting: &Setting) -> String {
    let kind = type_name(&setting.default);
    match setting.meaning {
        Meaning::Range((from, to)) => format!("{kind} from {from} to {to}"),
        _ => kind.to_owned(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) => "a whole number",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::Texts(_) => "a list of texts",
    }
}
