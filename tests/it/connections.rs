//! Connections of clients: how many there may be, for how long, and what is left for operators when clients take all.

use serde_json::json;
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::h2;
use wasmgate_tests::http::{Client, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage};

const MAX_CONCURRENT_STREAMS: u16 = 3;
const WIDE: u32 = 1 << 20;

fn alive(client: &mut h2::Client) {
    let stream = client.get("/");
    let (body, in_order) = client.rest_of(stream).expect("an answer");
    assert!(in_order && String::from_utf8(body).unwrap().contains("alive"));
}

#[test]
fn idle_connections_make_room_in_http2_too() {
    let gateway = Gateway::setup().server("max_connections = 2\nhead_timeout_seconds = 1").start();
    let (mut idle, mut silent) =
        (h2::Client::connect(gateway.address, WIDE), h2::Client::connect(gateway.address, WIDE));
    alive(&mut idle);
    // Both places are taken: the next client is served when the idle one is told to go, and is gone.
    let mut next = gateway.connect();
    next.send(request("GET", "/", &[], b""));
    let farewell = std::iter::from_fn(|| idle.frame()).last().expect("a farewell");
    assert_eq!(farewell.kind, Some(h2::Kind::GoAway));
    silent.wait_closed();
    let _ = next.response().expect(200);
}

#[test]
fn a_connection_whose_client_takes_nothing_does_not_stay() {
    let server = "max_connections = 1\nhead_timeout_seconds = 0.5\nwrite_timeout_seconds = 0.5";
    let gateway = Gateway::setup().server(server).start();
    let mut client = h2::Client::connect(gateway.address, 0);
    client.post("/api/v1/chat", &json!({"prompt": "hello", "stream": true}));
    client.post("/api/v1/chat", &json!({"prompt": "hello"}));
    client.get("/health");
    client.wait_closed();
    let _ = gateway.chat("hello").expect(200);
}

#[test]
fn a_busy_connection_is_not_idle() {
    let gate = Gate::default();
    let waits = gate.clone();
    let answer = Dialect::OpenAi.answer("late", Usage { input: 1, output: 1 });
    let backend = Backend::start(move |_| Reply::silent().gate(&waits).and(Reply::json(200, &answer)));
    let gateway =
        Gateway::setup().server("head_timeout_seconds = 0.2").model("only", Dialect::OpenAi, &backend).start();
    let mut client = h2::Client::connect(gateway.address, WIDE);
    let stream = client.post("/api/v1/chat", &json!({"prompt": "hello", "model": "only"}));
    backend.wait_requests(1);
    // Another connection that is idle as long is closed meanwhile.
    let mut idle = h2::Client::connect(gateway.address, WIDE);
    alive(&mut idle);
    idle.wait_closed();
    gate.open();
    let (body, in_order) = client.rest_of(stream).expect("an answer");
    assert!(in_order && String::from_utf8(body).unwrap().contains("late"));
}

#[test]
fn old_connections_end_after_their_requests() {
    let gateway = Gateway::setup().server("max_connection_age_seconds = 0.5\nhead_timeout_seconds = 3600").start();
    let mut multiplexed = h2::Client::connect(gateway.address, WIDE);
    let ended = until("the farewell", || {
        multiplexed.get("/");
        loop {
            let frame = multiplexed.frame()?;
            match frame.kind {
                Some(h2::Kind::GoAway) => return Some(frame),
                _ if frame.ends_stream() => return None,
                _ => {}
            }
        }
    });
    assert_eq!(ended.stream, 0);
    multiplexed.wait_closed();
    let mut single = gateway.connect();
    let _ = single.send(request("GET", "/", &[], b"")).response().expect(200);
    assert!(single.rest().is_empty());
}

