//! Reads the conversation of a request: a text, or a list of items.
//!
//! Other dialects hold a turn of the model in one message: its text, then its calls. Here each call is an item of its own,
//! so neighbouring items of the model are joined.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::tools::{flat_name, wrap_input};
use super::tools::Tools;
use crate::chat::{Message, Part, Pin, PinReason, Role, ToolCall};
use crate::fields::Hint;
use crate::image;
use crate::json::{self, BadRequest, Fields, Path};
use crate::origin::Origin;
use crate::reading::Reading;

/// Most pins of a request. Two of different backends are already one too many.
const MAX_PINS: usize = 4;

/// The messages so far.
#[derive(Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// The texts and the calls of the turn that the model is in: one message, once it ends.
    texts: Vec<Part>,
    calls: Vec<Part>,
    /// Images of the tools' results that were read last. In most dialects a result is text, so they follow as a message of
    /// the user, after all results of the turn.
    images: Vec<Part>,
    pins: Vec<Pin>,
}

impl Conversation {
    pub(super) fn read(
        &mut self,
        path: &Path<'_>,
        raw: &RawValue,
        tools: &mut Tools,
        reading: &mut Reading<'_>,
    ) -> Result<(), BadRequest> {
        if raw.get().starts_with('"') {
            reading.part(path)?;
            let text = json::string(path, raw)?.into_owned();
            self.say(Role::User, text);
            return Ok(());
        }
        if json::is_null(raw) {
            return Ok(());
        }
        if !raw.get().starts_with('[') {
            return Err(BadRequest::wrong(path, json::kind(raw), "a string or an array"));
        }
        let mut items = 0;
        json::objects(path, raw, |path, fields| {
            items += 1;
            self.item(path, fields, tools, reading)
        })?;
        match items {
            0 => Err(BadRequest::wrong(path, "empty", "at least one item")),
            _ => Ok(()),
        }
    }

    /// Adds a message of one text.
    pub(super) fn say(&mut self, role: Role, text: String) {
        self.messages.push(Message { role, parts: vec![Part::Text(text)] });
    }

    /// Notes what ties the request to the backend that made the marked text. One pin of each kind and backend is enough.
    pub(super) fn pin(&mut self, reason: PinReason, path: &Path<'_>, marked: &str) {
        let Some((origin, _)) = Origin::read(marked) else { return };
        let is_known = |pin: &Pin| pin.reason == reason && pin.origin == origin;
        if self.pins.len() < MAX_PINS && !self.pins.iter().any(is_known) {
            self.pins.push(Pin { reason, origin, field: path.to_string() });
        }
    }

    /// The messages, at least one, and what ties them to a backend.
    pub(super) fn finish(mut self) -> (Vec<Message>, Vec<Pin>) {
        self.end_turn();
        if self.messages.is_empty() {
            // All that is said is stored by the provider: policies see that somebody asked.
            self.messages.push(Message { role: Role::User, parts: Vec::new() });
        }
        (self.messages, self.pins)
    }

    fn item(
        &mut self,
        path: &Path<'_>,
        fields: &Fields<'_>,
        tools: &mut Tools,
        reading: &mut Reading<'_>,
    ) -> Result<(), BadRequest> {
        reading.message(path, self.messages.len())?;
        let kind = match fields.get("type") {
            Some(raw) => json::string(&path.key("type"), raw)?,
            None if fields.get("role").is_some() => Cow::Borrowed("message"),
            // What clients may write of an item that the provider has stored.
            None if fields.get("id").is_some() => Cow::Borrowed("item_reference"),
            None => return Err(BadRequest::missing(&path.key("type"), "a string")),
        };
        if let Some(raw) = fields.get("encrypted_content") {
            let path = &path.key("encrypted_content");
            // Thinking can be left out; what else is encrypted stands for a part of the conversation.
            let reason = if kind == "reasoning" { PinReason::Reasoning } else { PinReason::EncryptedContent };
            self.pin(reason, path, &json::string(path, raw)?);
        }
        match &*kind {
            "message" => self.message(path, fields, reading),
            "function_call" => {
                let arguments = json::required_string(path, fields, "arguments")?;
                self.call(path, fields, arguments, reading)
            }
            "custom_tool_call" => {
                let input = json::required_string(path, fields, "input")?;
                self.call(path, fields, wrap_input(&input), reading)
            }
            "function_call_output" | "custom_tool_call_output" => self.result(path, fields, reading),
            // Tools that the client adds in the course of the conversation. Other dialects know tools of a request only.
            "additional_tools" => {
                let path = &path.key("tools");
                let raw = fields.get("tools").ok_or_else(|| BadRequest::missing(path, "an array"))?;
                tools.read(path, raw, reading)
            }
            // A model's earlier thinking, mostly encrypted: no other model needs it.
            "reasoning" => {
                reading.leave_out(Hint::Reasoning);
                Ok(())
            }
            // What the provider has stored or encrypted, and calls of its own tools.
            _ => {
                reading.refuse(path);
                Ok(())
            }
        }
    }

