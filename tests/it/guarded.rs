//! What a client of a stream sees before its first token, and a stream that is held back until it is whole.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Stream, request};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well, error_code, text_of};

const USAGE: Usage = Usage { input: 11, output: 3 };
const TEXTS: [&str; 3] = ["one ", "two ", "three"];

fn good() -> Backend {
    Backend::start(|_| Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&TEXTS, USAGE)).end())
}

fn pair(first: &Backend, second: &Backend) -> Setup {
    Gateway::setup()
        .model("first", Dialect::OpenAi, first)
        .model("second", Dialect::OpenAi, second)
        .routing("enabled = false")
}

/// Asks for a stream that is held back.
fn guarded(gateway: &Gateway, path: &str) -> Stream {
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let body = ask(path, "auto", "hello", true).to_string();
    Stream::open(gateway.address, &request("POST", path, &headers, body.as_bytes()))
}

fn whole(path: &str, data: &[Value]) -> bool {
    let data = if path == "/api/v1/chat" { &data[..data.len() - 1] } else { data };
    text_of(path, data) == "one two three"
}

#[test]
fn a_guarded_stream_that_breaks_off_is_answered_by_the_next_model() {
    let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
    let first = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames[..3]).cut());
    let second = good();
    let gateway = pair(&first, &second).start();
    for (count, path) in CLIENT_PATHS.iter().enumerate() {
        let mut stream = guarded(&gateway, path);
        let head = stream.head.clone();
        assert_eq!(head.header("x-wasmgate-model"), Some("second"), "{path}");
        assert_eq!(head.header("x-wasmgate-failed-attempts"), Some("first protocol"), "{path}");
        assert_eq!(head.header("x-wasmgate-whole"), Some("true"), "{path}");
        let data = stream.all();
        assert!(ends_well(path, &data) && whole(path, &data), "{path}: {data:?}");
        let labels = [("from_model", "first"), ("to_model", "second"), ("reason", "protocol")];
        gateway.wait_metric("api_gateway_fallbacks_total", &labels, count as f64 + 1.0);
    }
    // What each model said is its own: the first is paid for two pieces a stream, though nobody saw them.
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_tokens_total", &[("model", "second"), ("type", "output")]), 12.0);
    assert_eq!(metrics.value("api_gateway_tokens_total", &[("model", "first")]), 0.0);
    let estimated = metrics.value("api_gateway_estimated_tokens_total", &[("model", "first"), ("type", "output")]);
    assert_eq!(estimated, 8.0);
    assert!(metrics.value("api_gateway_cost_total", &[("model", "first")]) > 0.0);
    let line = gateway.wait_for_ending("finished");
    assert!(line["failed_attempts_cost_usd"].as_f64().unwrap() > 0.0, "{line}");
    assert_eq!(metrics.value("api_gateway_estimated_tokens_total", &[("model", "second")]), 0.0);
}

#[test]
fn a_guarded_stream_that_is_too_long_flows_before_it_is_whole() {
    let gate = Gate::default();
    let waits = gate.clone();
    let long = "x".repeat(600);
    let backend = Backend::start(move |_| {
        let frames = Dialect::OpenAi.frames(&[&long, &long, "end"], USAGE);
        let (before, after) = frames.split_at(3);
        Reply::stream("text/event-stream").frames(before).gate(&waits).frames(after).end()
    });
    let gateway = pair(&backend, &backend).server("guarded_max_bytes = 1024").start();
    let path = "/v1/chat/completions";
    let mut stream = guarded(&gateway, path);
    assert_eq!((stream.head.status, stream.head.header("x-wasmgate-whole")), (200, None));
    gate.open();
    assert!(ends_well(path, &stream.all()));
}

/// Asks for a stream of `model`, whose backend fails when the client has had its comments; what comes then.
fn after_comments(path: &str, model: &str) -> (Gateway, Vec<Value>) {
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |_| Reply::silent().gate(&waits).and(Reply::json(500, &json!({}))));
    let second = good();
    let gateway = pair(&first, &second).server("keep_alive_seconds = 0.02").start();
    let mut stream = gateway.stream(path, &ask(path, model, "hello", true));
    assert_eq!((stream.head.status, stream.head.header("x-wasmgate-model")), (200, None));
    for _ in 0..3 {
        assert_eq!(stream.event().as_deref(), Some(": waiting for the model"), "{path}");
    }
    gate.open();
    (gateway, stream.all())
}

#[test]
fn a_client_that_waits_is_sent_comments_where_the_operator_wants_that() {
    for path in ["/api/v1/chat", "/v1/chat/completions", "/v1/messages"] {
        let (gateway, data) = after_comments(path, "auto");
        assert!(ends_well(path, &data) && whole(path, &data), "another model may still answer: {path}: {data:?}");
        gateway.wait_for_ending("finished");

        let (gateway, data) = after_comments(path, "first");
        assert_eq!(
            error_code(path, data.last().unwrap()),
            "backend_error",
            "where none does, it is told in the stream"
        );
        gateway.wait_metric("api_gateway_errors_total", &[("reason", "upstream_5xx")], 1.0);
    }
}

#[test]
fn a_client_that_leaves_while_it_is_sent_comments_ends_the_call() {
    let backend = Backend::start(|_| Reply::silent().stall());
    let gateway = pair(&backend, &backend).server("keep_alive_seconds = 0.02").start();
    let path = "/v1/chat/completions";
    let mut stream = gateway.stream(path, &ask(path, "auto", "hello", true));
    let _ = stream.event();
    stream.abandon();
    backend.wait_abandoned(1);
    gateway.wait_metric("api_gateway_abandoned_requests_total", &[("model", "first")], 1.0);
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
}

#[test]
fn the_operator_can_have_the_streams_of_a_model_guarded() {
    let frames = Dialect::OpenAi.frames(&TEXTS, USAGE);
    let first = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames[..3]).cut());
    let second = good();
    let url = first.url();
    let gateway = Gateway::setup()
        .models(&format!(
            "[backends.first]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
             [models.first]\nbackend = \"first\"\nguarded = true\n"
        ))
        .model("second", Dialect::OpenAi, &second)
        .routing("enabled = false")
        .start();
    for path in CLIENT_PATHS {
        let mut stream = gateway.stream(path, &ask(path, "auto", "hello", true));
        let head = stream.head.clone();
        assert_eq!(head.header("x-wasmgate-model"), Some("second"), "{path}");
        assert_eq!(head.header("x-wasmgate-failed-attempts"), Some("first protocol"), "{path}");
        assert_eq!(head.header("x-wasmgate-whole"), None, "the second is not guarded: {path}");
        let data = stream.all();
        assert!(ends_well(path, &data) && whole(path, &data), "{path}: {data:?}");
    }
}
