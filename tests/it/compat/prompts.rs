//! Prompts that are no chats: OpenAI's completions and Ollama's `/api/generate`.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::post_json;
use wasmgate_tests::wire::{Dialect, Usage, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };

fn usage() -> Value {
    json!({"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14})
}

fn completion(texts: &[&str]) -> Value {
    let choice = |(index, text): (usize, &&str)| json!({"index": index, "text": text, "finish_reason": "stop", "logprobs": null});
    json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "backend-model",
        "choices": texts.iter().enumerate().map(choice).collect::<Vec<_>>(), "usage": usage()})
}

/// A stream of completions. Its usage comes in a frame of its own, if it was asked for.
fn chunks(asked: &Value, done: bool) -> Reply {
    let chunk = |text: &str, finish: Value| {
        format!(
            "data: {}\n\n",
            json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "backend-model",
            "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": null}]})
        )
    };
    let mut frames = vec![
        chunk("fn ", Value::Null),
        ": ping\n\n".to_owned(),
        chunk("main", Value::Null),
        chunk("", json!("length")),
    ];
    if asked["stream_options"]["include_usage"] == true {
        frames.push(format!("data: {}\n\n", json!({"id": "cmpl-1", "choices": [], "usage": usage()})));
    }
    if done {
        frames.push("data: [DONE]\n\n".to_owned());
    }
    Reply::stream("text/event-stream").frames(frames).end()
}

fn openai(setup: Setup) -> (Gateway, Backend) {
    let backend = Backend::start(|request| match request.json() {
        asked if asked["stream"] == true => chunks(&asked, asked["user"] != "unfinished"),
        _ => Reply::json(200, &completion(&["x"])),
    });
    (setup.model("gpt", Dialect::OpenAi, &backend).start(), backend)
}

#[test]
fn completions_pass_as_they_are() {
    let (gateway, backend) = openai(Gateway::setup());
    let bodies = [
        json!({"model": "gpt", "prompt": "def f(", "max_tokens": 8}),
        json!({"model": "gpt", "prompt": "def f(", "suffix": "return x", "temperature": 0, "stop": ["\n\n"], "seed": 5}),
        json!({"model": "gpt", "prompt": ["a", "b"], "n": 2, "best_of": 3, "echo": true, "logprobs": 5}),
        json!({"model": "gpt", "prompt": [1, 2, 3], "max_tokens": 0}),
        json!({"model": "gpt", "prompt": [[1, 2], [3]], "extra_of_one_server": {"a": [1]}}),
        json!({"prompt": "", "model": "gpt", "suffix": null, "stream": false, "user": "me", "logit_bias": {}}),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let answer = gateway.post("/v1/completions", body).expect(200);
        assert_eq!(answer.json(), completion(&["x"]));
        assert_eq!(answer.header("x-wasmgate-model"), "gpt");
        let seen = &backend.requests()[number];
        let mut expected = body.clone();
        expected["model"] = json!("backend-model");
        assert_eq!((seen.path.as_str(), seen.json()), ("/v1/completions", expected));
    }
    // Each is billed: 11 tokens of a dollar and 3 of two dollars a million.
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "gpt"), ("type", "output")], 18.0);
    let cost = gateway.metrics().value("api_gateway_cost_total", &[]);
    assert!((cost - 6.0 * 17e-6).abs() < 1e-9, "{cost}");
}

#[test]
fn streams_of_completions_pass_and_are_billed() {
    let (gateway, _backend) = openai(Gateway::setup());
    for (body, usage_seen) in [
        (json!({"model": "gpt", "prompt": "a", "stream": true}), false),
        (json!({"model": "gpt", "prompt": "a", "stream": true, "stream_options": {"include_usage": true}}), true),
        (json!({"model": "gpt", "prompt": "a", "stream": true, "user": "unfinished"}), false),
    ] {
        let data = gateway.stream("/v1/completions", &body).all();
        let text: String = data.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert_eq!(text, "fn main");
        assert!(data.last().unwrap().is_null(), "it ends with [DONE]: {data:?}");
        assert_eq!(data.iter().any(|chunk| chunk["usage"].is_object()), usage_seen);
    }
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "gpt"), ("type", "output")], 9.0);
}

