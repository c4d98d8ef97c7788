//! Browser programs as clients: pages of this machine, of origins that the operator allows, and of all others.

use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request_to};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask};

const USAGE: Usage = Usage { input: 1, output: 1 };
const ROUTES: [(&str, &str); 7] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/api/chat"),
    ("POST", "/api/v1/chat"),
    ("POST", "/v1/embeddings"),
    ("GET, HEAD", "/v1/models"),
    ("GET, HEAD", "/api/tags"),
];

fn start(setup: Setup) -> (Gateway, Backend) {
    let backend = Backend::start(|request| match request.json()["stream"] == true {
        true => Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["well"], USAGE)).end(),
        false => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
    });
    (setup.model("only", Dialect::OpenAi, &backend).start(), backend)
}

fn preflight(gateway: &Gateway, path: &str, origin: &str, headers: &str) -> Response {
    let mut asks = vec![("origin", origin), ("access-control-request-method", "POST")];
    if !headers.is_empty() {
        asks.push(("access-control-request-headers", headers));
    }
    gateway.send(request_to(&gateway.address.to_string(), "OPTIONS", path, &asks, b""))
}

fn post(gateway: &Gateway, path: &str, origin: &str, stream: bool) -> Response {
    let body = ask(path, "only", "hello", stream).to_string();
    let headers = [("content-type", "application/json"), ("origin", origin), ("sec-fetch-site", "cross-site")];
    gateway.send(request_to(&gateway.address.to_string(), "POST", path, &headers, body.as_bytes()))
}

/// Programs of this machine that show pages (a development server, Obsidian's plugins) could call the gateway by themselves.
#[test]
fn pages_of_this_machine_may_call_a_gateway_that_only_it_reaches() {
    let (gateway, _backend) = start(Gateway::setup());
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080", "https://localhost"] {
        for (methods, path) in ROUTES {
            let allowed = preflight(&gateway, path, origin, "authorization,content-type,x-stainless-lang").expect(204);
            assert_eq!(allowed.header("access-control-allow-origin"), origin, "{path}");
            assert_eq!(allowed.header("access-control-allow-methods"), methods);
            assert_eq!(allowed.header("access-control-allow-headers"), "authorization,content-type,x-stainless-lang");
            assert_eq!(allowed.header("access-control-max-age"), "600");
            assert_eq!(allowed.header("vary"), "origin");
        }
        for path in CLIENT_PATHS {
            for stream in [false, true] {
                let answer = post(&gateway, path, origin, stream).expect(200);
                assert_eq!(answer.header("access-control-allow-origin"), origin);
                assert_eq!(answer.header("access-control-expose-headers"), "*");
            }
        }
    }
}

#[test]
fn pages_of_elsewhere_may_not() {
    let (gateway, backend) = start(Gateway::setup());
    for origin in [
        "https://app.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://192.168.1.7",
        "null",
        "file://",
        "app://obsidian.md",
        "http://localhost@evil.example",
    ] {
        for (_, path) in ROUTES {
            let refused = preflight(&gateway, path, origin, "").expect(403);
            assert!(refused.text().contains("server.cors.origins"), "{}", refused.text());
            assert_eq!(refused.header("access-control-allow-origin"), "");
        }
        for path in CLIENT_PATHS {
            let _ = post(&gateway, path, origin, false).expect(403);
        }
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn the_operators_list_decides_alone() {
    let lists = [
        (
            r#"cors = { origins = ["https://app.example", "app://obsidian.md"] }"#,
            vec!["https://app.example", "app://obsidian.md"],
        ),
        (r#"allowed_origins = ["https://app.example"]"#, vec!["https://app.example"]),
        (r#"cors = { origins = ["http://localhost:*"] }"#, vec!["http://localhost:5173", "http://localhost"]),
        (r#"cors = { origins = ["*"] }"#, vec!["https://app.example", "http://localhost:5173"]),
        (r#"cors = { origins = [] }"#, vec![]),
    ];
    for (setting, allowed) in lists {
        let (gateway, _backend) = start(Gateway::setup().server(setting));
        for origin in ["https://app.example", "app://obsidian.md", "http://localhost:5173", "http://localhost"] {
            let expected = allowed.contains(&origin) || setting.contains("\"*\"");
            let (asked, status) = if expected { (204, 200) } else { (403, 403) };
            let _ = preflight(&gateway, "/v1/messages", origin, "").expect(asked);
            let answer = post(&gateway, "/v1/messages", origin, false).expect(status);
            assert_eq!(answer.header("access-control-allow-origin"), if expected { origin } else { "" });
        }
        let _ = post(&gateway, "/v1/messages", "null", false).expect(403);
    }
}

#[test]
fn headers_and_ages_are_settings() {
    let setting =
        r#"cors = { origins = ["https://app.example"], headers = ["authorization", "x-own"], max_age_seconds = 60 }"#;
    let (gateway, _backend) = start(Gateway::setup().server(setting));
    let allowed = preflight(&gateway, "/v1/messages", "https://app.example", "authorization,x-other").expect(204);
    assert_eq!(allowed.header("access-control-allow-headers"), "authorization, x-own");
    assert_eq!(allowed.header("access-control-max-age"), "60");
    let asks = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-private-network", "true"),
    ];
    let allowed =
        gateway.send(request_to(&gateway.address.to_string(), "OPTIONS", "/api/chat", &asks, b"")).expect(204);
    assert_eq!(allowed.header("access-control-allow-private-network"), "true");
    for (wrong, key) in [
        (r#"cors = { origins = ["app.example"] }"#, "server.cors.origins"),
        (r#"cors = { origins = ["https://app.example/"] }"#, "server.cors.origins"),
        (r#"cors = { headers = ["Authorization"] }"#, "server.cors.headers"),
        ("cors = { max_age_seconds = 90000 }", "server.cors.max_age_seconds"),
        ("cors = { origins = [] }\nallowed_origins = []", "server.allowed_origins"),
        ("cors = { origin = [] }", "did you mean"),
    ] {
        Gateway::setup().server(wrong).check().expect(2, &[key]);
    }
}
