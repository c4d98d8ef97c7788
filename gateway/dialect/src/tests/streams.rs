//! Streams: from each backend, to each client.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::frames::Frames;
use super::super::{BackendError, Decoder, Encoder, Facts};
use super::{ALL, Dialect, facts, json, total};
use crate::chat::{Delta, Deltas, Finish};
use wasmgate_base::usage::Usage;

/// Reads a backend's stream; returns the deltas, and whether the stream was malformed.
fn decoded(dialect: Dialect, stream: &str) -> (Vec<Delta>, bool) {
    let mut frames = Frames::new(dialect.framing(), 1 << 20);
    frames.push(Bytes::copy_from_slice(stream.as_bytes()));
    let mut decoder = Decoder::new(dialect);
    let mut deltas = Deltas::new();
    while let Ok(Some(frame)) = frames.next() {
        if decoder.frame(&frame, &mut deltas).is_err() {
            return (deltas.into(), true);
        }
    }
    (deltas.into(), false)
}

fn events(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut out, event| {
        match event.as_str() {
            Some(text) => write!(out, "data: {text}\n\n").expect("memory"),
            None => write!(out, "data: {event}\n\n").expect("memory"),
        }
        out
    })
}

fn anthropic_events(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut out, event| {
        write!(out, "event: {}\ndata: {event}\n\n", event["type"].as_str().expect("typed")).expect("memory");
        out
    })
}

fn lines(lines: &[Value]) -> String {
    lines.iter().fold(String::new(), |mut out, line| {
        writeln!(out, "{line}").expect("memory");
        out
    })
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn begin(index: usize, id: &str, name: &str) -> Delta {
    Delta::ToolCallStart { index, id: id.to_owned(), name: name.to_owned() }
}

fn more(index: usize, fragment: &str) -> Delta {
    Delta::ToolCallArguments { index, fragment: fragment.to_owned() }
}

fn failed(body: &str) -> Delta {
    Delta::Failed(Box::new(BackendError::read(body.as_bytes())))
}

fn start(id: Option<&str>, model: &str) -> Delta {
    Delta::Start { id: id.map(ToOwned::to_owned), model: Some(model.to_owned()) }
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "usage": null,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
}

#[test]
fn openais_stream_is_read() {
    let stream = format!(
        ": comment\n\n{}",
        events(&[
            chunk(&json!({"role": "assistant", "content": ""}), None),
            chunk(&json!({"reasoning_content": "hm", "reasoning": "hm"}), None),
            chunk(&json!({"content": "Hi."}), None),
            chunk(
                &json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
                None
            ),
            chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]}), None),
            chunk(
                &json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
                None
            ),
            chunk(
                &json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}}]}),
                None
            ),
            chunk(&json!({}), Some("stop")),
            json!({"id": "c", "model": "gpt", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
                "prompt_tokens_details": {"cached_tokens": 5}}}),
            json!("[DONE]"),
        ])
    );
    let expected = vec![
        start(Some("c"), "gpt"),
        Delta::Reasoning("hm".to_owned()),
        text("Hi."),
        begin(0, "a", "f"),
        more(0, "{\"x\""),
        begin(1, "b", "g"),
        more(1, "{}"),
        more(0, ":1}"),
        Delta::Finish(Finish::ToolCalls),
        Delta::Usage {
            usage: Usage { input: 4, cache_read: 5, cache_write: 0, output: 4, ..Usage::default() },
            is_final: true,
        },
        Delta::End,
    ];
    assert_eq!(decoded(Dialect::OpenAi, &stream), (expected, false));
}

