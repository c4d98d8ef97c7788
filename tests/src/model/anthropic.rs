//! Anthropic's messages.

use serde_json::{Value, json};

use super::heard::{Heard, Who, text_of};
use super::{Call, Said, USAGE, pieces};
use crate::backend::Reply;

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard::of(body);
    heard.instruct(&text_of(&body["system"]));
    for message in body["messages"].as_array().into_iter().flatten() {
        let who = match message["role"].as_str() {
            Some("system") => {
                heard.instruct(&text_of(&message["content"]));
                continue;
            }
            Some("assistant") => Who::Assistant,
            _ => Who::User,
        };
        let Some(blocks) = message["content"].as_array() else {
            heard.turn(who, &message["content"]);
            continue;
        };
        let is_result = |block: &&Value| block["type"] == "tool_result";
        for result in blocks.iter().filter(is_result) {
            heard.turn(Who::Result, &result["content"]);
        }
        let others: Vec<&Value> = blocks.iter().filter(|block| !is_result(block)).collect();
        if !others.is_empty() {
            heard.turn(who, &json!(others));
        }
    }
    heard.forced = body["tool_choice"]["name"].as_str().map(str::to_owned);
    heard.in_a_form = body["output_config"]["format"]["type"] == "json_schema";
    heard
}

pub(super) fn answer(heard: &Heard, said: &Said) -> Reply {
    let (blocks, reason) = match said {
        Said::Text(text) => (vec![json!({"type": "text", "text": text})], "end_turn"),
        Said::Calls(calls) => {
            (calls.iter().enumerate().map(|(index, call)| block(heard, index, call)).collect(), "tool_use")
        }
        failed => return failure(failed),
    };
    let (input, output) = USAGE;
    let message = |content: &[Value], reason: Value, output: u64| {
        json!({"id": "msg_scripted", "type": "message", "role": "assistant", "model": heard.model, "content": content,
            "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": input,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output}})
    };
    if !heard.stream {
        return Reply::json(200, &message(&blocks, json!(reason), output));
    }
    let mut events = vec![json!({"type": "message_start", "message": message(&[], Value::Null, 1)})];
    for (index, block) in blocks.iter().enumerate() {
        let (empty, deltas) = in_pieces(block);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    // As the API does since 2025: all counts, not the output's alone.
    let usage = json!({"input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": output});
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
    );
    events.push(json!({"type": "message_stop"}));
    let frame = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Reply::stream("text/event-stream").frames(events.into_iter().map(frame)).end()
}

fn block(heard: &Heard, index: usize, call: &Call) -> Value {
    let id = format!("toolu_{}_{index}", heard.turns.len());
    json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments})
}

/// A block as it begins, and the pieces that fill it.
fn in_pieces(block: &Value) -> (Value, Vec<Value>) {
    if let Some(text) = block["text"].as_str() {
        let deltas = pieces(text).into_iter().map(|text| json!({"type": "text_delta", "text": text})).collect();
        return (json!({"type": "text", "text": ""}), deltas);
    }
    let mut empty = block.clone();
    empty["input"] = json!({});
    (empty, vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})])
}

/// The failure, in the words of Anthropic.
fn failure(said: &Said) -> Reply {
    let error = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    match said {
        Said::TooLong(tokens, maximum) => {
            let message = format!("prompt is too long: {tokens} tokens > {maximum} maximum");
            Reply::json(400, &error("invalid_request_error", &message))
        }
        _ => Reply::json(529, &error("overloaded_error", "Overloaded")),
    }
}
