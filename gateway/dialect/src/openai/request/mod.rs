//! Reads OpenAI's request.

mod message;

use serde_json::value::RawValue;

use crate::chat::{Chat, Format, Tool, ToolChoice};
use crate::json::{self, BadRequest, Path};
use crate::reading::{self, Reading};
use crate::types::Bounds;

/// Reads a request body.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), ..Chat::default() };
    let mut reading = Reading::new(bounds);
    let mut model = None;
    let mut messages = None;
    let mut newer_max_tokens = None;
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            "messages" => messages = Some(message::messages(path, raw, &mut reading)?),
            _ if json::is_null(raw) => {}
            "tools" => chat.tools = tools(path, raw, &mut reading)?,
            "tool_choice" => chat.tool_choice = tool_choice(path, raw, &mut reading)?,
            "parallel_tool_calls" => chat.parallel_tool_calls = Some(json::boolean(path, raw)?),
            "max_tokens" => chat.max_tokens = Some(json::count(path, raw, 1)?),
            "max_completion_tokens" => newer_max_tokens = Some(json::count(path, raw, 1)?),
            "temperature" => chat.temperature = Some(json::number(path, raw, 0.0..=2.0)?),
            "top_p" => chat.top_p = Some(json::number(path, raw, 0.0..=1.0)?),
            // An extension of vLLM and llama.cpp; -1 and 0 mean all tokens.
            "top_k" => {
                chat.top_k = u32::try_from(json::integer(path, raw, -1..=i64::from(u32::MAX))?).ok().filter(|&k| k > 0)
            }
            "stop" => chat.stop = stop(path, raw)?,
            "seed" => chat.seed = Some(json::integer(path, raw, i64::MIN..=i64::MAX)?),
            "response_format" => chat.format = format(path, raw, &mut reading)?,
            "stream" => chat.stream = json::boolean(path, raw)?,
            "stream_options" => chat.include_usage = include_usage(path, raw)?,
            // `safety_identifier` is the newer name of `user`.
            "safety_identifier" if chat.user.is_some() => {}
            "user" | "safety_identifier" => chat.user = Some(json::string(path, raw)?.into_owned()),
            _ if harmless(key, raw.get()) => {}
            _ => reading.note(path),
        }
    }
    chat.model = model.ok_or_else(|| BadRequest::missing(&Path::top("model"), "a string"))?;
    chat.messages = messages.ok_or_else(|| BadRequest::missing(&Path::top("messages"), "an array"))?;
    // Backends differ in which of the two fields they read: two values would be two limits for one request.
    if let (Some(newer), Some(older)) = (newer_max_tokens, chat.max_tokens)
        && newer != older
    {
        return Err(BadRequest::new("max_tokens and max_completion_tokens differ; one of them is expected"));
    }
    chat.max_tokens = newer_max_tokens.or(chat.max_tokens);
    chat.unportable = reading.unportable;
    Ok(chat)
}

/// Whether a field may be dropped for another dialect, because the answer does not depend on it.
fn harmless(key: &str, value: &str) -> bool {
    match key {
        // Metadata for OpenAI's own dashboards and prompt cache.
        "metadata" | "prompt_cache_key" | "prompt_cache_retention" | "prompt_cache_options" => true,
        // Explicit defaults.
        "n" => value == "1",
        "logprobs" | "store" => value == "false",
        "top_logprobs" => value == "0",
        "frequency_penalty" | "presence_penalty" => value.parse() == Ok(0.0),
        "logit_bias" => value == "{}",
        "modalities" => value.replace(' ', "") == r#"["text"]"#,
        "service_tier" => matches!(value, r#""auto""# | r#""default""#),
        "verbosity" => value == r#""medium""#,
        _ => false,
    }
}

fn tools(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Tool>, BadRequest> {
    let elements = reading.tools(path, raw)?;
    let mut tools = Vec::new();
    for (index, raw) in elements.into_iter().enumerate() {
        let path = &path.index(index);
        let fields = json::object(path, raw)?;
        let type_path = &path.key("type");
        let kind = fields.get("type").map_or(Ok("function".into()), |raw| json::string(type_path, raw))?;
        if kind != "function" {
            reading.note(type_path);
            continue;
        }
        for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "type" | "function")) {
            reading.note_unless_null(&path.key(key), raw);
        }
        let path = &path.key("function");
        let function = fields.get("function").ok_or_else(|| BadRequest::missing(path, "an object"))?;
        tools.push(tool(path, function, reading)?);
    }
    Ok(tools)
}

