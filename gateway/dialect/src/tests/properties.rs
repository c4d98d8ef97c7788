//! Properties of all requests: translation loses nothing of a portable request, and nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Decoder, Encoder};
use super::{ALL, Bounds, Dialect, facts, total};
use crate::chat::{Chat, Deltas, Part};

const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];

/// A request in OpenAI's dialect that all dialects can express.
fn portable() -> impl Strategy<Value = Value> {
    let text = || "[a-z \"\\\\\u{e9}\u{1f600}\n]{1,12}";
    let turn = (text(), text(), 0_usize..3, text(), any::<bool>());
    let turns = proptest::collection::vec(turn, 1..4);
    let options = (
        proptest::option::of(text()),
        1_u32..5000,
        proptest::option::of(0_u32..100),
        proptest::collection::vec(text(), 0..3),
        any::<bool>(),
    );
    (turns, options).prop_map(|(turns, (system, max_tokens, temperature, stop, stream))| {
        let mut messages = Vec::new();
        if let Some(system) = system {
            messages.push(json!({"role": "system", "content": system}));
        }
        let mut number = 0;
        for (question, answer, calls, result, picture) in turns {
            if picture {
                messages.push(json!({"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}},
                    {"type": "text", "text": question}]}));
            } else {
                messages.push(json!({"role": "user", "content": question}));
            }
            let first = number;
            number += calls;
            let calls: Vec<_> = (first..number)
                .map(|n| json!({"id": format!("call_{n}"), "type": "function",
                    "function": {"name": format!("f{}", n % 2), "arguments": json!({"q": result}).to_string()}}))
                .collect();
            if calls.is_empty() {
                messages.push(json!({"role": "assistant", "content": answer}));
            } else {
                messages.push(json!({"role": "assistant", "content": answer, "tool_calls": calls}));
            }
            for n in first..number {
                messages.push(json!({"role": "tool", "tool_call_id": format!("call_{n}"), "content": result}));
            }
        }
        messages.push(json!({"role": "user", "content": "end"}));
        let mut body = json!({"model": "m", "messages": messages, "max_tokens": max_tokens, "stop": stop, "stream": stream,
            "tools": [{"type": "function", "function": {"name": "f0", "parameters": {"type": "object"}}}]});
        if let Some(hundredths) = temperature {
            body["temperature"] = json!(f64::from(hundredths) / 100.0);
        }
        body
    })
}

/// The request's meaning, without what a dialect need not keep: the raw fields, the body's length, the name of a result's
/// tool.
fn meaning(mut chat: Chat) -> String {
    chat.raw.clear();
    chat.body_bytes = 0;
    chat.include_usage = false;
    for part in chat.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolResult { name, .. } = part {
            *name = None;
        }
    }
    format!("{chat:?}")
}

proptest! {
    #[test]
    fn a_portable_request_survives_every_translation(body in portable()) {
        let text = body.to_string();
        let chat = Dialect::OpenAi.decode(text.as_bytes(), &Bounds::default()).expect("valid");
        prop_assert_eq!(&chat.unportable, &None);
        let original = meaning(Dialect::OpenAi.decode(text.as_bytes(), &Bounds::default()).expect("valid"));
        for to in BACKENDS {
            prop_assert_eq!(to.obstacle(Dialect::OpenAi, &chat), None);
            // As if the request came from a dialect that no backend speaks, so that nothing is merely forwarded.
            let sent = to.encode(Dialect::Native, &chat, "m", 9);
            let again = to.decode(&sent, &Bounds::default()).expect("what we write, we read");
            prop_assert_eq!(&again.unportable, &None, "{:?}", to);
            prop_assert_eq!(meaning(again), original.clone(), "{:?}", to);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for dialect in ALL {
            let _ = dialect.decode(&bytes, &Bounds::default());
            let _ = dialect.decode_reply(&bytes);
            let mut deltas = Deltas::new();
            let _ = Decoder::new(dialect).frame(&bytes, &mut deltas);
            let mut event = b"data: ".to_vec();
            event.extend_from_slice(&bytes);
            let _ = Decoder::new(dialect).frame(&event, &mut deltas);
        }
    }

    #[test]
    fn mutated_requests_never_panic(
        body in portable(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>(), 0_u8..3), 0..6),
    ) {
        let text = mutated(body.to_string().into_bytes(), &edits);
        for from in ALL {
            let Ok(chat) = from.decode(&text, &Bounds::default()) else { continue };
            for to in BACKENDS {
                if to.obstacle(from, &chat).is_none() {
                    let sent = to.encode(from, &chat, "m", 9);
                    prop_assert!(serde_json::from_slice::<Value>(&sent).is_ok());
                }
            }
        }
    }

    #[test]
    fn mutated_answers_never_panic(
        which in 0..REPLIES.len(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>(), 0_u8..3), 0..6),
    ) {
        let text = mutated(REPLIES[which].as_bytes().to_vec(), &edits);
        for dialect in BACKENDS {
            if let Ok(reply) = dialect.decode_reply(&text) {
                for to in ALL {
                    let written = to.encode_reply(&reply, &facts(), &total());
                    prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
                }
            }
            let mut deltas = Deltas::new();
            let mut frame = b"data: ".to_vec();
            frame.extend_from_slice(&text);
            let _ = Decoder::new(dialect).frame(if dialect == Dialect::Ollama { &text } else { &frame }, &mut deltas);
            for to in ALL {
                let mut out = Vec::new();
                let mut encoder = Encoder::new(to, facts());
                let mut again = Deltas::new();
                let _ = Decoder::new(dialect).frame(if dialect == Dialect::Ollama { &text } else { &frame }, &mut again);
                for delta in again {
                    encoder.delta(delta, &mut out);
                }
                encoder.end(&total(), &mut out);
                prop_assert!(std::str::from_utf8(&out).is_ok());
            }
        }
    }
}

const REPLIES: [&str; 6] = [
    r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
    r#"{"id":"m","type":"message","model":"c","content":[{"type":"text","text":"x"},{"type":"tool_use","id":"a","name":"f","input":{}}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}"#,
    r#"{"model":"l","message":{"role":"assistant","content":"x","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}"#,
    r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"x","tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]},"finish_reason":"stop"}],"usage":null}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{"a":1}}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
];

/// Replaces, removes or repeats single bytes.
fn mutated(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for &(at, byte, edit) in edits {
        let at = at % bytes.len().max(1);
        match edit {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}
