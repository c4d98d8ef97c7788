//! Each client dialect against each backend dialect: what the backend is asked, and what the client is answered.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::Response;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, error_code, text_of};

const USAGE: Usage = Usage { input: 17, output: 9 };

/// What the client got for `request`, and what the backend, which answers `answer`, was asked.
fn relay(dialect: Dialect, answer: Value, path: &str, request: &Value) -> (Response, Option<Request>) {
    let backend = Backend::start(move |_| Reply::json(200, &answer));
    let gateway = Gateway::setup().model("only", dialect, &backend).start();
    let response = gateway.post(path, request);
    (response, backend.requests().pop())
}

/// The same request in each dialect that backends speak: a system prompt, a question, and how to sample.
fn full_request(client: Dialect) -> Value {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]);
    match client {
        Dialect::OpenAi => json!({"model": "only", "messages": messages, "max_tokens": 32, "temperature": 0.5,
            "top_p": 0.9, "stop": ["END"], "stream": false}),
        Dialect::Anthropic => json!({"model": "only", "system": "Be brief.",
            "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 32, "temperature": 0.5, "top_p": 0.9,
            "stop_sequences": ["END"], "stream": false}),
        Dialect::Ollama => json!({"model": "only", "messages": messages, "stream": false,
            "options": {"num_predict": 32, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]}}),
    }
}

/// Text that stands as a string, or as blocks of text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(|block| text(&block["text"])).collect(),
        _ => String::new(),
    }
}

/// What a full request came to at a backend: system prompt, question, limit, temperature, top_p, stop.
fn understood(backend: Dialect, body: &Value) -> Value {
    let message = |role: &str| {
        let messages = body["messages"].as_array().unwrap().iter();
        text(&messages.clone().find(|message| message["role"] == role).map_or(Value::Null, |m| m["content"].clone()))
    };
    let (system, options) = match backend {
        Dialect::OpenAi => (
            message("system"),
            json!({"limit": body["max_tokens"], "stop": body["stop"],
            "temperature": body["temperature"], "top_p": body["top_p"]}),
        ),
        Dialect::Anthropic => (
            text(&body["system"]),
            json!({"limit": body["max_tokens"],
            "stop": body["stop_sequences"], "temperature": body["temperature"], "top_p": body["top_p"]}),
        ),
        Dialect::Ollama => (
            message("system"),
            json!({"limit": body["options"]["num_predict"],
            "stop": body["options"]["stop"], "temperature": body["options"]["temperature"],
            "top_p": body["options"]["top_p"]}),
        ),
    };
    json!({"model": body["model"], "system": system, "question": message("user"), "options": options,
        "stream": body["stream"]})
}

#[test]
fn a_request_keeps_its_meaning_in_each_dialect() {
    for client in Dialect::ALL {
        for backend in Dialect::ALL {
            let answer = backend.answer("Because.", USAGE);
            let (response, seen) = relay(backend, answer, client.path(), &full_request(client));
            let response = response.expect(200);
            let seen = seen.unwrap();
            assert_eq!(seen.path, backend.path());
            let expected = json!({"model": "backend-model", "system": "Be brief.", "question": "Why?",
                "options": {"limit": 32, "stop": ["END"], "temperature": 0.5, "top_p": 0.9}, "stream": false});
            assert_eq!(understood(backend, &seen.json()), expected, "{client:?} to {backend:?}");
            assert_eq!(text_of(client.path(), &[response.json()]), "Because.", "{backend:?} to {client:?}");
        }
    }
}

#[test]
fn an_answer_carries_the_backends_usage_in_each_dialect() {
    for backend in Dialect::ALL {
        for path in CLIENT_PATHS {
            let (response, _) = relay(backend, backend.answer("Yes.", USAGE), path, &ask(path, "only", "hi", false));
            let answer = response.expect(200).json();
            let (input, output) = match path {
                "/api/v1/chat" => (&answer["input_tokens"], &answer["output_tokens"]),
                "/v1/chat/completions" => (&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]),
                "/v1/messages" => (&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]),
                _ => (&answer["prompt_eval_count"], &answer["eval_count"]),
            };
            assert_eq!((input, output), (&json!(17), &json!(9)), "{backend:?} to {path}: {answer}");
            if path == "/api/v1/chat" {
                let cost = answer["cost"].as_f64().unwrap();
                assert!((cost - (17.0 + 2.0 * 9.0) / 1e6).abs() < 1e-15, "{cost}");
            }
        }
    }
}

