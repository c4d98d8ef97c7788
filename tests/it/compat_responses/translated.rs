//! Backends of other dialects: each with text, thinking, calls, limits, errors and cuts, streamed and whole.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::post_json;
use wasmgate_tests::wire::Dialect;

use super::{PATH, USAGE, answer, events, gateway_at, read_as_codex};

/// A stream of these frames, in the form of the dialect.
fn frames(dialect: Dialect, frames: &[Value]) -> Reply {
    let frame = |frame: &Value| match (dialect, frame.as_str()) {
        (Dialect::Ollama, _) => format!("{frame}\n"),
        (_, Some(text)) => format!("data: {text}\n\n"),
        (Dialect::OpenAi, None) => format!("data: {frame}\n\n"),
        (Dialect::Anthropic, None) => format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap()),
    };
    Reply::stream(dialect.stream_type()).frames(frames.iter().map(frame)).end()
}

/// An answer with thinking, text and a call of `name` with these arguments.
fn thinking_and_calling(dialect: Dialect, name: &'static str, arguments: Value) -> impl Fn(bool) -> Reply {
    move |stream| {
        let arguments = &arguments;
        let text = arguments.to_string();
        let (first, second) = text.split_at(3);
        match (dialect, stream) {
            (Dialect::OpenAi, false) => Reply::json(
                200,
                &json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls",
                    "message": {"role": "assistant", "content": "Hi", "reasoning_content": "hm", "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}]}}],
                    "usage": {"prompt_tokens": 17, "completion_tokens": 9, "total_tokens": 26}}),
            ),
            (Dialect::OpenAi, true) => {
                let chunk = |delta: Value, finish: Value| {
                    json!({"id": "c", "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
                };
                let call = |value: Value| json!({"tool_calls": [value]});
                frames(
                    dialect,
                    &[
                        chunk(json!({"role": "assistant", "reasoning_content": "hm"}), Value::Null),
                        chunk(json!({"content": "Hi"}), Value::Null),
                        chunk(
                            call(json!({"index": 0, "id": "call_1", "function": {"name": name, "arguments": first}})),
                            Value::Null,
                        ),
                        chunk(call(json!({"index": 0, "function": {"arguments": second}})), Value::Null),
                        chunk(json!({}), json!("tool_calls")),
                        json!({"choices": [], "usage": {"prompt_tokens": 17, "completion_tokens": 9}}),
                        json!("[DONE]"),
                    ],
                )
            }
            (Dialect::Anthropic, false) => Reply::json(
                200,
                &json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
                    "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hi"},
                        {"type": "tool_use", "id": "call_1", "name": name, "input": arguments}],
                    "usage": {"input_tokens": 17, "output_tokens": 9}}),
            ),
            (Dialect::Anthropic, true) => {
                let begin = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
                let delta =
                    |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
                let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
                frames(
                    dialect,
                    &[
                        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
                            "model": "m", "content": [], "usage": {"input_tokens": 17, "output_tokens": 1}}}),
                        begin(0, json!({"type": "thinking", "thinking": ""})),
                        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
                        stop(0),
                        begin(1, json!({"type": "text", "text": ""})),
                        delta(1, json!({"type": "text_delta", "text": "Hi"})),
                        stop(1),
                        begin(2, json!({"type": "tool_use", "id": "call_1", "name": name, "input": {}})),
                        delta(2, json!({"type": "input_json_delta", "partial_json": first})),
                        delta(2, json!({"type": "input_json_delta", "partial_json": second})),
                        stop(2),
                        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
                        json!({"type": "message_stop"}),
                    ],
                )
            }
            (Dialect::Ollama, _) => {
                let message = json!({"role": "assistant", "content": "Hi", "thinking": "hm",
                    "tool_calls": [{"id": "call_1", "function": {"name": name, "arguments": arguments}}]});
                let last = json!({"model": "m", "message": message, "done": true, "done_reason": "stop",
                    "prompt_eval_count": 17, "eval_count": 9});
                if stream { frames(dialect, &[last]) } else { Reply::json(200, &last) }
            }
        }
    }
}

/// A request with a function, a tool with free text, and one within a namespace.
fn request() -> Value {
    json!({"model": "only", "input": "Hi", "store": false, "instructions": "Be brief.", "tools": [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": false},
        {"type": "custom", "name": "apply_patch", "description": "P.", "format": {"type": "grammar", "syntax": "lark",
            "definition": "start: x"}},
        {"type": "namespace", "name": "agents", "description": "A.", "tools": [
            {"type": "function", "name": "spawn", "parameters": {"type": "object"}}]},
        {"type": "web_search"}]})
}

