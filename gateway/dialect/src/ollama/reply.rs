//! Reads and writes Ollama's complete responses, and the parts that they share with the lines of a stream.

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{self, WireCall};
use super::finish::finish_name;
use super::usage::usage;
use crate::backend_error::BackendError;
use crate::chat::{Finish, Reply, ToolCall};
use crate::lenient::{Content, Count, Many, Word, object, says_something};
use crate::types::{Facts, Malformed, NoReply, Total};
use crate::{finish, write};

object! {
    pub(super) struct Wire<'a> {
        "model" pub(super) model: Word<'a>,
        "created_at" created_at: Word<'a>,
        "message" message: Option<Message<'a>>,
        // What an answer to a prompt has instead of a message.
        "response" response: Option<Content>,
        "thinking" thinking: Content,
        "done" pub(super) done: Option<&'a RawValue>,
        "done_reason" pub(super) done_reason: Word<'a>,
        "prompt_eval_count" pub(super) prompt_eval_count: Count,
        "eval_count" pub(super) eval_count: Count,
        "error" pub(super) error: Option<&'a RawValue>,
        ..pub(super) other
    }
}

object! {
    pub(super) struct Message<'a> {
        "role" role: Word<'a>,
        "content" pub(super) content: Content,
        "thinking" pub(super) thinking: Content,
        "tool_calls" pub(super) tool_calls: Many<WireCall<'a>>,
        ..pub(super) other
    }
}
impl<'a> Wire<'a> {
    /// Takes its message, also of an answer to a prompt.
    pub(super) fn take_message(&mut self) -> Option<Message<'a>> {
        self.message.take().or_else(|| {
            let thinking = std::mem::take(&mut self.thinking);
            Some(Message { content: self.response.take()?, thinking, ..Message::default() })
        })
    }
}

/// Reads a complete response. `forwarded`: it goes to a client of this dialect as it came.
pub(crate) fn decode_reply(body: &[u8], forwarded: bool) -> Result<Reply, NoReply> {
    let mut wire: Wire<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the answer", &e))?;
    let message = wire.take_message();
    if message.is_none() && wire.error.is_some_and(says_something) {
        return Err(NoReply::Failed(Box::new(BackendError::read(body))));
    }
    let message = message.ok_or_else(|| Malformed::new("the answer has no message"))?;
    if wire.done.is_some_and(|done| done.get() == "false") {
        return Err(Malformed::new("the answer is incomplete: `done` is not true").into());
    }
    if message.content.unreadable && !forwarded {
        return Err(Malformed::part_of_answer("the content is no text").into());
    }
    let calls = message.tool_calls.0;
    if !forwarded {
        Malformed::unless_few(calls.len())?;
    }
    let tool_calls =
        calls.into_iter().map(|call| call.read(forwarded)).collect::<Result<Vec<ToolCall>, Malformed>>()?;
    let finish = finish::read(wire.done_reason.get().unwrap_or_default(), !tool_calls.is_empty())?;
    let usage = usage(wire.prompt_eval_count, wire.eval_count);
    let mut reasoning = message.thinking.joined();
    reasoning.push_str(&message.content.thinking);
    Ok(Reply {
        id: None,
        model: wire.model.own(),
        reasoning,
        text: message.content.text,
        finish: Some(finish),
        tool_calls,
        usage: usage.map(|reported| reported.usage),
        usage_is_whole: usage.is_some_and(|reported| reported.has_output),
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
