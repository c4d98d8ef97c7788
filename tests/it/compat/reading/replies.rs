//! Complete answers of backends that are odd and whole, and what they are billed.

use serde_json::{Value, json};
use wasmgate_tests::backend::Reply;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, ask};

use super::{serving, sse, text_in};

fn openai(message: Value, more: Value) -> Value {
    let mut body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn odd_answers_come_whole_to_every_client() {
    let says = |content: Value| json!({"role": "assistant", "content": content});
    let thinking = json!({"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]});
    let usage = |usage: Value| openai(says(json!("Hello")), json!({ "usage": usage }));
    let cases: Vec<(&str, Dialect, Value)> = vec![
        ("parts", Dialect::OpenAi, openai(says(json!([thinking, {"type": "text", "text": "Hello"}])), json!({}))),
        ("texts", Dialect::OpenAi, openai(says(json!(["Hel", "lo"])), json!({}))),
        ("part", Dialect::OpenAi, openai(says(json!({"type": "text", "text": "Hello"})), json!({}))),
        (
            "odd-members",
            Dialect::OpenAi,
            openai(says(json!("Hello")), json!({"id": 7, "model": null, "error": null, "created": "x"})),
        ),
        ("no-usage", Dialect::OpenAi, usage(Value::Null)),
        (
            "negative-usage",
            Dialect::OpenAi,
            usage(json!({"prompt_tokens": 1151, "completion_tokens": -35, "total_tokens": 1116})),
        ),
        (
            "float-usage",
            Dialect::OpenAi,
            usage(json!({"prompt_tokens": 12.0, "completion_tokens": "5", "total_tokens": null})),
        ),
        (
            "huge-usage",
            Dialect::OpenAi,
            usage(json!({"prompt_tokens": 18_446_744_073_709_551_615_u64, "completion_tokens": 1e300})),
        ),
        ("list-usage", Dialect::OpenAi, usage(json!([1, 2]))),
        (
            "odd-details",
            Dialect::OpenAi,
            usage(
                json!({"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": "x", "completion_tokens_details": [null]}),
            ),
        ),
        (
            "untyped",
            Dialect::Anthropic,
            json!({"id": "m", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn", "usage": null}),
        ),
        (
            "unknown-blocks",
            Dialect::Anthropic,
            json!({"type": "message", "content": [{"type": "new", "x": [1]}, {"type": "text", "text": "Hello", "citations": null}],
            "stop_reason": "a_new_reason", "usage": {"input_tokens": -1, "output_tokens": "5", "cache_read_input_tokens": null}}),
        ),
        (
            "without-done",
            Dialect::Ollama,
            json!({"message": {"role": "assistant", "content": "Hello"}, "eval_count": -5}),
        ),
    ];
    let names: Vec<_> =
        cases.iter().map(|(name, dialect, body)| ((*name).to_owned(), *dialect, body.clone())).collect();
    let (gateway, _backend) = serving(names.clone(), |body, _, _| Reply::json(200, body));
    for (name, dialect, body) in names {
        for path in CLIENT_PATHS {
            let answer = gateway.post(path, &ask(path, &name, "hello", false)).expect(200).json();
            assert_eq!(text_in(path, std::slice::from_ref(&answer)), "Hello", "{name} to {path}: {answer}");
            if path == dialect.path() {
                assert_eq!(answer, body, "{name} is forwarded as it came");
            }
        }
    }
}

#[test]
fn what_usage_says_is_billed_and_what_it_does_not_say_is_estimated() {
    // Reported: tokens of input and output; `None`: estimated.
    let cases: Vec<(&str, Value, Option<u64>, Option<u64>)> = vec![
        ("plain", json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}), Some(12), Some(5)),
        (
            "beside",
            json!({"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
            "completion_tokens_details": {"reasoning_tokens": 2809}}),
            Some(10_120),
            Some(4308),
        ),
        (
            "within",
            json!({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60,
            "completion_tokens_details": {"reasoning_tokens": 40}}),
            Some(10),
            Some(50),
        ),
        ("thoughts", json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}), Some(10), Some(105)),
        ("derived", json!({"prompt_tokens": 10, "completion_tokens": null, "total_tokens": 30}), Some(10), Some(20)),
        ("negative", json!({"prompt_tokens": 1151, "completion_tokens": -35, "total_tokens": 1116}), Some(1151), None),
        (
            "cached",
            json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}),
            Some(10),
            Some(5),
        ),
        ("other-names", json!({"input_tokens": 12, "output_tokens": 5}), Some(12), Some(5)),
        ("nothing", json!({}), None, None),
        ("zeros", json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}), None, None),
        ("words", json!({"prompt_tokens": "many", "completion_tokens": "few"}), None, None),
    ];
    let models = cases.iter().map(|(name, usage, ..)| ((*name).to_owned(), Dialect::OpenAi, usage.clone())).collect();
    let (gateway, _backend) = serving(models, |usage, request, _| {
        let says = json!({"role": "assistant", "content": "Hello there, this is an answer."});
        if request.json()["stream"] != true {
            return Reply::json(200, &openai(says, json!({ "usage": usage })));
        }
        let frames = [
            sse(&json!({"choices": [{"index": 0, "delta": says}]})),
            sse(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
            sse(&json!({"choices": [], "usage": usage})),
            "data: [DONE]\n\n".to_owned(),
        ];
        Reply::stream("text/event-stream").frames(frames).end()
    });
    for (name, _, input, output) in cases {
        for stream in [false, true] {
            let path = "/v1/messages";
            let response = gateway.post(path, &ask(path, name, "hello", stream)).expect(200);
            if stream {
                assert!(response.text().contains("message_stop"), "{name}");
            } else {
                let (body, usage) = (response.json(), response.json()["usage"].clone());
                if let (Some(input), Some(output)) = (input, output) {
                    let all = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
                    let counted: u64 = all.iter().map(|name| usage[name].as_u64().unwrap()).sum();
                    assert_eq!((counted, usage["output_tokens"].as_u64()), (input, Some(output)), "{name}: {body}");
                    let cost: f64 = response.header("x-wasmgate-cost-usd").parse().unwrap();
                    let expected = (input as f64 + output as f64 * 10.0) / 1e6;
                    assert!(name == "cached" || (cost - expected).abs() < 1e-9, "{name}: {cost}, not {expected}");
                }
            }
        }
        let line = gateway
            .wait_for_log(&format!("both requests of {name}"), |line| line["model"] == name && line["stream"] == true);
        assert_eq!(line["usage_reported"], input.is_some() && output.is_some(), "{name}: {line}");
        assert!(line["output_tokens"].as_u64().unwrap() > 0, "{name}: {line}");
        if let Some(input) = input {
            assert_eq!(line["input_tokens"], input, "{name}: {line}");
        }
    }
}

