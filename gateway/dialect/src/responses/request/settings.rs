//! Reads the settings of a request: the format of the answer, how much the model thinks.

use serde_json::value::RawValue;

use crate::chat::{Chat, Effort, Format};
use crate::json::{self, BadRequest, Path};
use crate::reading::Reading;

/// Refuses a request to answer in the background: the gateway could neither count its cost nor end it with its client.
pub(super) fn background(path: &Path<'_>, raw: &RawValue) -> Result<(), BadRequest> {
    match json::boolean(path, raw)? {
        false => Ok(()),
        true => {
            Err(BadRequest::wrong(path, "true", "false, because the gateway answers no request in the background,"))
        }
    }
}

/// Reads a member that is for the model's server alone.
pub(super) fn setting(
    key: &str,
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    match key {
        "parallel_tool_calls" => chat.parallel_tool_calls = Some(json::boolean(path, raw)?),
        "max_output_tokens" => chat.max_tokens = Some(json::count(path, raw, 1)?),
        "temperature" => chat.temperature = Some(json::number(path, raw, 0.0..=2.0)?),
        "top_p" => chat.top_p = Some(json::number(path, raw, 0.0..=1.0)?),
        "text" => chat.format = text(path, raw, reading)?,
        "reasoning" => reasoning(path, raw, chat, reading)?,
        // `safety_identifier` is the newer name of `user`.
        "safety_identifier" if chat.user.is_some() => {}
        "user" | "safety_identifier" => chat.user = Some(json::string(path, raw)?.into_owned()),
        _ => reading.other(path, raw),
    }
    Ok(())
}

/// How much the model may think.
fn reasoning(path: &Path<'_>, raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
    for (key, raw) in json::object(path, raw)?.iter() {
        let word = raw.get().strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        match (key, word.and_then(Effort::from_word)) {
            ("effort", Some(effort)) => chat.effort = Some(effort),
            _ => reading.other(&path.key(key), raw),
        }
    }
    Ok(())
}

/// The format in `text`. Its other member, `verbosity`, is a hint.
fn text(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let fields = json::object(path, raw)?;
    for (key, raw) in fields.iter().filter(|(key, _)| *key != "format") {
        reading.other(&path.key(key), raw);
    }
    let path = &path.key("format");
    let Some(format) = fields.get("format") else { return Ok(None) };
    let fields = json::object(path, format)?;
    match json::required_string(path, &fields, "type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let schema_path = &path.key("schema");
            let schema = fields.get("schema").ok_or_else(|| BadRequest::missing(schema_path, "an object"))?;
            json::map(schema_path, schema)?;
            let string = |key: &str| fields.get(key).map(|raw| json::string(&path.key(key), raw)).transpose();
            let name = string("name")?.map(std::borrow::Cow::into_owned);
            let strict = fields.get("strict").map(|raw| json::boolean(&path.key("strict"), raw)).transpose()?;
            Ok(Some(Format::Schema { name, strict, schema: schema.to_owned() }))
        }
        _ => {
            reading.refuse(&path.key("type"));
            Ok(None)
        }
    }
}
