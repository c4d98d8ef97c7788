//! Routes that clients look for besides chats: models and what they can do, counts of tokens, and what they try first.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wire::{Dialect, Usage, ask, error_code};

const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Models with a slash, a colon and a context window.
fn models() -> Setup {
    let model = |name: &str, more: &str| format!("[models.\"{name}\"]\nbackend = \"sim\"\n{more}\n");
    let file = format!(
        "[backends.sim]\nkind = \"sim\"\n{}{}{}",
        model(
            "org/large",
            "context_window = 200000\nmax_output_tokens = 64000\ncapabilities = [\"tools\", \"images\"]"
        ),
        model("small:7b", "context_window = 8192\ncapabilities = [\"structured-output\"]"),
        model("plain", ""),
    );
    Gateway::setup().models(&file)
}

fn get(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Response {
    gateway.send(request("GET", path, headers, b""))
}

#[test]
fn a_model_has_a_page_in_both_forms() {
    let gateway = models().start();
    for (path, id) in [
        ("/v1/models/plain", "plain"),
        ("/v1/models/auto", "auto"),
        ("/v1/models/org/large", "org/large"),
        ("/v1/models/org%2Flarge", "org/large"),
        ("/v1/models/small:7b", "small:7b"),
        ("/v1/models/small%3A7b?beta=true", "small:7b"),
    ] {
        let model = get(&gateway, path, &[]).expect(200).json();
        assert_eq!((&model["id"], &model["object"]), (&json!(id), &json!("model")), "{path}");
        let model = get(&gateway, path, &[ANTHROPIC]).expect(200).json();
        assert_eq!((&model["id"], &model["type"]), (&json!(id), &json!("model")), "{path}");
        assert!(model["display_name"].is_string() && model["created_at"].is_string());
    }
    assert_eq!(get(&gateway, "/v1/models/org/large", &[ANTHROPIC]).json()["max_input_tokens"], 200_000);
    for path in ["/v1/models/nobody", "/v1/models/small%3A7", "/v1/models/%zz", "/v1/models/plain/"] {
        let unknown = get(&gateway, path, &[]).expect(404);
        assert_eq!(error_code(path, &unknown.json()), "unknown_model");
        let unknown = get(&gateway, path, &[ANTHROPIC]).expect(404).json();
        assert_eq!(unknown["error"]["type"], "not_found_error", "{unknown}");
    }
    assert_eq!(error_code("/v1/models/", &get(&gateway, "/v1/models/", &[]).expect(404).json()), "unknown_route");
    let _ = gateway.send(request("POST", "/v1/models/plain", &[JSON], b"{}")).expect(405);
    let _ = gateway.send(request("DELETE", "/v1/models/plain", &[], b"")).expect(405);
}

/// Anthropic's SDK asks for the next page with the last id until `has_more` is false.
#[test]
fn anthropics_list_has_pages() {
    let gateway = models().start();
    let page = |query: &str| get(&gateway, &format!("/v1/models{query}"), &[ANTHROPIC]).expect(200).json();
    let ids = |page: &Value| {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = ids(&page(""));
    assert_eq!(all, ["auto", "org/large", "small:7b", "plain"]);
    for limit in 1..=5 {
        let mut seen = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let page = page(&query);
            let shown = ids(&page);
            assert_eq!(
                (page["first_id"].as_str(), page["last_id"].as_str()),
                (shown.first().map(|id| &**id), shown.last().map(|id| &**id))
            );
            seen.extend(shown.clone());
            if page["has_more"] == false {
                break;
            }
            let last = shown.last().unwrap().replace('/', "%2F").replace(':', "%3A");
            query = format!("?beta=true&limit={limit}&after_id={last}");
        }
        assert_eq!(seen, all, "{limit} at a time");
    }
    let before = page("?limit=2&before_id=plain");
    assert_eq!(
        (ids(&before), &before["has_more"]),
        (vec!["org/large".to_owned(), "small:7b".to_owned()], &json!(true))
    );
    assert_eq!(page("?after_id=plain")["data"], json!([]));
    for wrong in ["?limit=0", "?limit=1001", "?limit=-1", "?limit=many", "?after_id=nobody", "?before_id="] {
        let refused = get(&gateway, &format!("/v1/models{wrong}"), &[ANTHROPIC]).expect(400).json();
        assert_eq!(refused["error"]["type"], "invalid_request_error", "{wrong}");
    }
    // OpenAI's list has none.
    assert_eq!(get(&gateway, "/v1/models?limit=1", &[]).expect(200).json()["data"].as_array().unwrap().len(), 4);
}

#[test]
fn ollamas_clients_see_what_models_can_do() {
    let gateway = models().start();
    let show = |body: &str| gateway.send(request("POST", "/api/show", &[], body.as_bytes()));
    let large = show(r#"{"model": "org/large"}"#).expect(200).json();
    assert_eq!(large["capabilities"], json!(["completion", "tools", "vision"]));
    let architecture = large["model_info"]["general.architecture"].as_str().unwrap();
    assert_eq!(large["model_info"][format!("{architecture}.context_length")], 200_000);
    // The older name of the field, and fields of other versions.
    let small = show(r#"{"name": "small:7b", "verbose": true}"#).expect(200).json();
    assert_eq!(small["capabilities"], json!(["completion"]));
    assert_eq!(small["model_info"]["wasmgate.context_length"], 8192);
    let plain = show(r#"{"model": "plain"}"#).expect(200).json();
    assert!(plain["model_info"].get("wasmgate.context_length").is_none(), "nobody knows it");
    let auto = show(r#"{"model": "auto"}"#).expect(200).json();
    assert_eq!(
        (&auto["capabilities"], &auto["model_info"]["wasmgate.context_length"]),
        (&large["capabilities"], &json!(200_000))
    );
    for field in ["details", "modified_at", "modelfile", "template", "parameters", "license"] {
        assert!(large.get(field).is_some(), "{field}");
    }
    assert_eq!(error_code("/api/show", &show(r#"{"model": "nobody"}"#).expect(404).json()), "unknown_model");
    for wrong in ["", "{}", "[]", r#"{"model": 5}"#, r#"{"model": null}"#] {
        let _ = error_code("/api/show", &show(wrong).expect(400).json());
    }
    let names = |path: &str| {
        let models = get(&gateway, path, &[]).expect(200).json()["models"].as_array().unwrap().clone();
        for model in &models {
            // Clients cut a digest to twelve digits, and read these.
            assert!(model["digest"].as_str().unwrap().len() >= 12 && model["details"]["families"].is_array());
            assert_eq!(model["name"], model["model"]);
        }
        models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/api/tags"), ["auto", "org/large", "small:7b", "plain"]);
    assert_eq!(names("/api/ps"), ["org/large", "small:7b", "plain"]);
    let version = get(&gateway, "/api/version", &[]).expect(200).json()["version"].as_str().unwrap().to_owned();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts.len() == 3 && parts >= vec![0, 6, 4], "{version}");
}

/// What clients ask before anything else, to see whether a server is there.
#[test]
fn warm_ups_are_answered() {
    let gateway = models().start();
    for path in ["/", "/v1/models", "/api/tags", "/api/ps", "/api/version", "/api/hello", "/health", "/v1/models/plain"]
    {
        let answer = get(&gateway, path, &[]).expect(200);
        let mut client = gateway.connect();
        let head = client.send(request("HEAD", path, &[], b"")).head();
        assert_eq!(head.status, 200, "HEAD {path}");
        assert_eq!(head.header("content-type").unwrap_or_default(), answer.header("content-type"));
    }
    for path in ["/v1/chat/completions", "/v1/messages", "/api/chat"] {
        let mut client = gateway.connect();
        let head = client.send(request("HEAD", path, &[], b"")).head();
        assert_eq!((head.status, head.header("allow")), (405, Some("POST")), "HEAD {path}");
    }
}

/// A base URL with a `/v1` too many or too few is the usual mistake.
#[test]
fn a_wrong_base_url_is_named() {
    let gateway = models().start();
    for (path, hint) in [
        ("/v1/v1/messages", "a /v1 too many"),
        ("/v1/v1/chat/completions", "a /v1 too many"),
        ("/v1/api/chat", "a /v1 too many"),
        ("/chat/completions", "lacks /v1"),
        ("/messages", "lacks /v1"),
        ("/models", "lacks /v1"),
        ("/embeddings", "lacks /v1"),
        ("/v1/chat/completions/", "without the slash"),
        ("/v1/messages/", "without the slash"),
        ("/nowhere", "GET / lists the routes"),
    ] {
        let body = ask("/v1/chat/completions", "plain", "hello", false).to_string();
        let refused = gateway.send(request("POST", path, &[JSON], body.as_bytes())).expect(404);
        assert!(refused.text().contains(hint), "{path}: {}", refused.text());
        let _ = error_code(path, &refused.json());
    }
}

fn count(gateway: &Gateway, model: &str, more: Value) -> Response {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hello there"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let headers = [JSON, ANTHROPIC, ("anthropic-beta", "token-counting-2024-11-01")];
    gateway.send(request("POST", "/v1/messages/count_tokens?beta=true", &headers, body.to_string().as_bytes()))
}

#[test]
fn tokens_are_counted_by_the_backend_or_estimated() {
    let counting = Backend::start(|_| Reply::json(200, &json!({"input_tokens": 1234})));
    let other = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway = Gateway::setup()
        .model("claude", Dialect::Anthropic, &counting)
        .model("gpt", Dialect::OpenAi, &other)
        .model("local", Dialect::Ollama, &other)
        .start();
    let counted =
        count(&gateway, "claude", json!({"max_tokens": 5, "stream": true, "temperature": 0.5, "system": "Be short"}));
    let counted = counted.expect(200);
    assert_eq!(counted.json(), json!({"input_tokens": 1234}));
    assert_eq!((counted.header("x-wasmgate-count"), counted.header("x-wasmgate-model")), ("backend", "claude"));
    let seen = &counting.requests()[0];
    assert_eq!(seen.path, "/v1/messages/count_tokens");
    assert_eq!(seen.header("anthropic-beta"), "token-counting-2024-11-01");
    // Only what makes the prompt; the provider refuses the rest.
    let sent = seen.json();
    assert_eq!(wasmgate_tests::wire::keys(&sent), ["model", "messages", "system"]);
    assert_eq!(sent["model"], "backend-model");
    for model in ["gpt", "local"] {
        let short = count(&gateway, model, json!({})).expect(200);
        assert_eq!(short.header("x-wasmgate-count"), "estimate");
        let few = short.json()["input_tokens"].as_u64().unwrap();
        assert!((10..60).contains(&few), "{few}");
        let tools = json!([{"name": "f", "description": "word ".repeat(1000), "input_schema": {"type": "object"}}]);
        let many = count(&gateway, model, json!({"tools": tools})).expect(200).json()["input_tokens"].as_u64().unwrap();
        // A thousand words are a thousand tokens, and the estimate is rather too high.
        assert!((1100..1600).contains(&(many - few)), "{many}");
    }
    assert!(other.requests().is_empty());
    gateway.wait_metric("api_gateway_token_counts_total", &[("source", "backend")], 1.0);
    gateway.wait_metric("api_gateway_token_counts_total", &[("source", "estimate")], 4.0);
    let metrics = gateway.metrics();
    for free in ["api_gateway_cost_total", "api_gateway_tokens_total", "api_gateway_estimated_tokens_total"] {
        assert_eq!(metrics.value(free, &[]), 0.0, "{free}");
    }
}

/// A server can answer and not count, or count and not answer: counting says nothing of the model.
#[test]
fn counting_neither_opens_nor_closes_the_breaker_of_the_model() {
    let backend = Backend::start(|request| match request.path.ends_with("/count_tokens") {
        true => Reply::json(500, &json!({})),
        false => Reply::json(200, &Dialect::Anthropic.answer("well", Usage { input: 11, output: 3 })),
    });
    let gateway = Gateway::setup()
        .model("claude", Dialect::Anthropic, &backend)
        .models("[backends.claude.breaker]\nmin_calls = 2\n")
        .start();
    for _ in 0..5 {
        assert_eq!(count(&gateway, "claude", json!({})).expect(200).header("x-wasmgate-count"), "estimate");
    }
    let _ = gateway.chat("hello").expect(200);
    let labels = [("model", "claude"), ("state", "closed")];
    assert_eq!(gateway.metrics().value("api_gateway_breaker_state", &labels), 1.0);
}

/// What a backend says of the prompt is the client's; what it cannot do is estimated.
#[test]
fn a_backend_that_cannot_count_is_not_needed() {
    let refusal = |status: u16| {
        json!({"type": "error", "error": {"type": if status == 400 { "invalid_request_error" } else { "api_error" },
            "message": "messages: roles must alternate"}})
    };
    for (status, told) in [(400, 400), (404, 200), (500, 200), (529, 200), (401, 200)] {
        let backend = Backend::start(move |_| Reply::json(status, &refusal(status)));
        let gateway = Gateway::setup().model("claude", Dialect::Anthropic, &backend).start();
        let answer = count(&gateway, "claude", json!({})).expect(told);
        assert_eq!(backend.requests().len(), 1, "no retries");
        assert_eq!(answer.header("x-wasmgate-count"), if told == 200 { "estimate" } else { "" }, "{status}");
    }
    for odd in [json!({}), json!({"input_tokens": "many"}), json!([])] {
        let backend = Backend::start(move |_| Reply::json(200, &odd));
        let gateway = Gateway::setup().model("claude", Dialect::Anthropic, &backend).start();
        assert_eq!(count(&gateway, "claude", json!({})).expect(200).header("x-wasmgate-count"), "estimate");
    }
    let gateway = models().start();
    assert_eq!(count(&gateway, "auto", json!({})).expect(200).header("x-wasmgate-count"), "estimate");
    assert_eq!(count(&gateway, "nobody", json!({})).expect(404).json()["error"]["type"], "not_found_error");
    let _ = count(&gateway, "plain", json!({"messages": []})).expect(400);
    let _ = count(&gateway, "plain", json!({"messages": "hello"})).expect(400);
}

/// Counting shows the prompt to a provider, so that the policy decides who that may be.
#[test]
fn no_backend_counts_a_prompt_that_it_must_not_see() {
    let backend = Backend::start(|_| Reply::json(200, &json!({"input_tokens": 5})));
    let gateway = Gateway::setup()
        .model("claude", Dialect::Anthropic, &backend)
        .routing("builtin = \"script\"")
        .settings("script = 'fn route(request, candidates) { deny(\"secret\", \"no\") }'")
        .start();
    let _ = count(&gateway, "claude", json!({})).expect(403);
    let _ = count(&gateway, "auto", json!({})).expect(403);
    assert!(backend.requests().is_empty());
    // A chat still needs its limit.
    let _ = gateway
        .post("/v1/messages", &json!({"model": "claude", "messages": [{"role": "user", "content": "a"}]}))
        .expect(400);
}
