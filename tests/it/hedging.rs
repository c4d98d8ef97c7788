//! A model that takes long to its first token, and the next one that is asked beside it.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Client, post_json};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, ends_well, text_of};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";

fn says(text: &str) -> Reply {
    Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&[text], USAGE)).end()
}

/// A backend whose streams wait for the gate before their first byte.
fn behind(gate: &Gate, text: &'static str) -> Backend {
    let gate = gate.clone();
    Backend::start(move |_| Reply::silent().gate(&gate).and(says(text)))
}

fn silent() -> Backend {
    Backend::start(|_| Reply::silent().stall())
}

/// The first model is hedged by the second, in the order of the configuration.
fn pair(first: &Backend, second: &Backend) -> Setup {
    pair_after(first, second, 0.02)
}

/// The same, after so many seconds.
fn pair_after(first: &Backend, second: &Backend, seconds: f64) -> Setup {
    Gateway::setup()
        .model("first", Dialect::OpenAi, first)
        .models(&format!("[models.first.timeouts]\nhedge_seconds = {seconds}\n"))
        .model("second", Dialect::OpenAi, second)
        .routing("enabled = false")
}

fn hedges(gateway: &Gateway) -> [f64; 2] {
    let metrics = gateway.metrics();
    let of = |result| metrics.value("api_gateway_hedges_total", &[("model", "first"), ("result", result)]);
    [of("won"), of("lost")]
}

#[test]
fn the_next_model_answers_where_the_first_takes_long() {
    let (first, second) = (silent(), Backend::start(|_| says("second")));
    let gateway = pair(&first, &second).start();
    assert_eq!(hedges(&gateway), [0.0, 0.0]);
    for (count, path) in CLIENT_PATHS.iter().enumerate() {
        let mut stream = gateway.stream(path, &ask(path, "auto", "hello", true));
        let head = stream.head.clone();
        assert_eq!(head.header("x-wasmgate-model"), Some("second"), "{path}");
        assert_eq!(head.header("x-wasmgate-hedge"), Some("won"), "{path}");
        assert_eq!(head.header("x-wasmgate-failed-attempts"), None, "to be slow is no failure: {path}");
        let data = stream.all();
        assert!(ends_well(path, &data), "{path}: {data:?}");
        first.wait_abandoned(count + 1);
        gateway.wait_metric("api_gateway_requests_total", &[("model", "second")], count as f64 + 1.0);
    }
    assert_eq!(hedges(&gateway), [4.0, 0.0]);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_tokens_total", &[("type", "output")]), 12.0, "none is counted twice");
    assert_eq!(metrics.value("api_gateway_requests_total", &[]), 4.0);
    assert_eq!(metrics.find("api_gateway_fallbacks_total", &[]), None);
    assert_eq!(gateway.wait_for_ending("finished")["hedge"], "won");
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
}

#[test]
fn a_model_that_its_hedge_overtook_was_slow_and_one_that_was_cancelled_soon_was_not() {
    let (first, second) = (silent(), Backend::start(|_| says("second")));
    let breaker = "breaker = { min_calls = 1, slow_seconds = 0.01, retry_seconds = 1000 }";
    let rules = format!(
        "[backends.first]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n{breaker}\n",
        first.url()
    );
    let gateway = Gateway::setup()
        .models(&format!("{rules}[models.first]\nbackend = \"first\"\ntimeouts = {{ hedge_seconds = 0.02 }}\n"))
        .model("second", Dialect::OpenAi, &second)
        .routing("enabled = false")
        .start();
    let _ = gateway.stream(PATH, &ask(PATH, "auto", "hello", true)).all();
    first.wait_abandoned(1);
    gateway.wait_metric("api_gateway_breaker_state", &[("model", "first"), ("state", "open")], 1.0);
    assert_eq!(gateway.metrics().value("api_gateway_breaker_state", &[("model", "second"), ("state", "closed")]), 1.0);
    let head = gateway.stream(PATH, &ask(PATH, "auto", "hello", true)).head.clone();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("second"), None));
}

#[test]
fn the_first_model_answers_where_it_is_faster_after_all() {
    let gate = Gate::default();
    let (first, second) = (behind(&gate, "first"), silent());
    let gateway = pair(&first, &second).start();
    let mut client = ask_for_stream(&gateway, "hello");
    second.wait_requests(1);
    gate.open();
    let head = client.head();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("first"), Some("lost")));
    second.wait_abandoned(1);
    let _ = client.body_of(head);
    gateway.wait_metric("api_gateway_hedges_total", &[("model", "first"), ("result", "lost")], 1.0);
    assert_eq!(hedges(&gateway), [0.0, 1.0]);
}

