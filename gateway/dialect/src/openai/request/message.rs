//! Reads the messages of OpenAI's request.

use serde_json::value::RawValue;

use crate::chat::{Message, Part, Role, ToolCall};
use crate::image;
use crate::json::{self, BadRequest, Element, Fields, Path};
use crate::reading::Reading;

pub(super) fn messages(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Message>, BadRequest> {
    let mut messages = Vec::new();
    let mut calls = FunctionCalls::default();
    json::objects(path, raw, |path, fields| {
        reading.message(path, messages.len())?;
        message(path, fields, &mut calls, reading).map(|message| messages.push(message))
    })?;
    if messages.is_empty() {
        return Err(BadRequest::wrong(path, "empty", "at least one message"));
    }
    Ok(messages)
}

/// The calls in the older form, which has no ids: the gateway counts them.
#[derive(Default)]
struct FunctionCalls {
    made: usize,
}

impl FunctionCalls {
    fn last_id(&self) -> String {
        format!("call_function_{}", self.made)
    }
}

fn message(
    path: &Path<'_>,
    fields: &Fields<'_>,
    calls: &mut FunctionCalls,
    reading: &mut Reading<'_>,
) -> Result<Message, BadRequest> {
    let role_path = &path.key("role");
    let role = fields.get("role").ok_or_else(|| BadRequest::missing(role_path, "a string"))?;
    let role = match &*json::string(role_path, role)? {
        // `developer` is the newer name of `system`.
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_result(path, fields, reading),
        // The form of a result before tools had ids.
        "function" => return function_result(path, fields, calls, reading),
        _ => {
            let expected = "`system`, `developer`, `user`, `assistant` or `tool`";
            reading.tolerate::<()>(Err(BadRequest::wrong(role_path, "an unknown word", expected)))?;
            // Policies see what it says as what a user says.
            Role::User
        }
    };
    let mut parts = Vec::new();
    let mut other_than_text = false;
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" => {}
            // An empty message, as SDKs write it.
            "content" if json::is_null(raw) => other_than_text = true,
            _ if json::is_null(raw) => {}
            "content" => content(path, raw, &mut parts, reading)?,
            "tool_calls" if role == Role::Assistant => {
                other_than_text = true;
                tool_calls(path, raw, &mut parts, reading)?;
            }
            "tool_calls" if raw.get() == "[]" => {}
            "function_call" if role == Role::Assistant => {
                other_than_text = true;
                reading.part(path)?;
                calls.made += 1;
                let read = call(path, raw, calls.last_id(), reading);
                parts.extend(reading.tolerate(read)?.map(Part::ToolCall));
            }
            // A refusal counts as the assistant's text.
            "refusal" if role == Role::Assistant => {
                reading.part(path)?;
                parts.push(Part::Text(json::string(path, raw)?.into_owned()));
            }
            // A model's earlier thinking, which the client sends back; `reasoning` is what newer servers call it.
            "reasoning_content" | "reasoning" if role == Role::Assistant && raw.get().starts_with('"') => {
                other_than_text = true;
                reading.part(path)?;
                reasoning(json::string(path, raw)?.into_owned(), &mut parts);
            }
            // The official SDK sends the parsed text back beside the text.
            "parsed" if role == Role::Assistant => {}
            _ => {
                other_than_text = true;
                reading.other(path, raw);
            }
        }
    }
    if fields.get("content").is_none() && parts.is_empty() && !other_than_text {
        let missing = BadRequest::missing(&path.key("content"), "a string or an array");
        reading.tolerate::<()>(Err(missing))?;
    }
    // Members come in any order: thinking comes first, then text, then calls.
    parts.sort_by_key(|part| match part {
        Part::Reasoning(_) => 0,
        Part::ToolCall(_) => 2,
        Part::Text(_) | Part::Image(_) | Part::ToolResult { .. } => 1,
    });
    Ok(Message { role, parts })
}

/// Adds thinking, once: some clients send it under both names.
fn reasoning(text: String, parts: &mut Vec<Part>) {
    if !text.is_empty() && !parts.iter().any(|part| matches!(part, Part::Reasoning(_))) {
        parts.push(Part::Reasoning(text));
    }
}

