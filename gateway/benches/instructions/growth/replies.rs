//! Complete answers: each dimension, read in each backend dialect and written in each client dialect.

use std::hint::black_box;
use std::rc::Rc;

use wasmgate_dialect::chat::{Finish, Reply, ToolCall};
use wasmgate_dialect::{Dialect, Total};

use super::{Dimension, Work, work};
use crate::library::facts;

const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];
const CLIENTS: [Dialect; 5] =
    [Dialect::Native, Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];

type SizedReply = (&'static str, fn(usize) -> Reply);

/// An answer with so many elements of one dimension.
const DIMENSIONS: &[SizedReply] = &[
    ("characters", |n| Reply { text: "word ".repeat(n), ..reply() }),
    ("escapes", |n| Reply { text: "\"\\\n\u{1}".repeat(n), ..reply() }),
    ("characters of thinking", |n| Reply { reasoning: "word ".repeat(n), ..reply() }),
    ("calls", |n| Reply { tool_calls: (0..n).map(|at| call(at, "{\"a\":1}".to_owned())).collect(), ..reply() }),
    ("characters of arguments", |n| Reply {
        tool_calls: vec![call(0, format!("{{\"a\":\"{}\"}}", "word ".repeat(n)))],
        ..reply()
    }),
    ("arguments that are no object", |n| Reply { tool_calls: vec![call(0, "{\"a\":".repeat(n))], ..reply() }),
];

pub(super) fn dimensions() -> Vec<Dimension> {
    let built = |&(what, build): &(&str, fn(usize) -> Reply)| {
        Dimension::new(format!("answer, {what}"), move |n| {
            let reply = Rc::new(build(n));
            let mut works: Vec<Work> = BACKENDS
                .map(|from| {
                    // What a dialect writes for clients, it reads from backends.
                    let body = from.encode_reply(&reply, &facts(), &Total::default());
                    reading(from, body)
                })
                .into();
            works.extend(CLIENTS.map(|to| {
                let (reply, facts) = (Rc::clone(&reply), facts());
                work(format!("written for {}", to.as_str()), move || {
                    black_box(to.encode_reply(black_box(&reply), &facts, &Total::default()));
                })
            }));
            works
        })
    };
    let mut dimensions: Vec<Dimension> = DIMENSIONS.iter().map(built).collect();
    dimensions.push(Dimension::new("answer, blocks", |n| {
        let blocks = vec![r#"{"type":"text","text":"word"}"#; n].join(",");
        let body = format!(r#"{{"type":"message","content":[{blocks}],"stop_reason":"end_turn"}}"#);
        vec![reading(Dialect::Anthropic, body.into_bytes())]
    }));
    dimensions.push(Dimension::new("answer, choices", |n| {
        let choices = vec![r#"{"message":{"content":"word"},"finish_reason":"stop"}"#; n].join(",");
        vec![reading(Dialect::OpenAi, format!(r#"{{"choices":[{choices}]}}"#).into_bytes())]
    }));
    dimensions
}

fn reading(from: Dialect, body: Vec<u8>) -> Work {
    work(format!("read from {}", from.as_str()), move || {
        drop(black_box(from.decode_reply(black_box(&body)).expect("an answer")));
    })
}

fn reply() -> Reply {
    Reply { finish: Some(Finish::Stop), ..Reply::default() }
}

fn call(at: usize, arguments: String) -> ToolCall {
    ToolCall { id: format!("c{at}"), name: "f".to_owned(), arguments }
}
