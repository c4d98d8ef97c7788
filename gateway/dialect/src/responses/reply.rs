//! Reads and writes complete responses of the Responses dialect.

use serde_json::value::RawValue;

use super::items::{Entry, Kind};
use super::object::{Object, Standing};
use super::usage::WireUsage;
use crate::backend_error::BackendError;
use crate::chat::{Finish, Reply, ToolCall};
use crate::lenient::{Content, Many, Word, arguments, object, says_something};
use crate::origin::{Marked, Origin, Seal};
use crate::types::{Facts, Malformed, NoReply, Total};
use crate::write;

object! {
    struct Response<'a> {
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "output" output: Option<Many<Item<'a>>>,
        "usage" usage: WireUsage,
        "status" status: Word<'a>,
        "incomplete_details" details: Details<'a>,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct Item<'a> {
        "type" kind: Word<'a>,
        "content" content: Content,
        "summary" summary: Content,
        "call_id" call_id: Word<'a>,
        "name" name: Word<'a>,
        "arguments" arguments: Option<&'a RawValue>,
        "input" input: Option<&'a RawValue>,
    }
}

object! {
    /// Why an answer is not complete.
    pub(super) struct Details<'a> {
        "reason" reason: Word<'a>,
    }
}

/// The finish reason of an answer that is not complete.
pub(super) fn finish(details: &Details<'_>) -> Finish {
    match details.reason.get() {
        Some("content_filter") => Finish::ContentFilter,
        _ => Finish::Length,
    }
}

/// Reads a complete response: for what the gateway counts, since it goes only to clients of the same dialect, unchanged.
/// Items of the provider's own tools are skipped.
pub(crate) fn decode_reply(body: &[u8], _forwarded: bool) -> Result<Reply, NoReply> {
    let response: Response<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the response", &e))?;
    if response.status.get() == Some("failed")
        || response.output.is_none() && response.error.is_some_and(says_something)
    {
        return Err(NoReply::Failed(Box::new(BackendError::read(body))));
    }
    let output = response.output.ok_or_else(|| Malformed::new("the response has no output"))?.0;
    let usage = response.usage.read();
    let mut reply = Reply {
        id: response.id.own(),
        model: response.model.own(),
        usage: usage.map(|reported| reported.usage),
        usage_is_whole: usage.is_some_and(|reported| reported.has_output),
        ..Reply::default()
    };
    for item in output {
        let texts = [item.content, item.summary].map(Content::joined).concat();
        match item.kind.get() {
            Some("message") => reply.text.push_str(&texts),
            Some("reasoning") => reply.reasoning.push_str(&texts),
            Some("function_call" | "custom_tool_call") => reply.tool_calls.push(ToolCall {
                id: item.call_id.own().unwrap_or_default(),
                name: item.name.own().unwrap_or_default(),
                arguments: arguments(item.arguments.or(item.input)),
            }),
            _ => {}
        }
    }
    reply.finish = match response.status.get() {
        Some("incomplete") => Some(finish(&response.details)),
        _ if reply.tool_calls.is_empty() => Some(Finish::Stop),
        _ => Some(Finish::ToolCalls),
    };
    Ok(reply)
}

/// A backend's complete response for a client of the same dialect: marked with the origin of what only it understands.
pub(crate) fn mark_reply(body: &[u8], backend: &str, seal: Option<&Seal>) -> Option<Vec<u8>> {
    Origin::of(backend).mark(body, body, Marked::Response, seal)
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    let object = Object::new(facts);
    let mut entries = Vec::new();
    let mut add = |kind, text: &str| {
        let entry = Entry::new(kind, &facts.request_id, entries.len());
        entries.push(Entry { text: text.to_owned(), done: true, ..entry });
    };
    if !reply.reasoning.is_empty() {
        add(Kind::Reasoning, &reply.reasoning);
    }
    if !reply.text.is_empty() {
        add(Kind::Message, &reply.text);
    }
    for (index, call) in reply.tool_calls.iter().enumerate() {
        let kind = Entry::call(object.echo(), &call.id, &facts.request_id, index, call.name.clone());
        add(kind, write::arguments_text(&call.arguments));
    }
    let standing = Standing::Ended(reply.finish, total, reply.usage);
    let broke_off = Object::status(&standing) == "incomplete";
    if let Some(last) = entries.last_mut() {
        last.done = !broke_off;
    }
    let mut out = Vec::with_capacity(1024);
    object.append(standing, &entries, &mut out);
    out
}
