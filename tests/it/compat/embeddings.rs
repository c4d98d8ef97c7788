//! Embeddings: each form of request, at each kind of backend.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::wire::{Dialect, error_code};

/// Vectors of two numbers; their base64 as little-endian floats of 32 bits.
const VECTORS: [[f64; 2]; 2] = [[0.5, -1.0], [2.0, 0.25]];
const BASE64: [&str; 2] = ["AAAAPwAAgL8=", "AAAAQAAAgD4="];

fn openai_answer(count: usize) -> Value {
    // The order of a server is not that of the inputs.
    let data =
        (0..count).rev().map(|index| json!({"object": "embedding", "index": index, "embedding": VECTORS[index]}));
    json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": "backend-model",
        "usage": {"prompt_tokens": 7, "total_tokens": 7}})
}

fn ollama_answer(count: usize) -> Value {
    json!({"model": "backend-model", "embeddings": VECTORS[..count], "total_duration": 5, "prompt_eval_count": 7})
}

fn start(dialect: Dialect) -> (Gateway, Backend) {
    let backend = Backend::start(move |request| {
        let count = request.json()["input"].as_array().map_or(1, Vec::len).min(2);
        Reply::json(200, &if dialect == Dialect::Ollama { ollama_answer(count) } else { openai_answer(count) })
    });
    (setup(dialect, &backend).start(), backend)
}

fn setup(dialect: Dialect, backend: &Backend) -> Setup {
    Gateway::setup().model("vectors", dialect, backend)
}

#[test]
fn openais_requests_are_answered_by_ollama() {
    let (gateway, backend) = start(Dialect::Ollama);
    let path = "/v1/embeddings";
    let ask = |input: Value, more: &[(&str, Value)]| {
        let mut body = json!({"model": "vectors", "input": input});
        more.iter().for_each(|(key, value)| body[*key] = value.clone());
        gateway.post(path, &body)
    };
    let vectors = |answer: &Value| {
        answer["data"].as_array().unwrap().iter().map(|vector| vector["embedding"].clone()).collect::<Vec<_>>()
    };
    let one = ask(json!("a"), &[]).expect(200).json();
    assert_eq!(vectors(&one), [json!(VECTORS[0])]);
    assert_eq!(
        (&one["object"], &one["model"], &one["usage"]),
        (&json!("list"), &json!("vectors"), &json!({"prompt_tokens": 7, "total_tokens": 7}))
    );
    let two =
        ask(json!(["a", "b"]), &[("encoding_format", json!("float")), ("dimensions", json!(2))]).expect(200).json();
    assert_eq!(vectors(&two), [json!(VECTORS[0]), json!(VECTORS[1])]);
    let coded =
        ask(json!(["a", "b"]), &[("encoding_format", json!("base64")), ("user", json!("me"))]).expect(200).json();
    assert_eq!(vectors(&coded), BASE64);
    let seen = backend.requests();
    assert!(seen.iter().all(|request| request.path == "/api/embed"));
    assert_eq!(seen[0].json(), json!({"input": "a", "model": "backend-model"}));
    assert_eq!(seen[1].json(), json!({"dimensions": 2, "input": ["a", "b"], "model": "backend-model"}));
    for tokens in [json!([1, 2]), json!([[1], [2]])] {
        let refused = ask(tokens, &[]).expect(400);
        assert_eq!(error_code(path, &refused.json()), "no_capable_model");
        assert!(refused.text().contains("`input`"), "{}", refused.text());
    }
    assert_eq!(backend.requests().len(), 3);
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "vectors"), ("type", "input")], 21.0);
}

#[test]
fn ollamas_requests_are_answered_by_openai() {
    let (gateway, backend) = start(Dialect::OpenAi);
    let two = json!({"model": "vectors", "input": ["a", "b"], "truncate": true, "keep_alive": "5m", "options": {"num_ctx": 5}, "dimensions": 2});
    let answer = gateway.post("/api/embed", &two).expect(200).json();
    assert_eq!(answer, json!({"model": "vectors", "embeddings": VECTORS, "prompt_eval_count": 7}));
    assert_eq!(backend.requests()[0].path, "/v1/embeddings");
    assert_eq!(backend.requests()[0].json(), json!({"dimensions": 2, "input": ["a", "b"], "model": "backend-model"}));
    let one = gateway.post("/api/embed", &json!({"model": "vectors", "input": "a"})).expect(200).json();
    assert_eq!(one["embeddings"], json!([VECTORS[0]]));
    let older = gateway.post("/api/embeddings", &json!({"model": "vectors", "prompt": "a"})).expect(200).json();
    assert_eq!(older, json!({"embedding": VECTORS[0]}));
    assert_eq!(backend.requests()[2].json(), json!({"input": "a", "model": "backend-model"}));
    for (path, wrong) in [
        ("/api/embed", json!({"model": "vectors"})),
        ("/api/embed", json!({"model": "vectors", "input": 5})),
        ("/api/embeddings", json!({"model": "vectors", "input": "a"})),
        ("/api/embeddings", json!({"model": "vectors", "prompt": ["a"]})),
    ] {
        assert_eq!(error_code(path, &gateway.post(path, &wrong).expect(400).json()), "bad_request", "{wrong}");
    }
}

