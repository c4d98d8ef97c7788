//! Large requests and answers: they are bounded, their work grows no faster than they do, and other clients are answered
//! meanwhile.

use std::fmt::Write as _;
use std::thread;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{post_json, request};
use wasmgate_tests::wire::{Dialect, Usage, ask, error_code};

const USAGE: Usage = Usage { input: 11, output: 3 };

/// A gateway in front of a backend of that dialect. No policy reads the request, so that only the gateway's own work counts.
fn plain(dialect: Dialect, server: &str) -> (Gateway, Backend) {
    let backend = Backend::start(move |_| Reply::json(200, &dialect.answer("Yes.", USAGE)));
    (start(Gateway::setup().server(server).model("only", dialect, &backend)), backend)
}

fn start(setup: Setup) -> Gateway {
    setup.routing("enabled = false").cost("enabled = false").variable("TOKIO_WORKER_THREADS", "1").start()
}

/// So many elements of a JSON list.
fn repeat(element: &str, count: usize) -> String {
    let mut list = String::with_capacity((element.len() + 1) * count);
    for index in 0..count {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(list, "{comma}{element}");
    }
    list
}

/// Conversations of 7 MB whose tool results belong to no call. A search of the whole conversation for each result takes
/// minutes for them, far beyond `total_seconds`.
#[test]
fn a_conversation_of_many_tool_results_keeps_nobody_waiting() {
    let results = repeat(r#"{"role":"tool","tool_call_id":"x","content":""}"#, 150_000);
    let calls = repeat(r#"{"function":{"name":"f"}}"#, 75_000);
    let others = repeat(r#"{"role":"tool","tool_call_id":"y","content":""}"#, 100_000);
    let asked = [
        ("/v1/chat/completions", format!(r#"{{"model":"only","messages":[{results}]}}"#)),
        (
            "/api/chat",
            format!(
                r#"{{"model":"only","stream":false,"messages":[{{"role":"assistant","content":"","tool_calls":[{calls}]}},{others}]}}"#
            ),
        ),
    ];
    let backend = Backend::start(|_| Reply::json(200, &Dialect::Ollama.answer("Yes.", USAGE)));
    let gateway = start(
        Gateway::setup()
            .server("max_messages = 1000000\nmax_parts = 1000000\nmax_prompt_chars = 1000000")
            .model("only", Dialect::Ollama, &backend)
            .models("[models.only.timeouts]\ntotal_seconds = 40\n"),
    );
    for (path, body) in asked {
        let bytes = request("POST", path, &[("content-type", "application/json")], body.as_bytes());
        let mut client = gateway.connect();
        let asking = thread::spawn(move || client.send(bytes).response());
        while !asking.is_finished() {
            let _ = gateway.get("/").expect(200);
        }
        let _ = asking.join().unwrap().expect(200);
    }
    assert_eq!(backend.requests().len(), 2);
}

/// A frame of a stream in which a backend begins 60,000 tool calls.
#[test]
fn an_answer_with_too_many_tool_calls_is_refused() {
    let mut fragments = String::new();
    for index in 0..60_000 {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(fragments, r#"{comma}{{"index":{index}}}"#);
    }
    let calls = format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{fragments}]}}}}]}}"#);
    let frames = [format!("data: {calls}\n\n"), "data: [DONE]\n\n".to_owned()];
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let mut answer = Dialect::OpenAi.answer("", USAGE);
    answer["choices"][0]["message"]["tool_calls"] = json!(vec![call; 1025]);
    for streamed in [true, false] {
        let (frames, answer) = (frames.clone(), answer.clone());
        let backend = Backend::start(move |_| match streamed {
            true => Reply::stream("text/event-stream").frames(&frames).end(),
            false => Reply::json(200, &answer),
        });
        let gateway = start(Gateway::setup().model("only", Dialect::OpenAi, &backend));
        let path = "/v1/messages";
        let response = gateway.post(path, &ask(path, "only", "hello", streamed)).expect(502);
        assert_eq!(error_code(path, &response.json()), "backend_protocol");
        let line = gateway.process.wait_line("1024");
        assert!(line.contains("at most 1024 are expected"), "{line}");
    }
}

/// Some encoders keep an answer until its end, so a stream has the bound of an answer that is not streamed.
#[test]
fn a_stream_longer_than_any_answer_ends_in_an_error() {
    let text = "x".repeat(4_000_000);
    let backend = Backend::start(move |_| {
        Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&[text.as_str(); 9], USAGE)).end()
    });
    let gateway = start(Gateway::setup().model("only", Dialect::OpenAi, &backend));
    for path in ["/api/v1/chat", "/v1/chat/completions"] {
        let data = gateway.stream(path, &ask(path, "only", "hello", true)).all();
        let last = data.last().unwrap();
        assert_eq!(error_code(path, last), "backend_protocol");
        assert!(last.to_string().contains("32 MiB"), "{last}");
    }
}

