//! Reads and writes OpenAI's complete responses.

use serde::Serialize;
use serde_json::value::RawValue;

use super::finish::finish_name;
use super::usage::{Groq, WireUsage, Written, written};
use crate::backend_error::BackendError;
use crate::chat::{Reply, ToolCall};
use crate::lenient::{Content, Many, Word, arguments, object, says_something};
use crate::types::{Facts, Malformed, NoReply, Total};
use crate::{finish, write};

object! {
    struct Completion<'a> {
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "choices" choices: Many<Choice<'a>>,
        "usage" usage: WireUsage,
        "x_groq" groq: Groq,
        "error" error: Option<&'a RawValue>,
        "object" object: Word<'a>,
    }
}

object! {
    struct Choice<'a> {
        "message" message: Option<Message<'a>>,
        // What a completion without messages has instead.
        "text" text: Content,
        "finish_reason" finish_reason: Word<'a>,
        // Where Moonshot has it.
        "usage" usage: WireUsage,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct Message<'a> {
        "content" content: Content,
        "refusal" refusal: Content,
        "reasoning_content" reasoning_content: Content,
        "reasoning" reasoning: Content,
        "thinking" thinking: Content,
        "reasoning_details" reasoning_details: Option<&'a RawValue>,
        // What LiteLLM repeats its own in.
        "thinking_blocks" thinking_blocks: Option<&'a RawValue>,
        "tool_calls" tool_calls: Many<Call<'a>>,
        // What tool calls were called at first.
        "function_call" function_call: Option<Function<'a>>,
    }
}

object! {
    struct Call<'a> {
        "id" id: Word<'a>,
        "function" function: Function<'a>,
    }
}

object! {
    struct Function<'a> {
        "name" name: Word<'a>,
        "arguments" arguments: Option<&'a RawValue>,
    }
}

/// Reads a complete response. `forwarded`: it goes to a client of this dialect as it came.
pub(crate) fn decode_reply(body: &[u8], forwarded: bool) -> Result<Reply, NoReply> {
    let no_json = |error| write::malformed("the completion", &error);
    let completion: Completion<'_> = serde_json::from_slice(body).map_err(no_json)?;
    let failed = |error: &[u8]| NoReply::Failed(Box::new(BackendError::read(error)));
    let Some(choice) = completion.choices.0.into_iter().next() else {
        // OpenRouter answers status 200 with an error; Gemini lists its errors.
        let is_error = completion.error.is_some_and(says_something) || completion.object.get() == Some("error");
        let is_list = body.trim_ascii_start().starts_with(b"[") && memchr::memmem::find(body, b"\"error\"").is_some();
        return Err(match is_error || is_list {
            true => failed(body),
            false => Malformed::new("the completion has no choices").into(),
        });
    };
    let ending = |calls| choice.finish_reason.get().map(|reason| finish::read(reason, calls)).transpose();
    let broke_off = ending(false).err();
    if broke_off.is_some() || choice.error.is_some_and(says_something) {
        let error = choice.error.or(completion.error).filter(|error| says_something(error));
        let error = error.map(|error| failed(error.get().as_bytes()));
        return Err(error.unwrap_or_else(|| NoReply::Failed(broke_off.unwrap_or_default())));
    }
    let message = choice.message.or_else(|| {
        let says = forwarded || !choice.text.text.is_empty();
        says.then(|| Message { content: choice.text, ..Message::default() })
    });
    let message = message.ok_or_else(|| Malformed::new("the completion's choice has no message"))?;
    if message.content.unreadable && !forwarded {
        return Err(Malformed::part_of_answer("the content is neither a text nor a list of parts").into());
    }
    let legacy = message.function_call.filter(|call| call.name.get().is_some());
    let legacy = legacy.map(|function| Call { id: Word::default(), function });
    let calls: Vec<Call<'_>> = message.tool_calls.0.into_iter().chain(legacy).collect();
    let nameless = calls.iter().any(|call| call.function.name.get().is_none());
    if !forwarded {
        Malformed::unless_few(calls.len())?;
        if nameless {
            return Err(Malformed::part_of_answer("a tool call has no name").into());
        }
    }
    let tool_calls: Vec<ToolCall> = calls.into_iter().map(tool_call).collect();
    let finish = ending(!tool_calls.is_empty())?;
    let texts = [message.reasoning_content, message.reasoning, message.thinking];
    let lists = [message.reasoning_details, message.thinking_blocks];
    let mut reasoning = reasoning_in(texts, lists);
    reasoning.push_str(&message.content.thinking);
    // A refusal replaces the text.
    let text = if message.content.text.is_empty() { message.refusal.text } else { message.content.text };
    let usage = [&completion.usage, &completion.groq.usage, &choice.usage].into_iter().find_map(WireUsage::read);
    Ok(Reply {
        id: completion.id.own(),
        model: completion.model.own(),
        reasoning,
        text,
        tool_calls,
        finish,
        usage: usage.map(|reported| reported.usage),
        usage_is_whole: usage.is_some_and(|reported| reported.has_output),
    })
}

/// The thinking of an answer: under the first name that has any, since servers repeat it under several.
pub(super) fn reasoning_in(texts: [Content; 3], lists: [Option<&RawValue>; 2]) -> String {
    let lists = lists.into_iter().flatten().map(|list| serde_json::from_str::<Content>(list.get()).unwrap_or_default());
    let mut all = texts.into_iter().chain(lists).map(Content::joined);
    all.find(|text| !text.is_empty()).unwrap_or_default()
}

fn tool_call(call: Call<'_>) -> ToolCall {
    ToolCall {
        id: call.id.own().unwrap_or_default(),
        name: call.function.name.own().unwrap_or_default(),
        arguments: arguments(call.function.arguments),
    }
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
