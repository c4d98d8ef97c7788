//! Connections to backends: how many there are, what they carry at once, when they are used again, and which of their ends
//! nobody hears of.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Client, Stream, post_json};
use wasmgate_tests::http2::{Answer, Http2Backend};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask, ends_well, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";

/// Each thread has connections of its own: with one, all requests share them.
fn one_thread() -> Setup {
    Gateway::setup().server("threads = 1")
}

/// A model called `m` at a server of HTTP/2, never asked again after a failure.
fn model(backend: &Http2Backend, lines: &str) -> Setup {
    one_thread().models(&format!(
        "[backends.m]\nkind = \"openai\"\nurl = {:?}\nhttp2 = \"prior-knowledge\"\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 1 }}\n{lines}\n[models.m]\nbackend = \"m\"\n",
        backend.url()
    ))
}

fn answer() -> Answer {
    Answer::Json(Dialect::OpenAi.answer("well", USAGE))
}

/// The events of a stream: those before its first token and the token, and the others.
fn held() -> Answer {
    let mut events = Dialect::OpenAi.frames(&["one ", "two"], USAGE);
    let rest = events.split_off(2);
    Answer::Held(events, rest)
}

fn asking(gateway: &Gateway, text: &str) -> Client {
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "m", text, false)));
    client
}

fn streaming(gateway: &Gateway) -> Client {
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "m", "hello", true)));
    client
}

#[track_caller]
fn answers(gateway: &Gateway) {
    let response = gateway.post(PATH, &ask(PATH, "m", "hello", false)).expect(200);
    assert_eq!(response.header("x-wasmgate-failed-attempts"), "");
}

#[track_caller]
fn nobody_is_blamed(gateway: &Gateway) {
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_retries_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_errors_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_breaker_state", &[("model", "m"), ("state", "closed")]), 1.0);
}

