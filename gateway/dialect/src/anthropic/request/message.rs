//! Reads the messages of Anthropic's request.

use serde_json::value::RawValue;

use crate::chat::{self, Image, Message, Part, Role, ToolCall};
use crate::fields::Hint;
use crate::json::{self, BadRequest, Element, Fields, Path};
use crate::reading::Reading;

pub(super) fn messages(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Message>, BadRequest> {
    let mut messages = Vec::new();
    json::objects(path, raw, |path, fields| message(path, fields, &mut messages, reading))?;
    if messages.is_empty() {
        return Err(BadRequest::wrong(path, "empty", "at least one message"));
    }
    Ok(messages)
}

fn message(
    path: &Path<'_>,
    fields: &Fields<'_>,
    messages: &mut Vec<Message>,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "role" | "content")) {
        reading.other(&path.key(key), raw);
    }
    let role = match json::required_string(path, fields, "role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => {
            let wrong = BadRequest::wrong(&path.key("role"), "an unknown word", "`user`, `assistant` or `system`");
            reading.tolerate::<()>(Err(wrong))?;
            // Policies see what it says as what a user says.
            Role::User
        }
    };
    let content = &path.key("content");
    let raw = fields.get("content").ok_or_else(|| BadRequest::missing(content, "a string or an array"));
    let mut parts = Vec::new();
    let Some(raw) = reading.tolerate(raw)? else {
        reading.message(path, messages.len())?;
        messages.push(Message { role, parts });
        return Ok(());
    };
    if raw.get().starts_with('[') {
        json::elements(content, raw, |path, element| {
            match block_or_text(path, element, reading)? {
                // The other dialects have a separate message for a tool's result, right behind the calls.
                Some(result @ Part::ToolResult { .. }) => {
                    reading.message(path, messages.len())?;
                    messages.push(Message { role: Role::Tool, parts: vec![result] });
                }
                Some(part) => parts.push(part),
                None => {}
            }
            Ok(())
        })?;
        let only_results = messages.last().is_some_and(|m| m.role == Role::Tool);
        if parts.is_empty() && only_results {
            return Ok(());
        }
    } else {
        parts = texts(content, raw, reading)?;
    }
    reading.message(path, messages.len())?;
    messages.push(Message { role, parts });
    Ok(())
}

