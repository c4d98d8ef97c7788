//! Complete responses: from each backend, to each client.

use serde_json::{Value, json};

use super::{ALL, Dialect, facts, json, total};
use crate::chat::{Finish, Reply, ToolCall};
use wasmgate_base::usage::Usage;

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

fn decoded(dialect: Dialect, body: &Value) -> Reply {
    dialect.decode_reply(body.to_string().as_bytes()).expect("a valid answer")
}

#[test]
fn answers_of_backends_are_read() {
    let openai = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt", "system_fingerprint": null,
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi.",
            "reasoning_content": "hm", "refusal": null, "annotations": [], "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": {"b": 2}}}]}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "completion_tokens_details": {"reasoning_tokens": 2},
            "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 0}}});
    assert_eq!(
        decoded(Dialect::OpenAi, &openai),
        Reply {
            id: Some("chatcmpl-1".to_owned()),
            model: Some("gpt".to_owned()),
            reasoning: "hm".to_owned(),
            text: "Hi.".to_owned(),
            tool_calls: vec![call("c1", "f", "{\"a\": 1}"), call("c2", "g", "{\"b\":2}")],
            finish: Some(Finish::ToolCalls),
            usage: Some(Usage { input: 4, cache_read: 6, cache_write: 0, output: 4, reasoning: 2 }),
            usage_is_whole: true,
        }
    );
    let anthropic = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hi."},
            {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}, {"type": "text", "text": " There."},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}],
        "usage": {"input_tokens": 4, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 6, "output_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard"}});
    assert_eq!(
        decoded(Dialect::Anthropic, &anthropic),
        Reply {
            id: Some("msg_1".to_owned()),
            model: Some("claude".to_owned()),
            reasoning: "hm".to_owned(),
            text: "Hi. There.".to_owned(),
            tool_calls: vec![call("t1", "f", "{\"a\":1}")],
            finish: Some(Finish::ToolCalls),
            usage: Some(Usage { input: 4, cache_read: 6, cache_write: 3, output: 4, ..Usage::default() }),
            usage_is_whole: true,
        }
    );
    let ollama = json!({"model": "llama3", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
        "message": {"role": "assistant", "content": "Hi.", "thinking": "hm", "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {"a": 1}}}]},
        "total_duration": 5, "load_duration": 1, "prompt_eval_count": 10, "prompt_eval_duration": 1, "eval_count": 4, "eval_duration": 1});
    assert_eq!(
        decoded(Dialect::Ollama, &ollama),
        Reply {
            id: None,
            model: Some("llama3".to_owned()),
            reasoning: "hm".to_owned(),
            text: "Hi.".to_owned(),
            tool_calls: vec![call("", "f", "{\"a\":1}")],
            finish: Some(Finish::ToolCalls),
            usage: Some(Usage { input: 10, cache_read: 0, cache_write: 0, output: 4, ..Usage::default() }),
            usage_is_whole: true,
        }
    );
}

#[test]
fn reasons_are_read() {
    let openai = |reason: &str| json!({"choices": [{"message": {"content": "x"}, "finish_reason": reason}]});
    let anthropic = |reason: &str| json!({"type": "message", "content": [], "stop_reason": reason});
    let ollama = |reason: &str| json!({"message": {"content": "x"}, "done": true, "done_reason": reason});
    for (dialect, body, finish) in [
        (Dialect::OpenAi, openai("stop"), Finish::Stop),
        (Dialect::OpenAi, openai("length"), Finish::Length),
        // An answer that calls no tool.
        (Dialect::OpenAi, openai("tool_calls"), Finish::Stop),
        (Dialect::OpenAi, openai("MAX_TOKENS"), Finish::Length),
        (Dialect::OpenAi, openai("content_filter"), Finish::ContentFilter),
        (Dialect::OpenAi, openai("eos"), Finish::Stop),
        (Dialect::Anthropic, anthropic("end_turn"), Finish::Stop),
        (Dialect::Anthropic, anthropic("stop_sequence"), Finish::StopSequence),
        (Dialect::Anthropic, anthropic("max_tokens"), Finish::Length),
        (Dialect::Anthropic, anthropic("model_context_window_exceeded"), Finish::Length),
        (Dialect::Anthropic, anthropic("tool_use"), Finish::Stop),
        (Dialect::Anthropic, anthropic("refusal"), Finish::ContentFilter),
        (Dialect::Anthropic, anthropic("pause_turn"), Finish::Stop),
        (Dialect::Ollama, ollama("stop"), Finish::Stop),
        (Dialect::Ollama, ollama("length"), Finish::Length),
        (Dialect::Ollama, ollama("load"), Finish::Stop),
        (Dialect::Ollama, ollama("content_filter"), Finish::ContentFilter),
    ] {
        assert_eq!(decoded(dialect, &body).finish, Some(finish), "{body}");
    }
    for (dialect, body) in [
        (Dialect::OpenAi, openai("abort")),
        (Dialect::Anthropic, anthropic("network_error")),
        (Dialect::Ollama, ollama("error")),
    ] {
        for read in [Dialect::decode_reply, Dialect::decode_forwarded_reply] {
            let failed = read(dialect, body.to_string().as_bytes());
            assert!(matches!(failed, Err(crate::NoReply::Failed(_))), "{body}: {failed:?}");
        }
    }
}

