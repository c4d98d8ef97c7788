//! Reads and writes Anthropic's complete responses.

use serde::Serialize;
use serde_json::value::RawValue;

use super::finish::finish_name;
use super::usage::{WireUsage, Written, written};
use crate::backend_error::BackendError;
use crate::chat::{Reply, ToolCall};
use crate::lenient::{Content, Many, Word, arguments, object, says_something};
use crate::types::{Facts, Malformed, NoReply, Total};
use crate::{finish, write};

object! {
    struct Wire<'a> {
        "type" kind: Word<'a>,
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "content" content: Option<&'a RawValue>,
        "stop_reason" stop_reason: Word<'a>,
        "usage" usage: WireUsage,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct WireBlock<'a> {
        "type" kind: Word<'a>,
        "text" text: Content,
        "thinking" thinking: Content,
        "id" id: Word<'a>,
        "name" name: Word<'a>,
        "input" input: Option<&'a RawValue>,
    }
}

/// Reads a complete response. `forwarded`: it goes to a client of this dialect as it came.
pub(crate) fn decode_reply(body: &[u8], forwarded: bool) -> Result<Reply, NoReply> {
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the message", &e))?;
    if wire.kind.get() == Some("error") || (wire.content.is_none() && wire.error.is_some_and(says_something)) {
        return Err(NoReply::Failed(Box::new(BackendError::read(body))));
    }
    if wire.kind.get().is_some_and(|kind| kind != "message") {
        return Err(Malformed::new("the answer is not a message").into());
    }
    let content = wire.content.ok_or_else(|| Malformed::new("the message has no content"))?;
    let blocks = serde_json::from_str::<Many<WireBlock<'_>>>(content.get());
    let blocks = blocks.map_err(|e| write::malformed("the message", &e))?.0;
    let usage = wire.usage.read();
    let mut reply = Reply {
        id: wire.id.own(),
        model: wire.model.own(),
        usage: usage.map(|reported| reported.usage),
        usage_is_whole: usage.is_some_and(|reported| reported.has_output),
        ..Reply::default()
    };
    if content.get().starts_with('"') {
        // Compatible servers may write the text alone.
        reply.text = arguments(Some(content));
    }
    for block in blocks {
        if block.kind.get() == Some("tool_use") {
            let name = block.name.own().filter(|name| !name.is_empty());
            let Some(name) = name.or_else(|| forwarded.then(String::new)) else {
                return Err(Malformed::part_of_answer("a tool_use block has no name").into());
            };
            let input = arguments(block.input);
            let arguments = if input.is_empty() { "{}".to_owned() } else { input };
            if !forwarded {
                Malformed::unless_few(reply.tool_calls.len() + 1)?;
            }
            reply.tool_calls.push(ToolCall { id: block.id.own().unwrap_or_default(), name, arguments });
            continue;
        }
        if block.text.unreadable && !forwarded {
            return Err(Malformed::part_of_answer("the text of a block is no text").into());
        }
        // Blocks of server tools and of redacted thinking have neither: no client of another dialect asked for them.
        reply.text.push_str(&block.text.text);
        reply.reasoning.push_str(&block.text.thinking);
        reply.reasoning.push_str(&block.thinking.joined());
    }
    let calls = !reply.tool_calls.is_empty();
    reply.finish = wire.stop_reason.get().map(|reason| finish::read(reason, calls)).transpose()?;
    Ok(reply)
}

#[derive(Serialize)]
struct WrittenMessage<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    // Always null: the other dialects do not report which stop sequence ended the answer.
    stop_sequence: Option<&'a str>,
    usage: Written,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Thinking { thinking: &'a str, signature: &'static str },
    Text { text: &'a str },
    ToolUse { id: String, name: &'a str, input: Box<RawValue> },
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    let mut content = Vec::new();
    if !reply.reasoning.is_empty() {
        content.push(Block::Thinking { thinking: &reply.reasoning, signature: "" });
    }
    if !reply.text.is_empty() {
        content.push(Block::Text { text: &reply.text });
    }
    content.extend(reply.tool_calls.iter().enumerate().map(|(index, call)| Block::ToolUse {
        id: write::call_id(&call.id, &facts.request_id, index),
        name: &call.name,
        input: write::arguments(&call.arguments),
    }));
    write::to_vec(&WrittenMessage {
        id: write::id("msg_", &facts.request_id),
        r#type: "message",
        role: "assistant",
        model: &facts.model,
        content,
        stop_reason: finish_name(reply.finish, !reply.tool_calls.is_empty()),
        stop_sequence: None,
        usage: written(total, reply.usage),
    })
}
