//! How much a client may send: a body and a prompt as today's agents have them, coded or plain; what is longer is refused in
//! a way that the client can read.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::h2;
use wasmgate_tests::http::{Response, post_json, request};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };
const JSON: (&str, &str) = ("content-type", "application/json");
/// More than the buffers of two sockets take.
const LARGE: usize = 16 << 20;

fn start(setup: Setup) -> (Gateway, Backend) {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::Anthropic.answer("Yes.", USAGE)));
    (setup.model("only", Dialect::Anthropic, &backend).start(), backend)
}

/// The head of a request, and its body in one of HTTP's two framings.
fn framed(path: &str, headers: &[(&str, &str)], body: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let Some(chunk) = chunk else { return request("POST", path, headers, body) };
    let mut bytes = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n").into_bytes();
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n").unwrap();
    }
    bytes.extend_from_slice(b"\r\n");
    for piece in body.chunks(chunk) {
        write!(bytes, "{:x}\r\n", piece.len()).unwrap();
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// An agent's context is some hundred thousand tokens, and its provider knows what is too long. Only the gateway's own dialect
/// has a bound by default.
#[test]
fn the_prompts_of_agents_are_let_in() {
    let (gateway, backend) = start(Gateway::setup());
    let text = "fn main() { println!(\"line\"); }\n".repeat(50_000);
    for path in CLIENT_PATHS {
        let answer = gateway.post(path, &ask(path, "only", &text, false));
        if path == "/api/v1/chat" {
            assert_eq!(error_code(path, &answer.expect(413).json()), "too_large");
        } else {
            let _ = answer.expect(200);
        }
    }
    assert_eq!(backend.requests().len(), CLIENT_PATHS.len() - 1);
}

/// To an agent, the operator's bound of a prompt is what a full context is: it shortens its history and goes on.
#[test]
fn a_prompt_above_the_operators_bound_is_a_full_context() {
    let (gateway, backend) = start(Gateway::setup().server("max_prompt_chars = 1000"));
    for path in CLIENT_PATHS {
        let _ = gateway.post(path, &ask(path, "only", &"é".repeat(1000), false)).expect(200);
        let refused = gateway.post(path, &ask(path, "only", &"é".repeat(1001), false));
        let said = refused.text();
        let status = if path == "/api/v1/chat" { 413 } else { 400 };
        let _ = refused.expect(status);
        match path {
            "/v1/messages" => assert!(said.contains("prompt is too long"), "{said}"),
            "/v1/chat/completions" => assert!(said.contains("context"), "{said}"),
            _ => assert!(said.contains("1001"), "{said}"),
        }
    }
    assert_eq!(backend.requests().len(), CLIENT_PATHS.len());
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "too_large")], 4.0);
}