    fn message(&mut self, path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
        let role_path = &path.key("role");
        let role = match json::required_string(path, fields, "role")?.as_str() {
            // `developer` is the newer name of `system`.
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                let expected = "`system`, `developer`, `user` or `assistant`";
                reading.tolerate::<()>(Err(BadRequest::wrong(role_path, "an unknown word", expected)))?;
                // Policies see what it says as what a user says.
                Role::User
            }
        };
        let path = &path.key("content");
        let raw = fields.get("content").ok_or_else(|| BadRequest::missing(path, "a string or an array"))?;
        let parts = parts(path, raw, role == Role::User, reading)?;
        // Text after the calls of a turn goes before them: between calls and their results, no message is allowed elsewhere.
        if role != Role::Assistant || self.calls.is_empty() {
            self.end_turn();
        }
        match role {
            Role::Assistant => self.texts.extend(parts),
            _ => self.messages.push(Message { role, parts }),
        }
        Ok(())
    }

    fn call(
        &mut self,
        path: &Path<'_>,
        fields: &Fields<'_>,
        arguments: String,
        reading: &mut Reading<'_>,
    ) -> Result<(), BadRequest> {
        reading.part(path)?;
        let name = json::required_string(path, fields, "name")?;
        let namespace = fields.get("namespace").map(|raw| json::string(&path.key("namespace"), raw)).transpose()?;
        let name = flat_name(namespace.as_deref(), &name);
        let call = Part::ToolCall(ToolCall { id: call_id(path, fields)?, name, arguments });
        self.show_images();
        self.calls.push(call);
        Ok(())
    }

    fn result(&mut self, path: &Path<'_>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Result<(), BadRequest> {
        let call_id = call_id(path, fields)?;
        let path = &path.key("output");
        let raw = fields.get("output").ok_or_else(|| BadRequest::missing(path, "a string or an array"))?;
        let mut text = String::new();
        for part in parts(path, raw, true, reading)? {
            match part {
                Part::Text(more) => {
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(&more);
                }
                image => self.images.push(image),
            }
        }
        self.end_turn_of_model();
        let part = Part::ToolResult { call_id, name: None, text, images: Vec::new(), is_error: false };
        self.messages.push(Message { role: Role::Tool, parts: vec![part] });
        Ok(())
    }

    /// Ends the turn of the model, or of the tools.
    fn end_turn(&mut self) {
        self.end_turn_of_model();
        self.show_images();
    }

    fn end_turn_of_model(&mut self) {
        let mut parts = std::mem::take(&mut self.texts);
        parts.append(&mut self.calls);
        if !parts.is_empty() {
            self.messages.push(Message { role: Role::Assistant, parts });
        }
    }

    /// Shows the images of the last results in a message of the user.
    fn show_images(&mut self) {
        if !self.images.is_empty() {
            let parts = std::mem::take(&mut self.images);
            self.messages.push(Message { role: Role::User, parts });
        }
    }
}

fn call_id(path: &Path<'_>, fields: &Fields<'_>) -> Result<String, BadRequest> {
    match json::required_string(path, fields, "call_id")? {
        id if id.is_empty() => Err(BadRequest::wrong(&path.key("call_id"), "empty", "the id of a call")),
        id => Ok(id),
    }
}

/// The texts and images of a message or result.
fn parts(path: &Path<'_>, raw: &RawValue, images: bool, reading: &mut Reading<'_>) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    if raw.get().starts_with('"') {
        reading.part(path)?;
        parts.push(Part::Text(json::string(path, raw)?.into_owned()));
        return Ok(parts);
    }
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, json::kind(raw), "a string or an array"));
    }
    json::objects(path, raw, |path, fields| {
        reading.part(path)?;
        let mut text = |key: &str| json::required_string(path, fields, key).map(|text| parts.push(Part::Text(text)));
        match json::required_string(path, fields, "type")?.as_str() {
            "input_text" | "output_text" | "text" => text("text"),
            "refusal" => text("refusal"),
            "input_image" if images => {
                match fields.get("image_url") {
                    Some(raw) => {
                        let url = json::string(&path.key("image_url"), raw)?;
                        parts.push(Part::Image(image::from_url(url)));
                    }
                    // A file that the provider has stored.
                    None => reading.refuse(&path.key("file_id")),
                }
                Ok(())
            }
            // Files, sounds, and what newer clients add.
            _ => {
                reading.refuse(path);
                Ok(())
            }
        }
    })?;
    Ok(parts)
}
