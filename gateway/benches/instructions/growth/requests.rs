//! Requests: each dimension of each dialect, read, and written for each backend dialect.

use std::hint::black_box;
use std::rc::Rc;

use serde_json::{Value, json};
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::{Bounds, Dialect, Quirks, Target};

use super::{Dimension, work};

/// The model of a backend without quirks.
const TARGET: Target<'_> = Target { model: "m", max_tokens: 5, quirks: Quirks::NONE };

/// What a backend may speak.
const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];
/// More than any request has here.
const BOUNDS: Bounds = Bounds { messages: 1 << 20, parts: 1 << 20, tools: 1 << 20 };

/// A request with so many elements of one dimension.
type Build = fn(usize) -> Value;

/// In OpenAI's dialect. Each of them is also written in the other dialects, and read there.
const DIMENSIONS: &[(&str, Build)] = &[
    ("messages", |n| chat(vec![user("hi"); n])),
    ("empty messages", |n| chat(vec![user(""); n])),
    ("messages in turn", |n| chat((0..n).map(|at| if at % 2 == 0 { user("hi") } else { assistant("ho") }).collect())),
    ("system messages", |n| chat([vec![json!({"role": "system", "content": "be"}); n], vec![user("hi")]].concat())),
    ("parts", |n| chat(vec![parts(vec![json!({"type": "text", "text": "hi"}); n])])),
    ("images", |n| chat(vec![parts(vec![json!({"type": "image_url", "image_url": {"url": PICTURE}}); n])])),
    ("characters", |n| chat(vec![user(&"word ".repeat(n))])),
    ("escapes", |n| chat(vec![user(&"\"\\\n\u{1}".repeat(n))])),
    ("calls of a message", |n| chat(vec![user("hi"), calling(0..n), user("hi")])),
    ("calls and results", |n| chat([vec![user("hi"), calling(0..n)], (0..n).map(result).collect()].concat())),
    ("calls and results in turn", |n| {
        let turns = (0..n).flat_map(|call| [calling(call..call + 1), result(call)]);
        chat(std::iter::once(user("hi")).chain(turns).collect())
    }),
    ("calls and results in reverse", |n| {
        chat([vec![user("hi"), calling(0..n)], (0..n).rev().map(result).collect()].concat())
    }),
    ("results of no call", |n| chat([vec![user("hi"), calling(0..n)], vec![result(n); n]].concat())),
    ("characters of arguments", |n| {
        let mut message = calling(0..1);
        message["tool_calls"][0]["function"]["arguments"] = json!(json!({"text": "word ".repeat(n)}).to_string());
        chat(vec![user("hi"), message])
    }),
    ("arguments that are no object", |n| {
        let mut message = calling(0..1);
        message["tool_calls"][0]["function"]["arguments"] = json!("{\"a\":".repeat(n));
        chat(vec![user("hi"), message])
    }),
    ("tools", |n| with("tools", json!((0..n).map(|at| tool(&format!("f{at}"))).collect::<Vec<_>>()))),
    ("members of a schema", |n| {
        let mut tool = tool("f");
        tool["function"]["parameters"] = members(n);
        with("tools", json!([tool]))
    }),
    ("stop sequences", |n| with("stop", json!(vec!["END"; n]))),
    ("unknown fields", members_of_a_request),
    ("unknown fields of a message", |n| {
        let mut message = members(n);
        message["role"] = json!("user");
        message["content"] = json!("hi");
        chat(vec![message])
    }),
    ("characters of a model's name", |n| with("model", json!("m".repeat(n)))),
];