/// Most clients write their whole request before they read. Whatever the refusal, they must find it.
#[test]
fn a_refusal_is_read_by_clients_that_write_everything_first() {
    let (gateway, backend) = start(Gateway::setup().server("max_body_bytes = 1048576"));
    let body = ask("/v1/messages", "only", &"A".repeat(LARGE), false).to_string();
    let evil = ("origin", "https://evil.example");
    type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
    let refusals: [Refused<'_>; 6] = [
        ("/v1/messages", &[JSON], 413),
        ("/v1/messages", &[("content-type", "text/plain")], 415),
        ("/v1/messages", &[JSON, ("content-encoding", "br")], 415),
        ("/v1/messages", &[JSON, evil], 403),
        ("/v1/nowhere", &[JSON], 404),
        ("/v1/models", &[JSON], 405),
    ];
    for (path, headers, status) in refusals {
        for chunk in [None, Some(100_000)] {
            let mut client = gateway.connect();
            let bytes = framed(path, headers, body.as_bytes(), chunk);
            let refused = client.send(bytes).response().expect(status);
            let _ = error_code(path, &refused.json());
            // The connection serves the next request.
            let _ = client.send(request("GET", "/health", &[], b"")).response().expect(200);
        }
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_refusal_is_read_on_http_2_too() {
    let (gateway, _backend) = start(Gateway::setup().server("max_body_bytes = 1048576"));
    let body = ask("/v1/messages", "only", &"A".repeat(LARGE), false).to_string();
    for path in ["/v1/messages", "/v1/nowhere"] {
        let mut client = h2::Client::connect(gateway.address, 1 << 20);
        let stream = client.post_within_windows(path, body.as_bytes());
        let (answer, in_order) = client.rest_of(stream).unwrap();
        assert!(in_order);
        let _ = error_code(path, &serde_json::from_slice(&answer).unwrap());
        // The connection goes on.
        let stream = client.get("/health");
        assert!(client.rest_of(stream).unwrap().1);
    }
}

/// A client that asks first gets no sign to go on.
#[test]
fn who_expects_a_sign_is_refused_at_once() {
    let (gateway, backend) = start(Gateway::setup().server("max_body_bytes = 1048576"));
    let head = |length: usize| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for (path, status) in [("/v1/messages", 413), ("/v1/nothing", 404)] {
        let mut client = gateway.connect();
        let refused = client.send(head(LARGE).replace("/v1/messages", path)).response();
        assert_eq!(refused.status(), status, "{path}");
        assert_eq!(refused.header("connection"), "close", "{path}");
        assert!(client.rest().is_empty(), "{path}: the connection ends: nobody knows whether a body follows");
    }
    let body = ask("/v1/messages", "only", "hello", false).to_string();
    let mut client = gateway.connect();
    assert_eq!(client.send(head(body.len())).head().status, 100);
    let _ = client.send(&body).response().expect(200);
    assert_eq!(backend.requests().len(), 1);
}

/// What is read aside has an end, and is nobody's place.
#[test]
fn a_refused_client_that_never_ends_is_let_go() {
    let (gateway, _backend) =
        start(Gateway::setup().server("max_body_bytes = 1048576\nbody_timeout_seconds = 0.3\nmax_in_flight = 1"));
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\nand then";
        let _ = client.send(head).response().expect(413);
    }
    let _ = gateway.post("/v1/messages", &ask("/v1/messages", "only", "hello", false)).expect(200);
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
    for client in &mut clients {
        assert!(client.rest().is_empty());
    }
}

/// The codings, with the names that clients give them.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Gzip,
    Zlib,
    Raw,
    Zstd,
    Identity,
}

impl Coding {
    const ALL: [Self; 5] = [Self::Gzip, Self::Zlib, Self::Raw, Self::Zstd, Self::Identity];

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Gzip => &["gzip", "x-gzip", "GZip"],
            Self::Zlib | Self::Raw => &["deflate", "DEFLATE"],
            Self::Zstd => &["zstd", "Zstd"],
            Self::Identity => &["identity", ""],
        }
    }

    fn apply(self, plain: &[u8]) -> Vec<u8> {
        fn all<W: std::io::Write>(mut encoder: W, plain: &[u8]) -> W {
            encoder.write_all(plain).unwrap();
            encoder
        }
        match self {
            Self::Gzip => all(GzEncoder::new(Vec::new(), Compression::fast()), plain).finish().unwrap(),
            Self::Zlib => all(ZlibEncoder::new(Vec::new(), Compression::fast()), plain).finish().unwrap(),
            Self::Raw => all(DeflateEncoder::new(Vec::new(), Compression::fast()), plain).finish().unwrap(),
            Self::Zstd => compress_to_vec(plain, CompressionLevel::Fastest),
            Self::Identity => plain.to_vec(),
        }
    }
}

fn coded(gateway: &Gateway, path: &str, encoding: &str, body: &[u8], chunk: Option<usize>) -> Response {
    gateway.send(framed(path, &[JSON, ("content-encoding", encoding)], body, chunk))
}

/// The bound of a body in these tests, above what is decoded on a worker.
const BOUND: usize = 300_000;

