//! Reads the request of the Responses dialect, and forwards it to a backend that speaks it.

mod echo;
mod input;
mod settings;
mod tools;

use std::sync::Arc;

use crate::chat::{Chat, PinReason, Role, ToolChoice};
use crate::json::{self, BadRequest, Path};
use crate::origin::{Origin, unmarked};
use crate::reading::Reading;
use crate::types::{Bounds, Dialect};
use crate::write;
use input::Conversation;
use tools::Tools;

/// Reads a request body.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), ..Chat::default() };
    let mut reading = Reading::new(Dialect::Responses, bounds);
    let (mut model, mut tools, mut choice) = (None, Tools::default(), None);
    let mut conversation = Conversation::default();
    // Between dialects, instructions are the first system message.
    if let Some(raw) = fields.get("instructions") {
        let path = &Path::top("instructions");
        reading.part(path)?;
        let text = json::string(path, raw)?.into_owned();
        conversation.say(Role::System, text);
    }
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            "input" => conversation.read(path, raw, &mut tools, &mut reading)?,
            _ if json::is_null(raw) => {}
            "instructions" => {}
            "tools" => tools.read(path, raw, &mut reading)?,
            "tool_choice" => choice = Some(raw),
            // The gateway acts on these itself.
            "stream" => chat.stream = json::boolean(path, raw)?,
            "background" => settings::background(path, raw)?,
            "previous_response_id" => {
                reading.refuse(path);
                conversation.pin(PinReason::PreviousResponse, path, &json::string(path, raw)?);
            }
            _ => {
                let read = settings::setting(key, path, raw, &mut chat, &mut reading);
                reading.tolerate(read)?;
            }
        }
    }
    chat.model = model.ok_or_else(|| BadRequest::missing(&Path::top("model"), "a string"))?;
    let elsewhere = ["previous_response_id", "conversation", "prompt"].iter().any(|key| fields.get(key).is_some());
    if fields.get("input").is_none() && !elsewhere {
        return Err(BadRequest::missing(&Path::top("input"), "a string or an array"));
    }
    (chat.messages, chat.pins) = conversation.finish();
    if let Some(raw) = choice {
        let read = tools.choice(&Path::top("tool_choice"), raw, &mut reading);
        chat.tool_choice = reading.tolerate(read)?.flatten();
    }
    if tools.tools.is_empty() {
        // Other dialects refuse these without tools. A call that was required of tools that are left out is an obstacle.
        if matches!(chat.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            reading.refuse(&Path::top("tool_choice"));
        }
        (chat.tool_choice, chat.parallel_tool_calls) = (None, None);
    }
    chat.tools = tools.tools;
    // Streams of this dialect always report usage.
    chat.include_usage = true;
    chat.echo = Some(Arc::new(echo::echo(&fields, tools.renamed)));
    reading.finish(&mut chat);
    Ok(chat)
}

/// Forwards a request to the backend of `origin`: the client's fields, with the backend's name of the model and its own ids.
/// `strip`: without thinking that another backend encrypted.
pub(crate) fn forward(chat: &Chat, model: &str, origin: &Origin, strip: bool) -> Vec<u8> {
    write::forward(&unmarked(&chat.raw, origin, strip), model, None)
}