/// A request that offers a tool, after a call of it and its result.
fn tool_request(client: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let function = json!({"name": "weather", "description": "The weather of a city.", "parameters": schema});
    match client {
        Dialect::OpenAi => json!({"model": "only", "stream": false,
            "tools": [{"type": "function", "function": function}],
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "call_0", "type": "function",
                    "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}}]},
                {"role": "tool", "tool_call_id": "call_0", "content": "sunny"}]}),
        Dialect::Anthropic => json!({"model": "only", "stream": false, "max_tokens": 64,
            "tools": [{"name": "weather", "description": "The weather of a city.", "input_schema": schema}],
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Rome"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "sunny"}]}]}),
        Dialect::Ollama => json!({"model": "only", "stream": false,
            "tools": [{"type": "function", "function": function}],
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
                {"role": "tool", "tool_name": "weather", "content": "sunny"}]}),
    }
}

/// What a tool request came to at a backend: the tool, the call, the result, and whether the result names the call.
fn understood_tools(backend: Dialect, body: &Value) -> Value {
    let messages = body["messages"].as_array().unwrap();
    let (tool, call, result) = (&body["tools"][0], &messages[1], &messages[2]);
    match backend {
        Dialect::OpenAi | Dialect::Ollama => {
            let call = &call["tool_calls"][0];
            let arguments = match &call["function"]["arguments"] {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                arguments => arguments.clone(),
            };
            let linked = match backend {
                Dialect::OpenAi => call["id"] == result["tool_call_id"] && call["id"].is_string(),
                _ => result["tool_name"] == "weather" || result["tool_call_id"] == call["id"],
            };
            json!({"tool": tool["function"]["name"], "schema": tool["function"]["parameters"]["required"],
                "call": call["function"]["name"], "arguments": arguments, "result": text(&result["content"]),
                "linked": linked})
        }
        Dialect::Anthropic => {
            let (call, result) = (&call["content"][0], &result["content"][0]);
            json!({"tool": tool["name"], "schema": tool["input_schema"]["required"], "call": call["name"],
                "arguments": call["input"], "result": text(&result["content"]),
                "linked": call["id"] == result["tool_use_id"] && call["id"].is_string()})
        }
    }
}