#[test]
fn arguments_of_calls_are_understood_in_every_form() {
    let calls = |arguments: Value| json!([{"id": "c", "type": "function", "function": {"name": "weather", "arguments": arguments}}]);
    let cases: Vec<(&str, Value, Value)> = vec![
        ("text", json!({"tool_calls": calls(json!("{\"city\":\"Oslo\"}"))}), json!({"city": "Oslo"})),
        ("object", json!({"tool_calls": calls(json!({"city": "Oslo"}))}), json!({"city": "Oslo"})),
        ("null", json!({"tool_calls": calls(Value::Null)}), json!({})),
        ("empty", json!({"tool_calls": calls(json!(""))}), json!({})),
        ("one", json!({"tool_calls": calls(json!({"city": "Oslo"}))[0]}), json!({"city": "Oslo"})),
        (
            "legacy",
            json!({"function_call": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}),
            json!({"city": "Oslo"}),
        ),
    ];
    let models =
        cases.iter().map(|(name, message, _)| ((*name).to_owned(), Dialect::OpenAi, message.clone())).collect();
    let (gateway, _backend) = serving(models, |message, _, _| Reply::json(200, &openai(message.clone(), json!({}))));
    for (name, _, input) in cases {
        let answer = gateway.post("/v1/messages", &ask("/v1/messages", name, "hello", false)).expect(200).json();
        let block = answer["content"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&block["type"], &block["input"]), (&json!("tool_use"), &input), "{name}: {answer}");
        assert_eq!(answer["stop_reason"], "tool_use", "{name}");
        let answer = gateway.post("/api/chat", &ask("/api/chat", name, "hello", false)).expect(200).json();
        assert_eq!(answer["message"]["tool_calls"][0]["function"]["arguments"], input, "{name}: {answer}");
    }
}

#[test]
fn no_backend_is_asked_for_a_coded_answer() {
    let body = openai(json!({"role": "assistant", "content": "Hello"}), json!({}));
    let (gateway, backend) =
        serving(vec![("plain".to_owned(), Dialect::OpenAi, body)], |body, _, _| Reply::json(200, body));
    let _ = gateway.post("/api/chat", &ask("/api/chat", "plain", "hello", false)).expect(200);
    assert_eq!(backend.only_request().header("accept-encoding"), "identity");
}

#[test]
fn an_answer_that_is_coded_all_the_same_is_decoded() {
    use std::io::Write;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let models = Dialect::ALL.map(|dialect| (dialect.kind().to_owned(), dialect, dialect));
    let (gateway, _backend) = serving(models.into(), move |dialect, request, _| {
        let usage = wasmgate_tests::wire::Usage { input: 12, output: 5 };
        let (kind, body) = match request.json()["stream"] == true {
            true => (dialect.stream_type(), dialect.frames(&["Hel", "lo"], usage).concat()),
            false => ("application/json", dialect.answer("Hello", usage).to_string()),
        };
        let body = gzip(body.as_bytes());
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}",
            body.len()
        );
        Reply::raw(&[head.as_bytes(), b"\r\n\r\n", &body].concat())
    });
    for dialect in Dialect::ALL {
        for path in CLIENT_PATHS {
            let answer = gateway.post(path, &ask(path, dialect.kind(), "hello", false)).expect(200);
            assert_eq!(text_in(path, &[answer.json()]), "Hello", "{dialect:?} to {path}");
            let data = gateway.stream(path, &ask(path, dialect.kind(), "hello", true)).all();
            assert!(
                wasmgate_tests::wire::ends_well(path, &data) && text_in(path, &data) == "Hello",
                "{dialect:?} to {path}"
            );
        }
    }
}
