//! Writes native responses.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{Reply, ToolCall};
use crate::types::{Facts, Routing, Total};
use crate::write;

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
    id: &'a str,
    model: &'a str,
    backend: &'a str,
    response: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    input_tokens: u64,
    output_tokens: u64,
    /// `null` for an unpriced model, which is not the same as free.
    cost: Option<f64>,
    latency_seconds: f64,
    cached: bool,
    routing: &'a Routing,
}

#[derive(Serialize)]
struct Call<'a> {
    id: String,
    name: &'a str,
    arguments: Box<RawValue>,
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    write::to_vec(&answer(None, &reply.text, &reply.tool_calls, facts, total))
}

/// The last event of a stream: the response as if it had not been streamed.
pub(super) fn ending(text: &str, calls: &[ToolCall], facts: &Facts, total: &Total) -> Vec<u8> {
    write::to_vec(&answer(Some(true), text, calls, facts, total))
}

fn answer<'a>(
    done: Option<bool>,
    response: &'a str,
    calls: &'a [ToolCall],
    facts: &'a Facts,
    total: &Total,
) -> Answer<'a> {
    let call = |(index, call): (usize, &'a ToolCall)| Call {
        id: write::call_id(&call.id, &facts.request_id, index),
        name: &call.name,
        arguments: write::arguments(&call.arguments),
    };
    Answer {
        done,
        id: &facts.request_id,
        model: &facts.model,
        backend: &facts.backend,
        response,
        tool_calls: calls.iter().enumerate().map(call).collect(),
        input_tokens: total.input_tokens,
        output_tokens: total.output_tokens,
        cost: total.cost,
        latency_seconds: total.latency_seconds,
        cached: false,
        routing: &facts.routing,
    }
}