/// The call in an answer, with its arguments read and the reason for which the answer ended.
fn answered_call(client: Dialect, answer: &Value) -> Value {
    match client {
        Dialect::OpenAi => {
            let choice = &answer["choices"][0];
            let function = &choice["message"]["tool_calls"][0]["function"];
            let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
            json!([function["name"], arguments, choice["finish_reason"]])
        }
        Dialect::Anthropic => {
            let block = answer["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
            json!([block["name"], block["input"], answer["stop_reason"]])
        }
        Dialect::Ollama => {
            let function = &answer["message"]["tool_calls"][0]["function"];
            json!([function["name"], function["arguments"], answer["done_reason"]])
        }
    }
}

#[test]
fn tools_calls_and_results_keep_their_meaning_in_each_dialect() {
    for client in Dialect::ALL {
        for backend in Dialect::ALL {
            let (response, seen) = relay(backend, backend.tool_call(USAGE), client.path(), &tool_request(client));
            let answer = response.expect(200).json();
            let expected = json!({"tool": "weather", "schema": ["city"], "call": "weather",
                "arguments": {"city": "Rome"}, "result": "sunny", "linked": true});
            assert_eq!(understood_tools(backend, &seen.unwrap().json()), expected, "{client:?} to {backend:?}");
            let reason = match client {
                Dialect::OpenAi => "tool_calls",
                Dialect::Anthropic => "tool_use",
                Dialect::Ollama => "stop",
            };
            let expected = json!(["weather", {"city": "Paris"}, reason]);
            assert_eq!(answered_call(client, &answer), expected, "{backend:?} to {client:?}: {answer}");
        }
    }
}

#[test]
fn streamed_tool_calls_reach_each_dialect() {
    let stream = json!([
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1",
            "type": "function", "function": {"name": "weather", "arguments": ""}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"city\":"}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "\"Paris\"}"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}}
    ]);
    let frames: Vec<String> = stream.as_array().unwrap().iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let backend = Backend::start(move |_| {
        Reply::stream("text/event-stream").frames(frames.iter()).frames(["data: [DONE]\n\n"]).end()
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let all = |path: &str| gateway.stream(path, &ask(path, "only", "hi", true)).all();

    let fragments = |data: &[Value], at: &str| -> String {
        data.iter().filter_map(|event| event.pointer(at).and_then(Value::as_str)).collect()
    };
    let paris = json!({"city": "Paris"});
    let openai = fragments(&all("/v1/chat/completions"), "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(serde_json::from_str::<Value>(&openai).unwrap(), paris);

    let events = all("/v1/messages");
    let start = events.iter().find(|event| event["type"] == "content_block_start").unwrap();
    assert_eq!((&start["content_block"]["name"], &start["content_block"]["id"]), (&json!("weather"), &json!("call_1")));
    assert_eq!(serde_json::from_str::<Value>(&fragments(&events, "/delta/partial_json")).unwrap(), paris);
    assert!(events.iter().any(|event| event["delta"]["stop_reason"] == "tool_use"), "{events:?}");

    let lines = all("/api/chat");
    let call = lines.iter().find_map(|line| line.pointer("/message/tool_calls/0/function")).unwrap();
    assert_eq!((&call["name"], &call["arguments"]), (&json!("weather"), &paris));

    let native = all("/api/v1/chat");
    let call = &native.last().unwrap()["tool_calls"][0];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("weather"), &paris));
}

#[test]
fn a_request_in_the_backends_own_dialect_is_forwarded_as_it_was_written() {
    let odd =
        json!({"deep": [1, {"a": null}], "text": "é\u{1F600}", "big": 12_345_678_901_234_567_890_u64, "small": 1e-7});
    for dialect in Dialect::ALL {
        let mut request = full_request(dialect);
        request["x_vendor_extension"] = odd.clone();
        request["messages"][0]["x_message_extension"] = odd.clone();
        let (response, seen) = relay(dialect, dialect.answer("Yes.", USAGE), dialect.path(), &request);
        let _ = response.expect(200);
        request["model"] = json!("backend-model");
        assert_eq!(seen.unwrap().json(), request, "{dialect:?}");
    }
}

#[test]
fn an_answer_in_the_clients_own_dialect_keeps_what_we_do_not_know() {
    for dialect in Dialect::ALL {
        let mut answer = dialect.answer("Yes.", USAGE);
        answer["x_vendor_extension"] = json!({"deep": [1, null]});
        let (response, _) = relay(dialect, answer.clone(), dialect.path(), &full_request(dialect));
        assert_eq!(response.expect(200).json()["x_vendor_extension"], answer["x_vendor_extension"], "{dialect:?}");
    }
}

#[test]
fn content_that_cannot_be_translated_is_refused_and_never_dropped() {
    let openai = |field: &str, value: Value| {
        let mut request = full_request(Dialect::OpenAi);
        request[field] = value;
        (Dialect::OpenAi, request, field.to_owned())
    };
    let anthropic = |field: &str, value: Value| {
        let mut request = full_request(Dialect::Anthropic);
        request[field] = value;
        (Dialect::Anthropic, request, field.to_owned())
    };
    let cases = [
        (openai("n", json!(2)), Dialect::Ollama),
        (openai("logprobs", json!(true)), Dialect::Anthropic),
        (openai("audio", json!({"voice": "alloy"})), Dialect::Ollama),
        (anthropic("container", json!("c1")), Dialect::Ollama),
        (anthropic("mcp_servers", json!([{"url": "https://x.test"}])), Dialect::OpenAi),
    ];
    for ((client, request, field), backend) in cases {
        let (response, seen) = relay(backend, backend.answer("Yes.", USAGE), client.path(), &request);
        let response = response.expect(400);
        assert_eq!(error_code(client.path(), &response.json()), "no_capable_model", "{field} to {backend:?}");
        assert!(response.text().contains(&field), "{field} is named: {}", response.text());
        assert!(seen.is_none(), "the backend is not asked");
    }
}

