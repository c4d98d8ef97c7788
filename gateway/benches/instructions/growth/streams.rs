//! Streams: each dimension, cut into frames and read in each backend dialect, and written in each client dialect.

use std::hint::black_box;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmgate_dialect::chat::{Delta, Deltas, Finish};
use wasmgate_dialect::frames::Frames;
use wasmgate_dialect::{Decoder, Dialect, Encoder, Total};

use super::{Dimension, Work, work};
use crate::library::facts;

const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];
const CLIENTS: [Dialect; 5] =
    [Dialect::Native, Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];

type SizedDeltas = (&'static str, fn(usize) -> Vec<Delta>);
type SizedFrames = (Dialect, &'static str, fn(usize) -> String);

/// The deltas of an answer with so many elements of one dimension. They are written in each dialect, and what the
/// backend dialects write is read.
const DIMENSIONS: &[SizedDeltas] = &[
    ("texts", |n| (0..n).map(|_| Delta::Text("word".to_owned())).collect()),
    ("thinking and texts in turn", |n| {
        (0..n).flat_map(|_| [Delta::Reasoning("hm".to_owned()), Delta::Text("word".to_owned())]).collect()
    }),
    ("characters of a text", |n| vec![Delta::Text("word ".repeat(n))]),
    ("calls one after the other", |n| (0..n).flat_map(|call| [begin(call), more(call, "{}")]).collect()),
    ("calls at once", |n| (0..n).map(begin).chain((0..n).map(|call| more(call, "{}"))).collect()),
    ("calls at once, fragments in reverse", |n| {
        (0..n).map(begin).chain((0..n).rev().map(|call| more(call, "{}"))).collect()
    }),
    ("calls without arguments", |n| (0..n).map(begin).collect()),
    ("fragments of a call", |n| {
        let fragments = (0..n).map(|_| more(0, "1,"));
        [begin(0), more(0, "{\"a\":[")].into_iter().chain(fragments).chain([more(0, "0]}")]).collect()
    }),
    ("fragments of a call while others wait", |n| {
        let fragments = (0..n).map(|_| more(0, "1,"));
        [begin(0), more(0, "[")].into_iter().chain((1..n).map(begin)).chain(fragments).collect()
    }),
    ("fragments of the last of many calls", |n| {
        (0..n).map(begin).chain((0..n).map(move |_| more(n - 1, "1,"))).collect()
    }),
];

/// The frames of one backend dialect with so many elements of a dimension that no encoder writes.
const OWN_DIMENSIONS: &[SizedFrames] = &[
    (Dialect::OpenAi, "calls of a frame", |n| chunk(json!({"tool_calls": (0..n).map(named).collect::<Vec<_>>()}))),
    (Dialect::OpenAi, "calls of a frame without names", |n| {
        chunk(json!({"tool_calls": (0..n).map(|at| json!({"index": at})).collect::<Vec<_>>()}))
    }),
    (Dialect::OpenAi, "calls of a frame with one index", |n| {
        let call = |at: usize| json!({"index": 0, "id": format!("c{at}"), "function": {"name": "f"}});
        let calls: Vec<Value> = (0..n).map(call).collect();
        [chunk(json!({"tool_calls": calls})), chunk(json!({"tool_calls": calls}))].concat()
    }),
    (Dialect::OpenAi, "names in reverse", |n| {
        let begun: Vec<Value> = (0..n).map(|at| json!({"index": at, "function": {"arguments": "{"}})).collect();
        [chunk(json!({"tool_calls": begun})), chunk(json!({"tool_calls": (0..n).rev().map(named).collect::<Vec<_>>()}))]
            .concat()
    }),
    (Dialect::OpenAi, "choices of a frame", |n| {
        let choice = |at: usize| json!({"index": at, "delta": {"content": "word"}, "finish_reason": "stop"});
        format!("data: {}\n\n", json!({"choices": (0..n).map(choice).collect::<Vec<_>>()}))
    }),
    (Dialect::OpenAi, "finish reasons after calls", |n| {
        let calls = chunk(json!({"tool_calls": (0..n).map(named).collect::<Vec<_>>()}));
        let choice = json!({"index": 0, "finish_reason": "stop"});
        format!("{calls}data: {}\n\n", json!({"choices": vec![choice; n]}))
    }),
    (Dialect::OpenAi, "lines of a frame", |n| format!("data: {{\"choices\":[\n{}data: ]}}\n\n", "data: \n".repeat(n))),
    (Dialect::OpenAi, "comments", |n| ": wait\n\n".repeat(n)),
    (Dialect::Anthropic, "calls in one block", |n| {
        let start = |at: usize| {
            json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "tool_use", "id": format!("c{at}"), "name": "f", "input": {}}})
        };
        (0..n).map(|at| format!("data: {}\n\n", start(at))).collect()
    }),
    (Dialect::Anthropic, "pings", |n| "event: ping\ndata: {\"type\":\"ping\"}\n\n".repeat(n)),
    (Dialect::Ollama, "calls of a line", |n| {
        let call = json!({"function": {"name": "f", "arguments": {"a": 1}}});
        format!("{}\n", json!({"message": {"content": "", "tool_calls": vec![call; n]}}))
    }),
    (Dialect::Ollama, "blank lines", |n| "\n".repeat(n)),
];

