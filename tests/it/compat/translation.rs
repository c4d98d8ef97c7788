//! Requests between dialects: content arrives, hints arrive or are left out and named.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wire::{Dialect, Usage};

const USAGE: Usage = Usage { input: 17, output: 9 };
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Three models, each at a backend of its own dialect, all at one scripted server.
struct World {
    backend: Backend,
    gateway: Gateway,
}

impl World {
    fn new() -> Self {
        Self::with(|setup| setup)
    }

    fn with(more: impl FnOnce(wasmgate_tests::gateway::Setup) -> wasmgate_tests::gateway::Setup) -> Self {
        let backend = Backend::start(|request| {
            let dialect = dialect_of(request);
            if request.json()["stream"] == true {
                let frames = dialect.frames(&["Yes."], USAGE);
                return Reply::stream(dialect.stream_type()).frames(frames).end();
            }
            Reply::json(200, &dialect.answer("Yes.", USAGE))
        });
        let setup = Dialect::ALL
            .into_iter()
            .fold(Gateway::setup(), |setup, dialect| setup.model(dialect.kind(), dialect, &backend));
        let gateway = more(setup).start();
        Self { backend, gateway }
    }

    /// A request of a client to the model of a backend: the answer, and what the backend got.
    fn ask(&self, client: Dialect, to: Dialect, more: Value) -> (Response, Value) {
        self.backend.forget_requests();
        let response = self.gateway.post(client.path(), &body(client, to, more));
        let seen = self.backend.requests().last().map_or(Value::Null, Request::json);
        (response, seen)
    }
}

fn dialect_of(request: &Request) -> Dialect {
    Dialect::ALL.into_iter().find(|dialect| request.path.ends_with(dialect.path())).unwrap()
}