#[test]
fn thinking_is_read_under_each_name_and_once() {
    for members in [
        json!({"reasoning_content": "hm"}),
        json!({"reasoning": "hm", "reasoning_content": "hm"}),
        json!({"thinking": "hm"}),
        json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}),
        json!({"reasoning_content": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}),
        json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm", "format": "x"}]}),
        json!({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.encrypted", "data": "x"}]}),
    ] {
        let mut message = json!({"role": "assistant", "content": "Hi."});
        message.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        let reply = decoded(Dialect::OpenAi, &json!({"choices": [{"message": message, "finish_reason": "stop"}]}));
        assert_eq!((reply.reasoning.as_str(), reply.text.as_str()), ("hm", "Hi."), "{message}");
        let event = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": message}]}));
        for decoder in [crate::Decoder::new, crate::Decoder::forwarding] {
            let mut deltas = crate::chat::Deltas::new();
            decoder(Dialect::OpenAi).frame(event.as_bytes(), &mut deltas).expect("it is read");
            let thought = crate::chat::Delta::Reasoning("hm".to_owned());
            assert_eq!(deltas.iter().filter(|delta| **delta == thought).count(), 1, "{event}");
        }
    }
}

#[test]
fn half_a_count_and_a_refusal() {
    let reply = decoded(
        Dialect::OpenAi,
        &json!({"choices": [{"message": {"content": null, "refusal": "No."}}], "usage": {"prompt_tokens": 3}}),
    );
    let usage = Usage { input: 3, ..Usage::default() };
    assert_eq!((reply.text.as_str(), reply.finish, reply.usage), ("No.", None, Some(usage)));
    assert!(!reply.usage_is_whole);
    let impossible = json!({"choices": [{"message": {}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}});
    let usage = decoded(Dialect::OpenAi, &impossible).usage;
    assert_eq!(usage, Some(Usage { input: 0, cache_read: 3, cache_write: 0, output: 1, ..Usage::default() }));
}

#[test]
fn what_is_no_answer_is_malformed_and_its_words_are_not_repeated() {
    for (dialect, body) in [
        (Dialect::OpenAi, "not json SECRET"),
        (Dialect::OpenAi, "{}"),
        (Dialect::OpenAi, r#"{"choices":[]}"#),
        (Dialect::OpenAi, r#"{"choices":"SECRET"}"#),
        (Dialect::OpenAi, r#"{"choices":[{"message":{"content":7,"x":"SECRET"}}]}"#),
        (Dialect::OpenAi, r#"{"choices":[{"message":{"tool_calls":[{"function":{"arguments":"SECRET"}}]}}]}"#),
        (Dialect::OpenAi, r#"{"error":{"message":"SECRET"}}"#),
        (Dialect::Anthropic, "{}"),
        (Dialect::Anthropic, r#"{"type":"error","error":{"message":"SECRET"}}"#),
        (Dialect::Anthropic, r#"{"type":"message"}"#),
        (Dialect::Anthropic, r#"{"type":"message","content":[{"type":"tool_use","input":{}}]}"#),
        (Dialect::Ollama, r#"{"error":"SECRET"}"#),
        (Dialect::Ollama, r#"{"message":{"content":"x"},"done":false}"#),
        (Dialect::Ollama, r#"{"message":{"content":{},"tool_calls":[{"function":{}}]},"done":true,"x":"SECRET"}"#),
        (Dialect::Ollama, ""),
    ] {
        let text = dialect.decode_reply(body.as_bytes()).expect_err(body).to_string();
        assert!(!text.is_empty() && !text.contains("SECRET"), "{body}: {text}");
    }
}

fn reply() -> Reply {
    Reply {
        id: Some("backend-id".to_owned()),
        model: Some("backend-model".to_owned()),
        reasoning: "hm".to_owned(),
        text: "Hi.".to_owned(),
        tool_calls: vec![call("c1", "f", "{\"a\":1}"), call("", "g", ""), call("c3", "h", "oops")],
        finish: Some(Finish::ToolCalls),
        usage: Some(Usage { input: 4, cache_read: 6, cache_write: 2, output: 5, ..Usage::default() }),
        usage_is_whole: true,
    }
}

#[test]
fn answers_to_clients_are_written() {
    for (dialect, expected) in [
        (
            Dialect::OpenAi,
            json!({"id": "chatcmpl-0198ab", "object": "chat.completion", "created": 1_767_225_600, "model": "small",
                "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {"role": "assistant",
                    "content": "Hi.", "refusal": null, "reasoning_content": "hm", "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                        {"id": "call_0198ab_1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                        {"id": "c3", "type": "function", "function": {"name": "h", "arguments": "oops"}}]}}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
                    "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 2}}}),
        ),
        (
            Dialect::Anthropic,
            json!({"id": "msg_0198ab", "type": "message", "role": "assistant", "model": "small",
                "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "Hi."},
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "call_0198ab_1", "name": "g", "input": {}},
                    {"type": "tool_use", "id": "c3", "name": "h", "input": {"INVALID_JSON": "oops"}}],
                "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {"input_tokens": 4, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 6, "output_tokens": 5}}),
        ),
        (
            Dialect::Ollama,
            json!({"model": "small", "created_at": "2026-01-01T00:00:00Z",
                "message": {"role": "assistant", "content": "Hi.", "thinking": "hm", "tool_calls": [
                    {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"function": {"name": "g", "arguments": {}}},
                    {"id": "c3", "function": {"name": "h", "arguments": {"INVALID_JSON": "oops"}}}]},
                "done": true, "done_reason": "stop", "total_duration": 500_000_000, "prompt_eval_count": 12, "eval_count": 5}),
        ),
        (
            Dialect::Native,
            json!({"id": "0198-ab", "model": "small", "backend": "local", "response": "Hi.",
                "tool_calls": [{"id": "c1", "name": "f", "arguments": {"a": 1}}, {"id": "call_0198ab_1", "name": "g", "arguments": {}},
                    {"id": "c3", "name": "h", "arguments": {"INVALID_JSON": "oops"}}],
                "input_tokens": 12, "output_tokens": 5, "cost": 0.25, "latency_seconds": 0.5, "cached": false,
                "routing": {"complexity": 0.25, "tier": "low", "reasoning": "short", "estimated_cost": null, "policy": "complexity", "version": "1.0.0"}}),
        ),
    ] {
        assert_eq!(json(&dialect.encode_reply(&reply(), &facts(), &total())), expected, "{dialect:?}");
    }
}

#[test]
fn reasons_are_written() {
    for (finish, openai, anthropic, ollama) in [
        (Some(Finish::Stop), "stop", "end_turn", "stop"),
        (Some(Finish::StopSequence), "stop", "stop_sequence", "stop"),
        (Some(Finish::Length), "length", "max_tokens", "length"),
        (Some(Finish::ToolCalls), "tool_calls", "tool_use", "stop"),
        (Some(Finish::ContentFilter), "content_filter", "refusal", "stop"),
        (None, "stop", "end_turn", "stop"),
    ] {
        let reply = Reply { finish, text: "x".to_owned(), ..Reply::default() };
        let written = |dialect: Dialect| json(&dialect.encode_reply(&reply, &facts(), &total()));
        assert_eq!(written(Dialect::OpenAi)["choices"][0]["finish_reason"], openai);
        assert_eq!(written(Dialect::Anthropic)["stop_reason"], anthropic);
        assert_eq!(written(Dialect::Ollama)["done_reason"], ollama);
    }
}

#[test]
fn an_empty_answer_is_an_answer() {
    for dialect in ALL {
        let written = json(&dialect.encode_reply(&Reply::default(), &facts(), &total()));
        let text = match dialect {
            Dialect::Native | Dialect::Generate => &written["response"],
            Dialect::Completions => &written["choices"][0]["text"],
            Dialect::OpenAi => &written["choices"][0]["message"]["content"],
            Dialect::Anthropic => {
                assert_eq!(written["content"], json!([]));
                continue;
            }
            Dialect::Ollama => &written["message"]["content"],
            Dialect::Responses => {
                assert_eq!(written["output"], json!([]));
                continue;
            }
        };
        assert_eq!(text, "");
    }
    let unpriced = super::Total { cost: None, ..total() };
    assert_eq!(json(&Dialect::Native.encode_reply(&Reply::default(), &facts(), &unpriced))["cost"], Value::Null);
}
