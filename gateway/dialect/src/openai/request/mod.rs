//! Reads OpenAI's request.

mod message;

use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::chat::{Chat, Effort, Format, Tool, ToolChoice};
use crate::fields::Hint;
use crate::json::{self, BadRequest, Fields, Path};
use crate::reading::{self, Reading};
use crate::types::{Bounds, Dialect};

/// Reads a request body.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), ..Chat::default() };
    let mut reading = Reading::new(Dialect::OpenAi, bounds);
    let mut model = None;
    let mut messages = None;
    let mut newer_max_tokens = None;
    let mut choice = None;
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            "messages" => messages = Some(message::messages(path, raw, &mut reading)?),
            _ if json::is_null(raw) => {}
            // The gateway acts on these itself.
            "stream" => chat.stream = json::boolean(path, raw)?,
            "stream_options" => chat.include_usage = include_usage(path, raw)?,
            "tool_choice" => choice = Some(raw),
            "max_completion_tokens" => newer_max_tokens = reading.tolerate(json::count(path, raw, 1))?,
            _ => {
                let read = setting(key, path, raw, &mut chat, &mut reading);
                reading.tolerate(read)?;
            }
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
    if let Some(raw) = choice {
        let read = tool_choice(&Path::top("tool_choice"), raw, &mut chat, &mut reading);
        reading.tolerate(read)?;
    }
    reading.finish(&mut chat);
    Ok(chat)
}

/// Reads a member that is for the model's server alone.
fn setting(
    key: &str,
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    match key {
        "tools" => chat.tools = tools(path, raw, reading)?,
        "parallel_tool_calls" => chat.parallel_tool_calls = Some(json::boolean(path, raw)?),
        "max_tokens" => chat.max_tokens = Some(json::count(path, raw, 1)?),
        "temperature" => chat.temperature = Some(json::number(path, raw, 0.0..=2.0)?),
        "top_p" => chat.top_p = Some(json::number(path, raw, 0.0..=1.0)?),
        // An extension of vLLM and llama.cpp; -1 and 0 mean all tokens.
        "top_k" => {
            chat.top_k = u32::try_from(json::integer(path, raw, -1..=i64::from(u32::MAX))?).ok().filter(|&k| k > 0);
        }
        "frequency_penalty" => chat.frequency_penalty = penalty(path, raw)?,
        "presence_penalty" => chat.presence_penalty = penalty(path, raw)?,
        "stop" => chat.stop = stop(path, raw)?,
        "seed" => chat.seed = Some(json::integer(path, raw, i64::MIN..=i64::MAX)?),
        "reasoning_effort" => match effort(raw) {
            Some(effort) => chat.effort = Some(effort),
            None => reading.leave_out(Hint::Effort),
        },
        "response_format" => chat.format = format(path, raw, reading)?,
        // `safety_identifier` is the newer name of `user`.
        "safety_identifier" if chat.user.is_some() => {}
        "user" | "safety_identifier" => chat.user = Some(json::string(path, raw)?.into_owned()),
        _ => reading.other(path, raw),
    }
    Ok(())
}

/// A penalty; 0 is the default.
fn penalty(path: &Path<'_>, raw: &RawValue) -> Result<Option<f64>, BadRequest> {
    Ok(Some(json::number(path, raw, -2.0..=2.0)?).filter(|&penalty| penalty != 0.0))
}

/// The effort, if it is a word that the gateway knows.
fn effort(raw: &RawValue) -> Option<Effort> {
    raw.get().strip_prefix('"')?.strip_suffix('"').and_then(Effort::from_word)
}