/// What only one dialect can say, or says in another way.
const OWN_DIMENSIONS: &[(Dialect, &str, Build)] = &[
    (Dialect::Native, "characters", |n| json!({"prompt": "word ".repeat(n)})),
    (Dialect::Responses, "calls and texts of a turn", |n| {
        let call =
            |at: usize| json!({"type": "function_call", "call_id": format!("c{at}"), "name": "f", "arguments": "{}"});
        let text = json!({"role": "assistant", "content": "ho"});
        let items = [(0..n).map(call).collect(), vec![text; n]].concat();
        json!({"model": "m", "input": items})
    }),
    (Dialect::Responses, "images of results", |n| {
        let image = json!([{"type": "input_image", "image_url": PICTURE}]);
        let result = |at: usize| json!({"type": "function_call_output", "call_id": format!("c{at}"), "output": image});
        json!({"model": "m", "input": (0..n).map(result).collect::<Vec<_>>()})
    }),
    (Dialect::Responses, "marked thinking", |n| {
        let thinking = |at: usize| json!({"type": "reasoning", "encrypted_content": format!("wg1.{at:012x}.x")});
        json!({"model": "m", "input": (0..n).map(thinking).collect::<Vec<_>>()})
    }),
    (Dialect::Responses, "allowed tools", |n| {
        let tools: Vec<Value> = (0..n).map(|at| json!({"type": "function", "name": format!("f{at}")})).collect();
        json!({"model": "m", "input": "hi", "tools": tools,
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": tools}})
    }),
    (Dialect::Ollama, "results without ids", |n| {
        let call = json!({"function": {"name": "f", "arguments": {}}});
        let calls = json!({"role": "assistant", "content": "", "tool_calls": vec![call; n]});
        chat([vec![user("hi"), calls], vec![json!({"role": "tool", "content": "1"}); n]].concat())
    }),
    (Dialect::Ollama, "results by tool", |n| {
        let call = |at: usize| json!({"function": {"name": format!("f{}", at % 7), "arguments": {}}});
        let calls = json!({"role": "assistant", "content": "", "tool_calls": (0..n).map(call).collect::<Vec<_>>()});
        let result = |at: usize| json!({"role": "tool", "content": "1", "tool_name": format!("f{}", at % 7)});
        chat([vec![user("hi"), calls], (0..n).rev().map(result).collect()].concat())
    }),
    (Dialect::Ollama, "results of one tool after those of another", |n| {
        let call = |at: usize| json!({"function": {"name": if at < n / 2 { "f" } else { "g" }, "arguments": {}}});
        let calls = json!({"role": "assistant", "content": "", "tool_calls": (0..n).map(call).collect::<Vec<_>>()});
        let by_tool = json!({"role": "tool", "content": "1", "tool_name": "g"});
        let of_any = json!({"role": "tool", "content": "1"});
        chat([vec![user("hi"), calls], vec![by_tool; n / 2], vec![of_any; n / 2]].concat())
    }),
    (Dialect::Anthropic, "results in one message", |n| {
        let result = |at: usize| json!({"type": "tool_result", "tool_use_id": format!("c{at}"), "content": "1"});
        let call = |at: usize| json!({"type": "tool_use", "id": format!("c{at}"), "name": "f", "input": {}});
        let calls = json!({"role": "assistant", "content": (0..n).map(call).collect::<Vec<_>>()});
        limited(vec![user("hi"), calls, parts((0..n).map(result).collect())])
    }),
    (Dialect::Anthropic, "texts of a result", |n| {
        let texts = vec![json!({"type": "text", "text": "hi"}); n];
        limited(vec![user("hi"), parts(vec![json!({"type": "tool_result", "tool_use_id": "c", "content": texts})])])
    }),
    (Dialect::Anthropic, "unsigned thinking", |n| {
        let thinking = json!({"type": "thinking", "thinking": "hm", "signature": ""});
        let answer = json!({"role": "assistant", "content": [thinking, {"type": "text", "text": "ho"}]});
        limited((0..n).flat_map(|_| [user("hi"), answer.clone()]).collect())
    }),
];

const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAAN";

pub(super) fn dimensions() -> Vec<Dimension> {
    let mut dimensions = Vec::new();
    for &(what, build) in DIMENSIONS {
        for from in BACKENDS {
            dimensions.push(dimension(from, what, move |n| translated(&build(n), from)));
        }
    }
    for &(from, what, build) in OWN_DIMENSIONS {
        dimensions.push(dimension(from, what, move |n| build(n).to_string().into_bytes()));
    }
    dimensions
}

/// A request in OpenAI's dialect, written in another. One that the other cannot express stays as it is: the dialects have
/// most fields in common.
fn translated(body: &Value, to: Dialect) -> Vec<u8> {
    let bytes = body.to_string().into_bytes();
    let Ok(chat) = Dialect::OpenAi.decode(&bytes, &BOUNDS) else { return bytes };
    if to == Dialect::OpenAi || to.obstacle(Dialect::OpenAi, &chat).is_some() {
        return bytes;
    }
    to.encode(Dialect::OpenAi, &chat, &TARGET)
}

/// A dimension of requests in one dialect: they are read, their texts are counted, and they are written for each backend
/// dialect that can express them.
fn dimension(from: Dialect, what: &str, build: impl Fn(usize) -> Vec<u8> + 'static) -> Dimension {
    Dimension::new(format!("{} request, {what}", from.as_str()), move |n| {
        let body = build(n);
        let chat: Rc<Chat> = Rc::new(from.decode(&body, &BOUNDS).unwrap_or_default());
        let mut works = vec![work("read", move || drop(black_box(from.decode(black_box(&body), &BOUNDS))))];
        let counted = Rc::clone(&chat);
        works.push(work("texts counted", move || {
            black_box(black_box(&counted).texts().map(str::len).sum::<usize>() + counted.images());
        }));
        works.extend(BACKENDS.map(|to| {
            let chat = Rc::clone(&chat);
            work(format!("written for {}", to.as_str()), move || {
                if to.obstacle(from, black_box(&chat)).is_none() {
                    black_box(to.encode(from, black_box(&chat), &TARGET));
                }
            })
        }));
        works
    })
}

fn chat(messages: Vec<Value>) -> Value {
    json!({"model": "m", "messages": messages})
}

fn limited(messages: Vec<Value>) -> Value {
    json!({"model": "m", "max_tokens": 5, "messages": messages})
}

fn with(member: &str, value: Value) -> Value {
    let mut body = chat(vec![user("hi")]);
    body[member] = value;
    body
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

fn parts(parts: Vec<Value>) -> Value {
    json!({"role": "user", "content": parts})
}

fn calling(calls: std::ops::Range<usize>) -> Value {
    let call = |at| json!({"id": format!("c{at}"), "type": "function", "function": {"name": "f", "arguments": "{}"}});
    json!({"role": "assistant", "content": "ho", "tool_calls": calls.map(call).collect::<Vec<_>>()})
}

fn result(call: usize) -> Value {
    json!({"role": "tool", "tool_call_id": format!("c{call}"), "content": "1"})
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "does", "parameters": {"type": "object"}}})
}

fn members(count: usize) -> Value {
    (0..count).map(|at| (format!("member{at}"), json!(at))).collect::<serde_json::Map<_, _>>().into()
}

fn members_of_a_request(count: usize) -> Value {
    let mut body = members(count);
    body["model"] = json!("m");
    body["messages"] = json!([user("hi")]);
    body
}
