//! Reads the messages of Ollama's request.

use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;

use crate::chat::{self, Image, Message, Part, Role, ToolCall};
use crate::image;
use crate::json::{self, BadRequest, Fields, Path};
use crate::reading::Reading;

/// The calls of a conversation, so that each result finds its call at once, however many there are.
#[derive(Default)]
struct Calls {
    /// Oldest first; `None` once a result answered the call. Generated ids count them.
    unanswered: Vec<Option<Call>>,
    /// Positions in that list, oldest first, by the call's id and by its tool. They may name answered calls.
    by_id: HashMap<String, VecDeque<usize>>,
    by_tool: HashMap<String, VecDeque<usize>>,
    /// No call before this position is unanswered.
    oldest: usize,
}

struct Call {
    id: String,
    tool: String,
}

impl Calls {
    fn push(&mut self, id: &str, tool: &str) {
        let at = self.unanswered.len();
        self.unanswered.push(Some(Call { id: id.to_owned(), tool: tool.to_owned() }));
        self.by_id.entry(id.to_owned()).or_default().push_back(at);
        self.by_tool.entry(tool.to_owned()).or_default().push_back(at);
    }

    /// Takes the call that a result belongs to: the oldest unanswered one with its id; without an id, that of its tool;
    /// without both, of all. Each position is passed over once, so that the time is linear in the number of calls.
    fn take(&mut self, id: Option<&str>, tool: Option<&str>) -> Option<Call> {
        let positions = match (id, tool) {
            (Some(id), _) => self.by_id.get_mut(id),
            (None, Some(tool)) => self.by_tool.get_mut(tool),
            (None, None) => {
                while let Some(call) = self.unanswered.get_mut(self.oldest) {
                    self.oldest += 1;
                    if call.is_some() {
                        return call.take();
                    }
                }
                return None;
            }
        }?;
        while let Some(at) = positions.pop_front() {
            if let Some(call) = self.unanswered[at].take() {
                return Some(call);
            }
        }
        None
    }
}

pub(super) fn messages(path: &Path<'_>, raw: &RawValue, reading: &mut Reading<'_>) -> Result<Vec<Message>, BadRequest> {
    let (mut calls, mut messages) = (Calls::default(), Vec::new());
    json::objects(path, raw, |path, fields| {
        reading.message(path, messages.len())?;
        message(path, fields, &mut calls, reading).map(|message| messages.push(message))
    })?;
    Ok(messages)
}

fn message(
    path: &Path<'_>,
    fields: &Fields<'_>,
    calls: &mut Calls,
    reading: &mut Reading<'_>,
) -> Result<Message, BadRequest> {
    let role = match json::required_string(path, fields, "role")?.to_ascii_lowercase().as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_result(path, fields, calls, reading),
        _ => {
            let expected = "`system`, `user`, `assistant` or `tool`";
            reading.tolerate::<()>(Err(BadRequest::wrong(&path.key("role"), "an unknown word", expected)))?;
            // Policies see what it says as what a user says.
            Role::User
        }
    };
    let mut parts = Vec::new();
    // Always in this order: thinking, images, then the text about them, then calls.
    if let Some(raw) = fields.get("thinking").filter(|raw| role == Role::Assistant && raw.get() != r#""""#) {
        reading.part(&path.key("thinking"))?;
        parts.push(Part::Reasoning(json::string(&path.key("thinking"), raw)?.into_owned()));
    }
    images(path, fields, &mut parts, reading)?;
    if let Some(raw) = fields.get("content") {
        let text = json::string(&path.key("content"), raw)?.into_owned();
        if !text.is_empty() || fields.len() == 2 {
            reading.part(&path.key("content"))?;
            parts.push(Part::Text(text));
        }
    }
    if let Some(raw) = fields.get("tool_calls") {
        tool_calls(&path.key("tool_calls"), raw, &mut parts, calls, reading)?;
    }
    for (key, raw) in fields.iter() {
        match key {
            "role" | "content" | "images" | "tool_calls" => {}
            "thinking" if role == Role::Assistant => {}
            // Some clients send these empty if there was no call.
            "tool_name" | "tool_call_id" if raw.get() == r#""""# => {}
            _ => reading.other(&path.key(key), raw),
        }
    }
    Ok(Message { role, parts })
}