fn body(client: Dialect, to: Dialect, more: Value) -> Value {
    let mut body = json!({"model": to.kind(), "messages": [{"role": "user", "content": "Hi"}], "stream": false});
    if client == Dialect::Anthropic {
        body["max_tokens"] = json!(64);
    }
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn dropped(response: &Response) -> String {
    response.header("x-wasmgate-dropped").to_owned()
}

#[test]
fn hints_arrive_or_are_named() {
    use Dialect::{Anthropic, Ollama, OpenAi};
    let world = World::new();
    for (client, to, more, pointer, value, named) in [
        (Anthropic, OpenAi, json!({"thinking": {"type": "adaptive"}}), "/reasoning_effort", Value::Null, "thinking"),
        (
            Anthropic,
            OpenAi,
            json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
            "/reasoning_effort",
            json!("low"),
            "",
        ),
        (
            Anthropic,
            Ollama,
            json!({"thinking": {"type": "enabled", "budget_tokens": 30_000}}),
            "/think",
            json!("high"),
            "",
        ),
        (
            Anthropic,
            OpenAi,
            json!({"context_management": {"edits": []}}),
            "/context_management",
            Value::Null,
            "context_management",
        ),
        (
            Anthropic,
            Ollama,
            json!({"context_management": {"edits": []}}),
            "/context_management",
            Value::Null,
            "context_management",
        ),
        (Anthropic, OpenAi, json!({"output_config": {"effort": "max"}}), "/reasoning_effort", json!("high"), ""),
        (Anthropic, OpenAi, json!({"top_k": 5}), "/top_k", Value::Null, "top_k"),
        (Anthropic, Ollama, json!({"top_k": 5}), "/options/top_k", json!(5), ""),
        (OpenAi, Anthropic, json!({"reasoning_effort": "medium"}), "/output_config/effort", json!("medium"), ""),
        (OpenAi, Ollama, json!({"reasoning_effort": "medium"}), "/think", json!("medium"), ""),
        (OpenAi, Ollama, json!({"reasoning_effort": "none"}), "/think", json!(false), ""),
        (OpenAi, Anthropic, json!({"seed": 7, "presence_penalty": 1}), "/seed", Value::Null, "seed, presence_penalty"),
        (OpenAi, Ollama, json!({"presence_penalty": 1}), "/options/presence_penalty", json!(1.0), ""),
        (OpenAi, Anthropic, json!({"temperature": 1.7}), "/temperature", json!(1.0), "temperature"),
        (OpenAi, Anthropic, json!({"stop": ["\n", "END"]}), "/stop_sequences", json!(["END"]), "stop"),
        (OpenAi, Anthropic, json!({"brand_new": 1}), "/brand_new", Value::Null, "brand_new"),
        (
            Ollama,
            OpenAi,
            json!({"options": {"num_ctx": 32_768, "temperature": 0}, "keep_alive": "5m"}),
            "/temperature",
            json!(0.0),
            "options.num_ctx, keep_alive",
        ),
        (
            Ollama,
            Anthropic,
            json!({"options": {"num_ctx": 32_768}, "think": false}),
            "/num_ctx",
            Value::Null,
            "think, options.num_ctx",
        ),
        (Ollama, Anthropic, json!({"think": "high"}), "/output_config/effort", json!("high"), ""),
        (Ollama, OpenAi, json!({"options": {"temperature": 5}}), "/temperature", json!(2.0), "options.temperature"),
    ] {
        let about = format!("{client:?} to {to:?}: {more}");
        let (response, seen) = world.ask(client, to, more);
        let response = response.expect(200);
        assert_eq!(seen.pointer(pointer).unwrap_or(&Value::Null), &value, "{about}: {seen}");
        assert_eq!(dropped(&response), named, "{about}");
    }
    world.gateway.wait_metric("api_gateway_dropped_fields_total", &[("field", "context_management")], 2.0);
    world.gateway.wait_metric("api_gateway_dropped_fields_total", &[("field", "server_options")], 2.0);
    world.gateway.wait_metric("api_gateway_dropped_fields_total", &[("field", "metadata")], 0.0);
}

#[test]
fn a_request_in_the_backends_dialect_is_not_touched() {
    let world = World::new();
    for (dialect, more) in [
        (Dialect::OpenAi, json!({"n": 2, "logprobs": true, "brand_new": 1, "seed": 1})),
        (Dialect::Anthropic, json!({"thinking": {"type": "adaptive"}, "mcp_servers": [{}], "context_management": {}})),
        (Dialect::Ollama, json!({"think": true, "options": {"num_ctx": 9}, "keep_alive": -1})),
    ] {
        let (response, seen) = world.ask(dialect, dialect, more.clone());
        assert_eq!(dropped(&response.expect(200)), "");
        let mut expected = body(dialect, dialect, more);
        expected["model"] = json!("backend-model");
        assert_eq!(seen, expected);
    }
}

#[test]
fn content_without_a_counterpart_is_refused_by_its_name() {
    use Dialect::{Anthropic, Ollama, OpenAi};
    let world = World::new();
    let message = |content: Value| json!({"messages": [{"role": "user", "content": [content]}]});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (client, to, more, name) in [
        (OpenAi, Anthropic, json!({"n": 2}), "n"),
        (OpenAi, Ollama, json!({"logprobs": true}), "logprobs"),
        (OpenAi, Anthropic, json!({"web_search_options": {}}), "web_search_options"),
        (OpenAi, Ollama, json!({"tools": tools, "tool_choice": "required"}), "tool_choice"),
        (OpenAi, Anthropic, message(json!({"type": "input_audio", "input_audio": {}})), "messages[0].content[0].type"),
        (Anthropic, OpenAi, json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type"),
        (Anthropic, OpenAi, json!({"mcp_servers": [{"url": "https://x"}]}), "mcp_servers"),
        (
            Anthropic,
            Ollama,
            message(json!({"type": "document", "source": {"type": "url"}})),
            "messages[0].content[0].type",
        ),
        (Ollama, OpenAi, json!({"logprobs": true}), "logprobs"),
    ] {
        let (response, seen) = world.ask(client, to, more.clone());
        let text = response.expect(400).text();
        assert!(text.contains(&format!("`{name}`")), "{client:?} to {to:?} {more}: {text}");
        assert_eq!(seen, Value::Null);
    }
}

#[test]
fn a_backend_judges_what_is_odd_in_its_own_dialect() {
    use Dialect::{Anthropic, Ollama, OpenAi};
    let world = World::new();
    for (dialect, other, more, wrong) in [
        (OpenAi, Anthropic, json!({"temperature": 3}), "temperature is 3; a number from 0 to 2 is expected"),
        (OpenAi, Ollama, json!({"max_tokens": -1}), "max_tokens is -1; a whole number of at least 1 is expected"),
        (OpenAi, Anthropic, json!({"stop": [1]}), "stop[0] is a number"),
        (
            OpenAi,
            Ollama,
            json!({"messages": [{"role": "critic", "content": "x"}]}),
            "messages[0].role is an unknown word",
        ),
        (Anthropic, OpenAi, json!({"max_tokens": 0}), "max_tokens is 0"),
        (Anthropic, Ollama, json!({"tool_choice": {"type": "new"}}), "tool_choice.type is an unknown word"),
        (Ollama, OpenAi, json!({"format": "yaml"}), "format is an unknown word"),
    ] {
        let (response, seen) = world.ask(dialect, dialect, more.clone());
        let _ = response.expect(200);
        let mut expected = body(dialect, dialect, more.clone());
        expected["model"] = json!("backend-model");
        assert_eq!(seen, expected);
        let (response, seen) = world.ask(dialect, other, more.clone());
        let text = response.expect(400).text();
        assert!(text.contains(wrong) && text.contains("bad_request"), "{dialect:?} to {other:?} {more}: {text}");
        assert_eq!(seen, Value::Null);
    }
}

#[test]
fn strict_translation_refuses_what_lenient_translation_leaves_out() {
    let world = World::with(|setup| setup.server("translation = \"strict\""));
    for (client, to, more, name) in [
        (Dialect::Anthropic, Dialect::OpenAi, json!({"context_management": {"edits": []}}), Some("context_management")),
        (Dialect::OpenAi, Dialect::Anthropic, json!({"seed": 1}), Some("seed")),
        (Dialect::Ollama, Dialect::OpenAi, json!({"options": {"num_ctx": 5}}), Some("options.num_ctx")),
        (Dialect::Ollama, Dialect::OpenAi, json!({"keep_alive": "5m"}), None),
        (Dialect::OpenAi, Dialect::Anthropic, json!({"metadata": {"a": "b"}, "reasoning_effort": "low"}), None),
    ] {
        let (response, _) = world.ask(client, to, more.clone());
        match name {
            Some(name) => assert!(response.expect(400).text().contains(&format!("`{name}`")), "{more}"),
            None => drop(response.expect(200)),
        }
    }
    let exit = Gateway::setup().server("translation = \"loose\"").refused();
    assert!(exit.stderr.contains("unknown value `loose`") || exit.stderr.contains("lenient"), "{}", exit.stderr);
}

#[test]
fn a_whole_turn_of_a_coding_agent_reaches_any_backend() {
    let world = World::new();
    let cache = json!({"type": "ephemeral"});
    let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {"file_path": {"type": "string"}}, "required": ["file_path"], "additionalProperties": false});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}});
    let turn = json!({"stream": true, "max_tokens": 32_000, "temperature": 1,
        "system": [{"type": "text", "text": "You are an agent.", "cache_control": cache}, {"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "A reminder."},
                {"type": "text", "text": "Look at it.", "cache_control": cache}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "I need the tool.", "signature": ""},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a.png"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "Go on."},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "A picture"}, image]}]},
            {"role": "system", "content": [{"type": "text", "text": "Two.", "cache_control": cache}],
                "output_config": {"effort": "low"}}],
        "tools": [{"name": "Read", "description": "Reads.", "input_schema": schema, "defer_loading": true},
            {"name": "List", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": "user_a"}, "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"}});
    for to in [Dialect::OpenAi, Dialect::Ollama] {
        world.backend.forget_requests();
        let text = body(Dialect::Anthropic, to, turn.clone()).to_string();
        let headers = [("content-type", "application/json"), ("anthropic-beta", "context-management-2025-06-27")];
        let request = request("POST", "/v1/messages?beta=true", &headers, text.as_bytes());
        let response = world.gateway.send(request).expect(200);
        assert!(response.text().contains("message_stop"), "{}", response.text());
        for name in ["context_management", "cache_control", "tools[].defer_loading", "anthropic-beta"] {
            assert!(dropped(&response).contains(name), "{name}: {}", dropped(&response));
        }
        let seen = world.backend.only_request().json();
        let messages = seen["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool", "user", "system"], "{seen}");
        assert_eq!(messages[0]["content"], "You are an agent.\nBe brief.");
        assert_eq!(messages[1]["content"], "A reminder.\nLook at it.");
        let thinking = if to == Dialect::OpenAi { "reasoning_content" } else { "thinking" };
        assert_eq!(messages[2][thinking], "I need the tool.");
        assert_eq!(messages[3]["content"], "A picture");
        assert!(messages[4].to_string().contains(PICTURE) && messages[4].to_string().contains("Go on."), "{seen}");
        let parameters = &seen["tools"][0]["function"]["parameters"];
        assert_eq!((&parameters["$schema"], &parameters["required"]), (&Value::Null, &json!(["file_path"])));
        assert_eq!(seen["tools"][1]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    }
}

#[test]
fn openais_conversations_fit_the_turns_of_anthropic() {
    let world = World::new();
    let call = json!([{"id": "c.1", "type": "function", "function": {"name": "f", "arguments": ""}}]);
    for (messages, system, turns) in [
        (
            json!([{"role": "system", "content": "One."}, {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"}, {"role": "developer", "content": "Two."},
                {"role": "user", "content": "Go on"}]),
            json!("One."),
            json!([["user", "Hi"], ["assistant", "Hello"], ["user", "Two.", "Go on"]]),
        ),
        (
            json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "tool_calls": call},
                {"role": "system", "content": "Two."}, {"role": "tool", "tool_call_id": "c.1", "content": "1"}]),
            Value::Null,
            json!([["user", "Hi"], ["assistant", "tool_use"], ["user", "tool_result", "Two."]]),
        ),
        (json!([{"role": "system", "content": "Only this."}]), Value::Null, json!([["user", "Only this."]])),
        (
            json!([{"role": "assistant", "content": "Welcome."}, {"role": "user", "content": "Hi", "name": "ann"}]),
            Value::Null,
            json!([
                ["user", "(The conversation begins with the assistant.)"],
                ["assistant", "Welcome."],
                ["user", "Hi"]
            ]),
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": null}, {"role": "user", "content": "Yo"}]),
            Value::Null,
            json!([["user", "Hi", "Yo"]]),
        ),
    ] {
        let (response, seen) = world.ask(Dialect::OpenAi, Dialect::Anthropic, json!({"messages": messages}));
        let _ = response.expect(200);
        let said = |turn: &Value| match &turn["content"] {
            Value::String(text) => vec![turn["role"].clone(), json!(text)],
            blocks => {
                let block =
                    |block: &Value| if block["type"] == "text" { block["text"].clone() } else { block["type"].clone() };
                std::iter::once(turn["role"].clone()).chain(blocks.as_array().unwrap().iter().map(block)).collect()
            }
        };
        assert_eq!(seen["system"], system);
        let seen: Vec<_> = seen["messages"].as_array().unwrap().iter().map(said).collect();
        assert_eq!(json!(seen), turns);
    }
}

#[test]
fn schemas_and_limits_reach_anthropic() {
    let world = World::new();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "schema": schema});
    let openai = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
    let (response, seen) = world.ask(Dialect::OpenAi, Dialect::Anthropic, json!({"response_format": openai}));
    let _ = response.expect(200);
    assert_eq!((&seen["output_config"]["format"], &seen["max_tokens"]), (&format, &json!(32_000)));
    let (response, seen) = world.ask(Dialect::Ollama, Dialect::Anthropic, json!({"format": schema}));
    let _ = response.expect(200);
    assert_eq!(seen["output_config"]["format"], format);
    let (response, seen) = world.ask(Dialect::Anthropic, Dialect::Ollama, json!({"output_config": {"format": format}}));
    let _ = response.expect(200);
    assert_eq!(seen["format"], schema);
    let prompt = json!({"model": "anthropic", "prompt": "Hi"});
    world.backend.forget_requests();
    let _ = world.gateway.post("/api/v1/chat", &prompt).expect(200);
    assert_eq!(world.backend.only_request().json()["max_tokens"], 32_000);
}

