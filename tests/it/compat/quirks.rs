//! Servers that do not take a field of their dialect: settings, and what the gateway learns from refusals.

use std::sync::Arc;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::wire::{Dialect, Usage};

const USAGE: Usage = Usage { input: 17, output: 9 };

/// A server that refuses a request in which `is_refused` finds something, with this status and body.
fn refusing(
    dialect: Dialect,
    status: u16,
    error: Value,
    is_refused: impl Fn(&Value) -> bool + Send + Sync + 'static,
) -> Backend {
    let is_refused = Arc::new(is_refused);
    Backend::start(move |request: &Request| {
        let asked = request.json();
        if is_refused(&asked) {
            return Reply::json(status, &error);
        }
        if asked["stream"] == true {
            return Reply::stream(dialect.stream_type()).frames(dialect.frames(&["Yes."], USAGE)).end();
        }
        Reply::json(200, &dialect.answer("Yes.", USAGE))
    })
}

fn openai_error(message: &str, param: Value) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}})
}

fn anthropic(more: Value) -> Value {
    let mut body = json!({"model": "only", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn openai(more: Value) -> Value {
    let mut body = json!({"model": "only", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_refused_field_is_left_out_at_once_and_from_then_on() {
    let extra = |field: &str| {
        json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", field],
            "msg": "Extra inputs are not permitted"}]}, "type": "invalid_request_error", "code": null})
    };
    let use_newer =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let temperature = "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.";
    let history = json!([{"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}]);
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}, "strict": true}]);
    for (to, path, asked, status, error, pointer) in [
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({})),
            400,
            openai_error(use_newer, json!("max_tokens")),
            "/max_tokens",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({})),
            422,
            json!({"detail": format!("{use_newer}")}),
            "/max_tokens",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({"temperature": 0.5})),
            400,
            openai_error(temperature, json!("temperature")),
            "/temperature",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({"stream": true})),
            422,
            extra("stream_options"),
            "/stream_options",
        ),
        (
            Dialect::OpenAi,
            "/v1/chat/completions",
            openai(json!({"stream": true})),
            422,
            extra("stream_options"),
            "/stream_options",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({"output_config": {"effort": "low"}})),
            400,
            openai_error("Unrecognized request argument supplied: reasoning_effort", Value::Null),
            "/reasoning_effort",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({"messages": history})),
            422,
            extra("reasoning_content"),
            "/messages/1/reasoning_content",
        ),
        (
            Dialect::OpenAi,
            "/v1/messages",
            anthropic(json!({"tools": tools})),
            422,
            extra("strict"),
            "/tools/0/function/strict",
        ),
        (
            Dialect::Anthropic,
            "/v1/chat/completions",
            openai(json!({"reasoning_effort": "low"})),
            400,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "This model does not support the effort parameter."}}),
            "/output_config/effort",
        ),
        (
            Dialect::Anthropic,
            "/v1/chat/completions",
            openai(json!({"temperature": 0.5, "top_p": 0.5})),
            400,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "`temperature` and `top_p` cannot both be specified for this model."}}),
            "/top_p",
        ),
        (
            Dialect::Ollama,
            "/v1/chat/completions",
            openai(json!({"reasoning_effort": "low"})),
            400,
            json!({"error": "\"backend-model\" does not support thinking"}),
            "/think",
        ),
    ] {
        let about = format!("{pointer} at {path}");
        let place = pointer.to_owned();
        let backend = refusing(to, status, error, move |asked| asked.pointer(&place).is_some());
        let gateway = Gateway::setup().model("only", to, &backend).start();
        let response = gateway.post(path, &asked).expect(200);
        let seen = backend.requests();
        assert_eq!(seen.len(), 2, "{about}");
        assert_eq!(
            (seen[0].json().pointer(pointer).is_some(), seen[1].json().pointer(pointer)),
            (true, None),
            "{about}"
        );
        if pointer == "/max_tokens" {
            assert_eq!(seen[1].json()["max_completion_tokens"], 64);
        } else if pointer != "/stream_options" {
            assert_ne!(response.header("x-wasmgate-dropped"), "", "{about}");
        }
        // It is remembered, billed once each, and no failure.
        let _ = gateway.post(path, &asked).expect(200);
        assert_eq!(backend.requests().len(), 3, "{about}");
        gateway.wait_metric("api_gateway_tokens_total", &[("model", "only"), ("type", "input")], 34.0);
        let metrics = gateway.metrics();
        for name in ["api_gateway_retries_total", "api_gateway_unaccounted_calls_total"] {
            assert!(metrics.matching(name, &[]).all(|sample| sample.value == 0.0), "{name} {about}");
        }
        gateway.wait_for_log("the refused field", |line| {
            line["message"].as_str().is_some_and(|m| m.contains("refuses these fields"))
        });
    }
}

