//! Which model answers, and how the decision shows: in the answer, in the headers, in the metrics.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::wire::{CLIENT_PATHS, Dialect, Usage, ask, error_code, keys, text_of};

/// The complexity policy's own table, which the gateway must agree with to the last bit.
const CASES: &str = include_str!("../../policies/complexity/tests/cases.toml");

#[test]
fn a_native_answer_tells_the_decision_and_the_bill() {
    let gateway = Gateway::setup().start();
    let response = gateway.chat("What is the capital of France?").expect(200);
    let answer = response.json();
    let members = [
        "id",
        "model",
        "backend",
        "response",
        "input_tokens",
        "output_tokens",
        "cost",
        "latency_seconds",
        "cached",
        "routing",
    ];
    assert_eq!(keys(&answer), members);
    let members = ["complexity", "tier", "reasoning", "estimated_cost", "policy", "version"];
    assert_eq!(keys(&answer["routing"]), members);
    assert_eq!(answer["model"], "tinyllama");
    assert_eq!(answer["backend"], "local-sim");
    assert_eq!(answer["cached"], false);
    assert_eq!(answer["cost"], 0.0, "a local model is free");
    assert_eq!(answer["output_tokens"], 24);
    assert_eq!(answer["routing"]["tier"], "low");
    assert_eq!(answer["routing"]["policy"], "complexity");
    assert!(answer["latency_seconds"].as_f64().unwrap() > 0.0);
    assert!(answer["response"].as_str().unwrap().contains("simulated"));

    let policy = format!("complexity@{}", answer["routing"]["version"].as_str().unwrap());
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("x-wasmgate-request-id"), answer["id"]);
    assert_eq!(response.header("x-wasmgate-model"), "tinyllama");
    assert_eq!(response.header("x-wasmgate-backend"), "local-sim");
    assert_eq!(response.header("x-wasmgate-policy"), policy);
    let complexity = response.header("x-wasmgate-complexity").parse::<f64>().unwrap();
    assert_eq!(answer["routing"]["complexity"], complexity);
    assert_eq!(response.header("x-wasmgate-cost-usd"), "0");

    let target = [("model", "tinyllama"), ("backend", "local")];
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success"), ("complexity", "low")], 1.0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_requests_total", &target), 1.0);
    assert_eq!(metrics.value("api_gateway_request_duration_seconds_count", &target), 1.0);
    assert_eq!(metrics.value("api_gateway_routing_latency_seconds_count", &[]), 1.0);
    let decision = [("policy", "complexity"), ("mode", "active"), ("model", "tinyllama"), ("outcome", "route")];
    assert_eq!(metrics.value("api_gateway_policy_decisions_total", &decision), 1.0);
    assert_eq!(metrics.value("api_gateway_policy_decisions_total", &[]), 1.0);
    assert_eq!(metrics.value("api_gateway_policy_evaluation_seconds_count", &[("policy", "complexity")]), 1.0);
    assert_eq!(metrics.value("api_gateway_policy_evaluation_seconds_count", &[("policy", "token-cost")]), 1.0);
    assert_eq!(metrics.value("api_gateway_policy_failures_total", &[]), 0.0);
}

#[test]
fn a_demanding_prompt_goes_to_the_cloud_and_costs_its_tokens() {
    let gateway = Gateway::setup().start();
    let prompt = "Design, implement and refactor a scheduler; build it like `fn main() { run(); }` and import it.";
    let answer = gateway.chat(prompt).expect(200).json();
    assert_eq!((&answer["model"], &answer["routing"]["tier"]), (&json!("claude-sonnet"), &json!("high")));
    let (input, output) = (answer["input_tokens"].as_f64().unwrap(), answer["output_tokens"].as_f64().unwrap());
    let expected = (input * 3.0 + output * 15.0) / 1e6;
    assert!((answer["cost"].as_f64().unwrap() - expected).abs() < 1e-12, "{answer}");
    assert!(answer["routing"]["estimated_cost"].as_f64().unwrap() > 0.0);
    gateway.wait_metric("api_gateway_requests_total", &[("backend", "cloud"), ("complexity", "high")], 1.0);
    let cost = gateway.metrics().value("api_gateway_cost_total", &[("model", "claude-sonnet")]);
    assert!((cost - expected).abs() < 1e-12, "{cost}");
}

