//! Reads and writes complete responses of the Responses dialect.

use serde::Deserialize;

use super::items::{Entry, Kind};
use super::object::{Object, Standing};
use super::usage::WireUsage;
use crate::chat::{Finish, Reply, ToolCall};
use crate::json::Text;
use crate::origin::{Marked, Origin};
use crate::types::{Facts, Malformed, Total};
use crate::write;

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    output: Option<Vec<Item<'a>>>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    incomplete_details: Option<Part<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
}

/// A part of an item, or the reason why an answer is not complete.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// The finish reason of an answer that is not complete.
pub(super) fn finish(details: Option<&Part<'_>>) -> Finish {
    match details.and_then(|details| details.reason.as_ref()) {
        Some(Text(reason)) if reason == "content_filter" => Finish::ContentFilter,
        _ => Finish::Length,
    }
}

/// Reads a complete response: for what the gateway counts, since it goes only to clients of the same dialect, unchanged.
/// Items of the provider's own tools are skipped.
pub(crate) fn decode_reply(body: &[u8]) -> Result<Reply, Malformed> {
    let response: Response<'_> = serde_json::from_slice(body).map_err(|e| write::malformed("the response", &e))?;
    let output = response.output.ok_or_else(|| Malformed::new("the response has no output"))?;
    let mut reply = Reply { id: response.id, model: response.model, ..Reply::default() };
    for item in output {
        let parts = item.content.into_iter().flatten().chain(item.summary.into_iter().flatten());
        match &*item.r#type.0 {
            "message" => parts.for_each(|part| push(&mut reply.text, part)),
            "reasoning" => parts.for_each(|part| push(&mut reply.reasoning, part)),
            "function_call" | "custom_tool_call" => {
                Malformed::unless_few(reply.tool_calls.len() + 1)?;
                reply.tool_calls.push(ToolCall {
                    id: item.call_id.unwrap_or_default(),
                    name: item.name.unwrap_or_default(),
                    arguments: item.arguments.or(item.input).unwrap_or_default(),
                });
            }
            _ => {}
        }
    }
    reply.finish = match response.status {
        Some(Text(status)) if status == "incomplete" => Some(finish(response.incomplete_details.as_ref())),
        _ if reply.tool_calls.is_empty() => Some(Finish::Stop),
        _ => Some(Finish::ToolCalls),
    };
    reply.usage = response.usage.and_then(|usage| usage.read());
    Ok(reply)
}

/// A backend's complete response for a client of the same dialect: marked with the origin of what only it understands.
pub(crate) fn mark_reply(body: &[u8], backend: &str) -> Option<Vec<u8>> {
    Origin::of(backend).mark(body, body, Marked::Response)
}

fn push(text: &mut String, part: Part<'_>) {
    for Text(more) in [part.text, part.refusal].into_iter().flatten() {
        text.push_str(&more);
    }
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
