//! Requests from each dialect to each backend: the body sent, or the obstacle.

use serde_json::{Value, json};

use super::{Bounds, Dialect, TARGET, json};

const OPENAI: Dialect = Dialect::OpenAi;
const ANTHROPIC: Dialect = Dialect::Anthropic;
const OLLAMA: Dialect = Dialect::Ollama;

fn sent(from: Dialect, to: Dialect, body: &Value) -> Value {
    let chat = from.decode(body.to_string().as_bytes(), &Bounds::default()).expect("a valid request");
    assert_eq!(to.obstacle(from, &chat), None, "{from:?} to {to:?}: {body}");
    json(&to.encode(from, &chat, &TARGET))
}

fn obstacle(from: Dialect, to: Dialect, body: &Value) -> Option<String> {
    let chat = from.decode(body.to_string().as_bytes(), &Bounds::default()).expect("a valid request");
    to.obstacle(from, &chat)
}

/// The same conversation in each dialect: system, question, call, result, picture.
fn openai() -> Value {
    json!({"model": "auto", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "user": "u1",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "What is in Oslo?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{\"city\":\"Oslo\"}"}},
                {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "call_0", "content": "A fjord."},
            {"role": "tool", "tool_call_id": "call_1", "content": "Noon."},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}},
                {"type": "text", "text": "This one?"}]}],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {}}}}]})
}

fn anthropic() -> Value {
    json!({"model": "auto", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"}, "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "What is in Oslo?"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "call_0", "name": "look", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "call_1", "name": "time", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_0", "content": "A fjord."},
                {"type": "tool_result", "tool_use_id": "call_1", "content": "Noon."},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoA"}},
                {"type": "text", "text": "This one?"}]}],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]})
}

fn ollama() -> Value {
    json!({"model": "auto", "stream": false,
        "options": {"num_predict": 50, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]},
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "What is in Oslo?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [
                {"id": "call_0", "function": {"name": "look", "arguments": {"city": "Oslo"}}},
                {"id": "call_1", "function": {"name": "time", "arguments": {}}}]},
            {"role": "tool", "content": "A fjord.", "tool_name": "look", "tool_call_id": "call_0"},
            {"role": "tool", "content": "Noon.", "tool_name": "time", "tool_call_id": "call_1"},
            {"role": "user", "content": "This one?", "images": ["iVBORw0KGgoA"]}],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {}}}}]})
}

/// The request as the gateway writes it: with the backend's model, and always with `stream`.
fn as_sent(mut body: Value) -> Value {
    body["model"] = json!("m");
    body["stream"] = json!(false);
    body
}