fn tools(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Tool>, BadRequest> {
    let elements = reading.tools(path, raw)?;
    let mut tools = Vec::new();
    for (index, raw) in elements.into_iter().enumerate() {
        let read = tool(&path.index(index), raw, reading);
        tools.extend(reading.tolerate(read)?.flatten());
    }
    Ok(tools)
}

fn tool(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Tool>, BadRequest> {
    let fields = json::object(path, raw)?;
    let type_path = &path.key("type");
    let kind = fields.get("type").map_or(Ok("function".into()), |raw| json::string(type_path, raw))?;
    if kind != "function" {
        reading.refuse(type_path);
        return Ok(None);
    }
    for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "type" | "function")) {
        reading.other(&path.key(key), raw);
    }
    let path = &path.key("function");
    let raw = fields.get("function").ok_or_else(|| BadRequest::missing(path, "an object"))?;
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
                json::map(path, raw)?;
                tool.parameters = Some(raw.to_owned());
            }
            "strict" => tool.strict = Some(json::boolean(path, raw)?),
            _ => reading.other(path, raw),
        }
    }
    if named { Ok(Some(tool)) } else { Err(BadRequest::missing(&path.key("name"), "a string")) }
}

/// Reads the choice after the tools, because it can limit them.
fn tool_choice(path: &Path<'_>, raw: &RawValue, chat: &mut Chat, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
    const EXPECTED: &str = "`none`, `auto`, `required` or an object";
    if raw.get().starts_with('{') {
        let fields = json::object(path, raw)?;
        if let Some(allowed) = fields.get("allowed_tools") {
            return allowed_tools(&path.key("allowed_tools"), allowed, chat, reading);
        }
        let Some(function) = fields.get("function") else {
            reading.refuse(path);
            return Ok(());
        };
        let path = &path.key("function");
        let function = json::object(path, function)?;
        chat.tool_choice = Some(ToolChoice::Named(json::required_string(path, &function, "name")?));
        return Ok(());
    }
    if !raw.get().starts_with('"') {
        return Err(BadRequest::wrong(path, json::kind(raw), EXPECTED));
    }
    chat.tool_choice = Some(match &*json::string(path, raw)? {
        "none" => ToolChoice::None,
        "auto" => ToolChoice::Auto,
        // `any` is what Mistral's servers call it.
        "required" | "any" => ToolChoice::Required,
        _ => return Err(BadRequest::wrong(path, "an unknown word", EXPECTED)),
    });
    Ok(())
}

/// Reads a choice among some of the tools. Other dialects get only these tools.
fn allowed_tools(
    path: &Path<'_>,
    raw: &RawValue,
    chat: &mut Chat,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    let fields = json::object(path, raw)?;
    let (Some(mode), Some(tools)) = (fields.get("mode"), fields.get("tools")) else {
        reading.refuse(path);
        return Ok(());
    };
    let mut names = HashSet::new();
    let path = &path.key("tools");
    for (index, tool) in reading.tools(path, tools)?.into_iter().enumerate() {
        let path = &path.index(index);
        let tool = json::object(path, tool)?;
        let Some(function) = tool.get("function") else {
            reading.refuse(path);
            return Ok(());
        };
        let path = &path.key("function");
        names.insert(json::required_string(path, &json::object(path, function)?, "name")?);
    }
    chat.tools.retain(|tool| names.contains(&tool.name));
    chat.tool_choice = Some(if mode.get() == r#""required""# { ToolChoice::Required } else { ToolChoice::Auto });
    Ok(())
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
        // Some servers take a schema in either kind, and in its own member or here.
        "json_object" | "json_schema" if fields.get("schema").is_some() => schema_of(path, &fields, reading),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let path = &path.key("json_schema");
            let schema = fields.get("json_schema").ok_or_else(|| BadRequest::missing(path, "an object"))?;
            schema_of(path, &json::object(path, schema)?, reading)
        }
        _ => {
            reading.refuse(kind_path);
            Ok(None)
        }
    }
}

/// Reads a schema and what is said of it.
fn schema_of(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Format>, BadRequest> {
    let (mut name, mut strict, mut schema) = (None, None, None);
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            _ if json::is_null(raw) => {}
            "type" => {}
            "name" => name = Some(json::string(path, raw)?.into_owned()),
            "strict" => strict = Some(json::boolean(path, raw)?),
            "schema" => {
                json::map(path, raw)?;
                schema = Some(raw.to_owned());
            }
            _ => reading.other(path, raw),
        }
    }
    let Some(schema) = schema else {
        reading.refuse(path);
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