/// A request of exactly so many bytes.
fn sized(path: &str, bytes: usize) -> Vec<u8> {
    let without = ask(path, "only", "", false).to_string().len();
    let text: String = "word after word ".chars().cycle().take(bytes - without).collect();
    let body = ask(path, "only", &text, false).to_string().into_bytes();
    assert_eq!(body.len(), bytes);
    body
}

/// Any codings, one after the other, in any framing: the backend sees the request as it was before them, up to the bound of
/// a plain body and not beyond.
#[test]
fn coded_requests_are_read_as_plain_ones() {
    let (gateway, backend) = start(Gateway::setup().server(&format!("max_body_bytes = {BOUND}")));
    let coding = || prop::sample::select(Coding::ALL.to_vec());
    let sizes = prop::sample::select(vec![200, 5_000, 262_144, 262_145, BOUND - 1, BOUND, BOUND + 1, BOUND + 70_000]);
    let chunks = prop::sample::select(vec![None, Some(7_usize), Some(1 << 10), Some(1 << 20)]);
    let requests = (prop::collection::vec((coding(), 0..3_usize), 1..=3), sizes, chunks);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&requests, |(codings, size, chunk)| {
            let path = "/v1/messages";
            let plain = sized(path, size);
            let body = codings.iter().fold(plain.clone(), |body, (coding, _)| coding.apply(&body));
            let names: Vec<&str> =
                codings.iter().map(|(coding, at)| coding.names()[at % coding.names().len()]).collect();
            // Pieces of seven bytes are for small bodies.
            let chunk = chunk.filter(|chunk| *chunk > 100 || body.len() < 20_000);
            let before = backend.requests().len();
            let answer = coded(&gateway, path, &names.join(", "), &body, chunk);
            if size > BOUND {
                prop_assert_eq!(answer.head.status, 413, "{}", answer.text());
                prop_assert_eq!(backend.requests().len(), before);
            } else {
                prop_assert_eq!(answer.head.status, 200, "{}", answer.text());
                let text = &backend.requests()[before].json()["messages"][0]["content"];
                prop_assert_eq!(
                    text,
                    &serde_json::from_slice::<serde_json::Value>(&plain).unwrap()["messages"][0]["content"]
                );
            }
            Ok(())
        })
        .unwrap();
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
}

#[test]
fn coded_requests_are_read_on_all_routes() {
    let (gateway, _backend) = start(Gateway::setup());
    for path in CLIENT_PATHS {
        for coding in Coding::ALL {
            let body = coding.apply(ask(path, "only", "hello", false).to_string().as_bytes());
            let _ = coded(&gateway, path, coding.names()[0], &body, None).expect(200);
        }
    }
    // Two members of gzip, and frames of zstd with one to skip between them, are one body.
    let body = ask("/v1/messages", "only", "hello", false).to_string();
    let (first, second) = body.split_at(40);
    let two = |coding: Coding, between: &[u8]| {
        [&coding.apply(first.as_bytes())[..], between, &coding.apply(second.as_bytes())].concat()
    };
    let _ = coded(&gateway, "/v1/messages", "gzip", &two(Coding::Gzip, b""), None).expect(200);
    let skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc";
    let _ = coded(&gateway, "/v1/messages", "zstd", &two(Coding::Zstd, skipped), None).expect(200);
}

#[test]
fn codings_that_are_unknown_or_broken_are_named() {
    let (gateway, backend) = start(Gateway::setup());
    let path = "/v1/chat/completions";
    let body = ask(path, "only", "hello", false).to_string();
    for unknown in ["br", "compress", "gzip, br", "zstd;q=1", "gzip, gzip, gzip, gzip", "\"gzip\""] {
        let refused = coded(&gateway, path, unknown, body.as_bytes(), None).expect(415);
        assert_eq!(error_code(path, &refused.json()), "unknown_content_encoding", "{unknown}");
        assert_eq!(refused.header("accept-encoding"), "gzip, deflate, zstd, identity");
    }
    for coding in [Coding::Gzip, Coding::Zlib, Coding::Raw, Coding::Zstd] {
        let whole = coding.apply(body.as_bytes());
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x55;
        let broken: [&[u8]; 5] = [&whole[..whole.len() / 2], &whole[..3], &flipped, body.as_bytes(), b""];
        for bytes in broken {
            let refused = coded(&gateway, path, coding.names()[0], bytes, None).expect(400);
            assert_eq!(error_code(path, &refused.json()), "bad_request", "{coding:?}");
        }
    }
    assert!(backend.requests().is_empty());
}

