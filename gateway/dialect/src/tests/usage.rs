//! Token counts, wherever and under whichever names servers write them: they are what calls cost.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Decoder;
use super::Dialect;
use crate::chat::{Delta, Deltas};

const COUNTED: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// The usage that an answer costs: the last one of a stream.
fn billed(dialect: Dialect, events: &[Value]) -> Option<(u64, u64, u64, bool)> {
    let (mut decoder, mut deltas) = (Decoder::new(dialect), Deltas::new());
    for event in events {
        decoder.frame(format!("data: {event}\n\n").as_bytes(), &mut deltas).expect("it is read");
    }
    deltas.into_iter().rev().find_map(|delta| match delta {
        Delta::Usage { usage, is_final } => Some((usage.input_total(), usage.cache_read, usage.output, is_final)),
        _ => None,
    })
}

/// Usage by either dialect's names.
fn usage(names: Dialect, input: u64, output: u64) -> Value {
    match names {
        Dialect::Anthropic => json!({"input_tokens": input, "output_tokens": output}),
        _ => json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}),
    }
}

fn chunk(members: Value) -> Value {
    let mut chunk =
        json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}]});
    members.as_object().expect("an object").iter().for_each(|(key, value)| chunk[key] = value.clone());
    chunk
}

/// The last chunks of a stream of OpenAI's, with usage at one of the places where servers write it.
fn at_place(place: usize, usage: &Value) -> Vec<Value> {
    let choice = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let mut of_choice = choice.clone();
    of_choice[0]["usage"] = usage.clone();
    match place {
        0 => vec![chunk(json!({"choices": choice})), chunk(json!({"choices": [], "usage": usage}))],
        1 => vec![chunk(json!({"choices": choice, "usage": usage}))],
        2 => vec![chunk(json!({"choices": of_choice}))],
        _ => vec![chunk(json!({"choices": choice, "x_groq": {"id": "r", "usage": usage}}))],
    }
}

proptest! {
    #[test]
    fn counts_are_found_at_each_place_and_zeros_take_none_away(
        input in 1_u64..500, output in 1_u64..500, place in 0_usize..4, zeros in 0_usize..3,
        names in proptest::sample::select(COUNTED.to_vec()),
    ) {
        let mut events = vec![chunk(json!({}))];
        events.extend(at_place(place, &usage(names, input, output)));
        for _ in 0..zeros {
            events.push(chunk(json!({"choices": [], "usage": usage(names, 0, 0)})));
        }
        prop_assert_eq!(billed(Dialect::OpenAi, &events), Some((input, 0, output, true)), "{:?}", events);
        let whole = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": null});
        let mut body = whole.clone();
        match place {
            0 | 1 => body["usage"] = usage(names, input, output),
            2 => body["choices"][0]["usage"] = usage(names, input, output),
            _ => body["x_groq"] = json!({"usage": usage(names, input, output)}),
        }
        let text = body.to_string();
        let reply = Dialect::OpenAi.decode_reply(text.as_bytes()).expect("an answer");
        let counts = |usage: wasmgate_base::usage::Usage| (usage.input_total(), usage.output);
        prop_assert_eq!(reply.usage.map(counts), Some((input, output)));
        prop_assert_eq!(Dialect::OpenAi.usage_in(text.as_bytes()).map(|found| counts(found.usage)), Some((input, output)));

        let mut events = vec![json!({"type": "message_start", "message": {"usage": usage(names, input, 1)}})];
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage(names, 0, output)}));
        for _ in 0..zeros {
            events.push(json!({"type": "message_delta", "delta": {}, "usage": usage(names, 0, 0)}));
        }
        prop_assert_eq!(billed(Dialect::Anthropic, &events), Some((input, 0, output, true)), "{:?}", events);
    }

    #[test]
    fn the_latest_count_of_several_is_billed(counts in proptest::collection::vec((0_u64..9, 0_u64..9), 1..6)) {
        let events: Vec<_> = counts.iter().map(|&(input, output)| chunk(json!({"usage": usage(Dialect::OpenAi, input, output)}))).collect();
        let last = |pick: fn(&(u64, u64)) -> u64| counts.iter().map(pick).rfind(|&count| count > 0).unwrap_or(0);
        let expected = (last(|count| count.0), last(|count| count.1));
        let found = billed(Dialect::OpenAi, &events).map_or((0, 0), |(input, _, output, _)| (input, output));
        prop_assert_eq!(found, expected, "{:?}", counts);
    }
}

#[test]
fn the_caches_share_is_read_by_each_name() {
    for (usage, expected) in [
        (json!({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}), (9, 5, 4)),
        (json!({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 5}), (9, 5, 4)),
        (json!({"prompt_tokens": 9, "completion_tokens": 4, "cache_read_input_tokens": 5}), (9, 5, 4)),
        (json!({"input_tokens": 4, "output_tokens": 4, "cache_read_input_tokens": 5}), (9, 5, 4)),
        (json!({"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}), (9, 5, 4)),
        (json!({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 9, "output_tokens": 4}), (9, 0, 4)),
        (json!({"input_tokens": 9, "total_tokens": 13}), (9, 0, 4)),
    ] {
        let found = billed(Dialect::OpenAi, &[chunk(json!({"choices": [], "usage": usage}))]);
        assert_eq!(found.map(|(input, cached, output, _)| (input, cached, output)), Some(expected), "{usage}");
    }
    let start = json!({"type": "message_start", "message": {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "cache_read_input_tokens": 5}}});
    assert_eq!(billed(Dialect::Anthropic, &[start]), Some((9, 5, 4, false)));
}

#[test]
fn zeros_alone_are_no_usage() {
    let bodies = [
        (Dialect::OpenAi, json!({"choices": [{"message": {"content": "a"}}], "usage": usage(Dialect::OpenAi, 0, 0)})),
        (Dialect::Anthropic, json!({"type": "message", "content": [], "usage": usage(Dialect::Anthropic, 0, 0)})),
        (Dialect::Ollama, json!({"message": {"content": "a"}, "done": true, "prompt_eval_count": 0, "eval_count": 0})),
        (Dialect::Responses, json!({"output": [], "usage": usage(Dialect::Anthropic, 0, 0)})),
    ];
    for (dialect, body) in bodies {
        let body = body.to_string();
        assert_eq!(dialect.decode_reply(body.as_bytes()).expect("an answer").usage, None, "{body}");
        assert_eq!(dialect.usage_in(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn an_answer_that_broke_off_is_billed_what_the_provider_counted() {
    let openai = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    let anthropic = r#"data: {"type":"message_delta","delta":{"stop_reason":"network_error"},"usage":{"input_tokens":7,"output_tokens":3}}"#;
    let ollama = r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"abort","prompt_eval_count":7,"eval_count":3}"#;
    for (dialect, frame) in [(Dialect::OpenAi, openai), (Dialect::Anthropic, anthropic), (Dialect::Ollama, ollama)] {
        for mut decoder in [Decoder::new(dialect), Decoder::forwarding(dialect)] {
            let mut deltas = Deltas::new();
            decoder.frame(format!("{frame}\n\n").as_bytes(), &mut deltas).expect("a frame");
            let usage = deltas
                .iter()
                .position(|delta| matches!(delta, Delta::Usage { usage, .. } if (usage.input, usage.output) == (7, 3)));
            let failed = deltas.iter().position(|delta| matches!(delta, Delta::Failed(_)));
            assert!(usage.is_some() && usage < failed, "{dialect:?}: {deltas:?}");
        }
    }
}
