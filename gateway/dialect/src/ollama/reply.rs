//! Reads and writes Ollama's complete responses, and the parts that they share with the lines of a stream.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{self, WireCall};
use super::finish::{finish, finish_name};
use super::usage::usage;
use crate::chat::{Finish, Reply, ToolCall};
use crate::json::Text;
use crate::types::{Facts, Malformed, Total};
use crate::write;

#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(borrow)]
    pub(super) done_reason: Option<Text<'a>>,
    pub(super) prompt_eval_count: Option<u64>,
    pub(super) eval_count: Option<u64>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    pub(super) content: Option<String>,
    pub(super) thinking: Option<String>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<WireCall<'a>>>,
}

/// Reads a complete response.
pub(crate) fn decode_reply(body: &[u8]) -> Result<Reply, Malformed> {
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the answer", &e))?;
    let message = wire.message.ok_or_else(|| Malformed::new("the answer has no message"))?;
    if !wire.done {
        return Err(Malformed::new("the answer is incomplete: `done` is not true"));
    }
    let calls = message.tool_calls.unwrap_or_default();
    Malformed::unless_few(calls.len())?;
    let tool_calls: Vec<ToolCall> = calls.into_iter().map(WireCall::read).collect();
    let reason = wire.done_reason.as_ref().map(|reason| &*reason.0);
    Ok(Reply {
        id: None,
        model: wire.model.map(|model| model.0.into_owned()),
        reasoning: message.thinking.unwrap_or_default(),
        text: message.content.unwrap_or_default(),
        finish: Some(finish(reason, !tool_calls.is_empty())),
        tool_calls,
        usage: usage(wire.prompt_eval_count, wire.eval_count),
    })
}

#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) model: &'a str,
    pub(super) created_at: &'a str,
    pub(super) message: WrittenMessage<'a>,
    pub(super) done: bool,
    #[serde(flatten)]
    pub(super) ending: Option<Ending>,
}

#[derive(Serialize)]
pub(super) struct WrittenMessage<'a> {
    pub(super) role: &'static str,
    pub(super) content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<call::Written<'a>>,
}

#[derive(Serialize)]
pub(super) struct Ending {
    done_reason: &'static str,
    /// In nanoseconds. Only the model's server knows the other durations of this dialect.
    total_duration: u64,
    prompt_eval_count: u64,
    eval_count: u64,
}

pub(super) fn ending(finish: Option<Finish>, total: &Total) -> Ending {
    // `as` saturates: negative values become 0, infinite ones the maximum.
    let total_duration = (total.latency_seconds * 1e9) as u64;
    Ending {
        done_reason: finish_name(finish),
        total_duration,
        prompt_eval_count: total.input_tokens,
        eval_count: total.output_tokens,
    }
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    write::to_vec(&Written {
        model: &facts.model,
        created_at: &write::rfc3339(facts.created),
        message: WrittenMessage {
            role: "assistant",
            content: &reply.text,
            thinking: &reply.reasoning,
            tool_calls: reply.tool_calls.iter().map(call::written).collect(),
        },
        done: true,
        ending: Some(ending(reply.finish, total)),
    })
}
