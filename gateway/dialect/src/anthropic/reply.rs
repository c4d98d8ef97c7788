//! Reads and writes Anthropic's complete responses.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::finish::{finish, finish_name};
use super::usage::{WireUsage, Written, written};
use crate::chat::{Reply, ToolCall};
use crate::json::Text;
use crate::types::{Facts, Malformed, Total};
use crate::write;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    content: Option<Vec<WireBlock<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireBlock<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Reads a complete response.
pub(crate) fn decode_reply(body: &[u8]) -> Result<Reply, Malformed> {
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the message", &e))?;
    if wire.r#type.0 != "message" {
        return Err(Malformed::new("the answer is not a message"));
    }
    let blocks = wire.content.ok_or_else(|| Malformed::new("the message has no content"))?;
    let mut reply = Reply {
        id: wire.id,
        model: wire.model,
        finish: wire.stop_reason.map(|reason| finish(&reason.0)),
        usage: wire.usage.and_then(|usage| usage.read()),
        ..Reply::default()
    };
    for block in blocks {
        match &*block.r#type.0 {
            "text" => reply.text.push_str(&block.text.unwrap_or_default().0),
            "thinking" => reply.reasoning.push_str(&block.thinking.unwrap_or_default().0),
            "tool_use" => {
                let name = block.name.ok_or_else(|| Malformed::new("a tool_use block has no name"))?;
                let arguments = block.input.map_or("{}", RawValue::get).to_owned();
                Malformed::unless_few(reply.tool_calls.len() + 1)?;
                reply.tool_calls.push(ToolCall { id: block.id.unwrap_or_default(), name, arguments });
            }
            // Blocks of server tools: no client of another dialect can have requested them.
            _ => {}
        }
    }
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