fn ask_for_stream(gateway: &Gateway, prompt: &str) -> Client {
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "auto", prompt, true)));
    client
}

#[test]
fn only_streams_without_tools_are_asked_twice() {
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |request| match request.json()["stream"] == true {
        true => Reply::silent().gate(&waits).and(says("first")),
        false => Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("first", USAGE))),
    });
    let second = Backend::start(|_| says("second"));
    let gateway = pair(&first, &second).start();
    let mut with_tools = ask(PATH, "auto", "tools", true);
    with_tools["tools"] =
        json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let whole = ask(PATH, "auto", "whole", false);
    let named = ask(PATH, "first", "named", true);
    let requests = [post_json(PATH, &with_tools), post_json(PATH, &whole), post_json(PATH, &named)];
    let mut clients = Vec::new();
    for (count, request) in requests.iter().enumerate() {
        let mut client = gateway.connect();
        client.send(request);
        first.wait_requests(count + 1);
        clients.push(client);
    }
    // One that came after them is asked of the second, so that they would have been by now.
    let mut last = ask_for_stream(&gateway, "hedged");
    assert_eq!(last.head().header("x-wasmgate-hedge"), Some("won"));
    assert_eq!(second.only_request().json()["messages"][0]["content"], "hedged");
    gate.open();
    for client in &mut clients {
        let head = client.head();
        assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("first"), None));
        let _ = client.body_of(head);
    }
}

/// A model that takes a thousand tokens, asked once, and its backend.
fn with_window(name: &str, backend: &Backend) -> String {
    let url = backend.url();
    format!(
        "[backends.{name}]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\nretries = {{ attempts = 1 }}\n\
         [models.{name}]\nbackend = {name:?}\ncontext_window = 1_000\n"
    )
}

#[test]
fn a_model_that_takes_no_prompt_as_long_is_not_asked_beside() {
    let (first, tiny, large) = (silent(), Backend::start(|_| says("tiny")), Backend::start(|_| says("large")));
    let small = Backend::start(|_| {
        let error = json!({"message": "words", "type": "invalid_request_error", "code": "context_length_exceeded"});
        Reply::json(400, &json!({ "error": error }))
    });
    let gateway = Gateway::setup()
        .models(&with_window("small", &small))
        .model("first", Dialect::OpenAi, &first)
        .models("[models.first.timeouts]\nhedge_seconds = 0.02\n")
        .models(&with_window("tiny", &tiny))
        .model("large", Dialect::OpenAi, &large)
        .routing("enabled = false")
        .start();
    let mut client = ask_for_stream(&gateway, "hello");
    let head = client.head();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("large"), Some("won")));
    assert_eq!(head.header("x-wasmgate-failed-attempts"), Some("small upstream_4xx"));
    assert_eq!(tiny.requests().len(), 0, "for it the prompt is too long as well");
    let _ = client.body_of(head);
}

#[test]
fn what_is_asked_twice_stays_within_its_budget() {
    let gate = Gate::default();
    let (first, second) = (behind(&gate, "first"), Backend::start(|_| says("second")));
    let gateway = pair(&first, &second).server("hedge_budget_percent = 0").start();
    let mut clients: Vec<Client> = (0..12).map(|_| ask_for_stream(&gateway, "hello")).collect();
    first.wait_requests(12);
    until("ten were hedged", || (hedges(&gateway) == [10.0, 0.0]).then_some(()));
    gate.open();
    let answered = clients.iter_mut().map(|client| client.head().header("x-wasmgate-model").map(str::to_owned));
    let by_first = answered.filter(|model| model.as_deref() == Some("first")).count();
    assert_eq!((by_first, second.requests().len()), (2, 10), "ten are saved up, and nothing comes in");
}

#[test]
fn a_first_model_that_fails_meanwhile_is_told_of_and_one_that_fails_before_is_not_hedged() {
    let (fails, says_so) = (Gate::default(), Gate::default());
    let (wait, waits) = (fails.clone(), says_so.clone());
    let first = Backend::start(move |request| {
        let failure = Reply::json(500, &json!({}));
        if request.number == 0 { Reply::silent().gate(&wait).and(failure) } else { failure }
    });
    let second = Backend::start(move |_| Reply::silent().gate(&waits).and(says("second")));
    let gateway = pair(&first, &second).start();
    let mut client = ask_for_stream(&gateway, "hello");
    second.wait_requests(1);
    fails.open();
    gateway.wait_metric("api_gateway_upstream_up", &[("upstream", "first")], 1.0);
    says_so.open();
    let head = client.head();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("second"), Some("won")));
    let _ = client.body_of(head);

    let mut stream = gateway.stream(PATH, &ask(PATH, "auto", "hello", true));
    let head = stream.head.clone();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("second"), None));
    assert_eq!(head.header("x-wasmgate-failed-attempts"), Some("first upstream_5xx"));
    assert!(ends_well(PATH, &stream.all()));
}

