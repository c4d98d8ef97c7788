//! More requests than a backend is given at once: some wait, for a bounded time; the others go elsewhere or are told.

use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Client, post_json};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };
const PATH: &str = "/v1/chat/completions";

/// A backend whose answers wait for the gate.
fn busy(gate: &Gate) -> Backend {
    let gate = gate.clone();
    let answer = Dialect::OpenAi.answer("well", USAGE);
    Backend::start(move |_| Reply::silent().gate(&gate).and(Reply::json(200, &answer)))
}

fn limited(backend: &Backend, queue: &str) -> Setup {
    Gateway::setup().model("small", Dialect::OpenAi, backend).models(&format!("[backends.small.queue]\n{queue}\n"))
}

fn send(gateway: &Gateway) -> Client {
    let mut client = gateway.connect();
    client.send(post_json(PATH, &ask(PATH, "small", "hello", false)));
    client
}

/// Waits until the backend has so many calls under way and so many waiting.
fn wait_for(gateway: &Gateway, in_flight: u64, waiting: u64) {
    until(&format!("{in_flight} under way and {waiting} waiting"), || {
        let health = gateway.get("/health").json();
        let backend = &health["backends"][0];
        (backend["in_flight"] == in_flight && backend["waiting"] == waiting).then_some(())
    });
}

#[test]
fn calls_beyond_the_limit_wait_for_their_turn_and_one_more_is_refused_at_once() {
    let gate = Gate::default();
    let backend = busy(&gate);
    let gateway = limited(&backend, "max_in_flight = 2\nmax_waiting = 3\nmax_wait_seconds = 100").start();
    let mut clients: Vec<Client> = (0..5).map(|_| send(&gateway)).collect();
    wait_for(&gateway, 2, 3);
    let told = gateway.post(PATH, &ask(PATH, "small", "hello", false)).expect(503);
    assert_eq!(error_code(PATH, &told.json()), "backend_full");
    assert_eq!(told.header("retry-after"), "100");
    assert_eq!(told.header("x-wasmgate-failed-attempts"), "small backend_full");
    backend.wait_requests(2);
    assert_eq!(backend.requests().len(), 2);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "backend_full")], 1.0);
    assert_eq!(gateway.metrics().value("api_gateway_rejected_requests_total", &[("reason", "overloaded")]), 0.0);
    for (state, calls) in [("in_flight", 2.0), ("waiting", 3.0)] {
        assert_eq!(gateway.metrics().value("api_gateway_upstream_calls", &[("state", state)]), calls, "{state}");
    }
    gate.open();
    for client in &mut clients {
        let _ = client.response().expect(200);
    }
    wait_for(&gateway, 0, 0);
}

#[test]
fn the_next_model_answers_where_one_has_enough_to_do() {
    let gate = Gate::default();
    let backend = busy(&gate);
    let other = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("from the other", USAGE)));
    let gateway = limited(&backend, "max_in_flight = 1\nmax_waiting = 0")
        .model("spare", Dialect::OpenAi, &other)
        .routing("enabled = false")
        .start();
    let mut client = send(&gateway);
    wait_for(&gateway, 1, 0);
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "spare");
    let labels = [("from_model", "small"), ("to_model", "spare"), ("reason", "backend_full")];
    gateway.wait_metric("api_gateway_fallbacks_total", &labels, 1.0);
    gate.open();
    let _ = client.response().expect(200);
}

#[test]
fn a_call_waits_only_so_long() {
    let gate = Gate::default();
    let backend = busy(&gate);
    let gateway = limited(&backend, "max_in_flight = 1\nmax_waiting = 5\nmax_wait_seconds = 0.05").start();
    let mut client = send(&gateway);
    wait_for(&gateway, 1, 0);
    let told = gateway.post(PATH, &ask(PATH, "small", "hello", true)).expect(503);
    assert_eq!(error_code(PATH, &told.json()), "backend_full");
    gate.open();
    let _ = client.response().expect(200);
}

#[test]
fn a_client_that_leaves_gives_its_place_up_and_a_stream_keeps_its_turn_to_the_end() {
    let gate = Gate::default();
    let waits = gate.clone();
    let frames = Dialect::OpenAi.frames(&["one ", "two"], USAGE);
    let backend = Backend::start(move |request| match request.number {
        0 => {
            let (before, after) = frames.split_at(2);
            Reply::stream("text/event-stream").frames(before).gate(&waits).frames(after).end()
        }
        _ => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
    });
    let gateway = limited(&backend, "max_in_flight = 1\nmax_wait_seconds = 100").start();
    let mut stream = gateway.stream(PATH, &ask(PATH, "small", "hello", true));
    let leaves = send(&gateway);
    let mut stays = send(&gateway);
    wait_for(&gateway, 1, 2);
    leaves.abandon();
    wait_for(&gateway, 1, 1);
    assert_eq!(backend.requests().len(), 1, "the stream has the turn until its end");
    gate.open();
    let _ = stream.all();
    let _ = stays.response().expect(200);
    assert_eq!(backend.requests().len(), 2);
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
}

#[test]
fn what_a_queue_may_be_is_said() {
    let queue = |queue: &str| {
        let text = format!("[backends.b]\nkind = \"sim\"\n[backends.b.queue]\n{queue}\n[models.m]\nbackend = \"b\"\n");
        Gateway::setup().models(&text).check()
    };
    queue("max_wait_seconds = 601").expect(2, &["backends.b.queue.max_wait_seconds: 601, expected 0 to 600 seconds"]);
    queue("max_inflight = 1").expect(2, &["backends.b.queue.max_inflight", "did you mean `max_in_flight`?"]);
    let told = Gateway::setup()
        .models("[backends.b]\nkind = \"sim\"\nretries = { attempts = 0 }\n[models.m]\nbackend = \"b\"\n");
    told.check().expect(2, &["backends.b.retries.attempts: 0, expected 1 to 10"]);
    let told = Gateway::setup()
        .models("[backends.b]\nkind = \"sim\"\nbreaker = { failure_ratio = 0 }\n[models.m]\nbackend = \"b\"\n");
    told.check().expect(2, &["backends.b.breaker.failure_ratio: 0, expected a number above 0, at most 1"]);
    let told = Gateway::setup()
        .models("[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\ntimeouts = { connect_seconds = 1 }\n");
    told.check().expect(2, &["models.m.timeouts.connect_seconds: ", "the backend's"]);
}