#[test]
fn text_thinking_and_calls_of_each_kind_arrive() {
    let input = "*** Begin Patch\n+\"a\"";
    for dialect in Dialect::ALL {
        for (name, arguments, call) in [
            (
                "weather",
                json!({"city": "Paris"}),
                json!({"type": "function_call", "name": "weather",
                "arguments": json!({"city": "Paris"}).to_string()}),
            ),
            (
                "apply_patch",
                json!({"input": input}),
                json!({"type": "custom_tool_call", "name": "apply_patch", "input": input}),
            ),
            (
                "agents__spawn",
                json!({"a": 1}),
                json!({"type": "function_call", "name": "spawn", "namespace": "agents",
                "arguments": json!({"a": 1}).to_string()}),
            ),
        ] {
            let (backend, gateway) = gateway_at(dialect, thinking_and_calling(dialect, name, arguments));
            for stream in [false, true] {
                let (mut items, object) = answer(&gateway, request(), stream);
                let told = format!("{dialect:?} {name} stream={stream}");
                let kinds: Vec<&Value> = items.iter().map(|item| &item["type"]).collect();
                assert_eq!(json!(kinds), json!(["reasoning", "message", call["type"]]), "{told}");
                assert_eq!(items[0]["summary"], json!([{"type": "summary_text", "text": "hm"}]), "{told}");
                assert_eq!(items[1]["content"][0]["text"], "Hi", "{told}");
                let item = items[2].as_object_mut().unwrap();
                let id = item.remove("call_id").unwrap();
                assert!(item.remove("id").is_some() && item.remove("status") == Some(json!("completed")), "{told}");
                assert_eq!(json!(item), call, "{told}");
                assert_eq!(id, "call_1", "{told}");
                assert_eq!((&object["status"], &object["model"]), (&json!("completed"), &json!("only")), "{told}");
                assert_eq!(object["usage"]["total_tokens"], 26, "{told}");
                assert_eq!((&object["store"], &object["instructions"]), (&json!(false), &json!("Be brief.")), "{told}");
            }
            // What the backend was asked: the model's own search is left out.
            let asked = backend.requests()[0].json();
            assert_eq!(asked["tools"].as_array().unwrap().len(), 3, "{dialect:?}");
            assert!(asked.to_string().contains("Be brief."), "{dialect:?}");
        }
    }
}