#[test]
fn a_thousand_streams_are_spread_over_as_many_connections_as_they_need() {
    let backend = Http2Backend::start(100, |_| held());
    let gateway = model(&backend, "").start();
    let mut clients: Vec<Client> = (0..1000).map(|_| streaming(&gateway)).collect();
    // All are under way at once.
    backend.wait_held(1000);
    backend.release();
    for client in &mut clients {
        let text = client.response().expect(200).text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
    assert!((10..=20).contains(&backend.connections()), "{} connections", backend.connections());
    assert!(backend.most_streams() <= 100, "{} streams on a connection", backend.most_streams());
    nobody_is_blamed(&gateway);
}

#[test]
fn a_server_that_allows_few_streams_is_given_no_more_from_the_first_moment_on() {
    let backend = Http2Backend::start(4, |_| held());
    let gateway = model(&backend, "").start();
    let mut clients: Vec<Client> = (0..40).map(|_| streaming(&gateway)).collect();
    backend.wait_held(40);
    backend.release();
    for client in &mut clients {
        let _ = client.response().expect(200);
    }
    assert_eq!(backend.too_many(), 0);
    nobody_is_blamed(&gateway);
}

#[test]
fn refused_streams_are_sent_again_without_a_word() {
    let backend = Http2Backend::start(100, |call| if call.number % 3 == 2 { answer() } else { Answer::Refuse });
    let gateway = model(&backend, "").start();
    for _ in 0..12 {
        answers(&gateway);
    }
    assert_eq!((backend.calls(), backend.connections()), (36, 1));
    nobody_is_blamed(&gateway);
}

#[test]
fn a_server_that_refuses_every_stream_is_not_asked_for_ever() {
    let backend = Http2Backend::start(100, |_| Answer::Refuse);
    let gateway = model(&backend, "").start();
    let told = gateway.post(PATH, &ask(PATH, "m", "hello", false)).expect(502);
    assert_eq!(error_code(PATH, &told.json()), "backend_unreachable");
    assert_eq!(backend.calls(), 4);
}

#[test]
fn a_server_that_goes_away_loses_no_request() {
    // Each connection's first request is a stream that goes on; its second makes the server go away.
    let backend = Http2Backend::start(100, |call| match call.body["stream"] == true {
        true => held(),
        false if call.number % 3 == 1 => Answer::GoAway,
        false => answer(),
    });
    let gateway = model(&backend, "").start();
    let mut streams = Vec::new();
    for round in 1..=4 {
        streams.push(streaming(&gateway));
        backend.wait_held(round);
        // Its first attempt is not processed, and another connection takes it.
        answers(&gateway);
        assert_eq!((backend.calls(), backend.connections()), (3 * round, 1 + round));
    }
    backend.release();
    for stream in &mut streams {
        assert!(stream.response().expect(200).text().ends_with("data: [DONE]\n\n"));
    }
    nobody_is_blamed(&gateway);
}

#[test]
fn a_connection_that_fell_silent_is_used_no_more() {
    let backend = Http2Backend::start(100, |_| Answer::Events(Dialect::OpenAi.frames(&["one"], USAGE)));
    let gateway = model(&backend, "timeouts = { head_seconds = 3 }").start();
    let stream = || gateway.stream(PATH, &ask(PATH, "m", "hello", true));
    assert!(ends_well(PATH, &stream().all()));
    backend.fall_silent();
    let told = gateway.post(PATH, &ask(PATH, "m", "hello", true)).expect(504);
    assert_eq!(error_code(PATH, &told.json()), "backend_timeout");
    for _ in 0..3 {
        assert!(ends_well(PATH, &stream().all()));
    }
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_server_that_answers_no_pings_is_found_out_in_the_middle_of_a_stream() {
    let backend = Http2Backend::start(100, |_| held());
    let gateway = model(&backend, "timeouts = { idle_seconds = 3600, total_seconds = 3600 }").start();
    let mut stream = gateway.stream(PATH, &ask(PATH, "m", "hello", true));
    backend.wait_held(1);
    backend.fall_silent();
    assert_eq!(error_code(PATH, stream.all().last().expect("an error")), "stream_cut");
    backend.wait_closed(0);
}

#[test]
fn only_a_connection_with_streams_is_pinged() {
    let (idle, busy) = (Http2Backend::start(100, |_| answer()), Http2Backend::start(100, |_| held()));
    let gateway = model(&idle, "").start();
    let other = model(&busy, "timeouts = { idle_seconds = 3600, total_seconds = 3600 }").start();
    answers(&gateway);
    // The first ping finds out when the server's settings are there.
    idle.wait_pings(1);
    let mut stream = streaming(&other);
    busy.wait_pings(3);
    assert_eq!((idle.pings(), idle.connections()), (1, 1));
    // A connection that was idle for long may be dead by now.
    answers(&gateway);
    idle.wait_pings(2);
    assert_eq!(idle.connections(), 1);
    busy.release();
    let _ = stream.response().expect(200);
}

#[test]
fn open_connections_are_counted_by_protocol() {
    let open = |gateway: &Gateway, http1: f64, http2: f64| {
        for (protocol, count) in [("http1", http1), ("http2", http2)] {
            gateway.wait_metric(
                "api_gateway_upstream_connections",
                &[("upstream", "m"), ("protocol", protocol)],
                count,
            );
        }
    };
    let backend = Http2Backend::start(4, |_| held());
    let gateway = model(&backend, "").start();
    open(&gateway, 0.0, 0.0);
    let mut clients: Vec<Client> = (0..8).map(|_| streaming(&gateway)).collect();
    backend.wait_held(8);
    open(&gateway, 0.0, backend.connections() as f64);
    backend.release();
    clients.iter_mut().for_each(|client| drop(client.response().expect(200)));
    drop(backend);
    open(&gateway, 0.0, 0.0);

    let gate = Gate::default();
    let waits = gate.clone();
    let backend = Backend::start(move |_| {
        Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)))
    });
    let gateway = one_thread().model("m", Dialect::OpenAi, &backend).start();
    let mut clients: Vec<Client> = (0..3).map(|_| asking(&gateway, "hello")).collect();
    backend.wait_requests(3);
    open(&gateway, 3.0, 0.0);
    gate.open();
    clients.iter_mut().for_each(|client| drop(client.response().expect(200)));
    // They stay open for the next requests.
    open(&gateway, 3.0, 0.0);
}