#[test]
fn odd_openai_servers_are_understood() {
    let cases: [(String, Vec<Delta>); 9] = [
        // Complete calls, all with the same index or with none.
        (
            events(&[
                chunk(
                    &json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
                    None,
                ),
                chunk(
                    &json!({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}]}),
                    None,
                ),
                chunk(&json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}), None),
            ]),
            vec![
                start(Some("c"), "gpt"),
                begin(0, "a", "f"),
                more(0, "{}"),
                begin(1, "b", "f"),
                more(1, "{}"),
                begin(2, "c", "f"),
                more(2, "{}"),
            ],
        ),
        // The name arrives late.
        (
            events(&[
                chunk(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{"}}]}), None),
                chunk(&json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]}), None),
            ]),
            vec![start(Some("c"), "gpt"), begin(0, "a", "f"), more(0, "{}")],
        ),
        // The name of the second call arrives first: encoders get the calls in the order in which they can write them.
        (
            events(&[
                chunk(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{"}}]}), None),
                chunk(
                    &json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
                    None,
                ),
                chunk(&json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]}), None),
            ]),
            vec![start(Some("c"), "gpt"), begin(0, "b", "g"), more(0, "{}"), begin(1, "a", "f"), more(1, "{}")],
        ),
        (
            events(&[json!({"error": {"message": "boom", "code": 500}})]),
            vec![failed(r#"{"error":{"message":"boom","code":500}}"#)],
        ),
        (
            events(&[json!({"object": "error", "message": "boom", "code": 400})]),
            vec![failed(r#"{"object":"error","message":"boom","code":400}"#)],
        ),
        ("error: {\"code\":500}\n\n".to_owned(), vec![failed("{\"code\":500}")]),
        ("event: ping\ndata: {}\n\nevent: note\ndata: x\n\n".to_owned(), vec![]),
        ("data:[DONE]\r\n\r\n".to_owned(), vec![Delta::End]),
        (
            events(&[chunk(&json!({"refusal": "No."}), Some("content_filter"))]),
            vec![start(Some("c"), "gpt"), text("No."), Delta::Finish(Finish::ContentFilter)],
        ),
    ];
    for (stream, expected) in cases {
        assert_eq!(decoded(Dialect::OpenAi, &stream), (expected, false), "{stream}");
    }
}

#[test]
fn anthropics_stream_is_read() {
    let stream = anthropic_events(&[
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "claude",
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi."}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"q\":1}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
        json!({"type": "content_block_stop", "index": 3}),
        json!({"type": "content_block_start", "index": 4, "content_block": {"type": "tool_use", "id": "t2", "name": "g", "input": {}}}),
        json!({"type": "content_block_stop", "index": 4}),
        json!({"type": "something_new", "index": "x"}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop"}),
    ]);
    let usage = |output, is_final| {
        let usage = Usage { input: 9, cache_read: 3, cache_write: 0, output, ..Usage::default() };
        Delta::Usage { usage, is_final }
    };
    let expected = vec![
        start(Some("m"), "claude"),
        usage(1, false),
        Delta::Reasoning("hm".to_owned()),
        text("Hi."),
        // A block that only this dialect can express.
        Delta::Other(2),
        begin(0, "t1", "f"),
        more(0, "{\"a\":1}"),
        begin(1, "t2", "g"),
        more(1, "{}"),
        usage(8, true),
        Delta::Finish(Finish::ToolCalls),
        Delta::End,
    ];
    // An unknown event may have unknown members.
    let stream = stream.replace(r#""index":"x""#, r#""indexes":"x""#);
    assert_eq!(decoded(Dialect::Anthropic, &stream), (expected, false));
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let expected = vec![failed(&error.to_string())];
    assert_eq!(decoded(Dialect::Anthropic, &anthropic_events(&[error])), (expected, false));
}

#[test]
fn ollamas_stream_is_read() {
    let stream = lines(&[
        json!({"model": "llama3", "created_at": "x", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": false}),
        json!({"model": "llama3", "created_at": "x", "message": {"role": "assistant", "content": "Hi."}, "done": false}),
        json!({"model": "llama3", "message": {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "x", "function": {"name": "g", "arguments": {}}}]}, "done": false}),
        json!({"model": "llama3", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
            "total_duration": 5, "prompt_eval_count": 9, "eval_count": 4}),
    ]);
    let expected = vec![
        start(None, "llama3"),
        Delta::Reasoning("hm".to_owned()),
        text("Hi."),
        begin(0, "", "f"),
        more(0, "{\"a\":1}"),
        begin(1, "x", "g"),
        more(1, "{}"),
        Delta::Usage {
            usage: Usage { input: 9, cache_read: 0, cache_write: 0, output: 4, ..Usage::default() },
            is_final: true,
        },
        Delta::Finish(Finish::ToolCalls),
        Delta::End,
    ];
    assert_eq!(decoded(Dialect::Ollama, &stream), (expected, false));
    let error = lines(&[json!({"error": "out of memory"})]);
    assert_eq!(decoded(Dialect::Ollama, &error), (vec![failed("{\"error\":\"out of memory\"}")], false));
}

#[test]
fn what_is_no_event_is_malformed() {
    for (dialect, stream) in [
        (Dialect::OpenAi, "data: not json\n\n"),
        (Dialect::OpenAi, "data: {\"choices\":[{\"delta\":{\"content\":\"a\n\n"),
        (Dialect::OpenAi, "data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n"),
        (
            Dialect::OpenAi,
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\"}]},\"finish_reason\":\"stop\"}]}\n\n",
        ),
        (Dialect::Anthropic, "event: message_start\ndata: not json\n\n"),
        (Dialect::Anthropic, "data: {\"type\":\"content_block_delta\"}\n\n"),
        (
            Dialect::Anthropic,
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\"}}\n\n",
        ),
        (Dialect::Ollama, "data\n"),
        (Dialect::Ollama, "{\"message\":{\"content\":\"a\n"),
        (Dialect::Ollama, "{\"message\":{\"content\":5},\"done\":false}\n"),
    ] {
        assert!(decoded(dialect, stream).1, "{stream}");
    }
}

/// Thinking, text, two calls whose fragments are interleaved, usage.
fn steps() -> Vec<Delta> {
    vec![
        start(Some("backend-id"), "backend-model"),
        Delta::Reasoning("hm".to_owned()),
        text("Hi."),
        text(" \"You\"."),
        begin(0, "a", "f"),
        more(0, "{\"x\""),
        begin(1, "", "g"),
        more(1, "{\"y\":"),
        more(0, ":1}"),
        more(1, "2}"),
        Delta::Finish(Finish::ToolCalls),
        Delta::Usage {
            usage: Usage { input: 6, cache_read: 6, cache_write: 0, output: 5, ..Usage::default() },
            is_final: true,
        },
        Delta::End,
    ]
}

fn encoded(dialect: Dialect, facts: Facts, steps: Vec<Delta>) -> String {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(dialect, facts);
    for step in steps {
        encoder.delta(step, &mut out);
    }
    encoder.end(&total(), &mut out);
    String::from_utf8(out).expect("text")
}

/// The objects of a stream, in order, without the names of events.
fn objects(stream: &str) -> Vec<Value> {
    stream
        .split("\n\n")
        .flat_map(|event| event.lines().filter(|line| !line.starts_with("event: ")))
        .map(|line| line.strip_prefix("data: ").unwrap_or(line))
        .map(|data| if data == "[DONE]" { json!(data) } else { json(data.as_bytes()) })
        .collect()
}

#[test]
fn openais_stream_is_written() {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "chatcmpl-0198ab", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "small",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null})
    };
    let expected = vec![
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"reasoning_content": "hm"}), None),
        chunk(json!({"content": "Hi."}), None),
        chunk(json!({"content": " \"You\"."}), None),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            None,
        ),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]}), None),
        chunk(
            json!({"tool_calls": [{"index": 1, "id": "call_0198ab_1", "type": "function", "function": {"name": "g", "arguments": ""}}]}),
            None,
        ),
        chunk(json!({"tool_calls": [{"index": 1, "function": {"arguments": "{\"y\":"}}]}), None),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}), None),
        chunk(json!({"tool_calls": [{"index": 1, "function": {"arguments": "2}"}}]}), None),
        chunk(json!({}), Some("tool_calls")),
        json!({"id": "chatcmpl-0198ab", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "small", "choices": [],
            "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0}}}),
        json!("[DONE]"),
    ];
    let stream = encoded(Dialect::OpenAi, facts(), steps());
    assert_eq!(objects(&stream), expected);
    let silent = Facts { include_usage: false, ..facts() };
    assert!(!encoded(Dialect::OpenAi, silent, steps()).contains("usage"));
}

