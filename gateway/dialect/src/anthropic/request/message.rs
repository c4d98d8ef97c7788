//! Reads the messages of Anthropic's request.

use serde_json::value::RawValue;

use crate::chat::{Image, Message, Part, Role, ToolCall};
use crate::json::{self, BadRequest, Fields, Path};
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
        reading.note_unless_null(&path.key(key), raw);
    }
    let role = match json::required_string(path, fields, "role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => {
            let expected = "`user`, `assistant` or `system`";
            return Err(BadRequest::wrong(&path.key("role"), "an unknown word", expected));
        }
    };
    let content = &path.key("content");
    let raw = fields.get("content").ok_or_else(|| BadRequest::missing(content, "a string or an array"))?;
    let mut parts = Vec::new();
    if raw.get().starts_with('[') {
        json::objects(content, raw, |path, fields| {
            match block(path, fields, reading)? {
                // The other dialects have a separate message for a tool's result.
                Some(result @ Part::ToolResult { .. }) => {
                    if !parts.is_empty() {
                        reading.message(path, messages.len())?;
                        messages.push(Message { role, parts: std::mem::take(&mut parts) });
                    }
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
    json::objects(path, raw, |path, fields| {
        match block(path, fields, reading)? {
            Some(text @ Part::Text(_)) => parts.push(text),
            Some(_) => reading.note(path),
            None => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

/// Reads one block; `None` for thinking, and for a block without a counterpart, which is noted.
fn block(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Option<Part>, BadRequest> {
    reading.part(path)?;
    let kind = json::required_string(path, fields, "type")?;
    let known: &[&str] = match kind.as_str() {
        "text" => &["type", "text"],
        "image" => &["type", "source"],
        "tool_use" => &["type", "id", "name", "input"],
        "tool_result" => &["type", "tool_use_id", "content", "is_error"],
        // A model's earlier thinking, which the client sends back: no other model can verify or needs it, and the
        // provider itself omits it from later turns.
        "thinking" | "redacted_thinking" => return Ok(None),
        _ => {
            reading.note(&path.key("type"));
            return Ok(None);
        }
    };
    for (key, raw) in fields.iter().filter(|(key, _)| !known.contains(key)) {
        // The official SDK sends back `caller` and `citations` of an answer even if they are empty.
        let says_nothing =
            raw.get() == "[]" || (key == "caller" && raw.get().replace(' ', "") == r#"{"type":"direct"}"#);
        if !says_nothing {
            reading.note_unless_null(&path.key(key), raw);
        }
    }
    match kind.as_str() {
        "text" => Ok(Some(Part::Text(json::required_string(path, fields, "text")?))),
        "image" => image(path, fields, reading),
        "tool_use" => tool_use(path, fields).map(Some),
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
            reading.note(&path.key("type"));
            return Ok(None);
        }
    };
    Ok(Some(Part::Image(image)))
}

fn tool_use(path: &Path<'_>, fields: &Fields<'_>) -> Result<Part, BadRequest> {
    let id = json::required_string(path, fields, "id")?;
    let name = json::required_string(path, fields, "name")?;
    let path = &path.key("input");
    let input = fields.get("input").ok_or_else(|| BadRequest::missing(path, "an object"))?;
    json::object(path, input)?;
    Ok(Part::ToolCall(ToolCall { id, name, arguments: input.get().to_owned() }))
}

fn tool_result(path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<Part, BadRequest> {
    let call_id = json::required_string(path, fields, "tool_use_id")?;
    let is_error = fields.get("is_error").map_or(Ok(false), |raw| json::boolean(&path.key("is_error"), raw))?;
    let mut text = String::new();
    if let Some(raw) = fields.get("content") {
        for (index, part) in texts(&path.key("content"), raw, reading)?.into_iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            if let Part::Text(more) = part {
                text.push_str(&more);
            }
        }
    }
    Ok(Part::ToolResult { call_id, name: None, text, is_error })
}
