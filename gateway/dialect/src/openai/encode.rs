//! Writes requests for backends that speak OpenAI's dialect.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::wire::{
    Content, JsonSchema, Request, ResponseFormat, StreamOptions, Url, WireCall, WireFunction, WireMessage, WirePart,
    WireTool, WireToolFunction,
};
use crate::chat::{Chat, Effort, Format, Image, Message, Part, Role, Tool, ToolChoice};
use crate::dropped::max_temperature;
use crate::fields::Hint;
use crate::names::{ToolNames, mapped};
use crate::quirks::{Quirks, Target};
use crate::types::Dialect;
use crate::{image, renaming, write};

/// The path of the first content in `chat` that this dialect cannot express.
pub(crate) fn obstacle(chat: &Chat) -> Option<String> {
    for (index, message) in chat.messages.iter().enumerate() {
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
    None
}

fn is_image(image: &Image) -> bool {
    match image {
        Image::Url(_) => true,
        Image::Base64 { media_type, data } => image::media_type(media_type.as_deref(), data).is_some(),
    }
}

/// Writes a request.
pub(crate) fn encode(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let quirks = &target.quirks;
    let names = renaming::renamed(Dialect::OpenAi, chat);
    let names = names.as_ref();
    let takes = |hint| quirks.takes(hint);
    let (older, newer) = match quirks.max_completion_tokens {
        false => (chat.max_tokens, None),
        true => (None, chat.max_tokens),
    };
    write::to_vec(&Request {
        model: target.model,
        messages: messages(chat, quirks, names),
        tools: chat.tools.iter().map(|tool| write_tool(tool, quirks, names)).collect(),
        // Servers refuse a choice without tools.
        tool_choice: chat
            .tool_choice
            .as_ref()
            .filter(|_| !chat.tools.is_empty())
            .map(|choice| tool_choice(choice, names)),
        parallel_tool_calls: chat
            .parallel_tool_calls
            .filter(|_| !chat.tools.is_empty() && takes(Hint::ParallelToolCalls)),
        max_tokens: older,
        max_completion_tokens: newer,
        temperature: chat
            .temperature
            .map(|t| t.min(max_temperature(Dialect::OpenAi)))
            .filter(|_| takes(Hint::Temperature)),
        top_p: chat.top_p.filter(|_| takes(Hint::TopP)),
        frequency_penalty: chat.frequency_penalty.filter(|_| takes(Hint::FrequencyPenalty)),
        presence_penalty: chat.presence_penalty.filter(|_| takes(Hint::PresencePenalty)),
        stop: &chat.stop,
        seed: chat.seed.filter(|_| takes(Hint::Seed)),
        reasoning_effort: chat.effort().and_then(Effort::common_word).filter(|_| takes(Hint::Effort)),
        response_format: chat.format.as_ref().map(format),
        stream: chat.stream,
        stream_options: (chat.stream && takes(Hint::StreamOptions)).then_some(StreamOptions { include_usage: true }),
        user: chat.user.as_deref().filter(|_| takes(Hint::User)),
    })
}

/// Writes the messages. This dialect has a separate message for each tool result, and only users send images: those of
/// results follow in the next message of the user, behind all results of the turn.
fn messages<'a>(chat: &'a Chat, quirks: &Quirks, names: Option<&'a ToolNames>) -> Vec<WireMessage<'a>> {
    let mut out = Vec::with_capacity(chat.messages.len());
    let mut images = Vec::new();
    for message in &chat.messages {
        let is_result = message.role == Role::Tool;
        if !images.is_empty() && !is_result && message.role != Role::User {
            out.push(WireMessage::new("user", Content::Parts(std::mem::take(&mut images))));
        }
        message_parts(message, quirks, names, &mut images, &mut out);
    }
    if !images.is_empty() {
        out.push(WireMessage::new("user", Content::Parts(images)));
    }
    out
}

/// Writes one message. `images`: those of tool results that are still to be written.
fn message_parts<'a>(
    message: &'a Message,
    quirks: &Quirks,
    names: Option<&'a ToolNames>,
    images: &mut Vec<WirePart<'a>>,
    out: &mut Vec<WireMessage<'a>>,
) {
    let mut parts = if message.role == Role::User { std::mem::take(images) } else { Vec::new() };
    let (mut tool_calls, mut reasoning, mut results) = (Vec::new(), None, false);
    for part in &message.parts {
        match part {
            Part::Text(text) => parts.push(WirePart::Text { text }),
            Part::Image(image) => parts.push(image_part(image)),
            Part::Reasoning(text) => reasoning = Some(text.as_str()),
            Part::ToolCall(call) => tool_calls.push(WireCall {
                id: &call.id,
                r#type: "function",
                function: WireFunction {
                    name: mapped(names, &call.name),
                    arguments: write::arguments_text(&call.arguments),
                },
            }),
            Part::ToolResult { call_id, text, images: own, is_error, .. } => {
                results = true;
                images.extend(own.iter().map(image_part));
                let content = result_text(text, *is_error, !own.is_empty());
                out.push(WireMessage { tool_call_id: Some(call_id), ..WireMessage::new("tool", content) });
            }
        }
    }
    if results && parts.is_empty() && tool_calls.is_empty() {
        return;
    }
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    // Providers want the thinking behind a tool call back; DeepSeek refuses any other.
    let reasoning_content = reasoning.filter(|_| !tool_calls.is_empty() && quirks.takes(Hint::Reasoning));
    // Only a message with calls may have no content.
    let content = if tool_calls.is_empty() || !parts.is_empty() { content(parts) } else { Content::Nothing };
    out.push(WireMessage { tool_calls, reasoning_content, ..WireMessage::new(role, content) });
}