fn tool(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Tool, BadRequest> {
    let mut tool = Tool { name: String::new(), description: None, parameters: None, strict: None };
    let mut named = false;
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            "name" => {
                tool.name = json::string(path, raw)?.into_owned();
                named = true;
            }
            _ if json::is_null(raw) => {}
            "description" => tool.description = Some(json::string(path, raw)?.into_owned()),
            "parameters" => {
                json::object(path, raw)?;
                tool.parameters = Some(raw.to_owned());
            }
            "strict" => tool.strict = Some(json::boolean(path, raw)?),
            _ => reading.note(path),
        }
    }
    if named { Ok(tool) } else { Err(BadRequest::missing(&path.key("name"), "a string")) }
}

fn tool_choice(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    const EXPECTED: &str = "`none`, `auto`, `required` or an object";
    if raw.get().starts_with('{') {
        let fields = json::object(path, raw)?;
        let Some(function) = fields.get("function") else {
            // `allowed_tools`, `custom`
            reading.note(path);
            return Ok(None);
        };
        let path = &path.key("function");
        let function = json::object(path, function)?;
        return Ok(Some(ToolChoice::Named(json::required_string(path, &function, "name")?)));
    }
    if !raw.get().starts_with('"') {
        return Err(BadRequest::wrong(path, json::kind(raw), EXPECTED));
    }
    match &*json::string(path, raw)? {
        "none" => Ok(Some(ToolChoice::None)),
        "auto" => Ok(Some(ToolChoice::Auto)),
        "required" => Ok(Some(ToolChoice::Required)),
        _ => Err(BadRequest::wrong(path, "an unknown word", EXPECTED)),
    }
}

fn stop(path: &Path<'_>, raw: &RawValue) -> Result<Vec<String>, BadRequest> {
    if raw.get().starts_with('"') {
        return Ok(vec![json::string(path, raw)?.into_owned()]);
    }
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, json::kind(raw), "a string or an array of strings"));
    }
    reading::stop(path, raw)
}

fn format(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let fields = json::object(path, raw)?;
    let kind_path = &path.key("type");
    let kind = fields.get("type").ok_or_else(|| BadRequest::missing(kind_path, "a string"))?;
    match &*json::string(kind_path, kind)? {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let path = &path.key("json_schema");
            let schema = fields.get("json_schema").ok_or_else(|| BadRequest::missing(path, "an object"))?;
            json_schema(path, schema, reading)
        }
        _ => {
            reading.note(kind_path);
            Ok(None)
        }
    }
}

fn json_schema(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let (mut name, mut strict, mut schema) = (None, None, None);
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            _ if json::is_null(raw) => {}
            "name" => name = Some(json::string(path, raw)?.into_owned()),
            "strict" => strict = Some(json::boolean(path, raw)?),
            "schema" => {
                json::object(path, raw)?;
                schema = Some(raw.to_owned());
            }
            _ => reading.note(path),
        }
    }
    let Some(schema) = schema else {
        reading.note(path);
        return Ok(None);
    };
    Ok(Some(Format::Schema { name, strict, schema }))
}

fn include_usage(path: &Path<'_>, raw: &RawValue) -> Result<bool, BadRequest> {
    let fields = json::object(path, raw)?;
    // The other member, `include_obfuscation`, changes the bytes of the stream and not the answer.
    fields.get("include_usage").map_or(Ok(false), |raw| json::boolean(&path.key("include_usage"), raw))
}

#[cfg(test)]
mod tests;
