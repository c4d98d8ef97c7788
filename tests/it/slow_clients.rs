//! Clients that take their answers slowly or not at all: they hold neither permits nor backends nor memory for longer than
//! the gateway allows, and the model is not to blame for their time.

use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::h2;
use wasmgate_tests::http::{post_json, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";
const ABANDONED: &str = "api_gateway_abandoned_requests_total";
const IN_PROGRESS: &str = "api_gateway_requests_in_progress";
const SLOW: [(&str, &str); 1] = [("reason", "slow_client")];
/// More than a connection or a stream of the clients below may be sent.
const WIDE: u32 = 1 << 20;

fn with(backend: &Backend, server: &str, timeouts: &str) -> Setup {
    Gateway::setup()
        .server(server)
        .model("only", Dialect::OpenAi, backend)
        .models(&format!("[models.only.timeouts]\n{timeouts}\n"))
}

/// A backend whose streams have a first token and never an end, and whose other answers are short.
fn endless() -> Backend {
    Backend::start(|request| {
        if request.json()["stream"] == true {
            let frames = Dialect::OpenAi.frames(&["one ", "two"], USAGE);
            return Reply::stream("text/event-stream").frames(&frames[..3]).stall();
        }
        Reply::json(200, &Dialect::OpenAi.answer("well", USAGE))
    })
}

/// A backend that answers at once, whole or as a stream.
fn prompt() -> Backend {
    Backend::start(|request| {
        if request.json()["stream"] == true {
            let frames = Dialect::OpenAi.frames(&["one ", "two"], USAGE);
            return Reply::stream("text/event-stream").frames(frames).end();
        }
        Reply::json(200, &Dialect::OpenAi.answer("well", USAGE))
    })
}

/// Ten requests on one connection that may be sent nothing.
fn ten(gateway: &Gateway, stream: bool) -> (h2::Client, Vec<u32>) {
    let mut client = h2::Client::connect(gateway.address, 0);
    let streams = (0..10).map(|_| client.post(PATH, &ask(PATH, "only", "hello", stream))).collect();
    (client, streams)
}

#[test]
fn clients_that_never_open_their_window_hold_nothing_past_the_time_of_their_streams() {
    for (server, timeouts) in [
        // Whichever is shorter: the time of the stream, or that of a client that takes nothing.
        ("max_in_flight = 8\nwrite_timeout_seconds = 300", "total_seconds = 3"),
        ("max_in_flight = 8\nwrite_timeout_seconds = 1", "total_seconds = 300"),
    ] {
        let backend = endless();
        let gateway = with(&backend, server, timeouts).start();
        let (_client, _streams) = ten(&gateway, true);
        backend.wait_requests(8);
        gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "overloaded")], 2.0);
        gateway.wait_metric(ABANDONED, &SLOW, 8.0);
        backend.wait_abandoned(8);
        gateway.wait_metric(IN_PROGRESS, &[], 0.0);
        let _ = gateway.post(PATH, &ask(PATH, "only", "hello", false)).expect(200);
        assert_eq!(gateway.wait_for_ending("abandoned")["reason"], "slow_client");
    }
}

#[test]
fn clients_that_read_after_the_time_of_their_streams_are_not_the_models_fault() {
    let backend = prompt();
    let gateway = with(&backend, "write_timeout_seconds = 300", "total_seconds = 5").start();
    let (mut client, streams) = ten(&gateway, true);
    gateway.wait_metric(ABANDONED, &SLOW, 10.0);
    for stream in &streams {
        client.open_window(*stream, WIDE);
    }
    for _ in &streams {
        // Streams end in any order, and none of them as if it were whole.
        let reset = std::iter::from_fn(|| client.frame()).find(h2::Frame::ends_stream).expect("the end of a stream");
        assert_eq!(reset.kind, Some(h2::Kind::Reset), "{reset:?}");
    }
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_breaker_state", &[("model", "only"), ("state", "closed")]), 1.0);
    assert_eq!(metrics.value("api_gateway_errors_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_requests_total", &[("status", "error")]), 0.0);
    let _ = gateway.post(PATH, &ask(PATH, "only", "hello", false)).expect(200);
}