/// Few bytes that ask for much work: a long run, nothing said at length between two codings, a window of gigabytes.
#[test]
fn bombs_stop_early() {
    let (gateway, backend) = start(Gateway::setup().server("max_body_bytes = 1048576"));
    let path = "/v1/messages";
    let run = vec![b' '; 48 << 20];
    for coding in [Coding::Gzip, Coding::Zlib, Coding::Raw, Coding::Zstd] {
        let bomb = coding.apply(&run);
        assert!(bomb.len() < 1 << 20);
        let refused = coded(&gateway, path, coding.names()[0], &bomb, None).expect(413);
        assert_eq!(error_code(path, &refused.json()), "too_large");
    }
    let nothing = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(6 << 20);
    let bomb = Coding::Gzip.apply(&nothing);
    assert!(bomb.len() < 1 << 20);
    let _ = coded(&gateway, path, "deflate, gzip", &bomb, None).expect(413);
    let thrice = Coding::Gzip.apply(&Coding::Zstd.apply(&Coding::Gzip.apply(&run)));
    let _ = coded(&gateway, path, "gzip, zstd, gzip", &thrice, None).expect(413);
    // A frame whose window is 3.75 TiB.
    let _ = coded(&gateway, path, "zstd", b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00", None).expect(400);
    assert!(backend.requests().is_empty());
    gateway.wait_metric("api_gateway_buffered_bytes", &[], 0.0);
}

/// Ollama reads a body whatever its type; the other servers want JSON, or no type.
#[test]
fn content_types_are_read_as_the_real_servers_read_them() {
    let (gateway, _backend) = start(Gateway::setup());
    let form = "application/x-www-form-urlencoded";
    for path in CLIENT_PATHS {
        let body = ask(path, "only", "hello", false);
        for (kind, strange) in [
            ("application/json", false),
            ("application/json; charset=utf-8", false),
            ("Application/JSON;charset=UTF-8", false),
            (form, true),
            ("text/plain;charset=UTF-8", true),
            ("application/octet-stream", true),
        ] {
            let bytes = request("POST", path, &[("content-type", kind)], body.to_string().as_bytes());
            let status = if strange && path != "/api/chat" { 415 } else { 200 };
            let _ = gateway.send(bytes).expect(status);
        }
        let _ = gateway.send(request("POST", path, &[], body.to_string().as_bytes())).expect(200);
    }
    // A page of another origin may send such a body without asking first. It still spends nothing.
    let body = ask("/api/chat", "only", "hello", false).to_string();
    for origin in ["https://evil.example", "null"] {
        for kind in [form, "text/plain", "multipart/form-data"] {
            let headers = [("content-type", kind), ("origin", origin)];
            let _ = gateway.send(request("POST", "/api/chat", &headers, body.as_bytes())).expect(403);
        }
    }
}

/// 30 MB of text and 20 pictures of a megabyte, and what policies see of them.
#[test]
fn a_conversation_near_the_bound_is_answered() {
    let (gateway, backend) = start(Gateway::setup());
    let picture =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(1 << 20)}});
    let mut content = vec![picture; 20];
    content.extend((0..10).map(|_| json!({"type": "text", "text": "word ".repeat(200_000)})));
    let body = json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": content}]});
    let answer = gateway.send(post_json("/v1/messages", &body)).expect(200);
    assert_eq!(answer.header("x-wasmgate-policy"), "complexity@0.1.0");
    assert_eq!(backend.requests().len(), 1);
}
