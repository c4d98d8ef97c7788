//! OpenAI's chat completions and embeddings.

use serde_json::{Value, json};

use super::heard::{Heard, Who, text_of};
use super::{Call, Said, USAGE, pieces, vectors};
use crate::backend::Reply;

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard::of(body);
    for message in body["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => heard.instruct(&text_of(&message["content"])),
            "assistant" => heard.turn(Who::Assistant, &message["content"]),
            "tool" => heard.turn(Who::Result, &message["content"]),
            _ => heard.turn(Who::User, &message["content"]),
        }
    }
    heard.forced = body["tool_choice"]["function"]["name"].as_str().map(str::to_owned);
    heard.in_a_form = body["response_format"]["type"] == "json_schema";
    heard.with_usage = body["stream_options"]["include_usage"] == true;
    heard
}

pub(super) fn answer(heard: &Heard, said: &Said) -> Reply {
    let (delta, reason) = match said {
        Said::Text(text) if heard.stream => {
            (pieces(text).into_iter().map(|text| json!({"content": text})).collect(), "stop")
        }
        Said::Text(text) => (vec![json!({"content": text})], "stop"),
        Said::Calls(calls) => (calls_of(heard, calls), "tool_calls"),
        failed => return failure(failed),
    };
    let head = json!({"id": "chatcmpl-scripted", "created": 1_760_000_000, "model": heard.model});
    let with = |members: Value| {
        let mut value = head.clone();
        value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        value
    };
    if !heard.stream {
        let mut message = json!({"role": "assistant", "content": null});
        for delta in delta {
            message.as_object_mut().unwrap().extend(delta.as_object().unwrap().clone());
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": reason});
        return Reply::json(200, &with(json!({"object": "chat.completion", "choices": [choice], "usage": usage()})));
    }
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = with(json!({"object": "chat.completion.chunk", "choices": choices}));
        if heard.with_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: &Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let mut frames = vec![choice(&json!({"role": "assistant", "content": ""}), Value::Null)];
    frames.extend(delta.iter().map(|delta| choice(delta, Value::Null)));
    frames.push(choice(&json!({}), json!(reason)));
    if heard.with_usage {
        frames.push(chunk(json!([]), usage()));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    Reply::stream("text/event-stream").frames(frames).end()
}

/// Each call as a delta, or all of them as one.
fn calls_of(heard: &Heard, calls: &[Call]) -> Vec<Value> {
    let call = |(index, call): (usize, &Call)| {
        let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
        let id = format!("call_{}_{index}", heard.turns.len());
        let mut value = json!({"id": id, "type": "function", "function": function});
        if heard.stream {
            value["index"] = json!(index);
        }
        value
    };
    let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
    match heard.stream {
        true => calls.into_iter().map(|call| json!({"tool_calls": [call]})).collect(),
        false => vec![json!({"tool_calls": calls})],
    }
}

fn usage() -> Value {
    let (input, output) = USAGE;
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

/// The failure, in the words of OpenAI.
pub(super) fn failure(said: &Said) -> Reply {
    let error = |message: &str, kind: &str, param: Value, code: Value| json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    match said {
        Said::TooLong(tokens, maximum) => {
            let message = format!(
                "This model's maximum context length is {maximum} tokens. However, your messages resulted in {tokens} \
                 tokens. Please reduce the length of the messages."
            );
            let code = json!("context_length_exceeded");
            Reply::json(400, &error(&message, "invalid_request_error", json!("messages"), code))
        }
        _ => {
            let message = "The engine is currently overloaded, please try again later";
            Reply::json(503, &error(message, "server_error", Value::Null, Value::Null))
        }
    }
}

pub(super) fn embeddings(body: &Value) -> Reply {
    let data: Vec<Value> = vectors(&body["input"])
        .into_iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let usage = json!({"prompt_tokens": 4, "total_tokens": 4});
    Reply::json(200, &json!({"object": "list", "data": data, "model": body["model"], "usage": usage}))
}