#[test]
fn the_time_that_a_client_takes_is_not_the_models() {
    let backend = prompt();
    let gateway = with(&backend, "", "").start();
    let mut client = h2::Client::connect(gateway.address, 0);
    let stream = client.post(PATH, &ask(PATH, "only", "hello", true));
    backend.wait_requests(1);
    // A clock of the gateway's own: some seconds pass while the client takes nothing.
    let uptime = || gateway.get("/api/v1/stats").json()["uptime_seconds"].as_u64().unwrap();
    let began = uptime();
    until("the client's pause", || (uptime() > began + 3).then_some(()));
    client.open_window(stream, WIDE);
    let (body, in_order) = client.rest_of(stream).expect("an answer");
    assert!(in_order && String::from_utf8(body).unwrap().ends_with("[DONE]\n\n"));
    let line = gateway.wait_for_ending("finished");
    let seconds = |field: &str| line[field].as_f64().unwrap();
    assert!(seconds("client_held_seconds") > seconds("model_seconds"), "{line}");
    assert!(seconds("client_held_seconds") + seconds("model_seconds") <= seconds("seconds"), "{line}");
    let measured = gateway.metrics().value("api_gateway_model_latency_seconds_sum", &[("model", "only")]);
    assert!(measured < seconds("client_held_seconds"), "{measured} in {line}");
}

#[test]
fn whole_answers_that_nobody_takes_hold_no_permits_and_give_their_memory_back() {
    let long = "long ".repeat(100_000);
    let answer = Dialect::OpenAi.answer(&long, USAGE);
    let backend = Backend::start(move |_| Reply::json(200, &answer));
    let gateway = with(&backend, "max_in_flight = 2\nwrite_timeout_seconds = 2", "").start();
    let mut client = h2::Client::connect(gateway.address, 0);
    for count in 1..=5_u32 {
        client.post(PATH, &ask(PATH, "only", "hello", false));
        backend.wait_requests(count as usize);
        gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], f64::from(count));
        gateway.wait_metric(IN_PROGRESS, &[], 0.0);
    }
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
    let response = gateway.post(PATH, &ask(PATH, "only", "hello", false)).expect(200);
    assert_eq!(response.json()["choices"][0]["message"]["content"], *long, "a client that reads gets all of it");
}

#[test]
fn a_client_that_does_not_take_comments_does_not_keep_its_backend() {
    let gate = Gate::default();
    let waits = gate.clone();
    let backend = Backend::start(move |_| Reply::silent().gate(&waits).and(Reply::stream("text/event-stream")));
    let server = "keep_alive_seconds = 0.05\nwrite_timeout_seconds = 1";
    let gateway = with(&backend, server, "").start();
    let mut client = h2::Client::connect(gateway.address, 0);
    client.post(PATH, &ask(PATH, "only", "hello", true));
    backend.wait_abandoned(1);
    gateway.wait_metric(ABANDONED, &SLOW, 1.0);
    gateway.wait_metric(IN_PROGRESS, &[], 0.0);
}

#[test]
fn heads_without_bodies_take_nobodys_place() {
    let backend = prompt();
    let gateway = with(&backend, "max_in_flight = 1", "").start();
    let mut multiplexed = h2::Client::connect(gateway.address, WIDE);
    for path in CLIENT_PATHS.into_iter().chain(["/v1/embeddings", "/api/v1/complexity"]) {
        multiplexed.head_only(path);
    }
    let alive = multiplexed.get("/");
    let _ = multiplexed.rest_of(alive).expect("an answer, so that all heads were read");
    let mut single = gateway.connect();
    let body = ask(PATH, "only", "hello", false).to_string();
    let waits = [("content-type", "application/json"), ("expect", "100-continue")];
    let bytes = request("POST", PATH, &waits, body.as_bytes());
    let (head, body) = bytes.split_at(bytes.len() - body.len());
    single.send(head);
    assert_eq!(single.head().status, 100, "so that the head was read");
    for path in CLIENT_PATHS {
        let _ = gateway.post(path, &ask(path, "only", "hello", false)).expect(200);
    }
    single.send(body);
    let _ = single.response().expect(200);
}

