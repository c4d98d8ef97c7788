//! Writes requests for backends that speak Anthropic's dialect.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{Chat, Effort, Format, Image, Part, Role, Tool, ToolChoice};
use crate::dropped::{is_blank, max_temperature};
use crate::fields::Hint;
use crate::names::{ToolNames, mapped};
use crate::quirks::Target;
use crate::types::Dialect;
use crate::{image, renaming, write};

/// The user's turn before a conversation that another role begins: this dialect requires one.
const OPENING: &str = "(The conversation begins with the assistant.)";
/// What a client asks for by a plain JSON mode. This dialect has schemas only, and no schema means any object.
const JSON_MODE: &str = "Answer with one JSON object and nothing else: no other words and no Markdown around it.";

/// The path of the first content in `chat` that this dialect cannot express.
pub(crate) fn obstacle(chat: &Chat) -> Option<String> {
    let mut spoken = false;
    for (index, message) in chat.messages.iter().enumerate() {
        spoken |= message.parts.iter().any(says_something);
        for (at, part) in message.parts.iter().enumerate() {
            let sayable = match part {
                Part::Text(_) | Part::Reasoning(_) | Part::ToolCall(_) => true,
                Part::ToolResult { call_id, images, .. } => !call_id.is_empty() && images.iter().all(is_image),
                Part::Image(image) => message.role == Role::User && is_image(image),
            };
            if !sayable {
                return Some(format!("messages[{index}].content[{at}]"));
            }
        }
    }
    // A conversation of only blank texts cannot be sent.
    (!spoken).then(|| "messages".to_owned())
}

fn is_image(image: &Image) -> bool {
    match image {
        Image::Url(url) => url.starts_with("http:") || url.starts_with("https:"),
        Image::Base64 { media_type, data } => image::media_type(media_type.as_deref(), data).is_some(),
    }
}

/// Whether this dialect has a block for it. Earlier thinking needs a signature, which only Anthropic's own models give.
fn says_something(part: &Part) -> bool {
    match part {
        // Anthropic refuses blank texts.
        Part::Text(text) => !is_blank(text),
        Part::Reasoning(_) => false,
        Part::Image(_) | Part::ToolCall(_) | Part::ToolResult { .. } => true,
    }
}

/// Writes a request.
pub(crate) fn encode(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let names = renaming::renamed(Dialect::Anthropic, chat);
    let names = names.as_ref();
    let takes = |hint| target.quirks.takes(hint);
    let (mut system, messages) = turns(chat, names);
    if let Some(Format::Json) = chat.format {
        system.push(Block::Text { text: JSON_MODE });
    }
    let effort = chat.effort().and_then(Effort::common_word).filter(|_| takes(Hint::Effort));
    let format = chat.format.as_ref().and_then(format);
    write::to_vec(&Request {
        model: target.model,
        max_tokens: chat.max_tokens.unwrap_or(target.max_tokens),
        system: (!system.is_empty()).then_some(system),
        messages,
        tools: chat.tools.iter().map(|tool| write_tool(tool, names, takes(Hint::Strict))).collect(),
        tool_choice: tool_choice(chat, names, takes(Hint::ParallelToolCalls)),
        temperature: chat
            .temperature
            .map(|t| t.min(max_temperature(Dialect::Anthropic)))
            .filter(|_| takes(Hint::Temperature)),
        top_p: chat.top_p.filter(|_| takes(Hint::TopP)),
        top_k: chat.top_k.filter(|_| takes(Hint::TopK)),
        stop_sequences: chat.stop.iter().filter(|stop| !is_blank(stop)).map(String::as_str).collect(),
        output_config: (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format }),
        stream: chat.stream,
        metadata: chat.user.as_deref().filter(|_| takes(Hint::User)).map(|user_id| Metadata { user_id }),
    })
}