#[test]
fn what_the_client_wrote_for_the_server_itself_is_its_own_affair() {
    let unsupported = |field: &str| openai_error(&format!("Unsupported parameter: '{field}'."), json!(field));
    for (field, more) in [
        ("temperature", json!({"temperature": 0.5})),
        ("max_tokens", json!({"max_tokens": 5})),
        ("stream_options", json!({"stream": true, "stream_options": {"include_usage": true}})),
    ] {
        let backend = refusing(Dialect::OpenAi, 400, unsupported(field), move |asked| !asked[field].is_null());
        let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
        let _ = gateway.post("/v1/chat/completions", &openai(more)).expect(400);
        assert_eq!(backend.requests().len(), 1, "{field}");
    }
}

#[test]
fn a_refusal_that_stays_is_told_and_not_remembered() {
    // Each of these names fields, or words like them, and refuses in any case.
    for message in [
        "Unsupported parameter: 'temperature' is not supported with this model.",
        "Conversation roles must alternate user/assistant; 'user' is not supported here.",
        "This model's maximum context length is 10 tokens; max_tokens is 64.",
        "Unknown parameters: temperature, top_p, max_tokens, user, stream_options, seed.",
    ] {
        let backend = refusing(Dialect::OpenAi, 400, openai_error(message, Value::Null), |_| true);
        let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
        let asked = anthropic(json!({"temperature": 0.5, "top_p": 0.5, "metadata": {"user_id": "u"}, "stream": true}));
        for _ in 0..2 {
            backend.forget_requests();
            let _ = gateway.post("/v1/messages", &asked).expect(400);
            let seen = backend.requests();
            assert!(seen.len() <= 4, "{message}: {}", seen.len());
            assert_eq!(seen[0].json()["temperature"], 0.5, "{message}");
        }
    }
}

#[test]
fn settings_say_what_a_server_does_not_take() {
    let backend = refusing(Dialect::OpenAi, 400, json!({}), |_| false);
    let url = backend.url();
    let models = format!(
        "[backends.only]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
         quirks = {{ max_completion_tokens = true, leave_out = [\"stream_options\"] }}\n\
         [models.only]\nbackend = \"only\"\nquirks = {{ string_content = true, leave_out = [\"seed\"] }}\n\
         [models.second]\nbackend = \"only\"\n"
    );
    let gateway = Gateway::setup().models(&models).start();
    let parts = json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
    let asked = openai(json!({"messages": parts, "seed": 1, "max_tokens": 5, "stream": true, "brand_new": 1}));
    let _ = gateway.post("/v1/chat/completions", &asked).expect(200);
    let joined = json!([{"role": "user", "content": "a\nb"}]);
    assert_eq!(
        backend.only_request().json(),
        json!({"model": "only", "messages": joined, "max_completion_tokens": 5, "stream": true, "brand_new": 1})
    );
    backend.forget_requests();
    let mut other = asked.clone();
    other["model"] = json!("second");
    let _ = gateway.post("/v1/chat/completions", &other).expect(200);
    let seen = backend.only_request().json();
    assert_eq!((&seen["messages"], &seen["seed"], &seen["stream_options"]), (&parts, &json!(1), &Value::Null));
    backend.forget_requests();
    let _ = gateway.post("/v1/messages", &anthropic(json!({"stream": true}))).expect(200);
    let seen = backend.only_request().json();
    assert_eq!(
        (&seen["max_completion_tokens"], &seen["max_tokens"], &seen["stream_options"]),
        (&json!(64), &Value::Null, &Value::Null)
    );
}

#[test]
fn a_wrong_quirk_is_an_error_of_the_configuration() {
    for (kind, quirks, expected) in [
        ("openai", "leave_out = [\"stream_option\"]", "did you mean \"stream_options\"?"),
        ("openai", "leave_out = [\"messages\"]", "is no field that can be left out"),
        ("openai", "leave_out = [\"max_tokens\"]", "is no field that can be left out"),
        ("anthropic", "max_completion_tokens = true", "only a backend of kind \"openai\""),
        ("ollama", "string_content = true", "only a backend of kind \"openai\""),
        ("openai", "no_streams = true", "no_streams"),
    ] {
        let models = format!(
            "[backends.b]\nkind = \"{kind}\"\nurl = \"http://127.0.0.1:9\"\nquirks = {{ {quirks} }}\n[models.m]\nbackend = \"b\"\n"
        );
        let exit = Gateway::setup().models(&models).refused();
        assert!(exit.stderr.contains(expected), "{quirks}: {}", exit.stderr);
    }
}
