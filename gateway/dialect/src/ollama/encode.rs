//! Writes requests for backends that speak Ollama's dialect.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::call;
use crate::chat::{Chat, Format, Image, Message, Part, Role, Thinking, Tool, ToolChoice};
use crate::fields::Hint;
use crate::quirks::Target;
use crate::types::Dialect;
use crate::{quirks, write};

/// Forwards a request: the client's fields, with the backend's name of the model.
pub(crate) fn forward(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let Target { model, quirks, .. } = target;
    if quirks.is_empty() {
        return write::forward(&chat.raw, model, None);
    }
    write::forward(&quirks::applied(&chat.raw, Dialect::Ollama, quirks), model, None)
}

/// The path of the first content in `chat` that this dialect cannot express.
pub(crate) fn obstacle(chat: &Chat) -> Option<String> {
    let must_call = matches!(chat.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if must_call && !chat.tools.is_empty() {
        return Some("tool_choice".to_owned());
    }
    let is_image = |image: &Image| matches!(image, Image::Base64 { .. });
    for (index, message) in chat.messages.iter().enumerate() {
        for (at, part) in message.parts.iter().enumerate() {
            let sayable = match part {
                Part::Text(_) | Part::Reasoning(_) | Part::ToolCall(_) => true,
                Part::ToolResult { images, .. } => images.iter().all(is_image),
                Part::Image(image) => message.role == Role::User && is_image(image),
            };
            if !sayable {
                return Some(format!("messages[{index}].content[{at}]"));
            }
        }
    }
    None
}

/// Writes a request.
pub(crate) fn encode(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let takes = |hint| target.quirks.takes(hint);
    let options = Options {
        num_predict: chat.max_tokens,
        temperature: chat.temperature.filter(|_| takes(Hint::Temperature)),
        top_p: chat.top_p.filter(|_| takes(Hint::TopP)),
        top_k: chat.top_k.filter(|_| takes(Hint::TopK)),
        seed: chat.seed.filter(|_| takes(Hint::Seed)),
        frequency_penalty: chat.frequency_penalty.filter(|_| takes(Hint::FrequencyPenalty)),
        presence_penalty: chat.presence_penalty.filter(|_| takes(Hint::PresencePenalty)),
        stop: &chat.stop,
    };
    // This dialect has no tool choice: a model that may call no tool gets none.
    let tools: &[Tool] = if chat.tool_choice == Some(ToolChoice::None) { &[] } else { &chat.tools };
    write::to_vec(&Request {
        model: target.model,
        messages: messages(chat, takes(Hint::Reasoning)),
        tools: tools.iter().map(tool).collect(),
        format: chat.format.as_ref().map(format),
        think: think(chat).filter(|_| takes(Hint::Thinking) && takes(Hint::Effort)),
        stream: chat.stream,
        options: options.says_something().then_some(options),
    })
}

/// Whether, or how much, the model thinks.
fn think(chat: &Chat) -> Option<Think> {
    match (chat.effort(), chat.thinking) {
        (Some(effort), _) => Some(effort.common_word().map_or(Think::Whether(false), Think::Much)),
        (None, Some(Thinking::Off)) => Some(Think::Whether(false)),
        (None, Some(Thinking::On)) => Some(Think::Whether(true)),
        // What Ollama's models do if they are not told.
        (None, Some(Thinking::Adaptive | Thinking::Budget(_)) | None) => None,
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Think {
    Whether(bool),
    Much(&'static str),
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think>,
    // Always written, because Ollama's default is true.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options<'a>>,
}

#[derive(Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

impl Options<'_> {
    fn says_something(&self) -> bool {
        self.num_predict.is_some()
            || self.temperature.is_some()
            || self.top_p.is_some()
            || self.top_k.is_some()
            || self.seed.is_some()
            || self.frequency_penalty.is_some()
            || self.presence_penalty.is_some()
            || !self.stop.is_empty()
    }
}

#[derive(Default, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<call::Written<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    // Servers that do not know ids ignore them.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Cow<'a, RawValue>>,
}

/// Writes the messages. Images of tool results follow in the next message of the user, as in OpenAI's dialect: few models
/// look for them in a result.
fn messages(chat: &Chat, thinking: bool) -> Vec<WireMessage<'_>> {
    let mut out = Vec::with_capacity(chat.messages.len());
    let (mut tools, mut images) = (HashMap::new(), Vec::new());
    for message in &chat.messages {
        if !images.is_empty() && matches!(message.role, Role::System | Role::Assistant) {
            out.push(WireMessage { role: "user", images: std::mem::take(&mut images), ..WireMessage::default() });
        }
        push_messages(message, thinking, &mut tools, &mut images, &mut out);
    }
    if !images.is_empty() {
        out.push(WireMessage { role: "user", images, ..WireMessage::default() });
    }
    out
}

/// Writes one message, or several: this dialect has a separate message for each tool result. `tools` has the tool's name
/// of each call so far, by the call's id; `images` those of tool results that are still to be written.
fn push_messages<'a>(
    message: &'a Message,
    thinking: bool,
    tools: &mut HashMap<&'a str, &'a str>,
    images: &mut Vec<&'a str>,
    out: &mut Vec<WireMessage<'a>>,
) {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let before = out.len();
    let mut own = WireMessage { role, ..WireMessage::default() };
    if message.role == Role::User {
        own.images = std::mem::take(images);
    }
    let mut texts = 0;
    for part in &message.parts {
        match part {
            Part::Text(text) => {
                texts += 1;
                match texts {
                    1 => own.content = text.into(),
                    _ => {
                        let content = own.content.to_mut();
                        content.push('\n');
                        content.push_str(text);
                    }
                }
            }
            Part::Image(image) => own.images.extend(data(image)),
            Part::ToolCall(call) => {
                tools.insert(&call.id, &call.name);
                own.tool_calls.push(call::written(call));
            }
            Part::Reasoning(text) => own.thinking = Some(text.as_str()).filter(|_| thinking),
            Part::ToolResult { call_id, name, text, images: more, is_error } => {
                images.extend(more.iter().filter_map(data));
                out.push(WireMessage {
                    role: "tool",
                    content: result_text(text, *is_error, !more.is_empty()),
                    tool_name: name.as_deref().or_else(|| tools.get(call_id.as_str()).copied()),
                    tool_call_id: Some(call_id.as_str()).filter(|id| !id.is_empty()),
                    ..WireMessage::default()
                });
            }
        }
    }
    let nothing_else = texts == 0 && own.images.is_empty() && own.tool_calls.is_empty();
    if out.len() == before || !nothing_else {
        out.push(own);
    }
}

/// The bytes of an image; an address is an obstacle.
fn data(image: &Image) -> Option<&str> {
    match image {
        Image::Base64 { data, .. } => Some(data),
        Image::Url(_) => None,
    }
}

/// This dialect cannot mark a failed tool call, so the text must say that the tool failed.
fn result_text(text: &str, is_error: bool, has_images: bool) -> Cow<'_, str> {
    match text {
        _ if is_error && !write::says_error(text) => format!("Error: {text}").into(),
        "" if has_images => write::SEE_IMAGES.into(),
        _ => text.into(),
    }
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let (name, description) = (tool.name.as_str(), tool.description.as_deref());
    let parameters = tool.parameters.as_deref().map(|schema| write::object_schema(schema, true));
    let function = WireFunction { name, description, parameters };
    WireTool { r#type: "function", function }
}

fn format(format: &Format) -> Cow<'_, RawValue> {
    match format {
        Format::Json => Cow::Owned(to_raw_value("json").unwrap_or_default()),
        Format::Schema { schema, .. } => Cow::Borrowed(schema.as_ref()),
    }
}
