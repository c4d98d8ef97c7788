//! Writes requests for backends that speak Anthropic's dialect.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{Chat, Image, Message, Part, Role, Tool, ToolChoice};
use crate::types::Dialect;
use crate::{image, translatable, write};

/// The path of the first field in `chat` that this dialect cannot express.
pub(crate) fn obstacle(from: Dialect, chat: &Chat) -> Option<String> {
    let name = |field| Some(translatable::name(from, field));
    if chat.seed.is_some() {
        return name("seed");
    }
    // This dialect supports schemas, but not for all models and not all schemas. It has no plain JSON mode.
    if chat.format.is_some() {
        return name("format");
    }
    if chat.temperature.is_some_and(|t| t > 1.0) {
        return name("temperature");
    }
    let mut spoken = false;
    for (index, message) in chat.messages.iter().enumerate() {
        if message.role == Role::System {
            if spoken {
                return Some(format!("messages[{index}].role"));
            }
        } else if !spoken && message.role == Role::Assistant {
            // The first turn must be the user's.
            return Some(format!("messages[{index}].role"));
        } else {
            spoken |= message.parts.iter().any(says_something);
        }
        for (at, part) in message.parts.iter().enumerate() {
            let sayable = match part {
                Part::Text(_) | Part::ToolCall(_) => true,
                Part::ToolResult { call_id, .. } => !call_id.is_empty(),
                Part::Image(_) if message.role != Role::User => false,
                Part::Image(Image::Url(url)) => url.starts_with("http:") || url.starts_with("https:"),
                Part::Image(Image::Base64 { media_type, data }) => {
                    image::media_type(media_type.as_deref(), data).is_some()
                }
            };
            if !sayable {
                return Some(format!("messages[{index}].content[{at}]"));
            }
        }
    }
    // Anthropic refuses empty texts, so a conversation of only empty texts cannot be sent.
    (!spoken).then(|| "messages".to_owned())
}

fn says_something(part: &Part) -> bool {
    !matches!(part, Part::Text(text) if text.is_empty())
}

/// Writes a request. `max_tokens` is sent if the client named no limit.
pub(crate) fn encode(chat: &Chat, model: &str, max_tokens: u32) -> Vec<u8> {
    let mut system = Vec::new();
    let mut messages: Vec<Turn<'_>> = Vec::with_capacity(chat.messages.len());
    for message in &chat.messages {
        let blocks = message.parts.iter().filter(|part| says_something(part)).map(|part| block(message, part));
        let role = match message.role {
            Role::System => {
                system.extend(blocks);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let mut blocks = blocks.peekable();
        match messages.last_mut() {
            // Turns must alternate, and the results of all calls of a turn belong in one turn.
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ if blocks.peek().is_some() => messages.push(Turn { role, content: blocks.collect() }),
            _ => {}
        }
    }
    write::to_vec(&Request {
        model,
        max_tokens: chat.max_tokens.unwrap_or(max_tokens),
        system: (!system.is_empty()).then_some(system),
        messages,
        tools: chat.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(chat),
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_k: chat.top_k,
        stop_sequences: &chat.stop,
        stream: chat.stream,
        metadata: chat.user.as_deref().map(|user_id| Metadata { user_id }),
    })
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_or_blocks")]
    system: Option<Vec<Block<'a>>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    #[serde(serialize_with = "one_text_or_blocks")]
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "str::is_empty")]
        content: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

#[derive(Serialize)]
struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct WireToolChoice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

fn one_text_or_blocks<S: serde::Serializer>(blocks: &Vec<Block<'_>>, serializer: S) -> Result<S::Ok, S::Error> {
    match blocks.as_slice() {
        [Block::Text { text }] => serializer.serialize_str(text),
        blocks => blocks.serialize(serializer),
    }
}

fn text_or_blocks<S: serde::Serializer>(blocks: &Option<Vec<Block<'_>>>, serializer: S) -> Result<S::Ok, S::Error> {
    match blocks {
        Some(blocks) => one_text_or_blocks(blocks, serializer),
        None => serializer.serialize_none(),
    }
}

fn block<'a>(message: &Message, part: &'a Part) -> Block<'a> {
    debug_assert!(message.role != Role::System || matches!(part, Part::Text(_)));
    match part {
        Part::Text(text) => Block::Text { text },
        Part::Image(Image::Url(url)) => Block::Image { source: Source::Url { url } },
        Part::Image(Image::Base64 { media_type, data }) => {
            let media_type = image::media_type(media_type.as_deref(), data).unwrap_or_default();
            Block::Image { source: Source::Base64 { media_type, data } }
        }
        Part::ToolCall(call) => {
            Block::ToolUse { id: plain_id(&call.id), name: &call.name, input: write::arguments(&call.arguments) }
        }
        Part::ToolResult { call_id, text, is_error, .. } => {
            Block::ToolResult { tool_use_id: plain_id(call_id), content: text, is_error: *is_error }
        }
    }
}

/// This dialect accepts only letters, digits, `_` and `-` in ids. The id changes the same way in call and result.
fn plain_id(id: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(plain) { id.into() } else { id.replace(|c| !plain(c), "_").into() }
}

fn tool(tool: &Tool) -> WireTool<'_> {
    let input_schema = match &tool.parameters {
        Some(schema) => Cow::Borrowed(schema.as_ref()),
        // This dialect requires a schema even for a tool without arguments.
        None => {
            Cow::Owned(RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).unwrap_or_default())
        }
    };
    WireTool { name: &tool.name, description: tool.description.as_deref(), input_schema, strict: tool.strict }
}

fn tool_choice(chat: &Chat) -> Option<WireToolChoice<'_>> {
    let disable = chat.parallel_tool_calls.map(|parallel| !parallel);
    let choice = |r#type, name| Some(WireToolChoice { r#type, name, disable_parallel_tool_use: disable });
    match &chat.tool_choice {
        Some(ToolChoice::None) => Some(WireToolChoice { r#type: "none", name: None, disable_parallel_tool_use: None }),
        Some(ToolChoice::Auto) => choice("auto", None),
        Some(ToolChoice::Required) => choice("any", None),
        Some(ToolChoice::Named(name)) => choice("tool", Some(name.as_str())),
        // This dialect disables parallel calls within the tool choice, which means nothing without tools.
        None if disable == Some(true) && !chat.tools.is_empty() => choice("auto", None),
        None => None,
    }
}