#[test]
fn the_scoring_table_holds_over_http() {
    let gateway = Gateway::setup().start();
    let table: toml::Table = CASES.parse().unwrap();
    let cases = table["case"].as_array().unwrap();
    let mut asked = 0;
    for case in cases {
        let text = |key: &str| case.get(key).map_or("", |text| text.as_str().unwrap());
        let times = case.get("times").map_or(0, |times| usize::try_from(times.as_integer().unwrap()).unwrap());
        let prompt = [text("prompt"), &text("repeat").repeat(times), text("end")].concat();
        if prompt.trim().is_empty() {
            continue; // refused as a request, before any policy
        }
        let response = gateway.post("/api/v1/complexity", &json!({"prompt": prompt})).expect(200);
        let answer = response.json();
        // From the header: the reader of JSON here is not exact to the last bit, and the table is.
        let score = response.header("x-wasmgate-complexity").parse().ok();
        let got = (score, answer["tier"].as_str(), answer["recommended_model"].as_str());
        // Scores have six decimals at most, so that no sum of tenths ends in a row of zeros and a digit.
        let expected = case["score"].as_float().map(|score| (score * 1e6).round() / 1e6);
        let expected = (expected, case["tier"].as_str(), case["model"].as_str());
        assert_eq!(got, expected, "{}: {}", text("name"), answer["reasoning"]);
        assert!(response.text().contains(&format!("\"complexity\":{:?}", score.unwrap())), "{}", response.text());
        asked += 1;
    }
    assert!(asked >= 60, "{asked} cases");
    let metrics = gateway.metrics();
    let decisions = metrics.value("api_gateway_policy_decisions_total", &[("outcome", "route")]);
    assert_eq!(decisions, f64::from(asked));
    assert_eq!(metrics.value("api_gateway_requests_total", &[]), 0.0, "no model is asked");
}

#[test]
fn a_keyword_and_a_mark_count_wherever_they_stand() {
    let gateway = Gateway::setup().start();
    let reasoning = |prompt: &str| {
        let answer = gateway.post("/api/v1/complexity", &json!({"prompt": prompt})).expect(200).json();
        answer["reasoning"].as_str().unwrap().to_owned()
    };
    // Longer than what the policy looks at in one step, and ending anywhere in it.
    for before in 0..36 {
        let prompt = format!("{}DeSign? {}", "x ".repeat(before / 2) + &"x"[..before % 2], "y".repeat(before * 7 % 40));
        let reasoning = reasoning(&prompt);
        assert!(reasoning.contains("(design)") && reasoning.contains("question"), "{prompt}: {reasoning}");
    }
}

#[test]
fn an_explanation_shows_all_candidates_and_asks_none() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway = Gateway::setup()
        .model("first", Dialect::OpenAi, &backend)
        .model("second", Dialect::Anthropic, &backend)
        .start();
    let answer = gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json();
    let members = [
        "complexity",
        "tier",
        "reasoning",
        "recommended_model",
        "backend",
        "estimated_cost",
        "policy",
        "version",
        "candidates",
    ];
    assert_eq!(keys(&answer), members);
    let ranks: Vec<_> = answer["candidates"].as_array().unwrap().iter().map(|each| each["rank"].clone()).collect();
    assert_eq!(ranks, [1, 2]);
    assert_eq!(answer["recommended_model"], "first");
    assert!(backend.requests().is_empty());
}

#[test]
fn a_configured_name_is_the_clients_choice_in_every_dialect() {
    let gateway = Gateway::setup().start();
    for path in CLIENT_PATHS {
        for model in ["tinyllama", "phi2", "claude-sonnet"] {
            let response = gateway.post(path, &ask(path, model, "hello", false)).expect(200);
            assert_eq!(response.header("x-wasmgate-model"), model, "{path}");
            assert!(text_of(path, &[response.json()]).contains("simulated"), "{path}: {}", response.text());
        }
    }
}

#[test]
fn an_unknown_name_is_a_404_in_the_dialects_own_form() {
    let gateway = Gateway::setup().start();
    for path in CLIENT_PATHS {
        for stream in [false, true] {
            let response = gateway.post(path, &ask(path, "tinylama", "hello", stream)).expect(404);
            assert_eq!(error_code(path, &response.json()), "unknown_model");
            assert!(response.text().contains("tinyllama"), "the nearest is named: {}", response.text());
        }
    }
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 8.0);
}

#[test]
fn a_policy_may_deny_any_request() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).guest("denies").start();
    for path in CLIENT_PATHS {
        for model in ["auto", "only"] {
            let response = gateway.post(path, &ask(path, model, "hello", true)).expect(403);
            assert_eq!(error_code(path, &response.json()), "office_hours");
            assert!(response.text().contains("Ask again in the morning."));
        }
    }
    assert!(backend.requests().is_empty());
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_rejected_requests_total", &[("reason", "policy_denied")]), 8.0);
    let denied = [("policy", "denies"), ("outcome", "deny"), ("model", "none"), ("backend", "none")];
    assert_eq!(metrics.value("api_gateway_policy_decisions_total", &denied), 8.0);
    assert_eq!(metrics.value("api_gateway_requests_total", &[]), 0.0, "a denial is not an error");
}