#[test]
fn bodies_share_one_budget_of_memory() {
    let backend = prompt();
    // Room for three times the longest body, which counts three times.
    let server = "max_body_bytes = 60000\nmax_buffered_bytes = 180000";
    let gateway = with(&backend, server, "").start();
    let long = |path: &str| ask(path, "only", &"x".repeat(50_000), false);
    let request = post_json(PATH, &long(PATH));
    let (most, rest) = request.split_at(request.len() - 10_000);
    let mut holds = gateway.connect();
    holds.send(most);
    until("the body that is held", || {
        (gateway.metrics().value("api_gateway_buffered_bytes", &[]) > 100_000.0).then_some(())
    });
    for path in CLIENT_PATHS {
        let refused = gateway.post(path, &long(path)).expect(503);
        assert_eq!(error_code(path, &refused.json()), "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        let _ = gateway.post(path, &ask(path, "only", "short", false)).expect(200);
    }
    // A body whose length nobody announced is refused when it no longer fits.
    let mut unannounced = h2::Client::connect(gateway.address, WIDE);
    let stream = unannounced.post(PATH, &long(PATH));
    let (refused, _) = unannounced.rest_of(stream).expect("an answer");
    assert!(String::from_utf8(refused).unwrap().contains("overloaded"));
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "overloaded")], 5.0);
    holds.send(rest);
    let _ = holds.response().expect(200);
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
    let _ = gateway.post(PATH, &long(PATH)).expect(200);
    let mut leaves = gateway.connect();
    leaves.send(most).finish_sending();
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
    let _ = gateway.post(PATH, &long(PATH)).expect(200);
}

/// As many large bodies as find room, each left unfinished, do not keep out clients with small ones.
#[test]
fn large_bodies_leave_room_for_small_ones() {
    const CLIENTS: usize = 20;
    const SENT: usize = 100_000;
    let backend = prompt();
    // Room for just those clients, if nothing were reserved.
    let server = "max_body_bytes = 1000000\nmax_prompt_chars = 1000000\nmax_buffered_bytes = 6010000";
    let gateway = with(&backend, server, "").start();
    let large = post_json(PATH, &ask(PATH, "only", &"x".repeat(SENT + 1000), false));
    let head = large.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(&large[..head + SENT]);
            client
        })
        .collect();
    until("every large body to be held or refused", || {
        let metrics = gateway.metrics();
        let held = metrics.value("api_gateway_buffered_bytes", &[]);
        let refused = metrics.value("api_gateway_rejected_requests_total", &[("reason", "overloaded")]);
        (held / (3.0 * SENT as f64) + refused >= CLIENTS as f64).then_some(())
    });
    for path in CLIENT_PATHS {
        let _ = gateway.post(path, &ask(path, "only", &"x".repeat(50_000), false)).expect(200);
    }
    let refused = gateway.post(PATH, &ask(PATH, "only", &"x".repeat(SENT), false)).expect(503);
    assert_eq!(error_code(PATH, &refused.json()), "overloaded");
    drop(clients);
}

#[test]
fn a_backend_that_stalls_is_not_excused_by_the_time_between_many_frames() {
    let frames = Dialect::OpenAi.frames(&["word "; 20_000], USAGE);
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames[..20_001]).stall());
    let gateway = with(&backend, "", "total_seconds = 8").start();
    let data = gateway.stream(PATH, &ask(PATH, "only", "hello", true)).all();
    assert_eq!(data.last().expect("an end")["error"]["code"], "backend_timeout");
    let metrics = gateway.metrics();
    assert!(metrics.matching(ABANDONED, &SLOW).all(|sample| sample.value == 0.0));
}