#[test]
fn where_both_fail_the_third_is_asked_and_where_none_is_left_the_client_is_told() {
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |_| Reply::silent().gate(&waits).and(Reply::json(500, &json!({}))));
    let second = Backend::start(|_| Reply::json(404, &json!({})));
    let third = Backend::start(|_| says("third"));
    let hedged = |third: Option<&Backend>| {
        let setup = pair(&first, &second);
        match third {
            Some(third) => setup.model("third", Dialect::OpenAi, third).start(),
            None => setup.start(),
        }
    };
    let gateway = hedged(Some(&third));
    let mut client = ask_for_stream(&gateway, "hello");
    second.wait_requests(1);
    gate.open();
    let head = client.head();
    assert_eq!(head.header("x-wasmgate-model"), Some("third"));
    assert_eq!(head.header("x-wasmgate-failed-attempts"), Some("first upstream_5xx, second upstream_4xx"));
    assert_eq!(head.header("x-wasmgate-hedge"), Some("lost"));
    let data: Vec<Value> = String::from_utf8(client.body_of(head).body)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!(text_of(PATH, &data), "third");

    let gateway = hedged(None);
    let told = gateway.post(PATH, &ask(PATH, "auto", "hello", true)).expect(502);
    assert_eq!(told.header("x-wasmgate-failed-attempts").split(", ").count(), 2);
}

#[test]
fn what_the_loser_had_counted_is_billed_to_it() {
    let first = Backend::start(|_| {
        let frames = Dialect::Anthropic.frames(&["never"], USAGE);
        Reply::stream("text/event-stream").frames(&frames[..Dialect::Anthropic.opening()]).stall()
    });
    let second = Backend::start(|_| says("second"));
    let gateway = Gateway::setup()
        .model("first", Dialect::Anthropic, &first)
        .models("[models.first.timeouts]\nhedge_seconds = 0.02\n")
        .model("second", Dialect::OpenAi, &second)
        .routing("enabled = false")
        .start();
    let mut stream = gateway.stream(PATH, &ask(PATH, "auto", "hello", true));
    assert_eq!(stream.head.header("x-wasmgate-hedge"), Some("won"));
    let _ = stream.all();
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "second"), ("type", "output")], 3.0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_tokens_total", &[("model", "first"), ("type", "input")]), 11.0);
}

fn guarded(gateway: &Gateway, prompt: &str) -> Client {
    let body = ask(PATH, "auto", prompt, true).to_string();
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let mut client = gateway.connect();
    client.send(wasmgate_tests::http::request("POST", PATH, &headers, body.as_bytes()));
    client
}

#[test]
fn a_guarded_stream_is_hedged_and_the_first_complete_one_answers() {
    let gate = Gate::default();
    let waits = gate.clone();
    let (first, second) = (silent(), behind(&waits, "second"));
    let gateway = pair(&first, &second).start();
    let mut client = guarded(&gateway, "hello");
    second.wait_requests(1);
    gate.open();
    let head = client.head();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("second"), Some("won")));
    assert_eq!(head.header("x-wasmgate-whole"), Some("true"));
    let _ = client.body_of(head);
    first.wait_abandoned(1);
    gateway.wait_metric("api_gateway_hedges_total", &[("model", "first"), ("result", "won")], 1.0);
}

#[test]
fn a_guarded_stream_that_has_begun_is_not_hedged_however_long_it_is() {
    let gate = Gate::default();
    let waits = gate.clone();
    let first = Backend::start(move |request| {
        if request.json()["messages"][0]["content"] == "silent" {
            return Reply::silent().stall();
        }
        let frames = Dialect::OpenAi.frames(&["one", "two"], USAGE);
        Reply::stream("text/event-stream").frames(&frames[..2]).gate(&waits).frames(&frames[2..]).end()
    });
    let second = Backend::start(|_| says("second"));
    // Long enough for the first token on a busy machine.
    let gateway = pair_after(&first, &second, 2.0).start();
    let mut long = guarded(&gateway, "long");
    first.wait_requests(1);
    // One that came after it is hedged, so that it would have been by now.
    let mut client = guarded(&gateway, "silent");
    assert_eq!(client.head().header("x-wasmgate-hedge"), Some("won"));
    assert_eq!(second.requests().len(), 1);
    gate.open();
    let head = long.head();
    assert_eq!((head.header("x-wasmgate-model"), head.header("x-wasmgate-hedge")), (Some("first"), None));
}