/// Reads a string or an array of text blocks.
pub(super) fn texts(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Part>, BadRequest> {
    if raw.get().starts_with('"') {
        reading.part(path)?;
        return Ok(vec![Part::Text(json::string(path, raw)?.into_owned())]);
    }
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, json::kind(raw), "a string or an array"));
    }
    let mut parts = Vec::new();
    json::elements(path, raw, |path, element| {
        match block_or_text(path, element, reading)? {
            Some(text @ Part::Text(_)) => parts.push(text),
            Some(_) => reading.refuse(path),
            None => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

/// Reads one block, or a text without one, as some servers take it.
fn block_or_text(path: &Path<'_>, element: Element<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    match element {
        Element::Object(fields) => {
            let read = block(path, &fields, reading);
            Ok(reading.tolerate(read)?.flatten())
        }
        Element::Text(text) => {
            reading.part(path)?;
            Ok(Some(Part::Text(text.into_owned())))
        }
    }
}

/// Reads one block; `None` for a block without a counterpart, which is noted.
fn block(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    reading.part(path)?;
    let kind = json::required_string(path, fields, "type")?;
    let known: &[&str] = match kind.as_str() {
        "text" => &["type", "text"],
        "image" => &["type", "source"],
        "tool_use" => &["type", "id", "name", "input"],
        "tool_result" => &["type", "tool_use_id", "content", "is_error"],
        "thinking" => &["type", "thinking", "signature"],
        // No other model can read it.
        "redacted_thinking" => {
            reading.leave_out(Hint::Reasoning);
            return Ok(None);
        }
        "document" => return document(path, fields, reading),
        _ => {
            reading.refuse(&path.key("type"));
            return Ok(None);
        }
    };
    for (key, raw) in fields.iter().filter(|(key, _)| !known.contains(key)) {
        // The official SDK sends back `caller` and `citations` of an answer even if they are empty.
        let says_nothing =
            raw.get() == "[]" || (key == "caller" && raw.get().replace(' ', "") == r#"{"type":"direct"}"#);
        if !says_nothing {
            reading.other(&path.key(key), raw);
        }
    }
    match kind.as_str() {
        "text" => Ok(Some(Part::Text(json::required_string(path, fields, "text")?))),
        "thinking" => Ok(Some(Part::Reasoning(json::required_string(path, fields, "thinking")?))),
        "image" => image(path, fields, reading),
        "tool_use" => tool_use(path, fields, reading).map(Some),
        _ => tool_result(path, fields, reading).map(Some),
    }
}

fn image(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    let path = &path.key("source");
    let source = fields.get("source").ok_or_else(|| BadRequest::missing(path, "an object"))?;
    let source = json::object(path, source)?;
    let image = match json::required_string(path, &source, "type")?.as_str() {
        "base64" => Image::Base64 {
            media_type: Some(json::required_string(path, &source, "media_type")?),
            data: json::required_string(path, &source, "data")?,
        },
        "url" => Image::Url(json::required_string(path, &source, "url")?),
        // A file stored at the provider.
        _ => {
            reading.refuse(&path.key("type"));
            return Ok(None);
        }
    };
    Ok(Some(Part::Image(image)))
}

/// Reads a document: plain text is text to other models too; for other kinds the dialects have no common form.
fn document(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    let source_path = &path.key("source");
    let source = fields.get("source").ok_or_else(|| BadRequest::missing(source_path, "an object"))?;
    let source = json::object(source_path, source)?;
    if source.get("type").is_none_or(|kind| kind.get() != r#""text""#) {
        reading.refuse(&path.key("type"));
        return Ok(None);
    }
    let mut text = json::required_string(source_path, &source, "data")?;
    for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "type" | "source")) {
        match key {
            "title" | "context" if !json::is_null(raw) => {
                text = format!("{}\n{text}", json::string(&path.key(key), raw)?);
            }
            // Whether the answer quotes it.
            "citations" => {}
            _ => reading.other(&path.key(key), raw),
        }
    }
    Ok(Some(Part::Text(text)))
}

/// Reads a call. One without input has an empty text there.
fn tool_use(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Part, BadRequest> {
    let id = reading.tolerate(json::required_string(path, fields, "id"))?.unwrap_or_default();
    let name = reading.tolerate(json::required_string(path, fields, "name"))?.unwrap_or_default();
    let path = &path.key("input");
    let read = fields.get("input").map_or(Ok(String::new()), |raw| json::arguments(path, raw));
    // Policies see what it is, also if it is no object.
    let shown = || fields.get("input").map(|raw| raw.get().to_owned()).unwrap_or_default();
    let arguments = reading.tolerate(read)?.unwrap_or_else(shown);
    Ok(Part::ToolCall(ToolCall { id, name, arguments }))
}

fn tool_result(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Part, BadRequest> {
    let call_id = reading.tolerate(json::required_string(path, fields, "tool_use_id"))?.unwrap_or_default();
    let is_error = fields.get("is_error").map_or(Ok(false), |raw| json::boolean(&path.key("is_error"), raw));
    let is_error = reading.tolerate(is_error)?.unwrap_or_default();
    let content = &path.key("content");
    let parts = match fields.get("content") {
        Some(raw) if raw.get().starts_with('[') => result_parts(content, raw, reading)?,
        Some(raw) => texts(content, raw, reading)?,
        None => Vec::new(),
    };
    Ok(chat::tool_result(call_id, None, parts, is_error))
}

fn result_parts(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    json::elements(path, raw, |path, element| {
        match block_or_text(path, element, reading)? {
            Some(part @ (Part::Text(_) | Part::Image(_))) => parts.push(part),
            Some(_) => reading.refuse(path),
            None => {}
        }
        Ok(())
    })?;
    Ok(parts)
}
