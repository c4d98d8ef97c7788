//! OpenAI's Responses.

use serde_json::{Value, json};

use super::heard::{Heard, Who, text_of};
use super::{Call, Said, USAGE, openai, pieces};
use crate::backend::Reply;

pub(super) fn heard(body: &Value) -> Heard {
    let mut heard = Heard::of(body);
    heard.instruct(&text_of(&body["instructions"]));
    if body["input"].is_string() {
        heard.turn(Who::User, &body["input"]);
    }
    heard.of_text = tools_of_text(&body["tools"]);
    for item in body["input"].as_array().into_iter().flatten() {
        let kind = item["type"].as_str().unwrap_or("message");
        match (kind, item["role"].as_str().unwrap_or_default()) {
            ("message", "system" | "developer") => heard.instruct(&text_of(&item["content"])),
            ("message", "assistant") => heard.turn(Who::Assistant, &item["content"]),
            ("message", _) => heard.turn(Who::User, &item["content"]),
            ("function_call" | "custom_tool_call", _) => heard.turn(Who::Assistant, &json!("")),
            ("function_call_output" | "custom_tool_call_output", _) => heard.turn(Who::Result, &item["output"]),
            ("additional_tools", _) => heard.of_text.extend(tools_of_text(&item["tools"])),
            _ => {}
        }
    }
    heard.forced = body["tool_choice"]["name"].as_str().map(str::to_owned);
    heard.in_a_form = body["text"]["format"]["type"] == "json_schema";
    heard
}

/// The tools that take text, those in namespaces as `namespace__name`.
fn tools_of_text(tools: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for tool in tools.as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default();
        match tool["type"].as_str() {
            Some("custom") => found.push(name.to_owned()),
            Some("namespace") => {
                found.extend(tools_of_text(&tool["tools"]).iter().map(|inner| format!("{name}__{inner}")));
            }
            _ => {}
        }
    }
    found
}

pub(super) fn answer(heard: &Heard, said: &Said) -> Reply {
    let items: Vec<Item> = match said {
        Said::Text(text) => vec![Item::of_text(text)],
        Said::Calls(calls) => calls.iter().enumerate().map(|(index, call)| Item::of_call(heard, index, call)).collect(),
        Said::TooLong(..) if heard.stream => return too_long(heard),
        failed => return openai::failure(failed),
    };
    let whole: Vec<Value> = items.iter().map(|item| item.whole.clone()).collect();
    let response = |status: &str, output: &[Value], usage: Value| {
        json!({"id": "resp_scripted", "object": "response", "created_at": 1_760_000_000, "model": heard.model,
            "status": status, "output": output, "error": null, "incomplete_details": null, "instructions": null,
            "metadata": {}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage})
    };
    let completed = response("completed", &whole, usage());
    if !heard.stream {
        return Reply::json(200, &completed);
    }
    let begun = response("in_progress", &[], Value::Null);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (index, item) in items.into_iter().enumerate() {
        events.extend(item.events.into_iter().map(|mut event| {
            event["output_index"] = json!(index);
            event
        }));
    }
    events.push(json!({"type": "response.completed", "response": completed}));
    stream(events)
}

fn stream(events: Vec<Value>) -> Reply {
    let frames = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    });
    Reply::stream("text/event-stream").frames(frames).end()
}

/// As the API says it to those who stream: in the stream.
fn too_long(heard: &Heard) -> Reply {
    let message = "Your input exceeds the context window of this model. Please adjust your input and try again.";
    let error = json!({"code": "context_length_exceeded", "message": message});
    let response = |status: &str, error: Value| {
        json!({"id": "resp_scripted", "object": "response", "created_at": 1_760_000_000, "model": heard.model,
            "status": status, "output": [], "error": error})
    };
    stream(vec![
        json!({"type": "response.created", "response": response("in_progress", Value::Null)}),
        json!({"type": "response.failed", "response": response("failed", error)}),
    ])
}

/// An item of an answer, and the events that bring it.
struct Item {
    whole: Value,
    events: Vec<Value>,
}

impl Item {
    fn of_text(text: &str) -> Self {
        let id = "msg_scripted";
        let item = |status: &str, content: Value| json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": content});
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        let event = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": id, "content_index": 0});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let whole = item("completed", json!([part(text)]));
        let mut events = vec![
            json!({"type": "response.output_item.added", "item": item("in_progress", json!([]))}),
            event("response.content_part.added", json!({"part": part("")})),
        ];
        let delta = |text: &str| event("response.output_text.delta", json!({"delta": text, "logprobs": []}));
        events.extend(pieces(text).into_iter().map(delta));
        events.push(event("response.output_text.done", json!({"text": text, "logprobs": []})));
        events.push(event("response.content_part.done", json!({"part": part(text)})));
        events.push(json!({"type": "response.output_item.done", "item": whole}));
        Self { whole, events }
    }

    fn of_call(heard: &Heard, index: usize, call: &Call) -> Self {
        let of_text = heard.of_text.contains(&call.name);
        let (kind, member, event, text) = if of_text {
            let text = call.arguments["input"].as_str().unwrap_or_default().to_owned();
            ("custom_tool_call", "input", "response.custom_tool_call_input", text)
        } else {
            ("function_call", "arguments", "response.function_call_arguments", call.arguments.to_string())
        };
        let (turn, id) = (heard.turns.len(), format!("fc_{}_{index}", heard.turns.len()));
        let item = |status: &str, text: &str| {
            let mut item = json!({"type": kind, "id": id, "call_id": format!("call_{turn}_{index}"), "name": call.name,
                "status": status});
            if let Some((namespace, name)) = call.name.split_once("__") {
                item["namespace"] = json!(namespace);
                item["name"] = json!(name);
            }
            item[member] = json!(text);
            item
        };
        let whole = item("completed", &text);
        let mut done = json!({"type": format!("{event}.done"), "item_id": id});
        done[member] = json!(text);
        let events = vec![
            json!({"type": "response.output_item.added", "item": item("in_progress", "")}),
            json!({"type": format!("{event}.delta"), "item_id": id, "delta": text}),
            done,
            json!({"type": "response.output_item.done", "item": whole}),
        ];
        Self { whole, events }
    }
}

fn usage() -> Value {
    let (input, output) = USAGE;
    json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output})
}
