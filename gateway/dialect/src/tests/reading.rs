//! Answers in every framing and with odd, missing and unknown fields: text, thinking, tool calls, finish and usage that are
//! read, relayed and translated are those that were put in.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::frames::Frames;
use super::super::{Decoder, Encoder, Passed};
use super::{Dialect, facts};
use crate::chat::{Delta, Deltas, Finish, Reply};
use crate::types::Total;
use wasmgate_base::usage::Usage;

const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answer {
    thinking: String,
    text: String,
    /// Names and arguments, as JSON.
    calls: Vec<(String, String)>,
    finish: Option<Finish>,
    /// Input and output tokens.
    usage: Option<(u64, u64)>,
}

/// How a backend writes it.
#[derive(Debug, Clone)]
struct Style {
    /// Ends of lines: `\n`, `\r\n` or `\r`.
    line: usize,
    /// A space after the colon.
    space: bool,
    bom: bool,
    /// Data over two lines, and other fields of events.
    multi: bool,
    /// Whether `event` lines are there.
    named: bool,
    /// Content as parts instead of text.
    parts: bool,
    /// Arguments as an object instead of text.
    objects: bool,
    /// Indexes of calls are missing.
    unindexed: bool,
    /// Members in the other order, with unknown ones between them.
    reversed: bool,
    /// Frames that say nothing, in between.
    noise: bool,
    /// Whether the end marker comes.
    marked: bool,
    /// Which odd form usage has.
    usage: usize,
    /// How the answer says that tools were called.
    reason: usize,
}

fn answers() -> impl Strategy<Value = Answer> {
    let text = || "[a-zé \"\\\\\u{1f600}\n]{0,12}";
    let calls = proptest::collection::vec(("[a-z]{1,5}", "[a-z]{1,3}", text()), 0..3);
    (text(), text(), calls, any::<bool>(), (1_u64..500, 1_u64..500)).prop_map(|(thinking, text, calls, long, usage)| {
        let calls: Vec<_> =
            calls.into_iter().map(|(name, key, value)| (name, json!({ key: value }).to_string())).collect();
        let finish = if long {
            Finish::Length
        } else if calls.is_empty() {
            Finish::Stop
        } else {
            Finish::ToolCalls
        };
        Answer { thinking, text, calls, finish: Some(finish), usage: Some(usage) }
    })
}

fn styles() -> impl Strategy<Value = Style> {
    let switches = proptest::collection::vec(any::<bool>(), 10);
    (0_usize..3, switches, 0_usize..5, 0_usize..3).prop_map(|(line, on, usage, reason)| Style {
        line,
        space: on[0],
        bom: on[1],
        multi: on[2],
        named: on[3],
        parts: on[4],
        objects: on[5],
        unindexed: on[6],
        reversed: on[7],
        noise: on[8],
        marked: on[9],
        usage,
        reason,
    })
}

/// The object with its members reversed and unknown ones added.
fn disordered(value: Value, style: &Style) -> Value {
    match value {
        Value::Object(members) if style.reversed => {
            let mut other = Map::new();
            other.insert("x_unknown".to_owned(), json!({"deep": [1, null, {"a": "b"}]}));
            for (key, value) in members.into_iter().rev() {
                // What a tool is called with is the model's own.
                let value = if key == "arguments" || key == "input" { value } else { disordered(value, style) };
                other.insert(key, value);
            }
            Value::Object(other)
        }
        Value::Array(list) => list.into_iter().map(|value| disordered(value, style)).collect(),
        other => other,
    }
}

fn content(text: &str, style: &Style) -> Value {
    match style.parts {
        true => json!([{"type": "text", "text": text}, ""]),
        false => json!(text),
    }
}

fn arguments(text: &str, style: &Style) -> Value {
    if style.objects { serde_json::from_str(text).expect("JSON") } else { json!(text) }
}

/// Counts in the forms in which servers write them.
fn number(count: u64, style: &Style) -> Value {
    match style.usage {
        0 => json!(count),
        1 => json!(count as f64),
        2 => json!(count.to_string()),
        3 => json!(count as f64 + 0.25),
        _ => json!(count),
    }
}