pub(super) fn dimensions() -> Vec<Dimension> {
    let written = DIMENSIONS.iter().map(|&(what, build)| {
        Dimension::new(format!("stream, {what}"), move |n| {
            let mut works: Vec<Work> = CLIENTS.map(|to| writing(to, ended(build(n)))).into();
            works.extend(BACKENDS.iter().flat_map(|&from| reading(from, &write(from, ended(build(n))))));
            works
        })
    });
    let own = OWN_DIMENSIONS.iter().map(|&(from, what, build)| {
        Dimension::new(format!("{} stream, {what}", from.as_str()), move |n| {
            let bytes = build(n).into_bytes();
            let mut works = Vec::from(reading(from, &bytes));
            // The dialect whose encoder keeps most.
            works.push(writing(Dialect::Anthropic, read(from, &bytes, usize::MAX)));
            works
        })
    });
    written.chain(own).collect()
}

/// To read a stream as it was written, and in chunks of a few bytes.
fn reading(from: Dialect, bytes: &[u8]) -> [Work; 2] {
    [("", usize::MAX), (" in small chunks", 16)].map(|(how, chunk)| {
        let bytes = bytes.to_vec();
        work(format!("read from {}{how}", from.as_str()), move || drop(black_box(read(from, black_box(&bytes), chunk))))
    })
}

fn writing(to: Dialect, deltas: Vec<Delta>) -> Work {
    let mut deltas = Some(deltas);
    work(format!("written for {}", to.as_str()), move || {
        black_box(write(to, deltas.take().unwrap_or_default()));
    })
}

fn read(dialect: Dialect, bytes: &[u8], chunk: usize) -> Vec<Delta> {
    let mut frames = Frames::new(dialect.framing(), usize::MAX);
    let (mut decoder, mut deltas) = (Decoder::new(dialect), Deltas::new());
    for chunk in bytes.chunks(chunk.min(bytes.len()).max(1)) {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = frames.next().expect("no frame is too long") {
            decoder.frame(&frame, &mut deltas).expect("a frame of its dialect");
        }
    }
    deltas.into()
}

fn write(dialect: Dialect, deltas: Vec<Delta>) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(dialect, facts()), Vec::new());
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    encoder.end(&Total::default(), &mut out);
    out
}

fn ended(mut deltas: Vec<Delta>) -> Vec<Delta> {
    deltas.insert(0, Delta::Start { id: None, model: None });
    deltas.extend([Delta::Finish(Finish::Stop), Delta::End]);
    deltas
}

fn begin(index: usize) -> Delta {
    Delta::ToolCallStart { index, id: format!("c{index}"), name: "f".to_owned() }
}

fn more(index: usize, fragment: &str) -> Delta {
    Delta::ToolCallArguments { index, fragment: fragment.to_owned() }
}

fn chunk(delta: Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))
}

fn named(index: usize) -> Value {
    json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": "{}"}})
}
