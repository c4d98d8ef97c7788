//! Writes requests for backends that speak OpenAI's dialect.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::chat::{Chat, Format, Image, Message, Part, Role, ToolChoice};
use crate::json::{self, Path};
use crate::types::Dialect;
use crate::{image, write};

/// Forwards a request: the client's fields, with the backend's name of the model. It always asks a stream for usage,
/// because the cost would otherwise be a guess.
pub(crate) fn forward(chat: &Chat, model: &str) -> Vec<u8> {
    let options = chat.stream.then(|| stream_options(chat)).flatten();
    write::forward(&chat.raw, model, options.as_deref().map(|options| ("stream_options", options)))
}

/// The client's stream options with `include_usage: true`; `None` if they already have it.
fn stream_options(chat: &Chat) -> Option<Box<RawValue>> {
    if chat.include_usage {
        return None;
    }
    let own = chat.raw.iter().find(|(key, _)| key == "stream_options").map(|(_, raw)| raw);
    let mut out = b"{".to_vec();
    // `decode` has checked that it is an object.
    if let Some(fields) = own.and_then(|raw| json::object(&Path::Body, raw).ok()) {
        for (key, raw) in fields.iter().filter(|(key, _)| *key != "include_usage") {
            write::append(&key, &mut out);
            out.push(b':');
            out.extend_from_slice(raw.get().as_bytes());
            out.push(b',');
        }
    }
    out.extend_from_slice(br#""include_usage":true}"#);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

/// The path of the first field in `chat` that this dialect cannot express.
pub(crate) fn obstacle(_from: Dialect, chat: &Chat) -> Option<String> {
    for (index, message) in chat.messages.iter().enumerate() {
        for (at, part) in message.parts.iter().enumerate() {
            let sayable = match part {
                Part::Text(_) | Part::ToolCall(_) => true,
                Part::ToolResult { call_id, .. } => !call_id.is_empty(),
                Part::Image(Image::Url(_)) => message.role == Role::User,
                Part::Image(Image::Base64 { media_type, data }) => {
                    message.role == Role::User && image::media_type(media_type.as_deref(), data).is_some()
                }
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
    write::to_vec(&Request {
        model,
        messages: chat.messages.iter().flat_map(messages).collect(),
        tools: chat.tools.iter().map(tool).collect(),
        tool_choice: chat.tool_choice.as_ref().map(tool_choice),
        parallel_tool_calls: chat.parallel_tool_calls,
        max_tokens: chat.max_tokens,
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_k: chat.top_k,
        stop: &chat.stop,
        seed: chat.seed,
        response_format: chat.format.as_ref().map(format),
        stream: chat.stream,
        stream_options: chat.stream.then_some(StreamOptions { include_usage: true }),
        user: chat.user.as_deref(),
    })
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    // Not `max_completion_tokens`: all of llama.cpp, vLLM and similar servers know the older name.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    // Compatible servers know it. OpenAI refuses it, which is better than sampling differently than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Nothing,
    Text(&'a str),
    Owned(String),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WirePart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Url<'a> },
}

#[derive(Serialize)]
struct Url<'a> {
    url: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct WireCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct WireTool<'a> {
    r#type: &'static str,
    function: WireToolFunction<'a>,
}

#[derive(Serialize)]
struct WireToolFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Writes one message, or several: this dialect has a separate message for each tool result.
fn messages(message: &Message) -> Vec<WireMessage<'_>> {
    let mut out = Vec::with_capacity(1);
    let mut parts = Vec::new();
    let mut tool_calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => parts.push(WirePart::Text { text }),
            Part::Image(Image::Url(url)) => parts.push(WirePart::ImageUrl { image_url: Url { url: url.into() } }),
            Part::Image(Image::Base64 { media_type, data }) => {
                let url = image::data_url(media_type.as_deref(), data).into();
                parts.push(WirePart::ImageUrl { image_url: Url { url } });
            }
            Part::ToolCall(call) => tool_calls.push(WireCall {
                id: &call.id,
                r#type: "function",
                function: WireFunction { name: &call.name, arguments: write::arguments_text(&call.arguments) },
            }),
            Part::ToolResult { call_id, text, is_error, .. } => out.push(WireMessage {
                role: "tool",
                content: result_text(text, *is_error),
                tool_calls: Vec::new(),
                tool_call_id: Some(call_id),
            }),
        }
    }
    if !out.is_empty() && parts.is_empty() && tool_calls.is_empty() {
        return out;
    }
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let content = match parts.as_slice() {
        [] if message.role == Role::Assistant => Content::Nothing,
        [] => Content::Text(""),
        [WirePart::Text { text }] => Content::Text(text),
        _ => Content::Parts(parts),
    };
    out.push(WireMessage { role, content, tool_calls, tool_call_id: None });
    out
}

/// This dialect cannot mark a failed tool call, so the text must say that the tool failed.
fn result_text(text: &str, is_error: bool) -> Content<'_> {
    if is_error && !write::says_error(text) { Content::Owned(format!("Error: {text}")) } else { Content::Text(text) }
}

fn tool(tool: &crate::chat::Tool) -> WireTool<'_> {
    WireTool {
        r#type: "function",
        function: WireToolFunction {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_deref(),
            strict: tool.strict,
        },
    }
}

fn tool_choice(choice: &ToolChoice) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Named<'a> {
        r#type: &'static str,
        function: Function<'a>,
    }
    #[derive(Serialize)]
    struct Function<'a> {
        name: &'a str,
    }
    let written = match choice {
        ToolChoice::Auto => to_raw_value("auto"),
        ToolChoice::None => to_raw_value("none"),
        ToolChoice::Required => to_raw_value("required"),
        ToolChoice::Named(name) => to_raw_value(&Named { r#type: "function", function: Function { name } }),
    };
    written.unwrap_or_default()
}

fn format(format: &Format) -> ResponseFormat<'_> {
    match format {
        Format::Json => ResponseFormat { r#type: "json_object", json_schema: None },
        Format::Schema { name, strict, schema } => ResponseFormat {
            r#type: "json_schema",
            json_schema: Some(JsonSchema { name: name.as_deref().unwrap_or("answer"), schema, strict: *strict }),
        },
    }
}