#[test]
fn the_next_model_answers_where_the_first_fails() {
    let usage = Usage { input: 5, output: 7 };
    let good = Backend::start(move |_| Reply::json(200, &Dialect::OpenAi.answer("from the second", usage)));
    let failures: [(&str, Reply); 4] = [
        ("upstream_5xx", Reply::json(500, &json!({"error": {"message": "the secret of the backend"}}))),
        ("upstream_429", Reply::json(429, &json!({}))),
        ("upstream_auth", Reply::json(401, &json!({"error": {"message": "bad key sk-123"}}))),
        ("protocol", Reply::whole(200, "application/json", b"<html>")),
    ];
    for (reason, reply) in failures {
        let reply = std::sync::Mutex::new(Some(reply));
        let bad = Backend::start(move |_| reply.lock().unwrap().take().expect("asked once"));
        let gateway =
            Gateway::setup().model("first", Dialect::OpenAi, &bad).model("second", Dialect::OpenAi, &good).start();
        let response = gateway.chat("hello").expect(200);
        assert_eq!(response.json()["response"], "from the second", "{reason}");
        assert_eq!(response.header("x-wasmgate-model"), "second");
        let labels = [("from_model", "first"), ("to_model", "second"), ("reason", reason)];
        gateway.wait_metric("api_gateway_fallbacks_total", &labels, 1.0);
    }
    let gateway = Gateway::setup()
        .model_at("first", Dialect::OpenAi, &Backend::nowhere())
        .model("second", Dialect::OpenAi, &good)
        .start();
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "second");
    gateway.wait_metric("api_gateway_fallbacks_total", &[("reason", "connect")], 1.0);
}

#[test]
fn a_backend_that_takes_too_long_is_given_up() {
    let part = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\": ";
    type Script = fn(&[u8]) -> Reply;
    // The head of an answer that is no stream comes when all of it was generated: only the total bounds it.
    let scripts: [(&str, bool, Script); 3] = [
        ("head_seconds = 0.2", true, |_| Reply::silent().stall()),
        ("head_seconds = 0.1\ntotal_seconds = 0.2", false, |_| Reply::silent().stall()),
        ("total_seconds = 0.2", false, |part| Reply::raw(part).stall()),
    ];
    for (timeout, stream, script) in scripts {
        let slow = Backend::start(move |_| script(part));
        let gateway = Gateway::setup()
            .model("slow", Dialect::OpenAi, &slow)
            .models(&format!("[backends.slow.timeouts]\n{timeout}\n"))
            .start();
        let response = gateway.post("/v1/messages", &ask("/v1/messages", "slow", "hello", stream)).expect(504);
        assert_eq!(error_code("/v1/messages", &response.json()), "backend_timeout", "{timeout}");
        slow.wait_abandoned(1);
        gateway.wait_metric("api_gateway_errors_total", &[("backend", "local"), ("reason", "timeout")], 1.0);
    }
}