#[test]
fn slow_readers_do_not_keep_others_waiting() {
    let token = Dialect::OpenAi.frames(&[&"word ".repeat(1000)], USAGE)[1].clone();
    let backend = Http2Backend::start(100, move |call| match call.body["stream"] == true {
        true => Answer::Flood(20_000, token.clone()),
        false => answer(),
    });
    let gateway = model(&backend, "timeouts = { total_seconds = 3600 }").start();
    let slow: Vec<Stream> = (0..8).map(|_| gateway.stream(PATH, &ask(PATH, "m", "hello", true))).collect();
    backend.wait_blocked(8);
    for _ in 0..3 {
        answers(&gateway);
    }
    assert_eq!(backend.connections(), 1);
    slow.into_iter().for_each(Stream::abandon);
}

#[test]
fn streams_over_http2_end_without_being_reset() {
    let backend = Http2Backend::start(100, |_| Answer::Events(Dialect::OpenAi.frames(&["one"], USAGE)));
    let gateway = model(&backend, "").start();
    for _ in 0..20 {
        assert!(ends_well(PATH, &gateway.stream(PATH, &ask(PATH, "m", "hello", true)).all()));
    }
    until("all have ended", || (gateway.get("/health").json()["backends"][0]["in_flight"] == 0).then_some(()));
    assert_eq!((backend.connections(), backend.resets()), (1, 0));
}

#[test]
fn a_connection_serves_again_after_a_stream_whose_end_comes_apart() {
    let backend =
        Backend::start(|_| Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["one"], USAGE)).end());
    let gateway = one_thread().model("m", Dialect::OpenAi, &backend).start();
    for _ in 0..20 {
        assert!(ends_well(PATH, &gateway.stream(PATH, &ask(PATH, "m", "hello", true)).all()));
        // The end is read aside, and the call counts as in flight until then.
        until("it has ended", || (gateway.get("/health").json()["backends"][0]["in_flight"] == 0).then_some(()));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_no_failure() {
    // Each connection answers once, and closes when it is asked again.
    let backend = Backend::start(|request| match request.number % 2 == 0 || request.number == 0 {
        true => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
        false => Reply::silent().cut(),
    });
    let gateway = one_thread().model("m", Dialect::OpenAi, &backend).start();
    let ask_once = || gateway.post(PATH, &ask(PATH, "m", "hello", false)).expect(200);
    // On a busy machine a connection may break so late that the request could be the cause: then a retry is counted.
    let free = (0..10).filter(|_| ask_once().header("x-wasmgate-failed-attempts").is_empty()).count();
    assert_eq!(backend.requests().len(), 19);
    assert!(free > 1, "{free} of 10 requests have no failed attempt, the first of them on a connection of its own");
}

#[test]
fn a_request_that_ends_its_server_is_sent_again_once_at_most() {
    let gate = Gate::default();
    let waits = gate.clone();
    let backend = Backend::start(move |request| match request.json()["messages"][0]["content"] == "kill" {
        true => Reply::silent().cut(),
        false => Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("well", USAGE))),
    });
    let gateway = one_thread().models(&one_model(&backend, "retries = { attempts = 1 }")).start();
    // Many connections that could each take the request in turn.
    let mut clients: Vec<Client> = (0..6).map(|_| asking(&gateway, "hello")).collect();
    backend.wait_requests(6);
    gate.open();
    clients.iter_mut().for_each(|client| drop(client.response().expect(200)));
    backend.forget_requests();
    let told = gateway.post(PATH, &ask(PATH, "m", "kill", false)).expect(502);
    assert_eq!(error_code(PATH, &told.json()), "backend_unreachable");
    // Once more where the server was quick to close, as if it had closed before; then it is a failure like any other.
    assert!((1..=2).contains(&backend.requests().len()), "{} times", backend.requests().len());
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_errors_total", &[]), 1.0);
    assert!(metrics.value("api_gateway_estimated_tokens_total", &[("model", "m"), ("type", "input")]) > 0.0);
}

