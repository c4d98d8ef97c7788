//! Reads the messages of Ollama's request.

use serde_json::value::RawValue;

use crate::chat::{Image, Message, Part, Role, ToolCall};
use crate::image;
use crate::json::{self, BadRequest, Fields, Path};
use crate::translatable::Unportable;

/// The calls of a conversation without a result so far, oldest first: id and tool.
#[derive(Default)]
struct Unanswered {
    calls: Vec<(String, String)>,
    /// How many calls there were; generated ids count them.
    count: usize,
}

pub(super) fn messages(
    path: &Path<'_>,
    raw: &RawValue,
    unportable: &mut Unportable,
) -> Result<Vec<Message>, BadRequest> {
    let (mut unanswered, mut messages) = (Unanswered::default(), Vec::new());
    json::objects(path, raw, |path, fields| {
        message(path, fields, &mut unanswered, unportable).map(|message| messages.push(message))
    })?;
    if messages.is_empty() {
        return Err(BadRequest::wrong(path, "empty", "at least one message"));
    }
    Ok(messages)
}

fn message(
    path: &Path<'_>,
    fields: &Fields<'_>,
    unanswered: &mut Unanswered,
    unportable: &mut Unportable,
) -> Result<Message, BadRequest> {
    let role = match json::required_string(path, fields, "role")?.to_ascii_lowercase().as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_result(path, fields, unanswered, unportable),
        _ => {
            let expected = "`system`, `user`, `assistant` or `tool`";
            return Err(BadRequest::wrong(&path.key("role"), "an unknown word", expected));
        }
    };
    let mut parts = Vec::new();
    // Always in this order: images, then the text about them, then calls.
    if let Some(raw) = fields.get("images") {
        for data in json::strings(&path.key("images"), raw)? {
            let media_type = image::media_type(None, &data).map(ToOwned::to_owned);
            parts.push(Part::Image(Image::Base64 { media_type, data }));
        }
    }
    if let Some(raw) = fields.get("content") {
        let text = json::string(&path.key("content"), raw)?.into_owned();
        if !text.is_empty() || fields.len() == 2 {
            parts.push(Part::Text(text));
        }
    }
    if let Some(raw) = fields.get("tool_calls") {
        tool_calls(&path.key("tool_calls"), raw, &mut parts, unanswered, unportable)?;
    }
    for (key, raw) in fields.iter() {
        match key {
            "role" | "content" | "images" | "tool_calls" => {}
            // A model's earlier thinking, which the client sends back: other models do not need it, and templates omit
            // it from later turns.
            "thinking" if role == Role::Assistant => {}
            // Some clients send these empty if there was no call.
            "tool_name" | "tool_call_id" if raw.get() == r#""""# => {}
            _ => unportable.note_unless_null(&path.key(key), raw),
        }
    }
    Ok(Message { role, parts })
}

fn tool_calls(
    path: &Path<'_>,
    raw: &RawValue,
    parts: &mut Vec<Part>,
    unanswered: &mut Unanswered,
    unportable: &mut Unportable,
) -> Result<(), BadRequest> {
    for (index, raw) in json::array(path, raw)?.into_iter().enumerate() {
        let path = &path.index(index);
        let fields = json::object(path, raw)?;
        for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "id" | "type" | "function")) {
            unportable.note_unless_null(&path.key(key), raw);
        }
        let own = fields.get("id").map(|raw| json::string(&path.key("id"), raw)).transpose()?;
        let path = &path.key("function");
        let function = fields.get("function").ok_or_else(|| BadRequest::missing(path, "an object"))?;
        let function = json::object(path, function)?;
        let name = json::required_string(path, &function, "name")?;
        let arguments = match function.get("arguments") {
            Some(raw) => {
                json::object(&path.key("arguments"), raw)?;
                raw.get().to_owned()
            }
            None => "{}".to_owned(),
        };
        let id = match own {
            Some(id) if !id.is_empty() => id.into_owned(),
            _ => format!("call_{}", unanswered.count),
        };
        unanswered.count += 1;
        unanswered.calls.push((id.clone(), name.clone()));
        parts.push(Part::ToolCall(ToolCall { id, name, arguments }));
    }
    Ok(())
}

/// Reads a tool result. It belongs to the call with its id; without an id, to the oldest unanswered call of its tool;
/// without both, to the oldest unanswered call.
fn tool_result(
    path: &Path<'_>,
    fields: &Fields<'_>,
    unanswered: &mut Unanswered,
    unportable: &mut Unportable,
) -> Result<Message, BadRequest> {
    let text = json::required_string(path, fields, "content")?;
    let mut id = None;
    let mut name = None;
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" | "content" => {}
            _ if json::is_null(raw) => {}
            "tool_call_id" => id = Some(json::string(path, raw)?.into_owned()).filter(|id| !id.is_empty()),
            // `name` is the older name of `tool_name`.
            "tool_name" | "name" => name = Some(json::string(path, raw)?.into_owned()).filter(|n| !n.is_empty()),
            _ => unportable.note(path),
        }
    }
    let calls = &mut unanswered.calls;
    let call = match (&id, &name) {
        (Some(id), _) => calls.iter().position(|(call, _)| call == id),
        (None, Some(name)) => calls.iter().position(|(_, tool)| tool == name),
        (None, None) => (!calls.is_empty()).then_some(0),
    };
    let call = call.map(|at| calls.remove(at));
    let call_id = id.or_else(|| call.as_ref().map(|(id, _)| id.clone())).unwrap_or_default();
    let name = name.or_else(|| call.map(|(_, tool)| tool));
    Ok(Message { role: Role::Tool, parts: vec![Part::ToolResult { call_id, name, text, is_error: false }] })
}