/// Reads the images of a message.
fn images(
    path: &Path<'_>,
    fields: &Fields<'_>,
    parts: &mut Vec<Part>,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    let Some(raw) = fields.get("images") else { return Ok(()) };
    let path = &path.key("images");
    for (index, data) in json::strings(path, raw, reading.parts())?.into_iter().enumerate() {
        reading.part(&path.index(index))?;
        if data.starts_with("data:") {
            // As the other dialects write it.
            parts.push(Part::Image(image::from_url(data.into())));
            continue;
        }
        let media_type = image::media_type(None, &data).map(ToOwned::to_owned);
        parts.push(Part::Image(Image::Base64 { media_type, data }));
    }
    Ok(())
}

fn tool_calls(
    path: &Path<'_>,
    raw: &RawValue,
    parts: &mut Vec<Part>,
    calls: &mut Calls,
    reading: &mut Reading<'_>,
) -> Result<(), BadRequest> {
    for (index, raw) in json::array(path, raw, reading.parts())?.into_iter().enumerate() {
        let path = &path.index(index);
        reading.part(path)?;
        let read = tool_call(path, raw, calls.unanswered.len(), reading);
        if let Some(call) = reading.tolerate(read)? {
            calls.push(&call.id, &call.name);
            parts.push(Part::ToolCall(call));
        }
    }
    Ok(())
}

/// Reads a call, `number` in the conversation.
fn tool_call(
    path: &Path<'_>,
    raw: &RawValue,
    number: usize,
    reading: &mut Reading<'_>,
) -> Result<ToolCall, BadRequest> {
    let fields = json::object(path, raw)?;
    for (key, raw) in fields.iter().filter(|(key, _)| !matches!(*key, "id" | "type" | "function")) {
        reading.other(&path.key(key), raw);
    }
    let own = fields.get("id").map(|raw| json::string(&path.key("id"), raw)).transpose();
    let own = reading.tolerate(own)?.flatten();
    let path = &path.key("function");
    let function = fields.get("function").ok_or_else(|| BadRequest::missing(path, "an object"))?;
    let function = json::object(path, function)?;
    let name = json::required_string(path, &function, "name")?;
    let arguments = match function.get("arguments") {
        Some(raw) => {
            let read = json::arguments(&path.key("arguments"), raw);
            // Policies see what they are, also if they are no object.
            reading.tolerate(read)?.unwrap_or_else(|| raw.get().to_owned())
        }
        None => "{}".to_owned(),
    };
    let id = match own {
        Some(id) if !id.is_empty() => id.into_owned(),
        _ => format!("call_{number}"),
    };
    Ok(ToolCall { id, name, arguments })
}

/// Reads a tool result. `Calls::take` says which call it belongs to.
fn tool_result(
    path: &Path<'_>,
    fields: &Fields<'_>,
    calls: &mut Calls,
    reading: &mut Reading<'_>,
) -> Result<Message, BadRequest> {
    reading.part(path)?;
    let text = fields.get("content").map(|raw| json::string(&path.key("content"), raw)).transpose()?;
    let mut parts = vec![Part::Text(text.unwrap_or_default().into_owned())];
    images(path, fields, &mut parts, reading)?;
    let mut id = None;
    let mut name = None;
    for (key, raw) in fields.iter() {
        let path = &path.key(key);
        match key {
            "role" | "content" | "images" => {}
            _ if json::is_null(raw) => {}
            "tool_call_id" => id = Some(json::string(path, raw)?.into_owned()).filter(|id| !id.is_empty()),
            // `name` is the older name of `tool_name`.
            "tool_name" | "name" => name = Some(json::string(path, raw)?.into_owned()).filter(|n| !n.is_empty()),
            _ => reading.other(path, raw),
        }
    }
    let (mut answered, mut tool) = (None, None);
    if let Some(call) = calls.take(id.as_deref(), name.as_deref()) {
        (answered, tool) = (Some(call.id), Some(call.tool));
    }
    let (call_id, name) = (id.or(answered).unwrap_or_default(), name.or(tool));
    Ok(Message { role: Role::Tool, parts: vec![chat::tool_result(call_id, name, parts, false)] })
}