#[test]
fn anthropics_stream_is_written_in_its_strict_order() {
    let stream = encoded(Dialect::Anthropic, facts(), steps());
    let delta = |index: usize, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: usize| json!({"type": "content_block_stop", "index": index});
    let begin =
        |index: usize, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let expected = vec![
        json!({"type": "message_start", "message": {"id": "msg_0198ab", "type": "message", "role": "assistant", "model": "small",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 11, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}}}),
        begin(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        stop(0),
        begin(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Hi."})),
        delta(1, json!({"type": "text_delta", "text": " \"You\"."})),
        stop(1),
        begin(2, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"x\""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ":1}"})),
        stop(2),
        begin(3, json!({"type": "tool_use", "id": "call_0198ab_1", "name": "g", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"y\":"})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "2}"})),
        stop(3),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 6, "output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let objects = objects(&stream);
    assert_eq!(objects, expected);
    let names: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let types: Vec<_> = objects.iter().filter_map(|object| object["type"].as_str()).collect();
    assert_eq!(names, types);
}

#[test]
fn calls_in_sequence_stream_as_they_come_for_anthropic() {
    let steps =
        vec![begin(0, "a", "f"), more(0, "{}"), begin(1, "b", "g"), more(1, "{\"x\":"), more(1, "1}"), text("so")];
    let types: Vec<_> = objects(&encoded(Dialect::Anthropic, facts(), steps))
        .iter()
        .map(|object| (object["type"].as_str().unwrap_or_default().to_owned(), object["index"].as_u64()))
        .collect();
    let block = |kind: &str, index| (format!("content_block_{kind}"), Some(index));
    assert_eq!(
        types[1..],
        [
            block("start", 0),
            block("delta", 0),
            block("stop", 0),
            block("start", 1),
            block("delta", 1),
            block("delta", 1),
            block("stop", 1),
            block("start", 2),
            block("delta", 2),
            block("stop", 2),
            ("message_delta".to_owned(), None),
            ("message_stop".to_owned(), None),
        ]
    );
}