#[test]
fn tools_keep_the_clients_names() {
    let long = format!("mcp__{}__list", "server".repeat(20));
    let backend = Backend::start(|request| {
        let asked = request.json();
        let name = asked["tools"][0]["function"]["name"].as_str().unwrap();
        let call =
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}});
        if asked["stream"] == true {
            let chunk = |delta: Value, finish: Value| {
                let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
                format!("data: {chunk}\n\n")
            };
            let frames = [
                chunk(json!({"tool_calls": [call]}), Value::Null),
                chunk(json!({}), json!("tool_calls")),
                "data: [DONE]\n\n".to_owned(),
            ];
            return Reply::stream("text/event-stream").frames(frames).end();
        }
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        Reply::json(
            200,
            &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}),
        )
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    for name in [long.as_str(), "größe/lesen", "plain"] {
        for stream in [false, true] {
            backend.forget_requests();
            let asked = json!({"model": "only", "max_tokens": 9, "stream": stream,
                "tools": [{"name": name, "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": name},
                "messages": [{"role": "user", "content": "x"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": name, "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}]});
            let answer = gateway.post("/v1/messages", &asked).expect(200).text();
            assert!(answer.contains(&format!("\"name\":\"{name}\"")), "{answer}");
            let seen = backend.only_request().json();
            let written = seen["tools"][0]["function"]["name"].as_str().unwrap().to_owned();
            assert!(written.len() <= 64 && written.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
            assert_eq!(seen["messages"][1]["tool_calls"][0]["function"]["name"], written.as_str());
            assert_eq!(seen["tool_choice"]["function"]["name"], written.as_str());
            assert_eq!(written == name, name == "plain");
        }
    }
}
