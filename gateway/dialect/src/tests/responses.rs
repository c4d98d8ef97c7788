//! The Responses dialect: requests as the other dialects get them, answers as the official SDK reads them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Bounds, Decoder, Encoder, ErrorText, Facts, stream_error};
use super::{Dialect, TARGET, facts, json, total};
use crate::chat::{Chat, Delta, Deltas, Finish, Reply, ToolCall};
use wasmgate_base::usage::Usage;

const RESPONSES: Dialect = Dialect::Responses;
const BACKENDS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];

fn read(body: &Value) -> Chat {
    RESPONSES.decode(body.to_string().as_bytes(), &Bounds::default()).expect("valid")
}

/// What a backend of dialect `to` is sent.
fn sent(to: Dialect, body: &Value) -> Value {
    let chat = read(body);
    assert_eq!(to.obstacle(RESPONSES, &chat), None, "{to:?} {body}");
    json(&to.encode(RESPONSES, &chat, &TARGET))
}

/// A request with all kinds of tools.
fn with_tools() -> Value {
    json!({"model": "m", "input": "Hi", "tools": [
        {"type": "function", "name": "f", "description": "F.", "parameters": {"type": "object"}, "strict": false},
        {"type": "custom", "name": "patch", "description": "P.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "namespace", "name": "agents", "description": "A.", "tools": [
            {"type": "function", "name": "g", "parameters": {"type": "object"}}, {"type": "custom", "name": "say"}]},
        {"type": "web_search", "external_web_access": false}]})
}

fn facts_of(body: &Value) -> Facts {
    Facts { echo: read(body).echo, ..facts() }
}

#[test]
fn a_text_is_a_message_of_the_user_and_instructions_come_first() {
    let body = json!({"model": "auto", "input": "Why?", "instructions": "Be brief.", "max_output_tokens": 32,
        "temperature": 0.5, "top_p": 0.9, "stream": true, "user": "u"});
    assert_eq!(
        sent(Dialect::OpenAi, &body),
        json!({"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
            "max_tokens": 32, "temperature": 0.5, "top_p": 0.9, "stream": true,
            "stream_options": {"include_usage": true}, "user": "u"})
    );
    assert_eq!(
        sent(Dialect::Anthropic, &body),
        json!({"model": "m", "system": "Be brief.", "messages": [{"role": "user", "content": "Why?"}],
            "max_tokens": 32, "temperature": 0.5, "top_p": 0.9, "stream": true, "metadata": {"user_id": "u"}})
    );
}

#[test]
fn an_agents_conversation_keeps_its_turns() {
    let body = json!({"model": "auto", "store": false, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high", "summary": "auto"}, "prompt_cache_key": "k", "client_metadata": {"a": "b"},
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": with_tools()["tools"],
        "input": [
            {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "D"}]},
            {"role": "user", "content": "Q"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": null},
            {"type": "message", "role": "assistant", "status": "completed", "phase": "commentary",
                "content": [{"type": "output_text", "text": "A", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** \"x\""},
            {"type": "function_call", "call_id": "c3", "namespace": "agents", "name": "g", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "R1"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "R2"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgoA", "detail": "high"}]},
            {"type": "function_call_output", "call_id": "c3", "output": "R3"},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}]});
    let expected = json!([
        {"role": "system", "content": "D"},
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": "{\"input\":\"*** \\\"x\\\"\"}"}},
            {"id": "c3", "type": "function", "function": {"name": "agents__g", "arguments": "{}"}}]},
        {"role": "tool", "content": "R1", "tool_call_id": "c1"},
        {"role": "tool", "content": "R2", "tool_call_id": "c2"},
        {"role": "tool", "content": "R3", "tool_call_id": "c3"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}}]},
        {"role": "assistant", "content": "No."}]);
    let openai = sent(Dialect::OpenAi, &body);
    assert_eq!(openai["messages"], expected);
    let tools: Vec<_> = openai["tools"].as_array().expect("tools").iter().map(|t| &t["function"]["name"]).collect();
    assert_eq!(tools, ["f", "patch", "agents__g", "agents__say"]);
    let patch = &openai["tools"][1]["function"];
    assert_eq!(patch["description"], "P.\n\nThe input must follow this lark grammar:\nstart: x");
    assert_eq!(patch["parameters"]["required"], json!(["input"]));
    assert_eq!(openai["tool_choice"], "auto");
    // The others get the same turns.
    assert_eq!(sent(Dialect::Anthropic, &body)["messages"].as_array().map(Vec::len), Some(4));
    assert_eq!(sent(Dialect::Ollama, &body)["messages"].as_array().map(Vec::len), Some(8));
}

