//! Requests in the backend's own dialect: the backend judges what the gateway does not understand, and gets it as it was
//! written. Backends of other dialects do not get such a request.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Bounds, Dialect, TARGET, json as parsed};

const DIALECTS: [Dialect; 4] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Responses];

fn base(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Responses => json!({"model": "m", "input": "hi"}),
        Dialect::Anthropic => json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}),
        _ => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    }
}

/// Members that are for the model's server alone.
fn settings(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Anthropic => &[
            "max_tokens",
            "tools",
            "tool_choice",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "metadata",
            "output_config",
            "thinking",
            "brand_new",
        ],
        Dialect::Ollama => &["format", "options", "think", "keep_alive", "raw", "brand_new"],
        Dialect::Responses => &[
            "parallel_tool_calls",
            "max_output_tokens",
            "temperature",
            "top_p",
            "text",
            "reasoning",
            "user",
            "tool_choice",
            "brand_new",
        ],
        _ => &[
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "top_k",
            "frequency_penalty",
            "presence_penalty",
            "stop",
            "seed",
            "reasoning_effort",
            "response_format",
            "user",
            "safety_identifier",
            "n",
            "brand_new",
        ],
    }
}

/// Any value, often one with a known word or member in an odd place.
fn values() -> impl Strategy<Value = Value> {
    let words = [
        "",
        "a",
        "auto",
        "none",
        "required",
        "function",
        "custom",
        "json",
        "json_object",
        "json_schema",
        "text",
        "tool",
        "any",
        "enabled",
        "grammar",
        "0.5",
    ];
    let keys = [
        "type",
        "function",
        "name",
        "arguments",
        "parameters",
        "input_schema",
        "json_schema",
        "schema",
        "format",
        "strict",
        "budget_tokens",
        "effort",
        "user_id",
        "temperature",
        "num_predict",
        "stop",
        "allowed_tools",
        "mode",
        "tools",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..9).prop_map(Value::from),
        (-9_i64..9).prop_map(|number| json!(number as f64 / 2.0)),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let members = proptest::collection::vec((proptest::sample::select(keys.to_vec()), inner.clone()), 0..4);
        let object = members.prop_map(|members| {
            members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
        });
        prop_oneof![proptest::collection::vec(inner, 0..3).prop_map(Value::from), object]
    })
}

proptest! {
    #[test]
    fn settings_of_any_form_reach_a_backend_of_the_own_dialect_as_they_are(
        dialect in proptest::sample::select(DIALECTS.to_vec()), which: proptest::sample::Index, value in values(),
    ) {
        let key = *which.get(settings(dialect));
        let mut body = base(dialect);
        body[key] = value;
        let chat = dialect.decode(body.to_string().as_bytes(), &Bounds::default());
        let chat = chat.unwrap_or_else(|error| panic!("{error}: {body}"));
        prop_assert_eq!(dialect.obstacle(dialect, &chat), None);
        prop_assert_eq!(parsed(&dialect.encode(dialect, &chat, &TARGET)), body.clone());
        for to in DIALECTS.into_iter().filter(|to| *to != dialect && *to != Dialect::Responses) {
            let obstacle = to.obstacle(dialect, &chat);
            if chat.misread.is_some() {
                prop_assert!(obstacle.is_some(), "{:?} would get {}", to, body);
            }
            if obstacle.is_none() {
                let _ = to.encode(dialect, &chat, &TARGET);
            }
        }
    }
}

#[test]
fn odd_messages_reach_a_backend_of_the_own_dialect_as_they_are() {
    let call = |call: Value| json!({"role": "assistant", "content": "ho", "tool_calls": [call]});
    let block = |block: Value| json!({"role": "user", "content": [block]});
    let image = json!({"type": "image", "source": {"type": "base64", "data": "AAAA"}});
    for (dialect, message, obstacle) in [
        (Dialect::OpenAi, json!({"role": "critic", "content": "x"}), Some("messages[1].role")),
        (Dialect::OpenAi, json!({"role": "tool", "content": "x"}), Some("messages[1].tool_call_id")),
        (Dialect::OpenAi, json!({"role": "user", "content": ["a", {"text": "b"}]}), None),
        (Dialect::OpenAi, block(json!({"type": "image_url", "image_url": "data:image/png;base64,AAAA"})), None),
        (Dialect::OpenAi, call(json!({"id": "c", "function": {"name": "f", "arguments": null}})), None),
        (Dialect::OpenAi, call(json!({"id": "c", "function": {"name": "f"}})), None),
        (
            Dialect::OpenAi,
            call(json!({"function": {"name": "f", "arguments": "{}"}})),
            Some("messages[1].tool_calls[0].id"),
        ),
        (
            Dialect::OpenAi,
            call(json!({"id": "c", "function": {"name": "f", "arguments": [1]}})),
            Some("messages[1].tool_calls[0].function.arguments"),
        ),
        (Dialect::OpenAi, call(json!("f")), Some("messages[1].tool_calls[0]")),
        (Dialect::OpenAi, json!({"role": "user"}), Some("messages[1].content")),
        (Dialect::OpenAi, json!({"role": "tool", "tool_call_id": "c"}), Some("messages[1].content")),
        (Dialect::OpenAi, block(json!({"input_text": "x"})), Some("messages[1].content[0].type")),
        (Dialect::OpenAi, block(json!({"type": "text", "text": 5})), Some("messages[1].content[0].text")),
        (Dialect::Anthropic, json!({"role": "user", "content": null}), Some("messages[1].content")),
        (Dialect::Anthropic, block(json!({"type": "text"})), Some("messages[1].content[0].text")),
        (Dialect::Anthropic, json!({"role": "tool", "content": "x"}), Some("messages[1].role")),
        (Dialect::Anthropic, json!({"role": "user", "content": ["a"]}), None),
        (Dialect::Anthropic, block(image), Some("messages[1].content[0].source.media_type")),
        (
            Dialect::Anthropic,
            json!({"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {}}]}),
            Some("messages[1].content[0].id"),
        ),
        (Dialect::Ollama, json!({"role": "critic", "content": "x"}), Some("messages[1].role")),
        (Dialect::Ollama, json!({"role": "tool", "tool_name": "f"}), Some("messages[1].content[0]")),
        (Dialect::Ollama, call(json!({"function": {}})), Some("messages[1].tool_calls[0].function.name")),
    ] {
        let mut body = base(dialect);
        body["messages"].as_array_mut().expect("a list").push(message);
        let chat = dialect.decode(body.to_string().as_bytes(), &Bounds::default());
        let chat = chat.unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(parsed(&dialect.encode(dialect, &chat, &TARGET)), body);
        let to = if dialect == Dialect::Anthropic { Dialect::OpenAi } else { Dialect::Anthropic };
        assert_eq!(to.obstacle(dialect, &chat).as_deref(), obstacle, "{body}");
        let said: Vec<_> = chat.messages[1].parts.iter().collect();
        assert!(!said.is_empty() || obstacle.is_some(), "{body}");
    }
}

#[test]
fn what_two_readers_may_read_in_two_ways_is_refused_all_the_same() {
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"text","type":"json_object"}}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","type":"custom"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"\ud800"}"#,
        r#"{"model":"m","messages":[{"role":"user","content":["\ud800"]}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"text":"a","text":"b"}]}]}"#,
    ] {
        assert!(Dialect::OpenAi.decode(body.as_bytes(), &Bounds::default()).is_err(), "{body}");
    }
}