#[test]
fn a_conversation_with_tools_and_pictures_says_the_same_in_every_dialect() {
    let bodies = [(OPENAI, openai()), (ANTHROPIC, anthropic()), (OLLAMA, ollama())];
    for (from, body) in &bodies {
        for (to, expected) in &bodies {
            let mut expected = expected.clone();
            if *from == OLLAMA && *to != OLLAMA {
                // Ollama has no name for the user.
                let object = expected.as_object_mut().expect("an object");
                object.remove("user");
                object.remove("metadata");
            }
            if from == to {
                expected["model"] = json!("m");
            } else {
                expected = as_sent(expected);
            }
            assert_eq!(sent(*from, *to, body), expected, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_native_prompt_reaches_every_backend() {
    let body = json!({"prompt": "hi"});
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (to, expected) in [
        (OPENAI, json!({"model": "m", "messages": messages, "stream": false})),
        (ANTHROPIC, json!({"model": "m", "max_tokens": 1000, "messages": messages, "stream": false})),
        (OLLAMA, json!({"model": "m", "messages": messages, "stream": false})),
        (Dialect::Native, json!({"model": "m", "messages": messages, "stream": false})),
    ] {
        assert_eq!(sent(Dialect::Native, to, &body), expected);
    }
    let limited = json!({"prompt": "hi", "max_tokens": 5, "stream": true});
    for (to, expected) in [
        (
            OPENAI,
            json!({"model": "m", "messages": messages, "max_tokens": 5, "stream": true, "stream_options": {"include_usage": true}}),
        ),
        (ANTHROPIC, json!({"model": "m", "max_tokens": 5, "messages": messages, "stream": true})),
        (OLLAMA, json!({"model": "m", "messages": messages, "stream": true, "options": {"num_predict": 5}})),
    ] {
        assert_eq!(sent(Dialect::Native, to, &limited), expected);
    }
}

#[test]
fn single_fields_are_translated() {
    let openai = |members: Value| {
        let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        body
    };
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (to, members, pointer, expected) in [
        (ANTHROPIC, json!({}), "/max_tokens", json!(1000)),
        (ANTHROPIC, json!({"max_completion_tokens": 3}), "/max_tokens", json!(3)),
        (ANTHROPIC, json!({"tools": tools, "tool_choice": "auto"}), "/tool_choice", json!({"type": "auto"})),
        (ANTHROPIC, json!({"tools": tools, "tool_choice": "none"}), "/tool_choice", json!({"type": "none"})),
        (ANTHROPIC, json!({"tools": tools, "tool_choice": "required"}), "/tool_choice", json!({"type": "any"})),
        (ANTHROPIC, json!({"tool_choice": "required"}), "/tool_choice", Value::Null),
        (OLLAMA, json!({"tools": tools, "tool_choice": "none"}), "/tools", Value::Null),
        (
            ANTHROPIC,
            json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
            "/tool_choice",
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
        ),
        (
            ANTHROPIC,
            json!({"tools": tools, "parallel_tool_calls": false}),
            "/tool_choice",
            json!({"type": "auto", "disable_parallel_tool_use": true}),
        ),
        (ANTHROPIC, json!({"parallel_tool_calls": false}), "/tool_choice", Value::Null),
        (ANTHROPIC, json!({"tools": tools}), "/tools/0/input_schema", json!({"type": "object", "properties": {}})),
        (ANTHROPIC, json!({"stop": "x"}), "/stop_sequences", json!(["x"])),
        (OLLAMA, json!({"seed": 7}), "/options/seed", json!(7)),
        (OLLAMA, json!({"temperature": 1.5}), "/options/temperature", json!(1.5)),
        (OLLAMA, json!({"response_format": {"type": "json_object"}}), "/format", json!("json")),
        (
            OLLAMA,
            json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}}),
            "/format",
            json!({"type": "object"}),
        ),
        (
            ANTHROPIC,
            json!({"response_format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}),
            "/output_config/format/schema",
            json!({"type": "object"}),
        ),
        (
            OLLAMA,
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}),
            "/format",
            json!({"type": "object"}),
        ),
    ] {
        let sent = sent(OPENAI, to, &openai(members.clone()));
        assert_eq!(sent.pointer(pointer).unwrap_or(&Value::Null), &expected, "{to:?} {members}");
    }
    let instructed =
        json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]});
    for (members, instructions) in [(json!({}), 1), (instructed, 2)] {
        let mut body = openai(members);
        body["response_format"] = json!({"type": "json_object"});
        let sent = sent(OPENAI, ANTHROPIC, &body);
        let system = match &sent["system"] {
            Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
            one => vec![one.as_str().expect("instructions")],
        };
        assert_eq!(system.len(), instructions, "{sent}");
        assert!(system.last().is_some_and(|text| text.contains("one JSON object")), "{sent}");
    }
    let text = |text: &str| json!({"type": "text", "text": text});
    let picture = |url: &str| json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]);
    let source = "/messages/0/content/0/source";
    for (to, messages, pointer, expected) in [
        (
            ANTHROPIC,
            picture("data:image/jpg;base64,AAAA"),
            source,
            json!({"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}),
        ),
        (
            ANTHROPIC,
            picture("data:image/png;x=1;base64,AAAA"),
            source,
            json!({"type": "base64", "media_type": "image/png", "data": "AAAA"}),
        ),
        (
            ANTHROPIC,
            json!([{"role": "user", "content": [text(" \n"), text("hi")]}, {"role": "assistant", "content": "So: \n"}]),
            "/messages",
            json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "So:"}]),
        ),
        // Only what the model is to continue must not end in blanks.
        (
            ANTHROPIC,
            json!([{"role": "user", "content": "a "}, {"role": "assistant", "content": "b "}, {"role": "user", "content": "c "}]),
            "/messages/1/content",
            json!("b "),
        ),
        (
            ANTHROPIC,
            json!([{"role": "user", "content": ["a", "b"]}]),
            "/messages/0/content",
            json!([text("a"), text("b")]),
        ),
        (
            ANTHROPIC,
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": "https://x/a.png"}]}]),
            source,
            json!({"type": "url", "url": "https://x/a.png"}),
        ),
        (OLLAMA, json!([{"role": "user", "content": ["a", "b"]}]), "/messages/0/content", json!("a\nb")),
    ] {
        let sent = sent(OPENAI, to, &json!({"model": "auto", "messages": messages}));
        assert_eq!(sent.pointer(pointer), Some(&expected), "{to:?} {messages}");
    }
    let silent = json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}, {"role": "user", "content": "b"}]});
    assert_eq!(sent(ANTHROPIC, OPENAI, &silent)["messages"][1], json!({"role": "assistant", "content": ""}));
    let ollama = json!({"model": "m", "stream": false, "format": {"type": "object"}, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(
        sent(OLLAMA, OPENAI, &ollama)["response_format"],
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}})
    );
}