#[test]
fn text_after_calls_goes_before_them_and_settings_of_tools_need_tools() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let said = json!({"role": "assistant", "content": "A"});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "R"});
    let body = json!({"model": "m", "input": [said, call, said, result],
        "tools": [{"type": "web_search"}], "tool_choice": "auto", "parallel_tool_calls": false});
    let openai = sent(Dialect::OpenAi, &body);
    let roles: Vec<_> = openai["messages"].as_array().expect("messages").iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["assistant", "tool"]);
    assert_eq!(openai["messages"][0]["content"], "A\nA");
    assert_eq!(
        (&openai["tools"], &openai["tool_choice"], &openai["parallel_tool_calls"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[test]
fn tools_may_come_within_the_conversation() {
    let tools = json!([{"type": "namespace", "name": "functions", "description": "", "tools": [
        {"type": "custom", "name": "exec", "description": "E."}]}]);
    let body = json!({"model": "m", "tool_choice": "auto", "parallel_tool_calls": false, "input": [
        {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": tools},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Q"}]}]});
    let openai = sent(Dialect::OpenAi, &body);
    assert_eq!(openai["messages"], json!([{"role": "user", "content": "Q"}]));
    assert_eq!(openai["tools"][0]["function"]["name"], "functions__exec");
    assert_eq!(openai["tool_choice"], "auto");
    let deltas = [start(0, "functions__exec"), more(0, "{\"input\":\"1 + 1\"}")];
    let (_, items) = accumulated(&written(facts_of(&body), deltas));
    assert_eq!(
        (&items[0]["namespace"], &items[0]["name"], &items[0]["input"]),
        (&json!("functions"), &json!("exec"), &json!("1 + 1"))
    );
}

#[test]
fn choices_and_formats_are_translated() {
    for (choice, tools, expected) in [
        (json!("required"), 4, json!("required")),
        (json!({"type": "function", "name": "f"}), 4, json!({"type": "function", "function": {"name": "f"}})),
        (json!({"type": "custom", "name": "patch"}), 4, json!({"type": "function", "function": {"name": "patch"}})),
        (
            json!({"type": "function", "namespace": "agents", "name": "g"}),
            4,
            json!({"type": "function", "function": {"name": "agents__g"}}),
        ),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}, {"type": "web_search"}]}),
            1,
            json!("required"),
        ),
    ] {
        let mut body = with_tools();
        body["tool_choice"] = choice;
        let openai = sent(Dialect::OpenAi, &body);
        assert_eq!(openai["tool_choice"], expected);
        assert_eq!(openai["tools"].as_array().map(Vec::len), Some(tools));
    }
    let schema = json!({"type": "object"});
    let body = json!({"model": "m", "input": "Hi", "text": {"verbosity": "low",
        "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}}});
    let expected = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    assert_eq!(sent(Dialect::OpenAi, &body)["response_format"], expected);
    assert_eq!(sent(Dialect::Ollama, &body)["format"], schema);
}

#[test]
fn what_only_the_provider_can_do_is_named() {
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "Hi"});
        body[key] = value;
        body
    };
    let item = |item: Value| with("input", json!([{"role": "user", "content": "Hi"}, item]));
    let part = |part: Value| with("input", json!([{"role": "user", "content": [part]}]));
    for (body, field) in [
        (with("previous_response_id", json!("resp_1")), "previous_response_id"),
        (with("conversation", json!({"id": "conv_1"})), "conversation"),
        (with("prompt", json!({"id": "pmpt_1"})), "prompt"),
        (with("top_logprobs", json!(3)), "top_logprobs"),
        (with("tool_choice", json!({"type": "web_search"})), "tool_choice"),
        (with("tool_choice", json!("required")), "tool_choice"),
        (item(json!({"type": "item_reference", "id": "msg_1"})), "input[1]"),
        (item(json!({"id": "msg_1"})), "input[1]"),
        (item(json!({"type": "web_search_call", "id": "ws_1", "status": "completed"})), "input[1]"),
        (item(json!({"type": "compaction", "encrypted_content": "x"})), "input[1]"),
        (part(json!({"type": "input_file", "file_id": "file_1"})), "input[0].content[0]"),
        (part(json!({"type": "input_image", "file_id": "file_1"})), "input[0].content[0].file_id"),
    ] {
        for to in BACKENDS {
            assert_eq!(to.obstacle(RESPONSES, &read(&body)).as_deref(), Some(field), "{to:?} {body}");
        }
        assert_eq!(RESPONSES.obstacle(RESPONSES, &read(&body)), None, "{body}");
    }
}