#[test]
fn ollamas_stream_is_written_with_whole_calls() {
    let line = |message: Value| json!({"model": "small", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false});
    let expected = vec![
        line(json!({"role": "assistant", "content": "", "thinking": "hm"})),
        line(json!({"role": "assistant", "content": "Hi."})),
        line(json!({"role": "assistant", "content": " \"You\"."})),
        line(json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g", "arguments": {"y": 2}}}]})),
        json!({"model": "small", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""}, "done": true,
            "done_reason": "stop", "total_duration": 500_000_000, "prompt_eval_count": 12, "eval_count": 5}),
    ];
    let stream = encoded(Dialect::Ollama, facts(), steps());
    assert_eq!(stream.lines().map(|line| json(line.as_bytes())).collect::<Vec<_>>(), expected);
}

#[test]
fn the_native_stream_ends_with_the_whole_answer() {
    let objects =
        objects(&encoded(Dialect::Native, facts(), vec![text("Hi"), Delta::Reasoning("hm".to_owned()), text(".")]));
    assert_eq!(objects[..2], [json!({"delta": "Hi"}), json!({"delta": "."})]);
    let reply = crate::chat::Reply { text: "Hi.".to_owned(), ..Default::default() };
    let mut whole = json(&Dialect::Native.encode_reply(&reply, &facts(), &total()));
    whole["done"] = json!(true);
    assert_eq!(objects[2..], [whole]);
}

#[test]
fn an_empty_stream_is_whole_in_every_dialect() {
    for dialect in ALL {
        let stream = encoded(dialect, facts(), Vec::new());
        if dialect != Dialect::Native {
            let (deltas, malformed) = decoded(dialect, &stream);
            assert!(!malformed);
            assert_eq!(deltas.last(), Some(&Delta::End), "{dialect:?}");
            assert!(deltas.contains(&Delta::Finish(Finish::Stop)), "{dialect:?}");
        }
    }
}

#[test]
fn what_is_written_reads_the_same() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama] {
        let (deltas, malformed) = decoded(dialect, &encoded(dialect, facts(), steps()));
        assert!(!malformed, "{dialect:?}");
        let mut text = String::new();
        let mut calls: Vec<(String, String)> = Vec::new();
        for delta in &deltas {
            match delta {
                Delta::Text(more) => text.push_str(more),
                Delta::ToolCallStart { name, .. } => calls.push((name.clone(), String::new())),
                Delta::ToolCallArguments { index, fragment } => calls[*index].1.push_str(fragment),
                _ => {}
            }
        }
        let call = |name: &str, arguments: &str| (name.to_owned(), arguments.to_owned());
        assert_eq!(text, "Hi. \"You\".");
        assert_eq!(calls, [call("f", "{\"x\":1}"), call("g", "{\"y\":2}")]);
        assert!(deltas.contains(&Delta::Finish(Finish::ToolCalls)));
        let counted = deltas.iter().rev().find_map(|delta| match delta {
            Delta::Usage { usage, .. } => Some((usage.input_total(), usage.output)),
            _ => None,
        });
        assert_eq!(counted, Some((12, 5)), "{dialect:?}");
    }
}