#[test]
fn obstacles_are_named_as_the_client_names_them() {
    let openai = |members: Value| {
        let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        body
    };
    let system_later = json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]});
    let url = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/a.png"}}]}]});
    let odd_url =
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}]});
    let strict = json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true}}]});
    let call = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"});
    let drawing = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}});
    for (to, members, path) in [
        (ANTHROPIC, json!({"response_format": {"type": "json_object"}}), None),
        (ANTHROPIC, json!({"logprobs": true}), Some("logprobs")),
        (ANTHROPIC, json!({"messages": [{"role": "user", "content": ""}]}), Some("messages")),
        (ANTHROPIC, url.clone(), None),
        (ANTHROPIC, odd_url, Some("messages[0].content[0]")),
        (ANTHROPIC, json!({"messages": [{"role": "system", "content": [drawing]}]}), Some("messages[0].content[0]")),
        (ANTHROPIC, strict.clone(), None),
        (ANTHROPIC, system_later.clone(), None),
        (OLLAMA, url, Some("messages[0].content[0]")),
        (OLLAMA, system_later, None),
        (OLLAMA, strict, None),
        (OLLAMA, json!({"tool_choice": "auto"}), None),
        (OLLAMA, call, Some("tool_choice")),
        (OLLAMA, json!({"tool_choice": "none"}), None),
        (OLLAMA, json!({"parallel_tool_calls": false}), None),
        (OPENAI, json!({"logprobs": true, "anything": {}}), None),
    ] {
        assert_eq!(obstacle(OPENAI, to, &openai(members.clone())).as_deref(), path, "{to:?} {members}");
    }
    let ollama = json!({"model": "m", "format": "json", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(obstacle(OLLAMA, ANTHROPIC, &ollama), None);
    let picture = json!({"model": "m", "messages": [{"role": "user", "content": "hi", "images": ["AAAA"]}]});
    assert_eq!(obstacle(OLLAMA, ANTHROPIC, &picture).as_deref(), Some("messages[0].content[0]"));
    assert_eq!(obstacle(OLLAMA, OPENAI, &picture).as_deref(), Some("messages[0].content[0]"));
}

#[test]
fn turns_of_one_role_become_one_for_anthropic() {
    let body = json!({"model": "auto", "messages": [
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "user", "content": "d"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "e"},
        {"role": "assistant", "tool_calls": [{"id": "a.b:1", "type": "function", "function": {"name": "f", "arguments": "oops"}}]},
        {"role": "tool", "tool_call_id": "a.b:1", "content": ""}]});
    let sent = sent(OPENAI, ANTHROPIC, &body);
    assert_eq!(sent["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}, {"type": "text", "text": "e"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a_b_1", "name": "f", "input": {"INVALID_JSON": "oops"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a_b_1"}]}])
    );
}

#[test]
fn a_failed_tool_says_so_where_there_is_no_mark_for_it() {
    let body = json!({"model": "auto", "max_tokens": 5, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": "no such city"}]}]});
    assert_eq!(
        sent(ANTHROPIC, OPENAI, &body)["messages"][2],
        json!({"role": "tool", "tool_call_id": "a", "content": "Error: no such city"})
    );
    assert_eq!(
        sent(ANTHROPIC, OLLAMA, &body)["messages"][2],
        json!({"role": "tool", "tool_call_id": "a", "tool_name": "f", "content": "Error: no such city"})
    );
}

#[test]
fn the_own_dialect_is_forwarded_as_it_was_written() {
    for (dialect, body, expected) in [
        (
            OPENAI,
            r#"{ "x-new" : {"a":[1.50, 1e2]}, "model":"auto","messages":[{"role":"user","content":"h\u0069"}],"n":2}"#,
            r#"{"x-new":{"a":[1.50, 1e2]},"model":"m","messages":[{"role":"user","content":"h\u0069"}],"n":2}"#,
        ),
        (
            OPENAI,
            r#"{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true}}"#,
        ),
        (
            OPENAI,
            r#"{"model":"auto","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":false},"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        (
            OPENAI,
            r#"{"model":"auto","stream":true,"stream_options":{ "include_usage": true },"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","stream":true,"stream_options":{ "include_usage": true },"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        (
            OPENAI,
            r#"{"model":"auto","stream":true,"stream_options":null,"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        (
            ANTHROPIC,
            r#"{"model":"auto","max_tokens":5,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","max_tokens":5,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        (
            OLLAMA,
            r#"{"model":"auto","keep_alive":"5m","options":{"num_ctx": 8192},"messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"model":"m","keep_alive":"5m","options":{"num_ctx": 8192},"messages":[{"role":"user","content":"hi"}]}"#,
        ),
    ] {
        let chat = dialect.decode(body.as_bytes(), &Bounds::default()).expect("a valid request");
        assert_eq!(dialect.obstacle(dialect, &chat), None);
        assert_eq!(String::from_utf8_lossy(&dialect.encode(dialect, &chat, &TARGET)), expected);
    }
}

#[test]
fn thinking_that_the_gateway_wrote_itself_is_not_sent_to_anthropic() {
    let unsigned = json!({"type": "thinking", "thinking": "hm", "signature": ""});
    let signed = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let text = json!({"type": "text", "text": "\"signature\""});
    let body = |blocks: Value| {
        json!({"model": "auto", "max_tokens": 5, "messages": [
            {"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}, {"role": "user", "content": "y"}]})
    };
    for (before, after) in [
        (json!([unsigned, text]), Some(json!([text]))),
        (json!([signed, text]), Some(json!([signed, text]))),
        (json!([unsigned]), None),
    ] {
        let sent = sent(ANTHROPIC, ANTHROPIC, &body(before));
        match after {
            Some(blocks) => assert_eq!(sent["messages"][1]["content"], blocks),
            None => assert_eq!(sent["messages"].as_array().map(Vec::len), Some(2)),
        }
    }
}