#[test]
fn bad_requests_are_refused_by_name() {
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "Hi"});
        body[key] = value;
        body
    };
    for (body, sentence) in [
        (json!({"input": "Hi"}), "model is missing"),
        (json!({"model": "m"}), "input is missing"),
        (with("input", json!(5)), "input is a number"),
        (with("input", json!([])), "input is empty"),
        (with("input", json!([{"x": "x"}])), "input[0].type is missing"),
        (with("input", json!([{"role": "robot", "content": ""}])), "input[0].role is an unknown word"),
        (
            with("input", json!([{"type": "function_call", "call_id": "c", "name": "f"}])),
            "input[0].arguments is missing",
        ),
        (
            with("input", json!([{"type": "function_call_output", "call_id": "", "output": ""}])),
            "input[0].call_id is empty",
        ),
        (with("background", json!(true)), "background is true"),
        (with("temperature", json!(3)), "temperature is 3"),
        (with("tools", json!([{"type": "function"}])), "tools[0].name is missing"),
        (with("tool_choice", json!("maybe")), "tool_choice is an unknown word"),
        (with("text", json!({"format": {"type": "json_schema"}})), "text.format.schema is missing"),
    ] {
        let read = RESPONSES.decode(body.to_string().as_bytes(), &Bounds::default());
        let refused = read.map_or_else(Some, |chat| chat.misread).expect("it is wrong");
        assert!(refused.to_string().starts_with(sentence), "{refused} for {body}");
    }
}

