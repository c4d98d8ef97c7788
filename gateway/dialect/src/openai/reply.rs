//! Reads and writes OpenAI's complete responses.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::finish::{finish, finish_name};
use super::usage::{WireUsage, Written, written};
use crate::chat::{Reply, ToolCall};
use crate::json::Text;
use crate::types::{Facts, Malformed, Total};
use crate::write;

#[derive(Deserialize)]
struct Completion<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Reads a complete response.
pub(crate) fn decode_reply(body: &[u8]) -> Result<Reply, Malformed> {
    let completion: Completion<'_> =
        serde_json::from_slice(body).map_err(|e| write::malformed("the completion", &e))?;
    let choice = completion.choices.and_then(|choices| choices.into_iter().next());
    let choice = choice.ok_or_else(|| Malformed::new("the completion has no choices"))?;
    let message = choice.message;
    let calls = message.tool_calls.unwrap_or_default();
    Malformed::unless_few(calls.len())?;
    let tool_calls: Vec<ToolCall> = calls.into_iter().map(tool_call).collect();
    let finish = choice.finish_reason.map(|reason| finish(&reason.0, !tool_calls.is_empty()));
    // A refusal replaces the text.
    let text = message.content.filter(|text| !text.is_empty()).or(message.refusal).unwrap_or_default();
    Ok(Reply {
        id: completion.id,
        model: completion.model,
        reasoning: message.reasoning_content.or(message.reasoning).unwrap_or_default(),
        text,
        tool_calls,
        finish,
        usage: completion.usage.and_then(|usage| usage.read()),
    })
}

fn tool_call(call: Call<'_>) -> ToolCall {
    let arguments = match call.function.arguments.map(RawValue::get) {
        None | Some("null") => String::new(),
        // Some servers write the object instead of its text.
        Some(raw) => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
    };
    ToolCall { id: call.id.unwrap_or_default(), name: call.function.name, arguments }
}

#[derive(Serialize)]
struct WrittenCompletion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [WrittenChoice<'a>; 1],
    usage: Written,
}

#[derive(Serialize)]
struct WrittenChoice<'a> {
    index: u32,
    message: WrittenMessage<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct WrittenMessage<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reasoning_content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WrittenCall<'a>>,
}

#[derive(Serialize)]
struct WrittenCall<'a> {
    id: String,
    r#type: &'static str,
    function: WrittenFunction<'a>,
}

#[derive(Serialize)]
struct WrittenFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    let calls = reply.tool_calls.iter().enumerate().map(|(index, call)| WrittenCall {
        id: write::call_id(&call.id, &facts.request_id, index),
        r#type: "function",
        function: WrittenFunction { name: &call.name, arguments: write::arguments_text(&call.arguments) },
    });
    let tool_calls: Vec<_> = calls.collect();
    let finish_reason = finish_name(reply.finish, !tool_calls.is_empty());
    let content = (!reply.text.is_empty() || tool_calls.is_empty()).then_some(reply.text.as_str());
    let reasoning_content = &reply.reasoning;
    let message = WrittenMessage { role: "assistant", content, refusal: None, reasoning_content, tool_calls };
    write::to_vec(&WrittenCompletion {
        id: write::id("chatcmpl-", &facts.request_id),
        object: "chat.completion",
        created: facts.created,
        model: &facts.model,
        choices: [WrittenChoice { index: 0, message, logprobs: None, finish_reason }],
        usage: written(total, reply.usage),
    })
}