#[test]
fn why_an_answer_ended_is_told_in_each_dialect() {
    let cut_short = |dialect: Dialect| {
        let mut answer = dialect.answer("Ye", USAGE);
        match dialect {
            Dialect::OpenAi => answer["choices"][0]["finish_reason"] = json!("length"),
            Dialect::Anthropic => answer["stop_reason"] = json!("max_tokens"),
            Dialect::Ollama => answer["done_reason"] = json!("length"),
        }
        answer
    };
    for client in Dialect::ALL {
        for backend in Dialect::ALL {
            let (response, _) = relay(backend, cut_short(backend), client.path(), &full_request(client));
            let answer = response.expect(200).json();
            let (at, expected) = match client {
                Dialect::OpenAi => ("/choices/0/finish_reason", "length"),
                Dialect::Anthropic => ("/stop_reason", "max_tokens"),
                Dialect::Ollama => ("/done_reason", "length"),
            };
            assert_eq!(answer.pointer(at), Some(&json!(expected)), "{backend:?} to {client:?}");
        }
    }
}

#[test]
fn images_go_where_they_can() {
    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let request = |client: Dialect| match client {
        Dialect::OpenAi => json!({"model": "only", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}]}]}),
        Dialect::Anthropic => json!({"model": "only", "max_tokens": 9, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}]}),
        Dialect::Ollama => json!({"model": "only", "stream": false, "messages": [
            {"role": "user", "content": "What is it?", "images": [PNG]}]}),
    };
    let image_of = |backend: Dialect, body: &Value| -> String {
        let message = &body["messages"][0];
        let block = |kind: &str| -> Value {
            let blocks = message["content"].as_array().unwrap().iter();
            blocks.clone().find(|block| block["type"] == kind).cloned().unwrap()
        };
        match backend {
            Dialect::OpenAi => text(&block("image_url")["image_url"]["url"]).replace("data:image/png;base64,", ""),
            Dialect::Anthropic => {
                assert_eq!(block("image")["source"]["media_type"], "image/png");
                text(&block("image")["source"]["data"])
            }
            Dialect::Ollama => text(&message["images"][0]),
        }
    };
    for client in Dialect::ALL {
        for backend in Dialect::ALL {
            let answer = backend.answer("A pixel.", USAGE);
            let (response, seen) = relay(backend, answer, client.path(), &request(client));
            let _ = response.expect(200);
            assert_eq!(image_of(backend, &seen.unwrap().json()), PNG, "{client:?} to {backend:?}");
        }
    }
    let by_address = json!({"model": "only", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    let (response, _) = relay(Dialect::Ollama, json!({}), "/v1/chat/completions", &by_address);
    assert_eq!(error_code("/v1/chat/completions", &response.expect(400).json()), "no_capable_model");
}

#[test]
fn anthropics_headers_reach_anthropics_backends() {
    use wasmgate_tests::http::request;
    let backend = Backend::start(|_| Reply::json(200, &Dialect::Anthropic.answer("Yes.", USAGE)));
    let gateway = Gateway::setup().model("only", Dialect::Anthropic, &backend).start();
    let body = full_request(Dialect::Anthropic).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "some-beta"),
        ("x-api-key", "sk-of-the-client"),
        ("cookie", "session=1"),
    ];
    let _ = gateway.send(request("POST", "/v1/messages", &headers, body.as_bytes())).expect(200);
    let seen = backend.only_request();
    assert_eq!((seen.header("anthropic-version"), seen.header("anthropic-beta")), ("2023-06-01", "some-beta"));
    assert_eq!((seen.header("x-api-key"), seen.header("cookie")), ("", ""), "a client's secrets stay here");
}
