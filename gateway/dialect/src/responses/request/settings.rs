//! Reads the settings of a request: the format of the answer, and which fields other dialects cannot do without.

use serde_json::value::RawValue;

use crate::chat::Format;
use crate::json::{self, BadRequest, Path};
use crate::reading::Reading;

/// Whether a field without a counterpart decides what the answer is: what the provider has stored, and token probabilities.
pub(super) fn is_content(key: &str, raw: &RawValue) -> bool {
    match key {
        "conversation" | "prompt" => true,
        "top_logprobs" => raw.get() != "0",
        _ => false,
    }
}

/// Refuses a request to answer in the background: the gateway could neither count its cost nor end it with its client.
pub(super) fn background(path: &Path<'_>, raw: &RawValue) -> Result<(), BadRequest> {
    match json::boolean(path, raw)? {
        false => Ok(()),
        true => {
            Err(BadRequest::wrong(path, "true", "false, because the gateway answers no request in the background,"))
        }
    }
}

/// The format in `text`. Its other member, `verbosity`, is a hint.
pub(super) fn format(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let fields = json::object(path, raw)?;
    let path = &path.key("format");
    let Some(format) = fields.get("format") else { return Ok(None) };
    let fields = json::object(path, format)?;
    match json::required_string(path, &fields, "type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let schema_path = &path.key("schema");
            let schema = fields.get("schema").ok_or_else(|| BadRequest::missing(schema_path, "an object"))?;
            json::object(schema_path, schema)?;
            let string = |key: &str| fields.get(key).map(|raw| json::string(&path.key(key), raw)).transpose();
            let name = string("name")?.map(std::borrow::Cow::into_owned);
            let strict = fields.get("strict").map(|raw| json::boolean(&path.key("strict"), raw)).transpose()?;
            Ok(Some(Format::Schema { name, strict, schema: schema.to_owned() }))
        }
        _ => {
            reading.note(&path.key("type"));
            Ok(None)
        }
    }
}