#[test]
fn a_connection_has_a_bounded_number_of_streams() {
    let backend = Backend::start(|_| Reply::silent().stall());
    let gateway =
        Gateway::setup().server("max_concurrent_streams = 2").model("only", Dialect::OpenAi, &backend).start();
    let mut client = h2::Client::connect(gateway.address, WIDE);
    let settings = client.any_frame().expect("the gateway's settings");
    assert_eq!(settings.setting(MAX_CONCURRENT_STREAMS), Some(2));
    for _ in 0..2 {
        client.post("/api/v1/chat", &json!({"prompt": "hello", "model": "only"}));
    }
    backend.wait_requests(2);
    let third = client.head_only("/api/v1/chat");
    let refused = std::iter::from_fn(|| client.frame()).find(h2::Frame::ends_stream).expect("a refusal");
    assert_eq!((refused.kind, refused.stream), (Some(h2::Kind::Reset), third));
    assert_eq!(refused.payload, 7_u32.to_be_bytes(), "REFUSED_STREAM: it may be asked again");
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn one_address_gets_its_share_of_connections() {
    let gateway = Gateway::setup().server("max_connections_per_address = 2").start();
    let mut open: Vec<Client> = (0..2).map(|_| gateway.connect()).collect();
    for client in &mut open {
        let _ = client.send(request("GET", "/", &[], b"")).response().expect(200);
    }
    assert!(gateway.connect().rest().is_empty(), "the third is closed at once");
    gateway.wait_for_log("about the address", |line| {
        line["message"] == "a client address has too many connections" && line["remote"] == "127.0.0.1"
    });
    drop(open.pop());
    until("a place", || {
        let mut next = gateway.connect();
        let answer = next.send(request("GET", "/", &[("connection", "close")], b"")).rest();
        answer.starts_with(b"HTTP/1.1 200").then_some(())
    });
    let _ = open[0].send(request("GET", "/", &[], b"")).response().expect(200);
}

#[test]
fn clients_that_take_all_connections_leave_files_for_operators_and_backends() {
    let answer = Dialect::OpenAi.answer("well", Usage { input: 1, output: 1 });
    let backend = Backend::start(move |_| Reply::json(200, &answer));
    let gateway = Gateway::setup().after("ulimit -n 256").model("only", Dialect::OpenAi, &backend).start();
    let line = gateway.wait_for_log("about files", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("the limit of open files is 256"))
    });
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().contains("48 connections of clients"), "{line}");
    let mut first = gateway.connect();
    let _ = first.send(request("GET", "/", &[], b"")).response().expect(200);
    // More than all: the last of them wait.
    let _idle: Vec<Client> = (0..100).map(|_| gateway.connect()).collect();
    until("all connections", || (gateway.process.held("fd") >= 48).then_some(()));
    for path in ["/", "/policies", "/metrics"] {
        let _ = gateway.admin_get(path).expect(200);
    }
    let body = json!({"prompt": "hello", "model": "only"}).to_string();
    let bytes = request("POST", "/api/v1/chat", &[("content-type", "application/json")], body.as_bytes());
    let _ = first.send(bytes).response().expect(200);
    assert!(!gateway.process.lines().join("\n").contains("cannot accept"));
}

#[test]
fn the_limit_of_files_is_raised_and_checked() {
    let gateway = Gateway::setup().after("ulimit -S -n 64").start();
    let _ = gateway.chat("hello").expect(200);
    assert!(!gateway.process.lines().join("\n").contains("limit of open files"));
    Gateway::setup().after("ulimit -n 256").check().expect(0, &["the limit of open files is 256", "ulimit -n"]);
    for setup in [Gateway::setup().after("ulimit -n 100"), Gateway::setup().after("ulimit -n 175")] {
        setup.refused().expect(1, &["the limit of open files is 1", "expected at least 176"]);
    }
}

#[test]
fn what_connections_may_be_is_said() {
    let check = |server: &str| Gateway::setup().server(server).check();
    check("max_concurrent_streams = 0").expect(2, &["server.max_concurrent_streams: 0, expected 1 to 10000"]);
    check("max_connection_age_seconds = -1").expect(2, &["server.max_connection_age_seconds: -1, expected"]);
    check("max_body_bytes = 100000\nmax_buffered_bytes = 200000")
        .expect(2, &["server.max_buffered_bytes: 200000, expected at least 300000"]);
    check("max_body_bytes = 1000000000").expect(0, &[]);
    check("allowed_origins = [\"app.example\"]").expect(2, &["server.allowed_origins", "is not an origin"]);
    check("allowed_origins = [\"https://app.example/path\"]").expect(2, &["server.allowed_origins"]);
    check("allowed_hosts = [\"gw:8080\"]").expect(2, &["server.allowed_hosts", "without a port"]);
}