/// The events of a stream: each as its name and its data.
fn events(stream: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(stream).expect("text");
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').expect("two lines");
        (name["event: ".len()..].to_owned(), json(&data.as_bytes()["data: ".len()..]))
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// The response object of a stream's last event.
fn last(stream: &[u8]) -> Value {
    events(stream).pop().expect("an end").1["response"].take()
}

/// Reads a stream as the official SDK accumulates it, and checks what the SDK checks; the items of the last event.
fn accumulated(stream: &[u8]) -> (String, Vec<Value>) {
    let events = events(stream);
    let mut items: Vec<Value> = Vec::new();
    let mut done: Vec<Option<Value>> = Vec::new();
    let id = &events[0].1["response"]["id"];
    for (number, (name, event)) in events.iter().enumerate() {
        assert_eq!(event["type"], **name);
        assert_eq!(event["sequence_number"], number);
        let at = event["output_index"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
        if let Some(item) = event.get("item_id") {
            assert_eq!(items[at]["id"], *item, "{event}");
        }
        let push = |to: &mut Value| {
            *to = json!(to.as_str().expect("text").to_owned() + event["delta"].as_str().expect("text"))
        };
        match name.as_str() {
            "response.created" => assert_eq!(number, 0),
            "response.in_progress" => assert_eq!(number, 1),
            "response.output_item.added" => {
                assert_eq!(at, items.len());
                items.push(event["item"].clone());
                done.push(None);
            }
            "response.content_part.added" => {
                items[at]["content"].as_array_mut().expect("parts").push(event["part"].clone())
            }
            "response.output_text.delta" => push(&mut items[at]["content"][0]["text"]),
            "response.output_text.done" => assert_eq!(items[at]["content"][0]["text"], event["text"]),
            "response.content_part.done" => assert_eq!(items[at]["content"][0], event["part"]),
            "response.reasoning_summary_part.added" => {
                items[at]["summary"].as_array_mut().expect("parts").push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => push(&mut items[at]["summary"][0]["text"]),
            "response.reasoning_summary_text.done" => assert_eq!(items[at]["summary"][0]["text"], event["text"]),
            "response.reasoning_summary_part.done" => assert_eq!(items[at]["summary"][0], event["part"]),
            "response.function_call_arguments.delta" => push(&mut items[at]["arguments"]),
            "response.function_call_arguments.done" => assert_eq!(items[at]["arguments"], event["arguments"]),
            "response.custom_tool_call_input.delta" => push(&mut items[at]["input"]),
            "response.custom_tool_call_input.done" => assert_eq!(items[at]["input"], event["input"]),
            "response.output_item.done" => {
                let mut item = event["item"].clone();
                done[at] = Some(item.clone());
                // A stream's item differs from what its pieces make only in its status.
                if item.get("status").is_some() {
                    item["status"] = json!("in_progress");
                }
                assert_eq!(items[at], item);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert_eq!(number + 1, events.len());
                let last = event["response"]["output"].as_array().expect("items").clone();
                for (at, item) in done.iter().enumerate() {
                    assert!(item.as_ref().is_none_or(|item| *item == last[at]));
                    assert!(name != "response.completed" || item.is_some());
                }
                assert_eq!(event["response"]["status"], name["response.".len()..]);
                assert_eq!(event["response"]["id"], *id);
                return (name.clone(), last);
            }
            other => panic!("unknown event {other}"),
        }
        if let Some(response) = event.get("response") {
            assert_eq!((&response["id"], &response["status"]), (id, &json!("in_progress")));
        }
    }
    panic!("the stream has no end");
}

fn written(facts: Facts, deltas: impl IntoIterator<Item = Delta>) -> Vec<u8> {
    let (mut out, mut encoder) = (Vec::new(), Encoder::new(RESPONSES, facts));
    deltas.into_iter().for_each(|delta| encoder.delta(delta, &mut out));
    encoder.end(&total(), &mut out);
    out
}

fn start(index: usize, name: &str) -> Delta {
    Delta::ToolCallStart { index, id: format!("c{index}"), name: name.to_owned() }
}

fn more(index: usize, fragment: &str) -> Delta {
    Delta::ToolCallArguments { index, fragment: fragment.to_owned() }
}

#[test]
fn a_stream_has_the_events_of_the_api_in_order() {
    let deltas = vec![
        Delta::Start { id: Some("b".into()), model: None },
        Delta::Reasoning("hm".into()),
        Delta::Text("Hi".into()),
        start(0, "f"),
        start(1, "patch"),
        more(1, "{\"input\":\"*** x\"}"),
        Delta::Finish(Finish::ToolCalls),
        Delta::Usage {
            usage: Usage { input: 6, cache_read: 6, cache_write: 0, output: 5, ..Usage::default() },
            is_final: true,
        },
    ];
    let stream = written(facts_of(&with_tools()), deltas);
    let names: Vec<String> = events(&stream).into_iter().map(|(name, _)| name).collect();
    let names: Vec<&str> = names.iter().map(|name| name.trim_start_matches("response.")).collect();
    assert_eq!(
        names,
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
            "completed"
        ]
    );
    let (_, items) = accumulated(&stream);
    let part = json!({"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []});
    assert_eq!(
        json!(items),
        json!([
            {"type": "reasoning", "id": "rs_0198ab_0", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "id": "msg_0198ab_1", "status": "completed", "role": "assistant", "content": [part]},
            {"type": "function_call", "id": "fc_0198ab_2", "status": "completed", "call_id": "c0", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "id": "ctc_0198ab_3", "status": "completed", "call_id": "c1", "name": "patch",
                "input": "*** x"}])
    );
    let response = last(&stream);
    assert_eq!(
        response["usage"],
        json!({"input_tokens": 12, "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17})
    );
    assert_eq!((&response["tools"], &response["store"]), (&with_tools()["tools"], &json!(false)));
}

#[test]
fn an_event_is_one_line_whatever_the_request_looks_like() {
    let pretty = format!("{:#}", with_tools()).replace('\n', "\r\n");
    let echo = RESPONSES.decode(pretty.as_bytes(), &Bounds::default()).expect("valid").echo;
    let (name, _) = accumulated(&written(Facts { echo, ..facts() }, [Delta::Text("Hi".into())]));
    assert_eq!(name, "response.completed");
}

#[test]
fn a_whole_answer_has_the_items_of_its_stream() {
    let calls = [("c0", "agents__g", "{\"a\":1}"), ("", "agents__say", "{\"input\":\"x\"}")];
    let call = |(id, name, arguments): (&str, &str, &str)| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let reply = Reply {
        reasoning: "hm".into(),
        text: "Hi".into(),
        tool_calls: calls.map(call).to_vec(),
        finish: Some(Finish::ToolCalls),
        ..Reply::default()
    };
    let whole = json(&RESPONSES.encode_reply(&reply, &facts_of(&with_tools()), &total()));
    let second = Delta::ToolCallStart { index: 1, id: String::new(), name: "agents__say".into() };
    let deltas = [
        Delta::Reasoning("hm".into()),
        Delta::Text("Hi".into()),
        start(0, "agents__g"),
        more(0, "{\"a\":1}"),
        second,
        more(1, "{\"input\":\"x\"}"),
    ];
    let (_, items) = accumulated(&written(facts_of(&with_tools()), deltas));
    assert_eq!(whole["output"], json!(items));
    assert_eq!((&items[2]["namespace"], &items[2]["name"]), (&json!("agents"), &json!("g")));
    assert_eq!((&items[3]["type"], &items[3]["input"]), (&json!("custom_tool_call"), &json!("x")));
    assert_eq!((&whole["status"], &whole["object"]), (&json!("completed"), &json!("response")));
}

#[test]
fn an_answer_that_breaks_off_is_not_complete() {
    for (finish, reason) in [(Finish::Length, "max_output_tokens"), (Finish::ContentFilter, "content_filter")] {
        let deltas = [Delta::Text("Hi".into()), start(0, "f"), more(0, "{\"a"), Delta::Finish(finish)];
        let stream = written(facts(), deltas);
        let (name, items) = accumulated(&stream);
        assert_eq!(name, "response.incomplete");
        assert_eq!((&items[0]["status"], &items[1]["status"]), (&json!("completed"), &json!("incomplete")));
        assert_eq!(last(&stream)["incomplete_details"], json!({"reason": reason}));
        // No agent runs the call.
        let done = events(&stream).iter().filter(|(name, _)| name == "response.output_item.done").count();
        assert_eq!(done, 1);
        let reply = Reply { text: "Hi".into(), finish: Some(finish), ..Reply::default() };
        let whole = json(&RESPONSES.encode_reply(&reply, &facts(), &total()));
        assert_eq!((&whole["status"], &whole["output"][0]["status"]), (&json!("incomplete"), &json!("incomplete")));
    }
}

#[test]
fn a_failure_is_the_last_event_of_the_same_response() {
    let error = ErrorText {
        status: 502,
        code: "stream_cut".into(),
        message: "it broke".into(),
        request_id: "0198-ab".into(),
        ..ErrorText::default()
    };
    let (mut out, mut encoder) = (Vec::new(), Encoder::new(RESPONSES, facts()));
    encoder.delta(Delta::Text("Hi".into()), &mut out);
    encoder.fail(&error, &mut out);
    for stream in [out, stream_error(RESPONSES, &error)] {
        assert_eq!(accumulated(&stream).0, "response.failed");
        let response = last(&stream);
        assert_eq!(response["error"]["code"], "server_error");
        assert_eq!(response["id"], "resp_0198ab");
    }
}

#[test]
fn an_odd_forwarded_stream_is_read_and_written_so_that_sdks_read_it() {
    use crate::{BackendError, Passed};
    let failed = |text: &str| Delta::Failed(Box::new(BackendError::read(text.as_bytes())));
    let text = |text: &str| Delta::Text(text.to_owned());
    for (event, expected, written) in [
        (
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"score\":NaN}\n\n",
            vec![text("a")],
            Some("data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"score\":null}\n\n"),
        ),
        (
            "event: response.output_text.delta\ndata: {\"delta\":\"a\\ud83d\"}\n\n",
            vec![text("a\u{fffd}")],
            Some(
                "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\u{fffd}\"}\n\n",
            ),
        ),
        (
            "data: {\"error\":{\"message\":\"boom\",\"code\":503}}\n\n",
            vec![failed("{\"error\":{\"message\":\"boom\",\"code\":503}}")],
            Some("event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"boom\",\"code\":503}}\n\n"),
        ),
        ("event: error\ndata: boom\n\n", vec![failed("boom")], None),
        ("data: {\"type\":\"response.new\",\"error\":null}\n\n", vec![], None),
    ] {
        let mut deltas = Deltas::new();
        let passed = Decoder::new(RESPONSES).frame(event.as_bytes(), &mut deltas).expect(event);
        assert_eq!(Vec::from(deltas), expected, "{event}");
        assert_eq!(passed, written.map_or(Passed::AsIs, |text| Passed::Rewritten(text.as_bytes().to_vec())), "{event}");
    }
    assert!(Decoder::new(RESPONSES).frame(b"data: {\"type\":NaN NaN}\n\n", &mut Deltas::new()).is_err());
}

#[test]
fn a_forwarded_stream_is_counted() {
    let usage = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 4});
    let stream = [
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 1, "delta": "hm"}),
        json!({"type": "response.output_text.delta", "output_index": 2, "delta": "Hi"}),
        json!({"type": "response.output_item.added", "output_index": 3,
            "item": {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": ""}}),
        json!({"type": "response.custom_tool_call_input.delta", "output_index": 3, "delta": "x"}),
        json!({"type": "response.new_event", "delta": {"a": 1}}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}),
    ];
    let mut decoder = Decoder::new(RESPONSES);
    let mut deltas = Deltas::new();
    for event in stream {
        decoder.frame(format!("data: {event}\n\n").as_bytes(), &mut deltas).expect("valid");
    }
    decoder.frame(b"data: [DONE]\n\n", &mut deltas).expect("valid");
    let usage = Usage { input: 4, cache_read: 5, cache_write: 0, output: 4, ..Usage::default() };
    assert_eq!(
        Vec::from(deltas),
        [
            Delta::Start { id: Some("resp_1".into()), model: Some("gpt".into()) },
            Delta::Reasoning("hm".into()),
            Delta::Text("Hi".into()),
            Delta::ToolCallStart { index: 0, id: "c".into(), name: "p".into() },
            more(0, "x"),
            Delta::Usage { usage, is_final: true },
            Delta::Finish(Finish::ToolCalls),
            Delta::End,
        ]
    );
    for (event, finish) in [
        (
            json!({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}}),
            Finish::ContentFilter,
        ),
        (json!({"type": "response.incomplete", "response": {}}), Finish::Length),
    ] {
        let mut deltas = Deltas::new();
        Decoder::new(RESPONSES).frame(format!("data: {event}\n\n").as_bytes(), &mut deltas).expect("valid");
        assert_eq!(Vec::from(deltas), [Delta::Finish(finish), Delta::End]);
    }
}

/// A tool that a generated answer calls: what the backend calls it, and its item's type, namespace and name.
const TOOLS: [(&str, &str, Option<&str>, &str); 4] = [
    ("f", "function_call", None, "f"),
    ("patch", "custom_tool_call", None, "patch"),
    ("agents__g", "function_call", Some("agents"), "g"),
    ("agents__say", "custom_tool_call", Some("agents"), "say"),
];

proptest! {
    /// Whatever order the pieces of an answer come in, the SDK reads the same text, thinking and calls.
    #[test]
    fn any_stream_is_read_as_it_was_meant(
        steps in proptest::collection::vec((0_u8..4, "[a-z \"\\\\\u{e9}\u{1f600}\n]{1,8}", any::<usize>()), 0..24),
    ) {
        let mut deltas = Vec::new();
        let (mut text, mut thinking) = (String::new(), String::new());
        // Of each call: its tool, its input, its arguments, and how many characters of them were sent.
        let mut calls: Vec<(usize, String, Vec<char>, usize)> = Vec::new();
        let piece = |at: usize, call: &mut (usize, String, Vec<char>, usize), most: usize| {
            let to = (call.3 + most).min(call.2.len());
            let fragment: String = call.2[call.3..to].iter().collect();
            call.3 = to;
            Delta::ToolCallArguments { index: at, fragment }
        };
        for (kind, words, number) in steps {
            match kind {
                0 => {
                    text += &words;
                    deltas.push(Delta::Text(words));
                }
                1 => {
                    thinking += &words;
                    deltas.push(Delta::Reasoning(words));
                }
                2 => {
                    let tool = number % TOOLS.len();
                    deltas.push(start(calls.len(), TOOLS[tool].0));
                    let arguments = json!({"input": words}).to_string().chars().collect();
                    calls.push((tool, words, arguments, 0));
                }
                _ if calls.is_empty() => {}
                _ => {
                    let at = number % calls.len();
                    deltas.push(piece(at, &mut calls[at], 1 + number % 5));
                }
            }
        }
        for (at, call) in calls.iter_mut().enumerate() {
            deltas.push(piece(at, call, usize::MAX / 2));
        }
        let (name, items) = accumulated(&written(facts_of(&with_tools()), deltas));
        prop_assert_eq!(name, "response.completed");
        let of = |kind: &'static str| items.iter().filter(move |item| item["type"] == kind);
        let said: String = of("message").map(|item| item["content"][0]["text"].as_str().unwrap_or_default()).collect();
        let thought: String = of("reasoning").map(|item| item["summary"][0]["text"].as_str().unwrap_or_default()).collect();
        prop_assert_eq!((said, thought), (text, thinking));
        let called = items.iter().filter(|item| item.get("call_id").is_some());
        let called: Vec<Value> = called
            .map(|item| json!([item["type"], item["namespace"], item["name"], item["call_id"], item.get("input"), item.get("arguments")]))
            .collect();
        let meant: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(at, (tool, input, arguments, _))| {
                let (_, kind, namespace, name) = TOOLS[*tool];
                let custom = kind == "custom_tool_call";
                let arguments: String = arguments.iter().collect();
                json!([kind, namespace, name, format!("c{at}"), custom.then_some(input), (!custom).then_some(arguments)])
            })
            .collect();
        prop_assert_eq!(called, meant);
    }
}
