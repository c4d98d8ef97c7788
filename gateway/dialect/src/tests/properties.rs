//! Properties of all requests: translation loses nothing of a portable request, and nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Decoder, Encoder};
use super::{ALL, Bounds, Dialect, TARGET, facts, total};
use crate::Quirks;
use crate::chat::{Chat, Deltas, Format, Part, Role};
use crate::fields::Hint;

const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];

/// A request in OpenAI's dialect with all content that the dialects have in common, and hints.
fn portable() -> impl Strategy<Value = Value> {
    // Not blank: Anthropic takes no blank text.
    let text = || "[a-z][a-z \"\\\\\u{e9}\u{1f600}\n]{0,11}";
    let turn = (text(), text(), 0_usize..3, text(), 0_u8..8);
    let turns = proptest::collection::vec(turn, 1..4);
    let options = (
        proptest::option::of(text()),
        1_u32..5000,
        proptest::option::of(0_u32..200),
        proptest::collection::vec("[a-z]{1,3}", 0..3),
        any::<bool>(),
        proptest::option::of(proptest::sample::select(vec!["low", "medium", "high"])),
        proptest::option::of(0_i64..9),
    );
    (turns, options).prop_map(|(turns, (system, max_tokens, temperature, stop, stream, effort, seed))| {
        let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}});
        let mut messages = Vec::new();
        if let Some(system) = system {
            messages.push(json!({"role": "developer", "content": system}));
        }
        let mut number = 0;
        for (question, answer, calls, result, oddities) in turns {
            let odd = |bit: u8| oddities & bit != 0;
            if odd(1) {
                messages.push(json!({"role": "user", "content": [picture, {"type": "text", "text": question}]}));
            } else {
                messages.push(json!({"role": "user", "content": [
                    {"type": "text", "text": question}, {"type": "text", "text": answer}]}));
            }
            let first = number;
            number += calls;
            let calls: Vec<_> = (first..number)
                .map(|n| json!({"id": format!("call_{n}"), "type": "function",
                    "function": {"name": format!("f{}", n % 2), "arguments": json!({"q": result}).to_string()}}))
                .collect();
            let mut message = json!({"role": "assistant", "content": answer});
            if !calls.is_empty() {
                message["tool_calls"] = json!(calls);
                message["reasoning_content"] = json!("hm");
            }
            messages.push(message);
            for n in first..number {
                let content = if odd(2) { json!([{"type": "text", "text": result}, picture]) } else { json!(result) };
                messages.push(json!({"role": "tool", "tool_call_id": format!("call_{n}"), "content": content}));
            }
            if odd(4) {
                messages.push(json!({"role": "system", "content": question}));
            }
        }
        messages.push(json!({"role": "user", "content": "end"}));
        let mut body = json!({"model": "m", "messages": messages, "max_tokens": max_tokens, "stop": stop, "stream": stream,
            "reasoning_effort": effort, "seed": seed,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f0", "strict": true, "parameters": {"type": "object"}}}]});
        if let Some(hundredths) = temperature {
            body["temperature"] = json!(f64::from(hundredths) / 100.0);
        }
        body
    })
}

/// The content of a request, as each dialect can say it: texts of one author that follow each other are one, images of
/// results follow the results of their turn, instructions in the middle are the user's words.
fn content(chat: &Chat) -> Vec<String> {
    let mut said: Vec<(Role, Option<String>, String)> = Vec::new();
    let mut say = |role, what: Option<String>, text: String| match said.last_mut() {
        Some((last, None, before)) if *last == role && what.is_none() => *before = format!("{before}\n{text}"),
        _ => said.push((role, what, text)),
    };
    let mut images = Vec::new();
    let mut begun = false;
    for message in &chat.messages {
        begun |= message.role != Role::System;
        let role = if begun && message.role == Role::System { Role::User } else { message.role };
        if role != Role::Tool {
            images.drain(..).for_each(|image| say(Role::User, Some("image".into()), image));
        }
        for part in &message.parts {
            match part {
                Part::Text(text) => say(role, None, text.clone()),
                Part::Image(image) => say(role, Some("image".into()), format!("{image:?}")),
                Part::ToolCall(call) => say(role, Some("call".into()), format!("{call:?}")),
                Part::ToolResult { call_id, text, images: own, is_error, .. } => {
                    say(role, Some(format!("result {call_id} {is_error}")), text.clone());
                    images.extend(own.iter().map(|image| format!("{image:?}")));
                }
                Part::Reasoning(_) => {}
            }
        }
    }
    let tools = chat.tools.iter().map(|tool| {
        let schema = tool.parameters.as_ref().map_or("", |schema| schema.get()).replace(r#","properties":{}"#, "");
        format!("{} {:?} {schema}", tool.name, tool.description)
    });
    let format = match &chat.format {
        Some(Format::Schema { schema, .. }) => schema.get().to_owned(),
        other => format!("{other:?}"),
    };
    let rest = format!("{:?} {:?} {format} {}", chat.max_tokens, chat.stop, chat.stream);
    said.iter().map(|said| format!("{said:?}")).chain(tools).chain([rest]).collect()
}

/// The hints of a request that a dialect may lose, each as text; `None` if the request does not have it.
fn hints(chat: &Chat) -> Vec<(Hint, Option<String>)> {
    let reasoning = chat.messages.iter().flat_map(|message| &message.parts).find_map(|part| match part {
        Part::Reasoning(text) => Some(text.clone()),
        _ => None,
    });
    let strict = chat.tools.iter().any(|tool| tool.strict == Some(true));
    vec![
        (Hint::Effort, chat.effort().map(|effort| format!("{effort:?}"))),
        (Hint::Seed, chat.seed.map(|seed| seed.to_string())),
        (Hint::Temperature, chat.temperature.map(|temperature| temperature.to_string())),
        (Hint::Strict, strict.then(|| "strict".to_owned())),
        (Hint::Reasoning, reasoning),
    ]
}

proptest! {
    #[test]
    fn content_survives_every_translation_and_hints_that_do_not_are_told(body in portable()) {
        let text = body.to_string();
        let chat = Dialect::OpenAi.decode(text.as_bytes(), &Bounds::default()).expect("valid");
        prop_assert_eq!(&chat.unportable, &None);
        for to in BACKENDS {
            prop_assert_eq!(to.obstacle(Dialect::OpenAi, &chat), None);
            // As if the request came from a dialect that no backend speaks, so that nothing is merely forwarded.
            let sent = to.encode(Dialect::Native, &chat, &TARGET);
            let again = to.decode(&sent, &Bounds::default()).expect("what we write, we read");
            prop_assert_eq!(&again.unportable, &None, "{:?}", to);
            prop_assert!(again.unread.is_empty(), "{:?} {:?}", to, again.unread_names);
            prop_assert_eq!(content(&again), content(&chat), "{:?}", to);
            let dropped = to.dropped(Dialect::Native, &chat, &Quirks::NONE);
            for ((hint, after), (_, before)) in hints(&again).into_iter().zip(hints(&chat)) {
                prop_assert_eq!(after != before, dropped.hints.has(hint), "{:?} {:?}", to, hint);
            }
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
                    let sent = to.encode(from, &chat, &TARGET);
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