#[test]
fn a_request_that_leaves_while_a_connection_is_opened_wastes_none() {
    let backend = Http2Backend::start(100, |call| match call.body["messages"][0]["content"] == "leave" {
        true => Answer::Nothing,
        false => held(),
    });
    let gateway = model(&backend, "").start();
    let mut leaves = gateway.connect();
    leaves.send(post_json(PATH, &ask(PATH, "m", "leave", true)));
    leaves.abandon();
    let mut clients: Vec<Client> = (0..10).map(|_| streaming(&gateway)).collect();
    backend.wait_held(10);
    backend.release();
    for client in &mut clients {
        let _ = client.response().expect(200);
    }
    assert_eq!(backend.connections(), 1);
}

/// One model; the lines are of its backend.
fn one_model(backend: &Backend, lines: &str) -> String {
    format!(
        "[backends.m]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0\n{lines}\n[models.m]\nbackend = \"m\"\n",
        backend.url()
    )
}

fn reloaded(gateway: &Gateway, from: &str, to: &str) {
    let before = gateway.metrics().value("api_gateway_config_reloads_total", &[("result", "success")]);
    gateway.edit_config(from, to);
    gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "success")], before + 1.0);
}

#[test]
fn a_changed_setting_keeps_the_queue_and_what_is_in_it() {
    let gate = Gate::default();
    let waits = gate.clone();
    let backend = Backend::start(move |_| {
        Reply::silent().gate(&waits).and(Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)))
    });
    let queue = "queue = { max_in_flight = 1, max_wait_seconds = 600 }\nretries = { pause_ms = 100 }";
    let gateway = one_thread().reloading().models(&one_model(&backend, queue)).start();
    let send = || {
        let mut client = gateway.connect();
        client.send(post_json(PATH, &ask(PATH, "m", "hello", false)));
        client
    };
    let wait_for = |in_flight: u64, waiting: u64| {
        until(&format!("{in_flight} in flight and {waiting} waiting"), || {
            let backend: Value = gateway.get("/health").json()["backends"][0].clone();
            (backend["in_flight"] == in_flight && backend["waiting"] == waiting).then_some(())
        });
    };
    let mut clients = vec![send()];
    wait_for(1, 0);
    reloaded(&gateway, "pause_ms = 100", "pause_ms = 101");
    clients.push(send());
    wait_for(1, 1);
    // A higher limit lets the one that waits go; a lower one counts what is in flight.
    reloaded(&gateway, "max_in_flight = 1", "max_in_flight = 2");
    wait_for(2, 0);
    reloaded(&gateway, "max_in_flight = 2", "max_in_flight = 1");
    clients.push(send());
    wait_for(2, 1);
    assert_eq!(backend.requests().len(), 2);
    gate.open();
    for client in &mut clients {
        let _ = client.response().expect(200);
    }
    wait_for(0, 0);
    answers(&gateway);
}

#[test]
fn a_changed_setting_keeps_breakers_averages_and_connections() {
    let backend = Backend::start(|request| match request.json()["messages"][0]["content"] == "fail" {
        true => Reply::json(500, &json!({})),
        false => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
    });
    let lines = "retries = { attempts = 1, pause_ms = 100 }\nbreaker = { min_calls = 4, retry_seconds = 1000 }";
    let gateway = one_thread()
        .reloading()
        .models(&one_model(&backend, lines))
        .file("route.rhai", b"fn route(request, candidates) { route_to(candidates, `${candidates[0].latency}`) }")
        .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
        .start();
    answers(&gateway);
    let observed =
        || gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json()["reasoning"].clone();
    let before = observed();
    assert!(before.as_str().is_some_and(|latency| latency.parse::<f64>().is_ok()), "{before}");
    for _ in 0..2 {
        let _ = gateway.post(PATH, &ask(PATH, "m", "fail", false)).expect(502);
    }
    reloaded(&gateway, "pause_ms = 100", "pause_ms = 101");
    assert_eq!((observed(), backend.connections()), (before.clone(), 1));
    let _ = gateway.post(PATH, &ask(PATH, "m", "fail", false)).expect(502);
    let open = || gateway.metrics().value("api_gateway_breaker_state", &[("model", "m"), ("state", "open")]) == 1.0;
    assert!(open(), "three of four calls failed");
    reloaded(&gateway, "pause_ms = 101", "pause_ms = 102");
    assert!(open());
    assert_eq!((observed(), backend.connections()), (before, 1));
}