#[test]
fn a_backend_that_keeps_failing_is_down_and_one_answer_brings_it_back() {
    let usage = Usage { input: 1, output: 1 };
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let backend = Backend::start(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0..3 => Reply::json(500, &json!({})),
        _ => Reply::json(200, &Dialect::OpenAi.answer("back", usage)),
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let up = [("upstream", "only")];
    for _ in 0..3 {
        assert_eq!(gateway.metrics().value("api_gateway_upstream_up", &up), 1.0);
        let _ = gateway.chat("hello").expect(502);
    }
    assert_eq!(gateway.metrics().value("api_gateway_upstream_up", &up), 0.0);
    let _ = gateway.get("/health").expect(503);
    let _ = gateway.chat("hello").expect(200);
    assert_eq!(gateway.metrics().value("api_gateway_upstream_up", &up), 1.0);
}

#[test]
fn where_no_model_answers_the_first_failure_is_told_and_no_fallback_counted() {
    let first = Backend::start(|_| Reply::json(500, &json!({})));
    let second = Backend::start(|_| Reply::json(429, &json!({})));
    let gateway =
        Gateway::setup().model("first", Dialect::OpenAi, &first).model("second", Dialect::OpenAi, &second).start();
    let response = gateway.chat("hello").expect(502);
    assert_eq!(error_code("/api/v1/chat", &response.json()), "backend_error");
    assert_eq!(response.header("x-wasmgate-model"), "first");
    gateway.wait_metric("api_gateway_requests_total", &[("model", "first"), ("status", "error")], 1.0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_errors_total", &[("reason", "upstream_5xx")]), 1.0);
    assert_eq!(metrics.find("api_gateway_fallbacks_total", &[]), None);
}

#[test]
fn a_model_name_of_any_length_is_refused_at_once() {
    let gateway = Gateway::setup().start();
    let body = json!({"model": "m".repeat(1_000_000), "prompt": "hello"});
    let _ = gateway.post("/api/v1/chat", &body).expect(404);
}

#[test]
fn an_answer_that_breaks_off_is_never_passed_on_as_whole() {
    let part = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\": ";
    let backend = Backend::start(|_| Reply::raw(part).cut());
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    for path in CLIENT_PATHS {
        let response = gateway.post(path, &ask(path, "only", "hello", false)).expect(502);
        assert_eq!(error_code(path, &response.json()), "stream_cut");
    }
    gateway.wait_metric("api_gateway_errors_total", &[("reason", "protocol")], 4.0);
}

#[test]
fn a_backends_own_words_never_reach_the_client() {
    let backend = Backend::start(|_| Reply::json(500, &json!({"error": {"message": "stack trace at secret.py:7"}})));
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    for path in CLIENT_PATHS {
        let response = gateway.post(path, &ask(path, "only", "hello", true)).expect(502);
        assert_eq!(error_code(path, &response.json()), "backend_error");
        assert!(!response.text().contains("secret"), "{}", response.text());
    }
    gateway.wait_metric("api_gateway_errors_total", &[("backend", "local"), ("reason", "upstream_5xx")], 4.0);
    let errors = gateway.metrics().value("api_gateway_requests_total", &[("model", "only"), ("status", "error")]);
    assert_eq!(errors, 4.0);
}

#[test]
fn tools_and_images_go_only_where_they_are_understood() {
    let gateway = Gateway::setup().start();
    let tool = json!({"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}});
    let image = json!([{"type": "text", "text": "hi"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]);
    let requests = [
        json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}),
        json!({"model": "auto", "messages": [{"role": "user", "content": image}]}),
        json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}],
            "response_format": {"type": "json_object"}}),
    ];
    for request in requests {
        let response = gateway.post("/v1/chat/completions", &request).expect(200);
        assert_eq!(response.header("x-wasmgate-model"), "claude-sonnet", "{request}");
    }
}

#[test]
fn what_no_model_can_do_is_refused() {
    let models = "[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n";
    let gateway = Gateway::setup().models(models).start();
    let tools = json!([{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]);
    let request = json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": tools});
    let response = gateway.post("/v1/chat/completions", &request).expect(400);
    assert_eq!(error_code("/v1/chat/completions", &response.json()), "no_capable_model");
}

#[test]
fn the_default_asks_models_that_are_down_last() {
    let usage = Usage { input: 5, output: 7 };
    let backend = Backend::start(move |_| Reply::json(200, &Dialect::OpenAi.answer("Yes.", usage)));
    let down = format!(
        "[backends.down]\nkind = \"openai\"\nurl = {:?}\nprobe_interval_seconds = 0.05\n\
         [models.down]\nbackend = \"down\"\n",
        Backend::nowhere()
    );
    let gateway = Gateway::setup().models(&down).model("up", Dialect::OpenAi, &backend).guest("passes").start();
    gateway.wait_metric("api_gateway_upstream_up", &[("upstream", "down")], 0.0);
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-model"), "up");
    gateway.wait_metric("api_gateway_requests_total", &[("model", "up"), ("status", "success")], 1.0);
    assert_eq!(gateway.metrics().find("api_gateway_fallbacks_total", &[]), None, "it was not tried first");
}

#[test]
fn the_built_in_policies_route() {
    for policy in ["complexity", "cheapest-healthy", "latency-aware", "budget-guard"] {
        let gateway = Gateway::setup().routing(&format!("builtin = {policy:?}")).start();
        let response = gateway.chat("hello").expect(200);
        assert!(response.header("x-wasmgate-policy").starts_with(&format!("{policy}@")), "{policy}");
        let failures = gateway.metrics().value("api_gateway_policy_failures_total", &[]);
        assert_eq!(failures, 0.0, "{policy}");
    }
}

#[test]
fn settings_reach_the_policy() {
    let gateway =
        Gateway::setup().settings("low-below = 0.0\nmedium-models = [\"claude-sonnet\"]\nhigh-models = []").start();
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "claude-sonnet");
}