fn openai_usage(answer: &Answer, style: &Style) -> Value {
    let Some((input, output)) = answer.usage else { return Value::Null };
    let (input_value, output_value) = (number(input, style), number(output, style));
    match style.usage {
        // Reasoning beside the completion's tokens, as xAI counts.
        4 => json!({"prompt_tokens": input, "completion_tokens": output - 1, "total_tokens": input + output,
            "completion_tokens_details": {"reasoning_tokens": 1}}),
        // Without one of the counts.
        3 => json!({"prompt_tokens": input, "completion_tokens": -35, "total_tokens": (input + output).to_string()}),
        _ => json!({"prompt_tokens": input_value, "completion_tokens": output_value, "total_tokens": null,
            "prompt_tokens_details": {"cached_tokens": null}, "completion_tokens_details": "none"}),
    }
}

/// The frames of a stream: names of events and their data.
fn events(dialect: Dialect, answer: &Answer, style: &Style) -> Vec<(Option<&'static str>, Value)> {
    match dialect {
        Dialect::Anthropic => anthropic_events(answer, style),
        Dialect::Ollama => ollama_lines(answer, style),
        Dialect::OpenAi | Dialect::Native | Dialect::Responses | Dialect::Completions | Dialect::Generate => {
            openai_chunks(answer, style)
        }
    }
}

fn openai_chunks(answer: &Answer, style: &Style) -> Vec<(Option<&'static str>, Value)> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "usage": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), json!(""))];
    if style.parts {
        let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": answer.thinking}]}]);
        chunks.push(chunk(json!({"content": thinking}), Value::Null));
    } else {
        chunks.push(chunk(json!({"reasoning_content": answer.thinking, "reasoning": answer.thinking}), Value::Null));
    }
    for piece in pieces(&answer.text) {
        chunks.push(chunk(json!({"content": content(&piece, style)}), Value::Null));
    }
    for (index, (name, text)) in answer.calls.iter().enumerate() {
        let whole = style.objects || style.unindexed;
        let first = if whole { arguments(text, style) } else { json!("") };
        let mut call = json!({"index": index, "id": format!("c{index}"), "type": "function",
            "function": {"name": name, "arguments": first}});
        if style.unindexed {
            call["index"] = Value::Null;
        }
        chunks.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        for piece in pieces(text).into_iter().filter(|_| !whole) {
            let call = json!({"index": index, "function": {"name": null, "arguments": piece}});
            chunks.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        }
    }
    let reason = match (answer.finish, style.reason) {
        (Some(Finish::Length), _) => "length",
        (Some(Finish::ToolCalls), 0) => "tool_calls",
        (Some(Finish::ToolCalls), 1) => "function_call",
        (_, 0) => "stop",
        (_, 1) => "eos",
        _ => "some_new_reason",
    };
    chunks.push(chunk(json!({}), json!(reason)));
    chunks.push(json!({"id": "c", "model": "m", "choices": [], "usage": openai_usage(answer, style)}));
    chunks.into_iter().map(|chunk| (None, chunk)).collect()
}