/// Each bound in each dialect that has it: the longest list is taken, and the first element above it is named.
#[test]
fn a_list_above_its_bound_is_refused_by_name() {
    let (gateway, backend) = plain(Dialect::OpenAi, "max_messages = 3\nmax_parts = 5\nmax_tools = 2");
    let text = json!({"role": "user", "content": "hi"});
    let texts = |count: usize| json!(vec![json!({"type": "text", "text": "hi"}); count]);
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let result = json!({"type": "tool_result", "tool_use_id": "c", "content": "1"});
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    let own_tool = json!({"name": "f", "input_schema": {}});
    let bare_call = json!({"function": {"name": "f"}});
    let chat = |messages: Value| json!({"model": "only", "max_tokens": 5, "stream": false, "messages": messages});
    let with_tools = |tool: &Value, count: usize| {
        let mut body = chat(json!([text]));
        body["tools"] = json!(vec![tool; count]);
        body
    };
    let (openai, anthropic, ollama) = ("/v1/chat/completions", "/v1/messages", "/api/chat");
    let repeated = |count: usize| chat(json!(vec![&text; count]));
    type Build<'a> = Box<dyn Fn(usize) -> Value + 'a>;
    let cases: Vec<(&str, usize, Build<'_>, &str)> = vec![
        (openai, 3, Box::new(repeated), "messages[3]"),
        (anthropic, 3, Box::new(repeated), "messages[3]"),
        (ollama, 3, Box::new(repeated), "messages[3]"),
        (openai, 5, Box::new(|n| chat(json!([{"role": "user", "content": texts(n)}]))), "messages[0].content[5]"),
        (anthropic, 5, Box::new(|n| chat(json!([{"role": "user", "content": texts(n)}]))), "messages[0].content[5]"),
        (
            openai,
            4,
            Box::new(|n| chat(json!([text, {"role": "assistant", "tool_calls": vec![&call; n]}]))),
            "messages[1].tool_calls[4]",
        ),
        (
            ollama,
            4,
            Box::new(|n| chat(json!([text, {"role": "assistant", "tool_calls": vec![&bare_call; n]}]))),
            "messages[1].tool_calls[4]",
        ),
        // Each result is a message of its own for all other dialects and for policies.
        (
            anthropic,
            2,
            Box::new(|n| chat(json!([text, {"role": "user", "content": vec![&result; n]}]))),
            "messages[1].content[2]",
        ),
        (openai, 2, Box::new(|n| with_tools(&function, n)), "tools[2]"),
        (anthropic, 2, Box::new(|n| with_tools(&own_tool, n)), "tools[2]"),
        (ollama, 2, Box::new(|n| with_tools(&function, n)), "tools[2]"),
    ];
    let refused = cases.len();
    for (path, most, body, field) in cases {
        let request = |count: usize| {
            let mut body = body(count);
            if path == ollama {
                // Its dialect has another name for it.
                let _ = body.as_object_mut().unwrap().remove("max_tokens");
            }
            body
        };
        let _ = gateway.post(path, &request(most)).expect(200);
        let response = gateway.post(path, &request(most + 1)).expect(413);
        assert_eq!(error_code(path, &response.json()), "too_large");
        assert!(response.text().contains(&format!("{field} is one ")), "{path}: {}", response.text());
        assert!(response.text().contains("too many; at most "), "{path}: {}", response.text());
    }
    assert_eq!(backend.requests().len(), refused, "the backend saw what was taken and nothing else");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "too_large")], refused as f64);
}

/// The estimate of a prompt, as the first event of Anthropic's streams reports it.
fn estimate(gateway: &Gateway, members: &Value) -> u64 {
    let mut body = ask("/v1/messages", "only", "hello", true);
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let first = gateway.stream("/v1/messages", &body).data().unwrap();
    first["message"]["usage"]["input_tokens"].as_u64().unwrap()
}

#[test]
fn tools_calls_results_and_images_are_part_of_the_estimate() {
    let frames = Dialect::OpenAi.frames(&["Yes."], USAGE);
    let backend = Backend::start(move |_| Reply::stream("text/event-stream").frames(&frames).end());
    let gateway = start(Gateway::setup().model("only", Dialect::OpenAi, &backend));
    let bare = estimate(&gateway, &json!({}));
    let words = "one two three four five six seven eight nine ten ".repeat(40);
    let call = |input: Value, result: &str| {
        json!({"messages": [{"role": "user", "content": "hello"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": input}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": result}]}]})
    };
    let picture = json!({"type": "image", "source": {"type": "url", "url": "https://pictures.test/a.png"}});
    for (what, members, most) in [
        ("a description", json!({"tools": [{"name": "f", "description": words, "input_schema": {}}]}), 600),
        ("a schema", json!({"tools": [{"name": "f", "input_schema": {"description": words}}]}), 600),
        ("arguments", call(json!({"text": words}), ""), 600),
        ("a result", call(json!({}), &words), 600),
        (
            "an image",
            json!({"messages": [{"role": "user", "content": [picture, {"type": "text", "text": "hello"}]}]}),
            1000,
        ),
    ] {
        let more = estimate(&gateway, &members) - bare;
        assert!((400..=most).contains(&more), "{what}: {more} tokens more");
    }
}

#[test]
fn tools_and_images_are_part_of_the_longest_prompt() {
    let (gateway, backend) = plain(Dialect::OpenAi, "max_prompt_chars = 10000");
    let tools =
        |chars: usize| json!([{"type": "function", "function": {"name": "f", "description": "x".repeat(chars)}}]);
    let pictures = |count: usize| {
        let picture = json!({"type": "image_url", "image_url": {"url": "https://pictures.test/a.png"}});
        json!([{"role": "user", "content": vec![picture; count]}])
    };
    let path = "/v1/chat/completions";
    let with = |name: &str, value: Value| {
        let mut body = ask(path, "only", "hello", false);
        body[name] = value;
        post_json(path, &body)
    };
    for body in [with("tools", tools(9000)), with("messages", pictures(2))] {
        let _ = gateway.send(body).expect(200);
    }
    for body in [with("tools", tools(10_000)), with("messages", pictures(3))] {
        let response = gateway.send(body).expect(400);
        assert!(response.text().contains("maximum context length is 10000 characters"), "{}", response.text());
    }
    assert_eq!(backend.requests().len(), 2);
}