#[test]
fn the_next_turn_of_an_agent_is_understood() {
    for dialect in Dialect::ALL {
        let (backend, gateway) =
            gateway_at(dialect, thinking_and_calling(dialect, "apply_patch", json!({"input": "x"})));
        let (items, _) = answer(&gateway, request(), true);
        let mut next = request();
        let mut input = vec![json!({"role": "user", "content": "Hi"})];
        input.extend(items);
        input.push(json!({"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}));
        next["input"] = json!(input);
        let (_, object) = answer(&gateway, next, true);
        assert_eq!(object["status"], "completed");
        let asked = backend.requests()[1].json();
        let messages = asked["messages"].as_array().unwrap();
        let roles: Vec<&Value> = messages.iter().map(|message| &message["role"]).collect();
        let expected = match dialect {
            Dialect::OpenAi | Dialect::Ollama => json!(["system", "user", "assistant", "tool"]),
            Dialect::Anthropic => json!(["user", "assistant", "user"]),
        };
        assert_eq!(json!(roles), expected, "{dialect:?}");
        let last = messages.last().unwrap().to_string();
        assert!(last.contains("done") && last.contains("call_1"), "{dialect:?} {last}");
    }
}

#[test]
fn an_answer_at_its_limit_is_incomplete() {
    for dialect in Dialect::ALL {
        let text = |limit: Value| match dialect {
            Dialect::OpenAi => limit.to_string().replace("\"stop\"", "\"length\""),
            Dialect::Anthropic => limit.to_string().replace("\"end_turn\"", "\"max_tokens\""),
            Dialect::Ollama => limit.to_string().replace("\"stop\"", "\"length\""),
        };
        let whole = text(dialect.answer("Hi", USAGE));
        let streamed: Vec<String> = dialect
            .frames(&["Hi"], USAGE)
            .into_iter()
            .map(|frame| frame.replace("\"stop\"", "\"length\"").replace("\"end_turn\"", "\"max_tokens\""))
            .collect();
        let (_backend, gateway) = gateway_at(dialect, move |stream| match stream {
            true => Reply::stream(dialect.stream_type()).frames(&streamed).end(),
            false => Reply::whole(200, "application/json", whole.as_bytes()),
        });
        for stream in [false, true] {
            let (items, object) = answer(&gateway, json!({"model": "only", "input": "Hi"}), stream);
            assert_eq!(object["status"], "incomplete", "{dialect:?} stream={stream}");
            assert_eq!(object["incomplete_details"], json!({"reason": "max_output_tokens"}));
            assert_eq!(items[0]["content"][0]["text"], "Hi");
        }
    }
}

#[test]
fn a_cut_stream_fails_within_the_same_response() {
    for dialect in Dialect::ALL {
        let some: Vec<String> = dialect.frames(&["Hi", " there"], USAGE)[..=dialect.opening()].to_vec();
        let (_backend, gateway) =
            gateway_at(dialect, move |_| Reply::stream(dialect.stream_type()).frames(&some).cut());
        let response = gateway.post(PATH, &json!({"model": "only", "input": "Hi", "stream": true})).expect(200);
        let (_, (name, last)) = read_as_codex(&response);
        assert_eq!(name, "response.failed", "{dialect:?}");
        assert_eq!(last["response"]["status"], "failed");
        assert_eq!(last["response"]["error"]["code"], "server_error");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hi");
    }
}

#[test]
fn errors_before_the_answer_have_openais_shape() {
    for (status, expected) in [(500, 502), (401, 502)] {
        let (_backend, gateway) =
            gateway_at(Dialect::OpenAi, move |_| Reply::json(status, &json!({"error": {"message": "no"}})));
        for stream in [false, true] {
            let error = gateway.post(PATH, &json!({"model": "only", "input": "Hi", "stream": stream})).expect(expected);
            assert!(error.json()["error"]["message"].is_string());
        }
    }
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Hi", USAGE)));
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    for (request, status, named) in [
        (json!({"model": "only"}), 400, "input"),
        (json!({"model": "none", "input": "Hi"}), 404, "model"),
        (json!({"model": "only", "input": "Hi", "previous_response_id": "resp_1"}), 400, "previous_response_id"),
        (json!({"model": "only", "input": "Hi", "background": true}), 400, "background"),
        (json!({"model": "only", "input": [{"type": "item_reference", "id": "msg_1"}]}), 400, "input[0]"),
    ] {
        let error = gateway.post(PATH, &request).expect(status).json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{message}");
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_guarded_stream_is_held_until_another_model_answers() {
    let some = Dialect::OpenAi.frames(&["Hi", " there"], USAGE)[..2].to_vec();
    let broken = Backend::start(move |_| Reply::stream("text/event-stream").frames(&some).cut());
    let whole =
        Backend::start(|_| Reply::stream("text/event-stream").frames(Dialect::Anthropic.frames(&["Bye"], USAGE)).end());
    let gateway =
        Gateway::setup().model("first", Dialect::OpenAi, &broken).model("second", Dialect::Anthropic, &whole).start();
    let body = json!({"model": "auto", "input": "Hi", "stream": true}).to_string();
    let headers = [("content-type", "application/json"), ("x-wasmgate-guarded", "true")];
    let response = gateway.send(wasmgate_tests::http::request("POST", PATH, &headers, body.as_bytes())).expect(200);
    assert_eq!(response.header("x-wasmgate-model"), "second");
    let (items, (name, _)) = read_as_codex(&response);
    assert_eq!(name, "response.completed");
    assert_eq!(items[0]["content"][0]["text"], "Bye");
    assert!(!events(&response).iter().any(|(_, event)| event["delta"] == "Hi"));
}

/// Codex compacts its history at this event, and gives up at status 400.
#[test]
fn a_prompt_that_is_too_long_is_told_within_the_stream() {
    let error = json!({"error": {"message": "This model's maximum context length is 10 tokens.", "type": "invalid_request_error",
        "code": "context_length_exceeded", "param": "messages"}});
    let (_backend, gateway) = gateway_at(Dialect::OpenAi, move |_| Reply::json(400, &error));
    let response = gateway.post(PATH, &json!({"model": "only", "input": "Hi", "stream": true})).expect(200);
    assert_eq!(response.header("content-type"), "text/event-stream");
    let (items, (name, last)) = read_as_codex(&response);
    assert_eq!((items.len(), name.as_str()), (0, "response.failed"));
    assert_eq!(last["response"]["error"]["code"], "context_length_exceeded");
    let _ = gateway.post(PATH, &json!({"model": "only", "input": "Hi"})).expect(400);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "too_large")], 2.0);
}

/// A stream that is slow to begin starts with comments, which commit its status: a later failure is an event.
#[test]
fn a_failure_behind_keep_alive_comments_is_a_whole_stream() {
    let gate = Gate::default();
    let script_gate = gate.clone();
    let backend = Backend::start(move |_| Reply::silent().gate(&script_gate).and(Reply::json(500, &json!({}))));
    let gateway = Gateway::setup().server("keep_alive_seconds = 0.02").model("only", Dialect::OpenAi, &backend).start();
    let request = post_json(PATH, &json!({"model": "only", "input": "Hi", "stream": true}));
    let mut client = gateway.connect();
    let head = client.send(request).head();
    assert_eq!(head.status, 200);
    let comment = client.chunk().unwrap();
    assert!(comment.starts_with(b":"), "{:?}", String::from_utf8_lossy(&comment));
    gate.open();
    let text = client.body_of(head).text();
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["response.created", "response.in_progress", "response.failed"]);
}
