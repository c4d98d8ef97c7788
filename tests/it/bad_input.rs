//! What strangers send: each gets a clear status and a body in its dialect's form, is counted, and reaches neither a
//! policy nor a backend.

use std::fmt::Write as _;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::{post_json, request};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, error_code};

/// A gateway that refuses all the cases below, and a backend that must not see any of them.
fn guarded() -> (Gateway, Backend) {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Yes.", Usage { input: 1, output: 1 })));
    let server = "max_body_bytes = 1048576\nhead_timeout_seconds = 0.5\nbody_timeout_seconds = 0.5";
    let gateway = Gateway::setup().server(server).model("only", Dialect::OpenAi, &backend).start();
    (gateway, backend)
}

/// How a request is wrong, its bytes, and what it gets: status, code, and the reason by which it is counted.
type Case = (String, Vec<u8>, u16, &'static str, &'static str);

fn json_body(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST", path, &[("content-type", "application/json")], body.as_ref())
}

/// A body that is right in the dialect of `path`, but for `prompt`.
fn body(path: &str, prompt: &Value) -> Value {
    match path {
        "/api/v1/chat" => json!({"prompt": prompt}),
        _ => json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": prompt}]}),
    }
}

/// What is wrong in the same way in every dialect.
fn bodies(path: &str) -> Vec<Case> {
    let field = if path == "/api/v1/chat" { "prompt" } else { "messages" };
    let right = body(path, &json!("hello")).to_string();
    let mut other = body(path, &json!("hello"));
    other["stream"] = json!("yes");
    let model_number = right.replacen('{', "{\"model\": 5, ", 1).replace("\"model\":\"auto\",", "");
    let nested = format!("{{\"deep\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = right.replacen('{', &format!("{{\"{field}\": \"x\", "), 1);
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        ("nothing", vec![], 400, "bad_request", "bad_request"),
        ("not JSON", b"hello".to_vec(), 400, "bad_request", "bad_request"),
        ("half of it", right.as_bytes()[..right.len() - 1].to_vec(), 400, "bad_request", "bad_request"),
        ("something after it", format!("{right} true").into_bytes(), 400, "bad_request", "bad_request"),
        ("a list", b"[1, 2]".to_vec(), 400, "bad_request", "bad_request"),
        ("null", b"null".to_vec(), 400, "bad_request", "bad_request"),
        ("an empty object", b"{}".to_vec(), 400, "bad_request", "bad_request"),
        ("a prompt that is a number", body(path, &json!(5)).to_string().into(), 400, "bad_request", "bad_request"),
        ("a switch that is a text", other.to_string().into(), 400, "bad_request", "bad_request"),
        ("a model that is a number", model_number.into(), 400, "bad_request", "bad_request"),
        ("deep nesting", nested.into(), 400, "bad_request", "bad_request"),
        ("a key twice", twice.into(), 400, "bad_request", "bad_request"),
        ("not UTF-8", [right.as_bytes(), b"\xff"].concat(), 400, "bad_request", "bad_request"),
        (
            "not UTF-8 in a text",
            right.clone().into_bytes().iter().map(|&b| if b == b'l' { 0xff } else { b }).collect(),
            400,
            "bad_request",
            "bad_request",
        ),
        ("half of a surrogate pair", right.replace("hello", "\\ud800").into(), 400, "bad_request", "bad_request"),
        ("a long body", body(path, &json!("x".repeat(1 << 20))).to_string().into(), 413, "too_large", "too_large"),
    ];
    let named = |(what, bytes, status, code, reason): (&str, Vec<u8>, u16, &'static str, &'static str)| {
        (format!("{path}: {what}"), json_body(path, bytes), status, code, reason)
    };
    cases.into_iter().map(named).collect()
}