/// A policy reads the prompt, and a prompt of tokens as their numbers: nothing passes it unread.
#[test]
fn policies_are_asked() {
    let script = r#"script = '''
fn route(request, candidates) {
    let text = "";
    for message in request.messages { text += message.text + "|"; }
    if text.contains("secret") || text.contains("5150") { deny("no_secrets", "no") } else { pass() }
}
'''"#;
    let (gateway, backend) = openai(Gateway::setup().routing("builtin = \"script\"").settings(script));
    for prompt in [json!("a secret"), json!(["a", "secret"]), json!([1, 5150, 2]), json!([[1], [5150]])] {
        let refused = gateway.post("/v1/completions", &json!({"model": "gpt", "prompt": prompt})).expect(403);
        assert_eq!(error_code("/v1/completions", &refused.json()), "no_secrets");
    }
    let _ = gateway.post("/v1/completions", &json!({"model": "gpt", "prompt": "a", "suffix": "secret"})).expect(403);
    assert!(backend.requests().is_empty());
    let _ = gateway.post("/v1/completions", &json!({"model": "gpt", "prompt": "plain"})).expect(200);
}

#[test]
fn a_prompt_that_no_backend_takes_is_named() {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::Anthropic.answer("Yes.", USAGE)));
    let gateway = Gateway::setup()
        .model("claude", Dialect::Anthropic, &backend)
        .model("local", Dialect::Ollama, &backend)
        .start();
    let path = "/v1/completions";
    for model in ["claude", "local", "auto"] {
        let refused = gateway.post(path, &json!({"model": model, "prompt": "def f("})).expect(400);
        assert_eq!(error_code(path, &refused.json()), "no_capable_model");
        assert!(refused.text().contains("`prompt`"), "{}", refused.text());
    }
    let nobody = gateway.post(path, &json!({"model": "nobody", "prompt": "a"})).expect(404);
    assert_eq!(error_code(path, &nobody.json()), "unknown_model");
    for wrong in [
        json!({"model": "claude"}),
        json!({"prompt": "a"}),
        json!({"model": "claude", "prompt": 5}),
        json!({"model": "claude", "prompt": [{}]}),
    ] {
        assert_eq!(error_code(path, &gateway.post(path, &wrong).expect(400).json()), "bad_request", "{wrong}");
    }
    // What is like a chat goes to backends of other dialects; what says how the prompt is put does not.
    let path = "/api/generate";
    for (field, value) in
        [("suffix", json!("x")), ("template", json!("{{ .Prompt }}")), ("raw", json!(true)), ("context", json!([1, 2]))]
    {
        let mut body = json!({"model": "claude", "prompt": "a", "stream": false});
        body[field] = value;
        let refused = gateway.post(path, &body).expect(400);
        assert!(refused.text().contains(&format!("`{field}`")), "{}", refused.text());
    }
    assert!(backend.requests().is_empty());
}

/// The simulated models of a first run answer completions, too.
#[test]
fn simulated_models_complete() {
    let gateway = Gateway::setup().start();
    let whole = gateway.post("/v1/completions", &json!({"model": "auto", "prompt": "Once"})).expect(200).json();
    assert_eq!(whole["object"], "text_completion");
    let text = whole["choices"][0]["text"].as_str().unwrap().to_owned();
    let options = json!({"include_usage": true});
    let body = json!({"model": "tinyllama", "prompt": "Once", "stream": true, "stream_options": options});
    let data = gateway.stream("/v1/completions", &body).all();
    let streamed: String = data.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert!(text.starts_with("This is a simulated") && streamed.starts_with("This is a simulated"));
    assert!(data.iter().any(|chunk| chunk["usage"]["completion_tokens"] == 24) && data.last().unwrap().is_null());
}

fn generated(text: &str, done: bool) -> Value {
    let mut line =
        json!({"model": "backend-model", "created_at": "2026-01-01T00:00:00Z", "response": text, "done": done});
    if done {
        line["done_reason"] = json!("stop");
        line["prompt_eval_count"] = json!(11);
        line["eval_count"] = json!(3);
        line["context"] = json!([1, 2, 3]);
    }
    line
}

/// Ollama's own servers get the request as it is, with everything that only they know.
#[test]
fn generate_passes_to_ollama_as_it_is() {
    let backend = Backend::start(|request| match request.json()["stream"] == false {
        true => Reply::json(200, &generated("Yes.", true)),
        false => Reply::stream("application/x-ndjson")
            .frames(
                [generated("Ye", false), generated("s.", false), generated("", true)].map(|line| format!("{line}\n")),
            )
            .end(),
    });
    let gateway = Gateway::setup().model("local", Dialect::Ollama, &backend).start();
    let bodies = [
        json!({"model": "local", "prompt": "Why?"}),
        json!({"model": "local", "prompt": "def f(", "suffix": "return", "options": {"num_ctx": 4096, "temperature": 0}}),
        json!({"model": "local", "prompt": "[INST]", "raw": true, "keep_alive": "5m"}),
        json!({"model": "local", "prompt": "a", "template": "{{ .Prompt }}", "system": "Be short", "context": [5, 6], "think": true}),
        json!({"model": "local", "prompt": "what is it?", "images": ["iVBORw0KGgo="], "format": "json"}),
    ];
    let mut number = 0;
    for body in &bodies {
        for stream in [true, false] {
            let mut body = body.clone();
            let text = if stream {
                let data = gateway.stream("/api/generate", &body).all();
                assert_eq!(data.last().unwrap()["context"], json!([1, 2, 3]));
                data.iter().filter_map(|line| line["response"].as_str().map(str::to_owned)).collect()
            } else {
                body["stream"] = json!(false);
                let answer = gateway.post("/api/generate", &body).expect(200).json();
                assert_eq!(answer, generated("Yes.", true));
                answer["response"].as_str().unwrap().to_owned()
            };
            assert_eq!(text, "Yes.");
            let seen = &backend.requests()[number];
            body["model"] = json!("backend-model");
            assert_eq!((seen.path.as_str(), seen.json()), ("/api/generate", body));
            number += 1;
        }
    }
    gateway.wait_metric("api_gateway_tokens_total", &[("model", "local"), ("type", "output")], 30.0);
}

/// For the others, a prompt is a chat of one message.
#[test]
fn generate_is_a_chat_for_other_backends() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let backend = Backend::start(move |request| match request.json()["stream"] == true {
            false => Reply::json(200, &dialect.answer("Yes.", USAGE)),
            true => Reply::stream(dialect.stream_type()).frames(dialect.frames(&["Ye", "s."], USAGE)).end(),
        });
        let gateway = Gateway::setup().model("cloud", dialect, &backend).start();
        let body = |stream: bool| {
            json!({"model": "cloud", "prompt": "Why?", "system": "Be short", "stream": stream, "raw": false, "context": [],
                "suffix": "", "template": "", "keep_alive": "5m", "options": {"num_predict": 50, "temperature": 0.5}})
        };
        let whole = gateway.post("/api/generate", &body(false)).expect(200).json();
        assert_eq!(
            (&whole["response"], &whole["done"], &whole["eval_count"]),
            (&json!("Yes."), &json!(true), &json!(3))
        );
        assert_eq!((&whole["model"], &whole["done_reason"]), (&json!("cloud"), &json!("stop")));
        let data = gateway.stream("/api/generate", &body(true)).all();
        let text: String = data.iter().filter_map(|line| line["response"].as_str()).collect();
        assert_eq!((text.as_str(), &data.last().unwrap()["done"]), ("Yes.", &json!(true)));
        let sent = backend.requests()[0].json();
        assert!(sent.to_string().contains("Be short") && sent["messages"].to_string().contains("Why?"), "{sent}");
        assert_eq!(sent["temperature"], 0.5);
        let picture = json!({"model": "cloud", "prompt": "what?", "images": ["iVBORw0KGgo="], "stream": false});
        let _ = gateway.post("/api/generate", &picture).expect(200);
        assert!(backend.requests()[2].json()["messages"].to_string().contains("iVBORw0KGgo="));
        let path = "/api/generate";
        for wrong in [
            json!({"prompt": "a"}),
            json!({"model": "cloud", "prompt": 5}),
            json!({"model": "cloud", "prompt": "a", "raw": "yes"}),
        ] {
            assert_eq!(error_code(path, &gateway.post(path, &wrong).expect(400).json()), "bad_request", "{wrong}");
        }
    }
}

/// A request without a prompt loads the model, or unloads it. Only Ollama's servers do either.
#[test]
fn a_request_without_a_prompt_loads_the_model() {
    let loads = Backend::start(|request| {
        let mut answer = json!({"model": "backend-model", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "load"});
        match request.path.as_str() {
            "/api/chat" => answer["message"] = json!({"role": "assistant", "content": ""}),
            _ => answer["response"] = json!(""),
        }
        Reply::json(200, &answer)
    });
    let other = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway =
        Gateway::setup().model("local", Dialect::Ollama, &loads).model("cloud", Dialect::OpenAi, &other).start();
    for (path, body) in [
        ("/api/generate", json!({"stream": false})),
        ("/api/generate", json!({"prompt": "", "keep_alive": "10m", "stream": false})),
        ("/api/chat", json!({"messages": [], "stream": false})),
    ] {
        for (model, backend) in [("local", Some(&loads)), ("cloud", None), ("auto", None)] {
            let mut body = body.clone();
            body["model"] = json!(model);
            let before = loads.requests().len();
            let answer = gateway.post(path, &body).expect(200).json();
            assert_eq!((&answer["done"], &answer["done_reason"]), (&json!(true), &json!("load")), "{path} {model}");
            assert!(answer.get(if path == "/api/chat" { "message" } else { "response" }).is_some());
            assert_eq!(loads.requests().len() - before, usize::from(backend.is_some()));
        }
    }
    let unload = gateway.post("/api/generate", &json!({"model": "cloud", "keep_alive": 0})).expect(200).json();
    assert_eq!(unload["done_reason"], "unload");
    let unknown = gateway.post("/api/generate", &json!({"model": "nobody"})).expect(404);
    assert_eq!(error_code("/api/generate", &unknown.json()), "unknown_model");
    assert!(other.requests().is_empty());
    // Programs send it with any content type.
    let _ = gateway.send(post_json("/api/generate", &json!({"model": "cloud"}))).expect(200);
}