/// Many servers take texts only as one string. It means the same.
fn content(parts: Vec<WirePart<'_>>) -> Content<'_> {
    let texts = parts.iter().filter(|part| matches!(part, WirePart::Text { .. })).count();
    match parts.as_slice() {
        [] => Content::Text(""),
        [WirePart::Text { text }] => Content::Text(text),
        all if all.len() == texts => {
            let texts =
                all.iter().filter_map(|part| if let WirePart::Text { text } = part { Some(*text) } else { None });
            Content::Owned(texts.collect::<Vec<_>>().join("\n"))
        }
        _ => Content::Parts(parts),
    }
}

fn image_part(image: &Image) -> WirePart<'_> {
    let url = match image {
        Image::Url(url) => url.into(),
        Image::Base64 { media_type, data } => image::data_url(media_type.as_deref(), data).into(),
    };
    WirePart::ImageUrl { image_url: Url { url } }
}

/// This dialect cannot mark a failed tool call, so the text must say that the tool failed.
fn result_text(text: &str, is_error: bool, has_images: bool) -> Content<'_> {
    match text {
        _ if is_error && !write::says_error(text) => Content::Owned(format!("Error: {text}")),
        "" if has_images => Content::Text(write::SEE_IMAGES),
        _ => Content::Text(text),
    }
}

fn write_tool<'a>(tool: &'a Tool, quirks: &Quirks, names: Option<&'a ToolNames>) -> WireTool<'a> {
    WireTool {
        r#type: "function",
        function: WireToolFunction {
            name: mapped(names, &tool.name),
            description: tool.description.as_deref(),
            // OpenAI refuses the schema of an object without properties.
            parameters: tool.parameters.as_deref().map(|schema| write::object_schema(schema, true)),
            strict: tool.strict.filter(|_| quirks.takes(Hint::Strict)),
        },
    }
}

fn tool_choice(choice: &ToolChoice, names: Option<&ToolNames>) -> Box<RawValue> {
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
        ToolChoice::Named(name) => {
            to_raw_value(&Named { r#type: "function", function: Function { name: mapped(names, name) } })
        }
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
