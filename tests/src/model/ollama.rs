//! Ollama's chat, generation and what its clients ask beside.

use serde_json::{Value, json};

use super::heard::{Heard, Who, text_of};
use super::{Call, Said, USAGE, pieces, vectors};
use crate::backend::Reply;

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard::of(body);
    heard.stream = body["stream"] != false;
    for message in body["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str().unwrap_or_default() {
            "system" => heard.instruct(&text_of(&message["content"])),
            "assistant" => heard.turn(Who::Assistant, &message["content"]),
            "tool" => heard.turn(Who::Result, &message["content"]),
            _ => heard.turn(Who::User, &message["content"]),
        }
        if let (Some(turn), Some(images)) = (heard.turns.last_mut(), message["images"].as_array()) {
            turn.images += images.len();
        }
    }
    heard.of_a_text = body["messages"].is_null();
    if heard.of_a_text {
        heard.instruct(&text_of(&body["system"]));
        heard.turn(Who::User, &body["prompt"]);
    }
    heard.in_a_form = body["format"].is_object();
    heard
}

pub(super) fn answer(heard: &Heard, said: &Said) -> Reply {
    let (mut messages, whole) = match said {
        Said::Text(text) => {
            (pieces(text).into_iter().map(|text| json!({"content": text})).collect(), json!({"content": text}))
        }
        Said::Calls(calls) => {
            let call = |call: &Call| json!({"function": {"name": call.name, "arguments": call.arguments}});
            let calls = json!({"content": "", "tool_calls": calls.iter().map(call).collect::<Vec<_>>()});
            (vec![calls.clone()], calls)
        }
        failed => return failure(failed),
    };
    let line = |message: &Value, done: bool| {
        let mut line = json!({"model": heard.model, "created_at": "2026-01-31T23:59:59.123456789Z", "done": done});
        if heard.of_a_text {
            line["response"] = message["content"].clone();
        } else {
            line["message"] = message.clone();
            line["message"]["role"] = json!("assistant");
        }
        if done {
            line["done_reason"] = json!("stop");
            line["prompt_eval_count"] = json!(USAGE.0);
            line["eval_count"] = json!(USAGE.1);
            for duration in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
                line[duration] = json!(1_000_000);
            }
        }
        line
    };
    if !heard.stream {
        return Reply::json(200, &line(&whole, true));
    }
    messages.push(json!({"content": ""}));
    let last = messages.len() - 1;
    let frames = messages.iter().enumerate().map(|(index, message)| format!("{}\n", line(message, index == last)));
    Reply::stream("application/x-ndjson").frames(frames.collect::<Vec<_>>()).end()
}

fn failure(said: &Said) -> Reply {
    match said {
        Said::TooLong(tokens, maximum) => {
            let message = format!("prompt has {tokens} tokens, which exceeds the context length of {maximum}");
            Reply::json(400, &json!({"error": message}))
        }
        _ => Reply::json(503, &json!({"error": "server busy, please try again.  maximum pending requests exceeded"})),
    }
}

pub(super) fn embeddings(body: &Value) -> Reply {
    let vectors = vectors(&body["input"]);
    Reply::json(
        200,
        &json!({"model": body["model"], "embeddings": vectors, "total_duration": 1, "load_duration": 1,
        "prompt_eval_count": 4}),
    )
}

/// The only model.
const NAME: &str = "backend-model";

pub(super) fn known() -> Value {
    let details = json!({"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "1B",
        "quantization_level": "Q4_0"});
    json!({"models": [{"name": NAME, "model": NAME, "modified_at": "2026-01-31T23:59:59Z", "size": 1,
        "digest": "0".repeat(64), "details": details}]})
}

pub(super) fn shown() -> Value {
    json!({"details": {"family": "llama"}, "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
        "capabilities": ["completion", "tools"]})
}