/// The system prompt, and the turns: these must alternate, begin with the user's, and have the results of all calls of a
/// turn first. Instructions in the middle of a conversation stay in their place, as the user's words.
fn turns<'a>(chat: &'a Chat, names: Option<&'a ToolNames>) -> (Vec<Block<'a>>, Vec<Turn<'a>>) {
    let mut system = Vec::new();
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(chat.messages.len());
    for message in &chat.messages {
        let blocks = message.parts.iter().filter(|part| says_something(part)).map(|part| block(part, names));
        let role = match message.role {
            Role::System if turns.is_empty() => {
                system.extend(blocks);
                continue;
            }
            Role::System | Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let mut blocks = blocks.peekable();
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ if blocks.peek().is_some() => turns.push(Turn { role, content: blocks.collect() }),
            _ => {}
        }
    }
    match turns.first() {
        // Only instructions: they are what the model answers.
        None => turns.push(Turn { role: "user", content: std::mem::take(&mut system) }),
        Some(first) if first.role == "assistant" => {
            turns.insert(0, Turn { role: "user", content: vec![Block::Text { text: OPENING }] });
        }
        Some(_) => {}
    }
    // Anthropic refuses an answer to continue that ends in blanks.
    if let Some(Turn { role: "assistant", content }) = turns.last_mut()
        && let Some(Block::Text { text }) = content.last_mut()
    {
        *text = text.trim_end();
    }
    for turn in &mut turns {
        turn.content.sort_by_key(|block| !matches!(block, Block::ToolResult { .. }));
    }
    (system, turns)
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat<'a>>,
}

#[derive(Serialize)]
struct WireFormat<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
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
        #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_text_or_blocks")]
        content: Vec<Block<'a>>,
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

fn one_text_or_blocks<S: serde::Serializer>(blocks: &[Block<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    match blocks {
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

/// Writes a part. Parts that say nothing have no block.
fn block<'a>(part: &'a Part, names: Option<&'a ToolNames>) -> Block<'a> {
    debug_assert!(says_something(part));
    match part {
        Part::Text(text) | Part::Reasoning(text) => Block::Text { text },
        Part::Image(image) => image_block(image),
        Part::ToolCall(call) => Block::ToolUse {
            id: plain_id(&call.id),
            name: mapped(names, &call.name),
            input: write::arguments(&call.arguments),
        },
        Part::ToolResult { call_id, text, images, is_error, .. } => {
            let text = (!is_blank(text)).then_some(Block::Text { text });
            let content = text.into_iter().chain(images.iter().map(image_block)).collect();
            Block::ToolResult { tool_use_id: plain_id(call_id), content, is_error: *is_error }
        }
    }
}

fn image_block(image: &Image) -> Block<'_> {
    match image {
        Image::Url(url) => Block::Image { source: Source::Url { url } },
        Image::Base64 { media_type, data } => {
            let media_type = image::media_type(media_type.as_deref(), data).unwrap_or_default();
            Block::Image { source: Source::Base64 { media_type, data } }
        }
    }
}

/// `None` for plain JSON, which the instructions ask for.
fn format(format: &Format) -> Option<WireFormat<'_>> {
    match format {
        Format::Json => None,
        Format::Schema { schema, .. } => Some(WireFormat { r#type: "json_schema", schema }),
    }
}

/// This dialect accepts only letters, digits, `_` and `-` in ids. The id changes the same way in call and result.
fn plain_id(id: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(plain) { id.into() } else { id.replace(|c| !plain(c), "_").into() }
}

fn write_tool<'a>(tool: &'a Tool, names: Option<&'a ToolNames>, strict: bool) -> WireTool<'a> {
    let input_schema = match &tool.parameters {
        Some(schema) => write::object_schema(schema, false),
        // This dialect requires a schema even for a tool without arguments.
        None => {
            Cow::Owned(RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).unwrap_or_default())
        }
    };
    WireTool {
        name: mapped(names, &tool.name),
        description: tool.description.as_deref(),
        input_schema,
        strict: tool.strict.filter(|_| strict),
    }
}

fn tool_choice<'a>(chat: &'a Chat, names: Option<&'a ToolNames>, parallel: bool) -> Option<WireToolChoice<'a>> {
    if chat.tools.is_empty() {
        // A choice means nothing without tools.
        return None;
    }
    let disable = chat.parallel_tool_calls.filter(|_| parallel).map(|parallel| !parallel);
    let choice = |r#type, name| Some(WireToolChoice { r#type, name, disable_parallel_tool_use: disable });
    match &chat.tool_choice {
        Some(ToolChoice::None) => Some(WireToolChoice { r#type: "none", name: None, disable_parallel_tool_use: None }),
        Some(ToolChoice::Auto) => choice("auto", None),
        Some(ToolChoice::Required) => choice("any", None),
        Some(ToolChoice::Named(name)) => choice("tool", Some(mapped(names, name))),
        // This dialect disables parallel calls within the tool choice.
        None if disable == Some(true) => choice("auto", None),
        None => None,
    }
}
