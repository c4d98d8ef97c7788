//! Simulated models: they call tools, think, break off and answer as told, in each dialect, and never look like a real one.

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request};

/// A gateway with a simulated model that can call tools.
fn gateway() -> Setup {
    with_answer("")
}

fn with_answer(answer: &str) -> Setup {
    Gateway::setup().models(&format!(
        "[backends.sim]\nkind = \"sim\"\n[backends.sim.sim]\nlatency_ms = 0\ntokens_per_second = inf\n{answer}\n\
         [models.agent]\nbackend = \"sim\"\ncapabilities = [\"tools\", \"structured-output\"]\n"
    ))
}

fn ask(gateway: &Gateway, path: &str, script: &str, body: &Value) -> Response {
    let headers = [("content-type", "application/json"), ("x-wasmgate-sim", script)];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes()))
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}}])
}

fn chat(more: &Value) -> Value {
    let mut body = json!({"model": "agent", "messages": [{"role": "user", "content": "How is the weather?"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

const OPENAI: &str = "/v1/chat/completions";

#[test]
fn an_answer_says_that_it_is_simulated() {
    let gateway = gateway().start();
    let answer =
        ask(&gateway, OPENAI, r#"{"text": "It rains.", "thinking": "Let me see."}"#, &chat(&json!({}))).expect(200);
    assert_eq!(answer.header("x-wasmgate-simulated"), "true");
    let answer = answer.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], "[simulated] It rains.");
    assert_eq!(message["reasoning_content"], "[simulated] Let me see.");
    assert_eq!((&answer["id"], &answer["choices"][0]["finish_reason"]), (&json!("simulated"), &json!("stop")));
}

#[test]
fn a_tool_is_called_until_it_has_answered_in_each_dialect() {
    let gateway = gateway().start();
    let script = r#"{"text": "It rains.", "tool_calls": [{"name": "weather", "arguments": {"city": "Paris"}}, {"name": "other"}]}"#;
    let answer = ask(&gateway, OPENAI, script, &chat(&json!({"tools": weather()}))).expect(200).json();
    let calls = answer["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(calls.as_array().map(Vec::len), Some(1), "only what is offered: {answer}");
    assert_eq!(calls[0]["function"], json!({"name": "weather", "arguments": "{\"city\":\"Paris\"}"}));
    assert!(calls[0]["id"].as_str().unwrap().contains("simulated"), "{calls}");
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");

    let mut after = chat(&json!({"tools": weather()}));
    let messages = after["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "tool_calls": calls}));
    messages.push(json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "rain"}));
    let answer = ask(&gateway, OPENAI, script, &after).expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "[simulated] It rains.");

    let tools = json!([{"name": "weather", "input_schema": {"type": "object", "required": ["city"],
        "properties": {"city": {"type": "string"}}}}]);
    let body = chat(&json!({"tools": tools, "max_tokens": 100, "stream": true}));
    let script = r#"{"tool_calls": [{"name": "weather"}]}"#;
    let text = ask(&gateway, "/v1/messages", script, &body).expect(200).text();
    assert!(text.contains("\"tool_use\"") && text.contains("\\\"city\\\":\\\"simulated\\\""), "{text}");
}

#[test]
fn a_tool_that_is_demanded_is_called_and_a_format_is_kept() {
    let gateway = gateway().start();
    let body = chat(&json!({"tools": weather(), "tool_choice": "required"}));
    let answer = gateway.post(OPENAI, &body).expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{\"city\":\"simulated\"}");
    let body = chat(&json!({"tools": weather(), "tool_choice": "none"}));
    let answer = ask(&gateway, OPENAI, r#"{"tool_calls": [{"name": "weather"}]}"#, &body).expect(200).json();
    assert!(answer["choices"][0]["message"]["tool_calls"].is_null(), "{answer}");
    let schema = json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let answer = gateway.post(OPENAI, &chat(&json!({"response_format": format}))).expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "{\"ok\":true}");
}

#[test]
fn an_answer_ends_at_the_limit_or_breaks_off() {
    let gateway = gateway().start();
    let script = r#"{"text": "one two three"}"#;
    let answer = ask(&gateway, OPENAI, script, &chat(&json!({"max_tokens": 2}))).expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "[simulated] one");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let cut = r#"{"text": "one two three four five six", "cut": true}"#;
    let streamed = ask(&gateway, OPENAI, cut, &chat(&json!({"stream": true}))).expect(200).text();
    assert!(streamed.contains("[simulated]") && !streamed.contains("six"), "{streamed}");
    assert!(streamed.contains("\"error\"") && !streamed.contains("[DONE]"), "{streamed}");
    assert_ne!(ask(&gateway, OPENAI, cut, &chat(&json!({}))).status(), 200);
}

#[test]
fn settings_say_the_same_and_a_header_replaces_its_keys() {
    let answer = r#"answer = { text = "From the file.", thinking = "Hm." }"#;
    let gateway = with_answer(answer).start();
    let said = |answer: Value| {
        let message = answer["choices"][0]["message"].clone();
        [message["content"].clone(), message["reasoning_content"].clone()]
    };
    let plain = gateway.post(OPENAI, &chat(&json!({}))).expect(200).json();
    assert_eq!(said(plain), [json!("[simulated] From the file."), json!("[simulated] Hm.")]);
    let other = ask(&gateway, OPENAI, r#"{"text": "Other."}"#, &chat(&json!({}))).expect(200).json();
    assert_eq!(said(other), [json!("[simulated] Other."), json!("[simulated] Hm.")]);
    with_answer("answer = { txt = \"x\" }").check().expect(2, &["backends.sim.sim.answer", "txt"]);
}

#[test]
fn a_header_that_is_wrong_is_refused() {
    let gateway = gateway().start();
    let answer = ask(&gateway, OPENAI, r#"{"txt": "x"}"#, &chat(&json!({}))).expect(400);
    assert!(answer.text().contains("x-wasmgate-sim: unknown field `txt`"), "{}", answer.text());
}