fn tool_result(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Message, BadRequest> {
    let call_id = reading.tolerate(json::required_string(path, fields, "tool_call_id"))?.unwrap_or_default();
    result(path, fields, call_id, reading)
}

fn function_result(
    path: &Path<'_>,
    fields: &Fields<'_>,
    calls: &FunctionCalls,
    reading: &mut Reading<'_>,
) -> Result<Message, BadRequest> {
    result(path, fields, calls.last_id(), reading)
}

fn result(
    path: &Path<'_>,
    fields: &Fields<'_>,
    call_id: String,
    reading: &mut Reading<'_>,
) -> Result<Message, BadRequest> {
    let mut name = None;
    let mut parts = Vec::new();
    let mut has_content = false;
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" | "tool_call_id" => {}
            "content" if json::is_null(raw) => has_content = true,
            _ if json::is_null(raw) => {}
            "content" => {
                has_content = true;
                content(path, raw, &mut parts, reading)?;
            }
            "name" => name = Some(json::string(path, raw)?.into_owned()),
            _ => reading.other(path, raw),
        }
    }
    if !has_content {
        let missing = BadRequest::missing(&path.key("content"), "a string or an array");
        reading.tolerate::<()>(Err(missing))?;
    }
    Ok(Message { role: Role::Tool, parts: vec![crate::chat::tool_result(call_id, name, parts, false)] })
}

fn content(
    path: &Path<'_>,
    raw: &RawValue,
    parts: &mut Vec<Part>,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    if raw.get().starts_with('"') {
        reading.part(path)?;
        parts.push(Part::Text(json::string(path, raw)?.into_owned()));
        return Ok(());
    }
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, json::kind(raw), "a string or an array"));
    }
    json::elements(path, raw, |path, element| {
        reading.part(path)?;
        parts.extend(match element {
            Element::Text(text) => Some(Part::Text(text.into_owned())),
            Element::Object(fields) => {
                let read = part(path, &fields, reading);
                reading.tolerate(read)?.flatten()
            }
        });
        Ok(())
    })
}

fn part(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    let type_path = &path.key("type");
    let kind = match fields.get("type") {
        // Some servers take a text without its type.
        None if fields.get("text").is_some() => "text".into(),
        None => return Err(BadRequest::missing(type_path, "a string")),
        Some(kind) => json::string(type_path, kind)?,
    };
    let member = match &*kind {
        "text" => "text",
        "refusal" => "refusal",
        "image_url" => "image_url",
        _ => {
            reading.refuse(type_path);
            return Ok(None);
        }
    };
    for (key, raw) in fields.iter() {
        if key != "type" && key != member {
            reading.other(&path.key(key), raw);
        }
    }
    let path = &path.key(member);
    let Some(raw) = fields.get(member) else {
        let expected = if member == "image_url" { "an object" } else { "a string" };
        return Err(BadRequest::missing(path, expected));
    };
    if member != "image_url" {
        return Ok(Some(Part::Text(json::string(path, raw)?.into_owned())));
    }
    // Some servers take the address itself.
    if raw.get().starts_with('"') {
        return Ok(Some(Part::Image(image::from_url(json::string(path, raw)?))));
    }
    let mut url = None;
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            "url" => url = Some(json::string(path, raw)?),
            _ => reading.other(path, raw),
        }
    }
    let url = url.ok_or_else(|| BadRequest::missing(&path.key("url"), "a string"))?;
    Ok(Some(Part::Image(image::from_url(url))))
}

fn tool_calls(
    path: &Path<'_>,
    raw: &RawValue,
    parts: &mut Vec<Part>,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    for (index, raw) in json::array(path, raw, reading.parts())?.into_iter().enumerate() {
        let path = &path.index(index);
        reading.part(path)?;
        let read = tool_call(path, raw, reading);
        parts.extend(reading.tolerate(read)?.flatten());
    }
    Ok(())
}

fn tool_call(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    let fields = json::object(path, raw)?;
    let Some(function) = fields.get("function") else {
        if fields.get("type").is_none() {
            return Err(BadRequest::missing(&path.key("function"), "an object"));
        }
        reading.refuse(&path.key("type"));
        return Ok(None);
    };
    for (key, raw) in fields.iter() {
        // Some clients keep `index` from a stream's fragments.
        if !matches!(key, "id" | "type" | "function" | "index") {
            reading.other(&path.key(key), raw);
        }
    }
    let id = reading.tolerate(json::required_string(path, &fields, "id"))?.unwrap_or_default();
    Ok(Some(Part::ToolCall(call(&path.key("function"), function, id, reading)?)))
}

/// Reads a call. One without arguments has an empty text there.
fn call(path: &Path<'_>, raw: &RawValue, id: String, reading: &mut Reading<'_>) -> Result<ToolCall, BadRequest> {
    let function = json::object(path, raw)?;
    let name = json::required_string(path, &function, "name")?;
    let path = &path.key("arguments");
    let read = function.get("arguments").map_or(Ok(String::new()), |raw| json::arguments(path, raw));
    // Policies see what they are, also if they are no object.
    let shown = || function.get("arguments").map(|raw| raw.get().to_owned()).unwrap_or_default();
    let arguments = reading.tolerate(read)?.unwrap_or_else(shown);
    Ok(ToolCall { id, name, arguments })
}