fn anthropic_events(answer: &Answer, style: &Style) -> Vec<(Option<&'static str>, Value)> {
    let (input, output) = answer.usage.unwrap_or_default();
    let mut events = vec![(
        "message_start",
        json!({"type": "message_start", "message": {"id": "m", "model": "m", "content": [], "stop_reason": null,
            "usage": {"input_tokens": number(input, style), "output_tokens": 1, "cache_read_input_tokens": null}}}),
    )];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push((
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": start}),
        ));
        for delta in deltas {
            events
                .push(("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        events.push(("content_block_stop", json!({"type": "content_block_stop", "index": index})));
        index += 1;
    };
    let deltas = pieces(&answer.thinking).into_iter();
    let deltas = deltas.map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
    block(json!({"type": "thinking", "thinking": ""}), deltas.collect());
    let deltas = pieces(&answer.text).into_iter();
    let deltas = deltas.map(|piece| json!({"type": "text_delta", "text": content(&piece, style)}));
    block(json!({"type": "text", "text": ""}), deltas.collect());
    for (name, text) in &answer.calls {
        let whole = if style.objects { arguments(text, style) } else { json!({}) };
        let deltas = pieces(text).into_iter().filter(|_| !style.objects);
        let deltas = deltas.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        block(json!({"type": "tool_use", "id": name, "name": name, "input": whole}), deltas.collect());
    }
    let reason = match (answer.finish, style.reason) {
        (Some(Finish::Length), _) => "max_tokens",
        (Some(Finish::ToolCalls), _) => "tool_use",
        (_, 0) => "end_turn",
        _ => "some_new_reason",
    };
    events.push((
        "message_delta",
        json!({"type": "message_delta", "delta": {"stop_reason": reason},
            "usage": {"output_tokens": number(output, style), "input_tokens": 0}}),
    ));
    events.into_iter().map(|(name, event)| (Some(name), event)).collect()
}

fn ollama_lines(answer: &Answer, style: &Style) -> Vec<(Option<&'static str>, Value)> {
    let line = |message: Value| json!({"model": "m", "created_at": "x", "message": message, "done": false});
    let mut lines = vec![line(json!({"role": "assistant", "content": "", "thinking": answer.thinking}))];
    for piece in pieces(&answer.text) {
        lines.push(line(json!({"role": "assistant", "content": content(&piece, style)})));
    }
    for (name, text) in &answer.calls {
        let call = json!({"function": {"name": name, "arguments": arguments(text, style)}});
        let calls = if style.unindexed { call } else { json!([call]) };
        lines.push(line(json!({"role": "assistant", "content": "", "tool_calls": calls})));
    }
    let (input, output) = answer.usage.unwrap_or_default();
    let reason = if answer.finish == Some(Finish::Length) { "length" } else { "stop" };
    lines.push(
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
        "prompt_eval_count": number(input, style), "eval_count": number(output, style)}),
    );
    lines.into_iter().map(|line| (None, line)).collect()
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(5).map(|piece| piece.iter().collect()).collect()
}

/// The bytes of a stream.
fn written(dialect: Dialect, answer: &Answer, style: &Style) -> Vec<u8> {
    let sse = dialect != Dialect::Ollama;
    let end = if sse { ["\n", "\r\n", "\r"][style.line] } else { ["\n", "\r\n", "\n\n"][style.line] };
    let mut out = String::new();
    if style.bom {
        out.push('\u{feff}');
    }
    let mut noise = noise(dialect).into_iter().cycle();
    for (name, event) in events(dialect, answer, style) {
        let text = disordered(event, style).to_string();
        if !sse {
            out.push_str(&format!("{text}{end}"));
        } else {
            if let Some(name) = name.filter(|_| style.named) {
                out.push_str(&format!("event: {name}{end}"));
            }
            let colon = if style.space { "data: " } else { "data:" };
            match text.split_once(',').filter(|_| style.multi) {
                Some((first, rest)) => out.push_str(&format!("id: 7{end}{colon}{first},{end}{colon}{rest}{end}{end}")),
                None => out.push_str(&format!("{colon}{text}{end}{end}")),
            }
        }
        if style.noise {
            out.push_str(&noise.next().unwrap_or_default().replace('\n', if sse { end } else { "\n" }));
        }
    }
    if style.marked && dialect == Dialect::OpenAi {
        out.push_str(&format!("data: [DONE]{end}{end}"));
    }
    if style.marked && dialect == Dialect::Anthropic {
        out.push_str(&format!("event: message_stop{end}data: {{\"type\":\"message_stop\"}}{end}{end}"));
    }
    out.into_bytes()
}

/// Frames that hold nothing of the answer.
fn noise(dialect: Dialect) -> Vec<&'static str> {
    match dialect {
        Dialect::OpenAi | Dialect::Native | Dialect::Responses | Dialect::Completions | Dialect::Generate => vec![
            ": keep-alive\n\n",
            "data: null\n\n",
            "data: {}\n\n",
            "data: \n\n",
            "data: \"\"\n\n",
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\"}\n\n",
            "data: {\"warning\":\"words\"}\n\n",
            "event: ping\ndata: {}\n\n",
            "event: note\ndata: words\n\n",
            "retry: 5\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"images\":[{\"type\":\"image_url\"}]},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":null,\"finish_reason\":null}],\"error\":null}\n\n",
            "data: {\"choices\":null,\"usage\":{}}\n\n",
        ],
        Dialect::Anthropic => vec![
            ": keep-alive\n\n",
            "event: ping\ndata: \n\n",
            "event: ping\ndata: {}\n\n",
            "event: ping\ndata: words\n\n",
            "data: {\"type\":\"ping\",\"x\":[1]}\n\n",
            "data: null\n\n",
            "data: {\"type\":\"something_new\",\"index\":\"x\",\"delta\":5}\n\n",
            "event: something_new\ndata: {\"type\":\"something_new\"}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
            "retry: 5\n\n",
        ],
        Dialect::Ollama => {
            vec!["\n", "null\n", "{\"status\":\"loading\"}\n", "{}\n", "{\"model\":\"m\",\"error\":null}\n"]
        }
    }
}