#[test]
fn embeddings_pass_through_to_the_model_named() {
    let answer = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "model": "backend-model", "usage": {"prompt_tokens": 9, "total_tokens": 9}});
    let given = answer.clone();
    let backend = Backend::start(move |_| Reply::json(200, &given));
    let gateway = Gateway::setup().model("embedder", Dialect::OpenAi, &backend).start();
    let request = json!({"model": "embedder", "input": ["a", "b"], "dimensions": 2, "x_unknown": {"deep": [1, null]}});
    assert_eq!(gateway.post("/v1/embeddings", &request).expect(200).json(), answer);
    let mut expected = request;
    expected["model"] = json!("backend-model");
    let seen = backend.only_request();
    assert_eq!((seen.path.as_str(), seen.json()), ("/v1/embeddings", expected));
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "embedder"), ("type", "input")], 9.0);
    let unknown = gateway.post("/v1/embeddings", &json!({"model": "auto", "input": "a"})).expect(404);
    assert_eq!(error_code("/v1/embeddings", &unknown.json()), "unknown_model");
}

#[test]
fn embeddings_are_asked_for_again_and_spared_a_model_that_keeps_failing() {
    let answer = json!({"object": "list", "data": [], "usage": {"prompt_tokens": 9, "total_tokens": 9}});
    let backend = Backend::start(move |request| match request.number {
        0 => Reply::json(503, &json!({})),
        1 => Reply::json(200, &answer),
        _ => Reply::json(500, &json!({})),
    });
    let models = format!(
        "[backends.b]\nkind = \"openai\"\nurl = \"{}\"\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 2, pause_ms = 1 }}\nbreaker = {{ min_calls = 4, retry_seconds = 100 }}\n\
         [models.embedder]\nbackend = \"b\"\n",
        backend.url()
    );
    let gateway = Gateway::setup().models(&models).server("retry_budget_percent = 100").start();
    let request = json!({"model": "embedder", "input": "a"});
    let answered = gateway.post("/v1/embeddings", &request).expect(200);
    assert_eq!(answered.header("x-wasmgate-failed-attempts"), "embedder upstream_5xx");
    gateway.wait_metric("api_gateway_retries_total", &[("upstream", "b"), ("reason", "upstream_5xx")], 1.0);
    let failed = gateway.post("/v1/embeddings", &request).expect(502);
    assert_eq!(failed.header("x-wasmgate-failed-attempts"), "embedder upstream_5xx, embedder upstream_5xx");
    let spared = gateway.post("/v1/embeddings", &request).expect(503);
    assert_eq!(error_code("/v1/embeddings", &spared.json()), "breaker_open");
    assert_eq!(backend.requests().len(), 4);
}

#[test]
fn the_pages_tell_what_there_is() {
    let gateway = Gateway::setup().start();
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 1.0);
    assert_eq!(gateway.get("/").expect(200).json()["status"], "alive");
    let health = gateway.get("/health").expect(200).json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["policies"]["routing"]["name"], "complexity");
    assert_eq!(health["policies"]["routing"]["digest"].as_str().unwrap().len(), 64);
    let models = gateway.get("/api/v1/models").expect(200).json();
    let prices: Vec<&Value> = models["models"].as_array().unwrap().iter().map(|model| &model["price"]).collect();
    assert_eq!(prices[0]["input_usd_per_million_tokens"], 0.0);
    assert_eq!(prices[2]["output_usd_per_million_tokens"], 15.0);
    let names = |list: Value| -> Vec<Value> {
        list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect()
    };
    assert_eq!(names(gateway.get("/v1/models").expect(200).json()), ["auto", "tinyllama", "phi2", "claude-sonnet"]);
    let stats = gateway.get("/api/v1/stats").expect(200).json();
    assert_eq!((&stats["requests"], &stats["errors"], &stats["local_share"]), (&json!(1), &json!(0), &json!(1.0)));
}

#[test]
fn an_unpriced_model_has_no_cost_rather_than_none() {
    let models = r#"
        [backends.cloud]
        kind = "sim"
        location = "cloud"
        sim = { latency_ms = 0, tokens_per_second = inf }
        [models.unpriced]
        backend = "cloud"
    "#;
    let gateway = Gateway::setup().models(models).start();
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.json()["cost"], Value::Null);
    assert_eq!(response.head.header("x-wasmgate-cost-usd"), None);
    let price = &gateway.get("/api/v1/models").expect(200).json()["models"][0]["price"];
    assert_eq!(*price, Value::Null);
}
