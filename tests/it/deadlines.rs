//! The time of a request, shared by its attempts: each has its own bound and leaves time for the next, and a model that was
//! not called is never blamed.

use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{post_json, request};
use wasmgate_tests::wire::{Dialect, Usage, ask, error_code};

const PATH: &str = "/v1/chat/completions";
const USAGE: Usage = Usage { input: 11, output: 3 };

fn good() -> Backend {
    Backend::start(|request| match request.json()["stream"] == true {
        true => Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["good"], USAGE)).end(),
        false => Reply::json(200, &Dialect::OpenAi.answer("good", USAGE)),
    })
}

fn silent() -> Backend {
    Backend::start(|_| Reply::silent().stall())
}

/// A model whose breaker opens at its first failure.
fn model(name: &str, backend: &Backend, timeouts: &str) -> String {
    let url = backend.url();
    format!(
        "[backends.{name}]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\n\
         breaker = {{ min_calls = 1 }}\ntimeouts = {{ {timeouts} }}\n[models.{name}]\nbackend = \"{name}\"\n"
    )
}

fn pair(first: (&Backend, &str), second: (&Backend, &str)) -> Setup {
    Gateway::setup()
        .models(&model("first", first.0, first.1))
        .models(&model("second", second.0, second.1))
        .routing("enabled = false")
}

#[test]
fn a_model_that_does_not_answer_leaves_time_for_the_next() {
    for (stream, guarded) in [(false, "false"), (true, "false"), (true, "true")] {
        let (first, second) = (silent(), good());
        let gateway = pair((&first, "total_seconds = 3"), (&second, "total_seconds = 3")).start();
        let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", guarded)];
        let body = ask(PATH, "auto", "hello", stream).to_string();
        let response = gateway.send(request("POST", PATH, &headers, body.as_bytes())).expect(200);
        assert_eq!(response.header("x-wasmgate-model"), "second", "stream {stream}, guarded {guarded}");
        assert_eq!(
            response.header("x-wasmgate-failed-attempts"),
            "first timeout",
            "stream {stream}, guarded {guarded}"
        );
    }
}

#[test]
fn a_guarded_stream_that_stops_leaves_time_for_the_next() {
    let frames = Dialect::OpenAi.frames(&["one", "two"], USAGE);
    let first = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames[..2]).stall());
    let second = good();
    let gateway = pair((&first, "total_seconds = 3"), (&second, "total_seconds = 3")).start();
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let body = ask(PATH, "auto", "hello", true).to_string();
    let response = gateway.send(request("POST", PATH, &headers, body.as_bytes())).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "second");
}

#[test]
fn a_model_that_was_not_called_for_lack_of_time_is_not_blamed() {
    let (first, second) = (silent(), good());
    // The first takes half of its two seconds. Then the time of a request at the second is over.
    let gateway = pair((&first, "total_seconds = 2"), (&second, "total_seconds = 0.5")).start();
    let response = gateway.post(PATH, &ask(PATH, "auto", "hello", false)).expect(504);
    assert_eq!(error_code(PATH, &response.json()), "backend_timeout");
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "first timeout");
    assert_eq!(response.header("x-wasmgate-model"), "first");
    let metrics = gateway.metrics();
    assert_eq!(second.requests().len(), 0);
    assert_eq!(metrics.value("api_gateway_breaker_state", &[("model", "second"), ("state", "closed")]), 1.0);
    assert_eq!(metrics.value("api_gateway_breaker_state", &[("model", "first"), ("state", "open")]), 1.0);
    assert_eq!(metrics.value("api_gateway_estimated_tokens_total", &[("model", "second")]), 0.0);
}

/// An answer of the first model that takes longer than `answer_seconds` of an answer of which nothing arrives, and what has
/// arrived of it when that time is over.
fn keeps_arriving(stream: bool, begin: Reply, rest: impl Fn(Reply) -> Reply + Send + Sync + 'static) {
    let gate = Gate::default();
    let (waits, begin) = (gate.clone(), std::sync::Mutex::new(Some(begin)));
    let first = Backend::start(move |request| match request.json()["messages"][0]["content"] == "arrives" {
        true => rest(begin.lock().unwrap().take().expect("it is asked once").gate(&waits)),
        false => Reply::silent().stall(),
    });
    let second = good();
    let gateway = pair((&first, "answer_seconds = 1"), (&second, "")).start();
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let mut arrives = gateway.connect();
    arrives.send(request("POST", PATH, &headers, ask(PATH, "auto", "arrives", stream).to_string().as_bytes()));
    first.wait_requests(1);
    // This one is called later, and its time is over before: the other one has taken longer than that.
    let response = gateway.post(PATH, &ask(PATH, "auto", "silent", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "second", "stream {stream}");
    gate.open();
    let response = arrives.response().expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "first", "stream {stream}");
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "", "stream {stream}");
}

#[test]
fn a_guarded_stream_that_keeps_arriving_is_not_ended_for_another_model() {
    let frames = Dialect::OpenAi.frames(&["one", "two"], USAGE);
    let begin = Reply::stream("text/event-stream").frames(&frames[..2]);
    keeps_arriving(true, begin, move |reply| reply.frames(&frames[2..]).end());
}

#[test]
fn a_whole_answer_that_keeps_arriving_is_not_ended_for_another_model() {
    let body = Dialect::OpenAi.answer("first", USAGE).to_string();
    keeps_arriving(false, Reply::stream("application/json").frames([" "]), move |reply| reply.frames([&body]).end());
}

#[test]
fn a_whole_answer_has_its_own_time_while_another_model_could_answer() {
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |_| {
        Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("first", USAGE)))
    });
    let second = good();
    let gateway = pair((&first, "answer_seconds = 0.2"), (&second, "")).start();
    let mut alone = gateway.connect();
    alone.send(post_json(PATH, &ask(PATH, "first", "hello", false)));
    first.wait_requests(1);
    let response = gateway.post(PATH, &ask(PATH, "auto", "hello", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "second");
    // The first request has waited longer than the second one. No other model could answer it.
    gate.open();
    assert_eq!(alone.response().expect(200).header("x-wasmgate-model"), "first");
}