/// What a reader made of a stream.
fn collected(deltas: impl IntoIterator<Item = Delta>) -> Answer {
    let mut answer = Answer::default();
    for delta in deltas {
        match delta {
            Delta::Reasoning(more) => answer.thinking.push_str(&more),
            Delta::Text(more) => answer.text.push_str(&more),
            Delta::ToolCallStart { name, .. } => answer.calls.push((name, String::new())),
            Delta::ToolCallArguments { index, fragment } => answer.calls[index].1.push_str(&fragment),
            Delta::Finish(finish) => answer.finish = Some(finish),
            Delta::Usage { usage, is_final: true } => answer.usage = Some((usage.input_total(), usage.output)),
            Delta::Failed(error) => panic!("{error:?}"),
            Delta::Usage { .. } | Delta::Start { .. } | Delta::Other(_) | Delta::End => {}
        }
    }
    normal(answer)
}

/// The arguments in one form.
fn normal(mut answer: Answer) -> Answer {
    for (_, arguments) in &mut answer.calls {
        let value: Value = serde_json::from_str(arguments).unwrap_or_else(|error| panic!("{error} in {arguments}"));
        *arguments = value.to_string();
    }
    answer
}

/// Reads a stream in chunks of `size`. Returns the deltas, and the bytes that a client of the dialect gets.
fn read(dialect: Dialect, mut decoder: Decoder, stream: &[u8], size: usize) -> (Vec<Delta>, Vec<u8>) {
    let (mut frames, mut deltas, mut out) = (Frames::new(dialect.framing(), 1 << 20), Deltas::new(), Vec::new());
    let mut take = |frame: &Bytes| match decoder.frame(frame, &mut deltas).expect("it is read") {
        Passed::AsIs => out.extend_from_slice(frame),
        Passed::Rewritten(bytes) => out.extend_from_slice(&bytes),
        Passed::Skipped(_) => {}
    };
    for chunk in stream.chunks(size.max(1)) {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = frames.next().expect("short") {
            take(&frame);
        }
    }
    if let Some(frame) = frames.take_leftover() {
        take(&frame);
    }
    (deltas.into(), out)
}

/// The answer written for a client, and read by its dialect's own reader.
fn translated(deltas: Vec<Delta>, client: Dialect) -> Answer {
    let (mut encoder, mut out, mut total) = (Encoder::new(client, facts()), Vec::new(), Total::default());
    for delta in deltas {
        if let Delta::Usage { usage, .. } = delta {
            total = Total { input_tokens: usage.input_total(), output_tokens: usage.output, ..total };
        }
        encoder.delta(delta, &mut out);
    }
    encoder.end(&total, &mut out);
    collected(read(client, Decoder::new(client), &out, 4096).0)
}