#[test]
fn ollamas_requests_pass_to_ollama() {
    let (gateway, backend) = start(Dialect::Ollama);
    let body = json!({"model": "vectors", "input": ["a", "b"], "truncate": false, "new_field": 1});
    assert_eq!(gateway.post("/api/embed", &body).expect(200).json(), ollama_answer(2));
    let mut sent = body.clone();
    sent["model"] = json!("backend-model");
    assert_eq!(backend.requests()[0].json(), sent);
    let older = json!({"model": "vectors", "prompt": "a", "keep_alive": 0, "options": {"num_ctx": 5}});
    assert_eq!(gateway.post("/api/embeddings", &older).expect(200).json(), json!({"embedding": VECTORS[0]}));
    let sent = backend.requests()[1].json();
    assert_eq!(sent, json!({"keep_alive": 0, "options": {"num_ctx": 5}, "input": "a", "model": "backend-model"}));
}

#[test]
fn an_error_in_an_answer_with_status_200_is_a_failure() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let backend = Backend::start(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::json(200, &json!({"error": {"message": "slow down", "code": 503}})),
        1 => Reply::json(200, &openai_answer(1)),
        _ => Reply::json(
            200,
            &json!({"error": {"message": "no such input", "code": 400, "type": "invalid_request_error"}}),
        ),
    });
    let models = format!(
        "[backends.vectors]\nkind = \"openai\"\nurl = \"{}\"\nprobe_interval_seconds = 0\n\
         retries = {{ attempts = 2, pause_ms = 1, busy_pause_ms = 1 }}\n[models.vectors]\nbackend = \"vectors\"\n",
        backend.url()
    );
    let gateway = Gateway::setup().server("retry_budget_percent = 100").models(&models).start();
    let asked = json!({"model": "vectors", "input": "a"});
    let answer = gateway.post("/v1/embeddings", &asked).expect(200).json();
    assert_eq!(answer["data"][0]["embedding"], json!(VECTORS[0]));
    let refused = gateway.post("/v1/embeddings", &asked).expect(400).text();
    assert!(refused.contains("no such input"), "{refused}");
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn who_has_no_vectors_says_so() {
    let backend = Backend::start(|_| Reply::json(200, &json!({"nothing": true})));
    let gateway = Gateway::setup()
        .model("claude", Dialect::Anthropic, &backend)
        .model("local", Dialect::Ollama, &backend)
        .start();
    for path in ["/v1/embeddings", "/api/embed"] {
        let refused = gateway.post(path, &json!({"model": "claude", "input": "a"})).expect(400);
        assert_eq!(error_code(path, &refused.json()), "no_capable_model");
        let unknown = gateway.post(path, &json!({"model": "nobody", "input": "a"})).expect(404);
        assert_eq!(error_code(path, &unknown.json()), "unknown_model");
    }
    // What is translated must be understood, and what is forwarded need not be.
    let odd = gateway.post("/v1/embeddings", &json!({"model": "local", "input": "a"})).expect(502);
    assert_eq!(error_code("/v1/embeddings", &odd.json()), "backend_protocol");
    let odd = gateway.post("/api/embed", &json!({"model": "local", "input": "a"})).expect(200);
    assert_eq!(odd.json(), json!({"nothing": true}));
    // Simulated models have vectors in all forms.
    let gateway = Gateway::setup().start();
    for (path, field) in [("/v1/embeddings", "data"), ("/api/embed", "embeddings")] {
        let answer = gateway.post(path, &json!({"model": "phi2", "input": ["a", "b", "c"]})).expect(200).json();
        assert_eq!(answer[field].as_array().unwrap().len(), 3);
    }
}
