//! Web pages as clients: a page of another origin spends nothing and reads nothing, unless the operator allows it.

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request_to};
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, error_code};

const JSON: (&str, &str) = ("content-type", "application/json");
const EVIL: (&str, &str) = ("origin", "https://evil.example");

fn start(setup: Setup) -> (Gateway, Backend) {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("well", Usage { input: 1, output: 1 })));
    let gateway = setup.model("only", Dialect::OpenAi, &backend).start();
    (gateway, backend)
}

fn post(gateway: &Gateway, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let body = ask(path, "only", "hello", false).to_string();
    gateway.send(request_to(host, "POST", path, headers, body.as_bytes()))
}

#[test]
fn a_page_of_another_origin_spends_nothing() {
    let (gateway, backend) = start(Gateway::setup().server("cors = { origins = [] }"));
    let own = gateway.address.to_string();
    let pages: [&[(&str, &str)]; 8] = [
        &[JSON, EVIL],
        // What `fetch` sends without asking first: a body without a type, or with that of a form.
        &[EVIL],
        &[("content-type", "text/plain"), EVIL],
        &[JSON, ("origin", "null")],
        &[JSON, ("origin", "http://127.0.0.1:1")],
        &[JSON, ("origin", "http://127.0.0.1")],
        &[JSON, ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ];
    let mut count = 0.0;
    for path in CLIENT_PATHS {
        for headers in pages {
            let refused = post(&gateway, &own, path, headers).expect(403);
            let code = error_code(path, &refused.json());
            assert_eq!(code, "origin_not_allowed", "{path} {headers:?}");
            assert!(refused.text().contains("server.cors.origins"));
            assert_eq!(refused.header("access-control-allow-origin"), "");
            count += 1.0;
        }
    }
    let preflight = [EVIL, ("access-control-request-method", "POST")];
    let _ = gateway.send(request_to(&own, "OPTIONS", CLIENT_PATHS[0], &preflight, b"")).expect(403);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "forbidden")], count + 1.0);
    assert!(backend.requests().is_empty());
    assert_eq!(gateway.metrics().value("api_gateway_cost_total", &[]), 0.0);
}

#[test]
fn pages_of_the_gateways_own_origin_and_all_other_clients_are_answered() {
    let (gateway, backend) = start(Gateway::setup());
    let own = gateway.address.to_string();
    let origin = format!("http://{own}");
    let clients: [&[(&str, &str)]; 5] = [
        &[JSON],
        &[],
        &[JSON, ("origin", &origin)],
        &[("origin", &origin), ("sec-fetch-site", "same-origin")],
        &[JSON, ("sec-fetch-site", "none")],
    ];
    for path in CLIENT_PATHS {
        for headers in clients {
            let _ = post(&gateway, &own, path, headers).expect(200);
        }
    }
    assert_eq!(backend.requests().len(), CLIENT_PATHS.len() * clients.len());
    // What is only read costs nothing, and the page's browser does not let it read this.
    let read = gateway.send(request_to(&own, "GET", "/v1/models", &[EVIL], b"")).expect(200);
    assert_eq!(read.header("access-control-allow-origin"), "");
}

#[test]
fn the_operator_allows_origins() {
    let (gateway, _backend) =
        start(Gateway::setup().server(r#"cors = { origins = ["https://app.example", "app://notes"] }"#));
    let own = gateway.address.to_string();
    for origin in ["https://app.example", "app://notes"] {
        for path in CLIENT_PATHS {
            let asks = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "authorization,content-type"),
            ];
            let allowed = gateway.send(request_to(&own, "OPTIONS", path, &asks, b"")).expect(204);
            assert_eq!(allowed.header("access-control-allow-origin"), origin);
            assert_eq!(allowed.header("access-control-allow-headers"), "authorization,content-type");
            assert_eq!(allowed.header("access-control-allow-methods"), "POST");
            let answer = post(&gateway, &own, path, &[JSON, ("origin", origin), ("sec-fetch-site", "cross-site")]);
            let answer = answer.expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("vary"), "origin");
        }
    }
    let _ = post(&gateway, &own, CLIENT_PATHS[0], &[JSON, EVIL]).expect(403);
    // An error is an answer, too: the page must be able to read it.
    let wrong = gateway.send(request_to(&own, "POST", CLIENT_PATHS[0], &[JSON, ("origin", "app://notes")], b"{}"));
    assert_eq!(wrong.expect(400).header("access-control-allow-origin"), "app://notes");
    let (gateway, _backend) = start(Gateway::setup().server(r#"cors = { origins = ["*"] }"#));
    let own = gateway.address.to_string();
    let _ = post(&gateway, &own, CLIENT_PATHS[0], &[JSON, EVIL]).expect(200);
    let _ = post(&gateway, &own, CLIENT_PATHS[0], &[JSON, ("origin", "null")]).expect(403);
}

#[test]
fn a_name_that_somebody_points_here_is_refused() {
    let (gateway, backend) = start(Gateway::setup().server(r#"allowed_hosts = ["gateway.example"]"#));
    for path in ["/", "/metrics", "/api/v1/stats", "/v1/models", "/nowhere"] {
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            let refused = gateway.send(request_to(host, "GET", path, &[], b"")).expect(403);
            assert!(refused.text().contains("server.allowed_hosts"), "{}", refused.text());
        }
    }
    let refused = post(&gateway, "evil.example", "/v1/chat/completions", &[JSON, ("origin", "http://evil.example")]);
    assert_eq!(error_code("/v1/chat/completions", &refused.expect(403).json()), "host_not_allowed");
    assert!(backend.requests().is_empty());
    let own = gateway.address.to_string();
    for host in [&*own, "localhost", "LocalHost:80", "127.0.0.1", "[::1]:8080", "192.0.2.1", "gateway.example:8080"] {
        let _ = gateway.send(request_to(host, "GET", "/metrics", &[], b"")).expect(200);
    }
    let _ = gateway.send("GET /health HTTP/1.0\r\n\r\n").expect(200);
}

#[test]
fn metrics_can_be_for_operators_alone() {
    let (gateway, _backend) = start(Gateway::setup());
    for path in ["/metrics", "/api/v1/stats"] {
        let (client, operator) = (gateway.get(path).expect(200), gateway.admin_get(path).expect(200));
        assert_eq!(client.header("content-type"), operator.header("content-type"), "{path}");
    }
    let series = |page: &Response| wasmgate_tests::scrape::Metrics::parse(&page.text()).series();
    assert_eq!(series(&gateway.get("/metrics")), series(&gateway.admin_get("/metrics")));
    let (gateway, _backend) = start(Gateway::setup().server("metrics_for_clients = false"));
    for path in ["/metrics", "/api/v1/stats"] {
        let _ = gateway.get(path).expect(404);
        let _ = gateway.admin_get(path).expect(200);
    }
    assert_eq!(gateway.get("/health").expect(200).json(), json!({"status": "healthy"}));
    // With keys, an operator says so to have them here.
    let key = format!("[groups.team]\n[keys.anna]\ngroup = \"team\"\nsha256 = \"{}\"", "0".repeat(64));
    for (server, status) in [("", 404), ("auth = \"optional\"", 200), ("metrics_for_clients = true", 200)] {
        let gateway = Gateway::setup().top(&key).server(server).start();
        let _ = gateway.get("/metrics").expect(status);
        assert_eq!(gateway.get("/health").expect(200).json()["models"].is_array(), status == 200, "{server}");
        let _ = gateway.admin_get("/metrics").expect(200);
    }
}