fn whole(dialect: Dialect, answer: &Answer, style: &Style) -> Value {
    let (input, output) = answer.usage.unwrap_or_default();
    let calls = |id: bool| -> Vec<Value> {
        let call = |(index, (name, text)): (usize, &(String, String))| {
            let mut call = json!({"type": "function", "function": {"name": name, "arguments": arguments(text, style)}});
            if id {
                call["id"] = json!(format!("c{index}"));
            }
            call
        };
        answer.calls.iter().enumerate().map(call).collect()
    };
    let value = match dialect {
        Dialect::OpenAi | Dialect::Native | Dialect::Responses | Dialect::Completions | Dialect::Generate => {
            let content = match style.parts {
                true => {
                    json!([{"type": "thinking", "thinking": [{"type": "text", "text": answer.thinking}]}, {"type": "text", "text": answer.text}])
                }
                false => json!(answer.text),
            };
            let thinking = if style.parts { "" } else { &answer.thinking };
            let finish = if answer.finish == Some(Finish::Length) { "length" } else { "stop" };
            json!({"id": "c", "model": "m", "usage": openai_usage(answer, style), "error": null, "choices": [{"index": 0,
                "message": {"role": "assistant", "content": content, "reasoning_content": thinking, "tool_calls": calls(true)},
                "finish_reason": finish}]})
        }
        Dialect::Anthropic => {
            let mut content = vec![
                json!({"type": "thinking", "thinking": answer.thinking}),
                json!({"type": "text", "text": answer.text}),
            ];
            content.extend(answer.calls.iter().map(
                |(name, text)| json!({"type": "tool_use", "id": name, "name": name, "input": arguments(text, style)}),
            ));
            let reason = match answer.finish {
                Some(Finish::Length) => "max_tokens",
                Some(Finish::ToolCalls) => "tool_use",
                _ => "end_turn",
            };
            json!({"id": "m", "type": "message", "model": "m", "content": content, "stop_reason": reason,
                "usage": {"input_tokens": number(input, style), "output_tokens": number(output, style)}})
        }
        Dialect::Ollama => {
            let reason = if answer.finish == Some(Finish::Length) { "length" } else { "stop" };
            json!({"model": "m", "done": true, "done_reason": reason,
                "message": {"role": "assistant", "content": content(&answer.text, style), "thinking": answer.thinking, "tool_calls": calls(false)},
                "prompt_eval_count": number(input, style), "eval_count": number(output, style)})
        }
    };
    disordered(value, style)
}

fn of_reply(reply: Reply) -> Answer {
    let usage = reply.usage.filter(|_| reply.usage_is_whole);
    normal(Answer {
        thinking: reply.reasoning,
        text: reply.text,
        calls: reply.tool_calls.into_iter().map(|call| (call.name, call.arguments)).collect(),
        finish: reply.finish,
        usage: usage.map(|usage: Usage| (usage.input_total(), usage.output)),
    })
}

proptest! {
    #[test]
    fn a_stream_says_the_same_in_every_framing_and_to_every_client(
        answer in answers(), style in styles(), size in 1_usize..200,
    ) {
        let expected = normal(answer.clone());
        for backend in BACKENDS {
            let stream = written(backend, &answer, &style);
            let shown = String::from_utf8_lossy(&stream).into_owned();
            let (deltas, _) = read(backend, Decoder::new(backend), &stream, size);
            prop_assert_eq!(collected(deltas), expected.clone(), "{:?}: {}", backend, shown);
            for client in BACKENDS {
                let (deltas, _) = read(backend, Decoder::new(backend), &stream, size);
                prop_assert_eq!(translated(deltas, client), expected.clone(), "{:?} to {:?}: {}", backend, client, shown);
            }
            // What a client of the same dialect gets, as its SDK reads it.
            let (_, relayed) = read(backend, Decoder::forwarding(backend), &stream, size);
            let plain = String::from_utf8(relayed).expect("text");
            for line in plain.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
                let data = line.strip_prefix("data: ").unwrap_or(line);
                let fine = line.starts_with("event: ") || data == "[DONE]" || serde_json::from_str::<Map<String, Value>>(data).is_ok();
                prop_assert!(fine, "{:?}: {:?} in {}", backend, line, plain);
            }
            if backend == Dialect::Anthropic {
                let named = plain.lines().filter(|line| line.starts_with("event: ")).count();
                prop_assert_eq!(named, plain.lines().filter(|line| line.starts_with("data: ")).count(), "{}", plain);
            }
            let (deltas, _) = read(backend, Decoder::new(backend), plain.as_bytes(), size);
            prop_assert_eq!(collected(deltas), expected.clone(), "relayed from {:?}: {}", backend, plain);
        }
    }

    #[test]
    fn a_whole_answer_says_the_same_however_it_is_written(answer in answers(), style in styles()) {
        let expected = normal(answer.clone());
        for backend in BACKENDS {
            let body = whole(backend, &answer, &style).to_string();
            let reply = backend.decode_reply(body.as_bytes()).unwrap_or_else(|error| panic!("{error} in {body}"));
            let forwarded = backend.decode_forwarded_reply(body.as_bytes()).expect("it is forwarded");
            prop_assert_eq!(&forwarded, &reply);
            prop_assert_eq!(of_reply(reply), expected.clone(), "{:?}: {}", backend, body);
        }
    }
}
