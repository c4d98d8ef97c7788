//! Writes requests for backends that speak Ollama's dialect.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::call;
use crate::chat::{Chat, Format, Image, Message, Part, Role, Tool, ToolChoice};
use crate::types::Dialect;
use crate::{translatable, write};

/// Forwards a request: the client's fields, with the backend's name of the model.
pub(crate) fn forward(chat: &Chat, model: &str) -> Vec<u8> {
    write::forward(&chat.raw, model, None)
}

/// The path of the first field in `chat` that this dialect cannot express.
pub(crate) fn obstacle(from: Dialect, chat: &Chat) -> Option<String> {
    let name = |field| Some(translatable::name(from, field));
    if chat.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::Auto) {
        return name("tool_choice");
    }
    if chat.parallel_tool_calls == Some(false) {
        return name("parallel_tool_calls");
    }
    if let Some(index) = chat.tools.iter().position(|tool| tool.strict == Some(true)) {
        return Some(format!("tools[{index}].strict"));
    }
    for (index, message) in chat.messages.iter().enumerate() {
        for (at, part) in message.parts.iter().enumerate() {
            let sayable = match part {
                Part::Text(_) | Part::ToolCall(_) | Part::ToolResult { .. } => true,
                Part::Image(Image::Base64 { .. }) => message.role == Role::User,
                Part::Image(Image::Url(_)) => false,
            };
            if !sayable {
                return Some(format!("messages[{index}].content[{at}]"));
            }
        }
    }
    None
}

/// Writes a request.
pub(crate) fn encode(chat: &Chat, model: &str) -> Vec<u8> {
    let mut messages = Vec::with_capacity(chat.messages.len());
    let mut tools = HashMap::new();
    for message in &chat.messages {
        push_messages(message, &mut tools, &mut messages);
    }
    let options = Options {
        num_predict: chat.max_tokens,
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_k: chat.top_k,
        seed: chat.seed,
        stop: &chat.stop,
    };
    write::to_vec(&Request {
        model,
        messages,
        tools: chat.tools.iter().map(tool).collect(),
        format: chat.format.as_ref().map(format),
        stream: chat.stream,
        options: options.says_something().then_some(options),
    })
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'a, RawValue>>,
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
            || !self.stop.is_empty()
    }
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Cow<'a, str>,
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
    parameters: Option<&'a RawValue>,
}

/// Writes one message, or several: this dialect has a separate message for each tool result. `tools` has the tool's name
/// of each call so far, by the call's id.
fn push_messages<'a>(message: &'a Message, tools: &mut HashMap<&'a str, &'a str>, out: &mut Vec<WireMessage<'a>>) {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let before = out.len();
    let mut own = WireMessage {
        role,
        content: Cow::Borrowed(""),
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_name: None,
        tool_call_id: None,
    };
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
            Part::Image(Image::Base64 { data, .. }) => own.images.push(data),
            Part::Image(Image::Url(_)) => debug_assert!(false, "an address is an obstacle"),
            Part::ToolCall(call) => {
                tools.insert(&call.id, &call.name);
                own.tool_calls.push(call::written(call));
            }
            Part::ToolResult { call_id, name, text, is_error } => out.push(WireMessage {
                role: "tool",
                content: result_text(text, *is_error),
                images: Vec::new(),
                tool_calls: Vec::new(),
                tool_name: name.as_deref().or_else(|| tools.get(call_id.as_str()).copied()),
                tool_call_id: Some(call_id.as_str()).filter(|id| !id.is_empty()),
            }),
        }
    }
    let nothing_else = texts == 0 && own.images.is_empty() && own.tool_calls.is_empty();
    if out.len() == before || !nothing_else {
        out.push(own);
    }
}

/// This dialect cannot mark a failed tool call, so the text must say that the tool failed.
fn result_text(text: &str, is_error: bool) -> Cow<'_, str> {
    if is_error && !write::says_error(text) { format!("Error: {text}").into() } else { text.into() }
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let (name, description) = (tool.name.as_str(), tool.description.as_deref());
    let function = WireFunction { name, description, parameters: tool.parameters.as_deref() };
    WireTool { r#type: "function", function }
}

fn format(format: &Format) -> Cow<'_, RawValue> {
    match format {
        Format::Json => Cow::Owned(to_raw_value("json").unwrap_or_default()),
        Format::Schema { schema, .. } => Cow::Borrowed(schema.as_ref()),
    }
}