/// What is wrong outside of the body.
fn others() -> Vec<Case> {
    let right = body("/api/v1/chat", &json!("hello")).to_string();
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>, status: u16, code: &'static str, reason: &'static str| {
        cases.push((what.to_owned(), bytes, status, code, reason));
    };
    for path in
        ["/nowhere", "/api/v1/nowhere", "/v1/nowhere", "/v1/messages/batches", "/api/pull", "//", "/api/v1/chat/"]
    {
        add(path, request("GET", path, &[], b""), 404, "unknown_route", "bad_request");
        add(path, json_body(path, &right), 404, "unknown_route", "bad_request");
    }
    for path in
        ["/api/v1/chat", "/api/v1/complexity", "/v1/chat/completions", "/v1/messages", "/api/chat", "/v1/embeddings"]
    {
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            add(&format!("{method} {path}"), request(method, path, &[], b""), 405, "wrong_method", "bad_request");
        }
    }
    for path in ["/", "/health", "/metrics", "/api/v1/models", "/api/v1/stats", "/v1/models"] {
        add(&format!("POST {path}"), request("POST", path, &[], b""), 405, "wrong_method", "bad_request");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ""] {
        let bytes = request("POST", "/api/v1/chat", &[("content-type", kind)], right.as_bytes());
        add(&format!("content type {kind:?}"), bytes, 415, "wrong_content_type", "bad_request");
    }
    let empty = json_body("/api/v1/chat", br#"{"prompt": ""}"#);
    add("an empty prompt", empty, 400, "bad_request", "bad_request");
    add("a blank prompt", json_body("/api/v1/chat", br#"{"prompt": " \n\t "}"#), 400, "bad_request", "bad_request");
    add("null as a prompt", json_body("/api/v1/chat", br#"{"prompt": null}"#), 400, "bad_request", "bad_request");
    add("an unknown field", json_body("/api/v1/chat", br#"{"promt": "a"}"#), 400, "bad_request", "bad_request");
    add(
        "no tokens",
        json_body("/api/v1/chat", br#"{"prompt": "a", "max_tokens": 0}"#),
        400,
        "bad_request",
        "bad_request",
    );
    add(
        "no messages",
        json_body("/v1/chat/completions", br#"{"model": "auto", "messages": []}"#),
        400,
        "bad_request",
        "bad_request",
    );
    add(
        "a long prompt",
        json_body("/api/v1/chat", json!({"prompt": "x".repeat(100_001)}).to_string()),
        413,
        "too_large",
        "too_large",
    );
    add(
        "an unknown role",
        json_body(
            "/v1/messages",
            br#"{"model": "auto", "max_tokens": 5, "messages": [{"role": "king", "content": "a"}]}"#,
        ),
        400,
        "bad_request",
        "bad_request",
    );
    add(
        "no model",
        json_body("/v1/chat/completions", br#"{"messages": [{"role": "user", "content": "a"}]}"#),
        400,
        "bad_request",
        "bad_request",
    );
    add(
        "no limit for Anthropic",
        json_body("/v1/messages", br#"{"model": "auto", "messages": [{"role": "user", "content": "a"}]}"#),
        400,
        "bad_request",
        "bad_request",
    );
    add(
        "a long prompt to explain",
        json_body("/api/v1/complexity", json!({"prompt": "x".repeat(100_001)}).to_string()),
        413,
        "too_large",
        "too_large",
    );
    add(
        "embeddings of nothing",
        json_body("/v1/embeddings", br#"{"model": "only"}"#),
        400,
        "bad_request",
        "bad_request",
    );
    let mut announced = request("POST", "/api/v1/chat", &[("content-type", "application/json")], b"");
    let text = String::from_utf8(announced.clone()).unwrap();
    announced = text.replace("content-length: 0", "content-length: 99999999").into_bytes();
    add("a long body announced", announced, 413, "too_large", "too_large");
    add("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400, "bad_request", "bad_request");
    add(
        "two hosts",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: b\r\n\r\n".to_vec(),
        400,
        "bad_request",
        "bad_request",
    );
    let mut expecting = request("POST", "/api/v1/chat", &[("expect", "100-continue")], b"");
    let text = String::from_utf8(expecting.clone()).unwrap();
    expecting = text.replace("content-length: 0", "content-length: 99999999").into_bytes();
    add("a long body that waits to be wanted", expecting, 413, "too_large", "too_large");
    let mut chunked = b"POST /api/v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..17 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&vec![b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    add("a long body in chunks", chunked, 413, "too_large", "too_large");
    cases
}

#[test]
fn each_is_refused_in_its_dialects_form_and_counted() {
    let (gateway, backend) = guarded();
    let mut wrong = Vec::new();
    let (mut counted, mut cases) = ((0.0, 0.0), others());
    cases.extend(CLIENT_PATHS.iter().flat_map(|path| bodies(path)));
    for (what, bytes, status, code, reason) in cases {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let response = gateway.send(&bytes);
        match reason {
            "too_large" => counted.1 += 1.0,
            _ => counted.0 += 1.0,
        }
        if response.status() != status {
            wrong.push(format!("{what}: status {}, expected {status}: {}", response.status(), response.text()));
            continue;
        }
        assert_eq!(error_code(&path, &response.json()), code, "{what}");
        assert_eq!(response.header("x-wasmgate-request-id").len(), 32, "{what}");
        if status == 405 {
            assert!(!response.header("allow").is_empty(), "{what}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], counted.0);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "too_large")], counted.1);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_policy_evaluation_seconds_count", &[]), 0.0, "no policy saw any");
    assert_eq!(metrics.value("api_gateway_requests_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_requests_in_progress", &[]), 0.0);
    assert!(backend.requests().is_empty(), "the backend saw nothing");
    let _ = gateway.chat("hello").expect(200);
}

#[test]
fn the_longest_prompt_is_answered() {
    let (gateway, backend) = guarded();
    for prompt in ["x".repeat(100_000), "é".repeat(100_000)] {
        let _ = gateway.chat(&prompt).expect(200);
    }
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    let (gateway, backend) = guarded();
    let mut client = gateway.connect();
    client.send(&json_body("/v1/chat/completions", br#"{"model": "auto", "messages": []}"#)[..130]);
    let response = client.response().expect(408);
    assert_eq!(error_code("/v1/chat/completions", &response.json()), "slow_request");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 1.0);
    assert!(backend.requests().is_empty());
}

#[test]
fn a_body_that_breaks_off_is_counted() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    client.send(&json_body("/v1/chat/completions", br#"{"model": "auto", "messages": []}"#)[..130]).finish_sending();
    client.rest();
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 1.0);
}

#[test]
fn a_head_that_comes_too_slowly_is_given_up() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    client.send("POST /api/v1/chat HTTP/1.1\r\nhost: localhost\r\nx-slow");
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 1.0);
}

#[test]
fn a_connection_that_says_nothing_or_half_a_preface_is_given_up() {
    for said in ["", "PRI * HT"] {
        let (gateway, _backend) = guarded();
        let mut client = gateway.connect();
        assert!(client.send(said).rest().is_empty(), "{said:?}");
        gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 1.0);
    }
}

#[test]
fn an_idle_connection_is_closed_and_not_counted() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    let _ = client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"}))).response().expect(200);
    assert!(client.rest().is_empty());
    assert_eq!(gateway.metrics().value("api_gateway_rejected_requests_total", &[]), 0.0);
}

#[test]
fn heads_that_are_no_heads_are_refused_and_counted() {
    let many: String = (0..1000).fold(String::new(), |mut many, number| {
        let _ = write!(many, "x-{number}: 1\r\n");
        many
    });
    let large = format!("x-large: {}\r\n", "x".repeat(40_000));
    let heads: [(&str, String, &[&str], &str); 8] = [
        ("no HTTP at all", "hello\r\n\r\n".into(), &["400"], "bad_request"),
        ("another protocol", "GET / HTTP/7.3\r\n\r\n".into(), &["400", "505"], "bad_request"),
        ("a space in a name", "GET / HTTP/1.1\r\nhost: localhost\r\nx y: 1\r\n\r\n".into(), &["400"], "bad_request"),
        (
            "a control character",
            "GET / HTTP/1.1\r\nhost: localhost\r\nx: \u{1}\r\n\r\n".into(),
            &["400"],
            "bad_request",
        ),
        (
            "two lengths",
            "POST /api/v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n".into(),
            &["400"],
            "bad_request",
        ),
        (
            "a length that is none",
            "POST /api/v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n".into(),
            &["400"],
            "bad_request",
        ),
        ("1,000 headers", format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"), &["431"], "too_large"),
        ("a large head", format!("GET / HTTP/1.1\r\nhost: localhost\r\n{large}\r\n"), &["431"], "too_large"),
    ];
    let mut wrong = Vec::new();
    for (what, head, statuses, reason) in heads {
        let (gateway, _backend) = guarded();
        // The library may close without an answer; a system may drop an answer when it resets the connection.
        let answer = String::from_utf8(gateway.connect().send(&head).rest()).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or("none");
        if !statuses.contains(&status) {
            wrong.push(format!("{what}: status {status}, expected {statuses:?}"));
        }
        gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", reason)], 1.0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    let paths = ["/", "/nowhere", "/api/v1/chat", "/health", "/v1/models"];
    let bytes: Vec<u8> = paths
        .iter()
        .flat_map(|path| match *path {
            "/api/v1/chat" => post_json(path, &json!({"prompt": "hello"})),
            _ => request("GET", path, &[], b""),
        })
        .collect();
    client.send(bytes);
    let answers: Vec<_> = paths.iter().map(|_| client.response()).collect();
    assert_eq!(answers.iter().map(|answer| answer.status()).collect::<Vec<_>>(), [200, 404, 200, 200, 200]);
    assert_eq!(answers[0].json()["name"], "wasmgate");
    assert_eq!(answers[2].json()["response"], "Yes.");
    assert_eq!(answers[3].json()["status"], "healthy");
    assert_eq!(answers[4].json()["object"], "list");
}

#[test]
fn half_of_a_next_request_does_not_hold_up_the_answer() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    let first = post_json("/api/v1/chat", &json!({"prompt": "hello"}));
    client.send([&first, &b"GET /health HT"[..]].concat());
    let _ = client.response().expect(200);
    client.send("TP/1.1\r\nhost: localhost\r\n\r\n");
    let _ = client.response().expect(200);
}

#[test]
fn a_refused_body_does_not_poison_its_connection() {
    let (gateway, _backend) = guarded();
    let mut client = gateway.connect();
    let bytes =
        [json_body("/api/v1/chat", b"nonsense"), post_json("/api/v1/chat", &json!({"prompt": "hello"}))].concat();
    client.send(bytes);
    let _ = client.response().expect(400);
    let _ = client.response().expect(200);
}

#[test]
fn old_clients_are_answered() {
    let (gateway, _backend) = guarded();
    let body = json!({"prompt": "hello"}).to_string();
    let bytes = format!(
        "POST /api/v1/chat HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = gateway.connect();
    let response = client.send(&bytes).response().expect(200);
    assert_eq!(response.json()["response"], "Yes.");
    assert!(client.rest().is_empty(), "and the connection is closed");
}

#[test]
fn a_body_without_a_content_type_is_taken_for_json() {
    let (gateway, _backend) = guarded();
    let body = json!({"prompt": "hello"}).to_string();
    let _ = gateway.send(request("POST", "/api/v1/chat", &[], body.as_bytes())).expect(200);
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let _ = gateway.send(request("POST", "/api/v1/chat", &charset, body.as_bytes())).expect(200);
}

#[test]
fn noise_does_not_stop_the_gateway() {
    let (gateway, _backend) = guarded();
    // A small generator with a fixed seed: the same noise each time.
    let mut state = 0x5eed_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let right = post_json(
        "/v1/messages",
        &json!({"model": "auto", "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}),
    );
    for _ in 0..300 {
        let mut bytes = right.clone();
        for _ in 0..=next() % 4 {
            let (at, byte) = (next() % bytes.len(), (next() % 256) as u8);
            match next() % 3 {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + 1 + next() % 8).min(bytes.len()))),
            }
        }
        let mut client = gateway.connect();
        client.send(&bytes).finish_sending().rest();
    }
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    let _ = gateway.chat("hello").expect(200);
    assert!(!gateway.log_to_its_end().join("\n").contains("panicked"));
}
