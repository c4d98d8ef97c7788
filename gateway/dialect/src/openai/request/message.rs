//! Reads the messages of OpenAI's request.

use serde_json::value::RawValue;

use crate::chat::{Message, Part, Role, ToolCall};
use crate::image;
use crate::json::{self, BadRequest, Fields, Path};
use crate::reading::Reading;

pub(super) fn messages(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Message>, BadRequest> {
    let mut messages = Vec::new();
    json::objects(path, raw, |path, fields| {
        reading.message(path, messages.len())?;
        message(path, fields, reading).map(|message| messages.push(message))
    })?;
    if messages.is_empty() {
        return Err(BadRequest::wrong(path, "empty", "at least one message"));
    }
    Ok(messages)
}

fn message(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Message, BadRequest> {
    let role_path = &path.key("role");
    let role = fields.get("role").ok_or_else(|| BadRequest::missing(role_path, "a string"))?;
    let role = match &*json::string(role_path, role)? {
        // `developer` is the newer name of `system`.
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_result(path, fields, reading),
        "function" => {
            reading.note(role_path);
            return Ok(Message { role: Role::Tool, parts: Vec::new() });
        }
        _ => {
            let expected = "`system`, `developer`, `user`, `assistant` or `tool`";
            return Err(BadRequest::wrong(role_path, "an unknown word", expected));
        }
    };
    let mut parts = Vec::new();
    let mut other_than_text = false;
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" => {}
            _ if json::is_null(raw) => {}
            "content" => content(path, raw, &mut parts, reading)?,
            "tool_calls" if role == Role::Assistant => {
                other_than_text = true;
                tool_calls(path, raw, &mut parts, reading)?;
            }
            // A refusal counts as the assistant's text.
            "refusal" if role == Role::Assistant => {
                reading.part(path)?;
                parts.push(Part::Text(json::string(path, raw)?.into_owned()));
            }
            // A model's earlier thinking, which the client sends back: no other model needs it, and providers
            // themselves omit it from later turns.
            "reasoning" | "reasoning_content" | "reasoning_details" if role == Role::Assistant => {}
            // The official SDKs send these back with an answer: empty annotations, and the parsed text.
            "annotations" if raw.get() == "[]" => {}
            "parsed" if role == Role::Assistant => {}
            _ => {
                other_than_text = true;
                reading.note(path);
            }
        }
    }
    if fields.get("content").is_none() && parts.is_empty() && !other_than_text {
        return Err(BadRequest::missing(&path.key("content"), "a string or an array"));
    }
    // Members come in any order; an assistant's text goes before its calls.
    parts.sort_by_key(|part| matches!(part, Part::ToolCall(_)));
    Ok(Message { role, parts })
}

fn tool_result(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Message, BadRequest> {
    let call_id = json::required_string(path, fields, "tool_call_id")?;
    let mut name = None;
    let mut parts = Vec::new();
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" | "tool_call_id" => {}
            _ if json::is_null(raw) => {}
            "content" => content(path, raw, &mut parts, reading)?,
            "name" => name = Some(json::string(path, raw)?.into_owned()),
            _ => reading.note(path),
        }
    }
    if fields.get("content").is_none() {
        return Err(BadRequest::missing(&path.key("content"), "a string or an array"));
    }
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(more) if text.is_empty() => text = more,
            Part::Text(more) => {
                text.push('\n');
                text.push_str(&more);
            }
            // Between dialects, tool results are text only.
            _ => reading.note(&path.key("content")),
        }
    }
    Ok(Message { role: Role::Tool, parts: vec![Part::ToolResult { call_id, name, text, is_error: false }] })
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
    json::objects(path, raw, |path, fields| {
        reading.part(path)?;
        part(path, fields, reading).map(|part| parts.extend(part))
    })
}

fn part(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    let type_path = &path.key("type");
    let kind = fields.get("type").ok_or_else(|| BadRequest::missing(type_path, "a string"))?;
    let kind = json::string(type_path, kind)?;
    let member = match &*kind {
        "text" => "text",
        "refusal" => "refusal",
        "image_url" => "image_url",
        _ => {
            reading.note(type_path);
            return Ok(None);
        }
    };
    for (key, raw) in fields.iter() {
        if key != "type" && key != member {
            reading.note_unless_null(&path.key(key), raw);
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
    let mut url = None;
    for (key, raw) in json::object(path, raw)?.iter() {
        let path = &path.key(key);
        match key {
            "url" => url = Some(json::string(path, raw)?),
            "detail" if raw.get() == r#""auto""# => {}
            _ => reading.note_unless_null(path, raw),
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
        let fields = json::object(path, raw)?;
        let Some(function) = fields.get("function") else {
            if fields.get("type").is_none() {
                return Err(BadRequest::missing(&path.key("function"), "an object"));
            }
            reading.note(&path.key("type"));
            continue;
        };
        for (key, raw) in fields.iter() {
            // Some clients keep `index` from a stream's fragments.
            if !matches!(key, "id" | "type" | "function" | "index") {
                reading.note_unless_null(&path.key(key), raw);
            }
        }
        let id = json::required_string(path, &fields, "id")?;
        let path = &path.key("function");
        let function = json::object(path, function)?;
        let name = json::required_string(path, &function, "name")?;
        let arguments = json::required_string(path, &function, "arguments")?;
        parts.push(Part::ToolCall(ToolCall { id, name, arguments }));
    }
    Ok(())
}
