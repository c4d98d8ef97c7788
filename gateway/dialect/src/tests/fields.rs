//! Each field of the table in each direction, and the page that shows the table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Bounds, Dialect, Quirks, TARGET, Target};
use crate::fields::{CONTENT, Class, HINTS, Hint, Hints};

const DIALECTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama];
const PICTURE: &str = "iVBORw0KGgoA";

/// A request with a message of each role, an image and a tool.
fn base(dialect: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {}});
    let function = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    match dialect {
        Dialect::Native | Dialect::Responses | Dialect::Completions | Dialect::Generate => json!({"prompt": "hi"}),
        Dialect::OpenAi => json!({"model": "auto", "tools": [function], "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PICTURE}")}}]},
            {"role": "assistant", "content": "ho", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"}]}),
        Dialect::Anthropic => {
            json!({"model": "auto", "max_tokens": 9, "tools": [{"name": "f", "input_schema": schema}],
            "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}]},
            {"role": "assistant", "content": [{"type": "text", "text": "ho"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]}]})
        }
        Dialect::Ollama => json!({"model": "auto", "stream": false, "options": {}, "tools": [function], "messages": [
            {"role": "user", "content": "hi", "images": [PICTURE]},
            {"role": "assistant", "content": "ho", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "tool_name": "f", "content": "1"}]}),
    }
}

/// Where and what to write into `base` so that it has the field at this path of the table.
fn sample(dialect: Dialect, path: &str) -> (String, Value) {
    let at = |pointer: &str, value: Value| (pointer.to_owned(), value);
    match (dialect, path) {
        (_, "*.cache_control") => at("/messages/0/cache_control", json!({"type": "ephemeral"})),
        (Dialect::Anthropic, "messages[].content[].thinking") => {
            at("/messages/1/content/0", json!({"type": "thinking", "thinking": "hm", "signature": "s"}))
        }
        (Dialect::Anthropic, "messages[].content[].redacted_thinking") => {
            at("/messages/1/content/0", json!({"type": "redacted_thinking", "data": "x"}))
        }
        (Dialect::Anthropic, "messages[].content[].citations") => at("/messages/1/content/0/citations", json!([{}])),
        (_, "messages[].content[].image_url.detail") => at("/messages/0/content/1/image_url/detail", json!("high")),
        (_, "response_format.json_schema.name" | "response_format.json_schema.description") => {
            let key = path.rsplit('.').next().unwrap_or_default();
            let mut schema = json!({"schema": {"type": "object"}});
            schema[key] = json!("n");
            at("/response_format", json!({"type": "json_schema", "json_schema": schema}))
        }
        (_, "tool_choice.disable_parallel_tool_use") => {
            at("/tool_choice", json!({"type": "auto", "disable_parallel_tool_use": true}))
        }
        (_, "metadata.user_id") => at("/metadata", json!({"user_id": "u"})),
        (_, "metadata.*") => at("/metadata", json!({"team": "t"})),
        (_, "output_config.effort") => at("/output_config", json!({"effort": "low"})),
        (_, "options.*") => at("/options/num_ctx", json!(9)),
        _ => {
            let pointer =
                format!("/{}", path.replace("messages[]", "messages/1").replace("[]", "/0").replace('.', "/"));
            at(&pointer, value(path.rsplit('.').next().unwrap_or_default(), dialect))
        }
    }
}

/// A value that says something.
fn value(key: &str, dialect: Dialect) -> Value {
    match key {
        "thinking" if dialect == Dialect::Anthropic => json!({"type": "adaptive"}),
        "think"
        | "store"
        | "strict"
        | "truncate"
        | "shift"
        | "enable_thinking"
        | "ignore_eos"
        | "defer_loading"
        | "eager_input_streaming"
        | "logprobs"
        | "raw" => json!(true),
        "parallel_tool_calls" => json!(false),
        "reasoning_effort" => json!("low"),
        "stop" | "stop_sequences" => json!(["END"]),
        "annotations" | "reasoning_details" | "functions" | "mcp_servers" => json!([{}]),
        "modalities" => json!(["text", "audio"]),
        "reasoning" if dialect == Dialect::OpenAi => json!("hm"),
        "stream_options" => json!({"include_obfuscation": true}),
        "metadata" | "logit_bias" => json!({"5": 1}),
        "n"
        | "max_tokens"
        | "max_completion_tokens"
        | "num_predict"
        | "top_k"
        | "seed"
        | "min_tokens"
        | "top_logprobs"
        | "prompt_logprobs" => json!(5),
        "temperature" | "top_p" | "frequency_penalty" | "presence_penalty" | "min_p" | "top_a" | "typical_p"
        | "repetition_penalty" | "length_penalty" => json!(0.5),
        _ => json!("x"),
    }
}

/// Whether a request has something at a path of the table.
fn has(value: &Value, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let inside = |value: &Value| rest.map_or(!value.is_null(), |rest| has(value, rest));
    match first.strip_suffix("[]") {
        Some(key) => value[key].as_array().is_some_and(|all| all.iter().any(inside)),
        None => inside(&value[first]),
    }
}

/// The same for a hint that shares its path with another one.
fn with_hint(dialect: Dialect, path: &str, hint: Hint) -> Value {
    let mut body = with(dialect, path);
    if (hint, path) == (Hint::Effort, "think") {
        body["think"] = json!("low");
    }
    body
}

fn with(dialect: Dialect, path: &str) -> Value {
    let mut body = base(dialect);
    let (pointer, value) = sample(dialect, path);
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match body.pointer_mut(parent).expect("the parent is in the base") {
        Value::Array(all) => all[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    body
}

#[test]
fn each_hint_is_written_in_another_dialect_or_left_out_and_named() {
    for &hint in Hint::ALL {
        let field = hint.field();
        for from in DIALECTS {
            for path in field.read_in(from).iter().filter(|path| **path != "anthropic-beta") {
                let body = with_hint(from, path, hint);
                let chat = from.decode(body.to_string().as_bytes(), &Bounds::default()).expect("valid");
                for to in DIALECTS.into_iter().filter(|to| *to != from) {
                    let about = format!("{} at {path}, {from:?} to {to:?}", field.label);
                    assert_eq!(to.obstacle(from, &chat), None, "{about}");
                    let sent: Value = serde_json::from_slice(&to.encode(from, &chat, &TARGET)).expect("JSON");
                    let dropped = to.dropped(from, &chat, &Quirks::NONE);
                    match field.written_in(to) {
                        // What is read as a hint without a value of the model's own cannot be translated either.
                        Some(written) => {
                            let adds = matches!(hint, Hint::StreamOptions | Hint::SchemaName);
                            assert!(adds || has(&sent, written) != dropped.hints.has(hint), "{about}: {sent}");
                        }
                        None => {
                            assert!(dropped.hints.has(hint) || hint == Hint::StreamOptions, "{about}: {dropped:?}");
                            let names = dropped.names(from);
                            // A field with two names may be told by either.
                            let plain = |path: &&str| path.trim_start_matches("*.").trim_end_matches('*').to_owned();
                            let named = field.read_in(from).iter().map(plain).any(|name| names.contains(&name));
                            assert!(hint == Hint::StreamOptions || named, "{about}: {names}");
                        }
                    }
                }
                assert!(from.dropped(from, &chat, &Quirks::NONE).is_empty(), "{} in its own dialect", field.label);
            }
        }
    }
}

#[test]
fn what_a_server_does_not_take_is_not_written() {
    for from in DIALECTS {
        for to in DIALECTS.into_iter().filter(|to| *to != from) {
            for &hint in Hint::ALL {
                let field = hint.field();
                let Some(written) = field.written_in(to) else { continue };
                if matches!(hint, Hint::OutputLimit | Hint::Stop | Hint::SchemaName | Hint::StreamOptions) {
                    continue;
                }
                for path in field.read_in(from) {
                    let body = with_hint(from, path, hint).to_string();
                    let chat = from.decode(body.as_bytes(), &Bounds::default()).expect("valid");
                    let quirks = Quirks { leave_out: Hints::of(&[hint]), ..Quirks::NONE };
                    let sent = to.encode(from, &chat, &Target { quirks, ..TARGET });
                    let sent: Value = serde_json::from_slice(&sent).expect("JSON");
                    assert!(!has(&sent, written), "{} at {path}, {from:?} to {to:?}: {sent}", field.label);
                    assert!(to.dropped(from, &chat, &quirks).hints.has(hint), "{} {from:?} {to:?}", field.label);
                }
            }
        }
    }
}

#[test]
fn content_that_no_other_dialect_has_is_refused_by_its_name() {
    for field in CONTENT.iter().filter(|field| field.written == [None; 3]) {
        for from in DIALECTS {
            for path in field.read_in(from) {
                let body = with(from, path).to_string();
                let chat = from.decode(body.as_bytes(), &Bounds::default()).expect("valid");
                for to in DIALECTS.into_iter().filter(|to| *to != from) {
                    let obstacle = to.obstacle(from, &chat).unwrap_or_default();
                    assert_eq!(obstacle, path.replace("messages[]", "messages[1]"), "{from:?} to {to:?}");
                }
                assert_eq!(from.obstacle(from, &chat), None);
            }
        }
    }
}

#[test]
fn unknown_fields_are_left_out_and_named_within_bounds() {
    let mut body = base(Dialect::OpenAi);
    for number in 0..100 {
        body[format!("brand_new_{number:03}")] = json!(1);
    }
    let chat = Dialect::OpenAi.decode(body.to_string().as_bytes(), &Bounds::default()).expect("valid");
    let names = Dialect::Anthropic.dropped(Dialect::OpenAi, &chat, &Quirks::NONE).names(Dialect::OpenAi);
    assert!(names.starts_with("brand_new_000, brand_new_001"), "{names}");
    assert!(names.len() < 300, "{names}");
    let mut odd = base(Dialect::Anthropic);
    odd[format!("größe\r\n{}", "x".repeat(100))] = json!(1);
    let chat = Dialect::Anthropic.decode(odd.to_string().as_bytes(), &Bounds::default()).expect("valid");
    let names = Dialect::OpenAi.dropped(Dialect::Anthropic, &chat, &Quirks::NONE).names(Dialect::Anthropic);
    assert!(names.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && names.ends_with("..."), "{names:?}");
}

#[test]
fn strict_translation_names_the_first_hint_that_is_lost() {
    for (from, to, path, lost) in [
        (Dialect::Anthropic, Dialect::OpenAi, "context_management", Some("context_management")),
        (Dialect::Anthropic, Dialect::OpenAi, "*.cache_control", None),
        (Dialect::OpenAi, Dialect::Anthropic, "seed", Some("seed")),
        (Dialect::OpenAi, Dialect::Ollama, "seed", None),
        (Dialect::Ollama, Dialect::OpenAi, "options.*", Some("options.num_ctx")),
        (Dialect::Ollama, Dialect::OpenAi, "keep_alive", None),
        (Dialect::Ollama, Dialect::Ollama, "options.*", None),
    ] {
        let chat = from.decode(with(from, path).to_string().as_bytes(), &Bounds::default()).expect("valid");
        assert_eq!(to.lost_hint(from, &chat).as_deref(), lost, "{path} {from:?} {to:?}");
    }
}

#[test]
fn the_set_holds_each_hint() {
    assert!(Hint::ALL.len() <= 64);
    for (at, &hint) in Hint::ALL.iter().enumerate() {
        assert_eq!(hint as usize, at);
        assert_eq!(Hints::of(&[hint]).iter().collect::<Vec<_>>(), [hint]);
    }
    let labels: std::collections::HashSet<_> = HINTS.iter().map(|field| field.label).collect();
    assert_eq!(labels.len(), HINTS.len());
}

/// The table as the page shows it.
fn table() -> String {
    let mut page =
        String::from("| field | kind | OpenAI | Anthropic | Ollama | Responses |\n|---|---|---|---|---|---|\n");
    for field in CONTENT.iter().chain(HINTS) {
        let kind = match field.class {
            Class::Content if field.written == [None; 3] => "content, refused",
            Class::Content => "content",
            Class::Hint => "hint",
            Class::Annotation => "annotation",
        };
        let _ = write!(page, "| {} | {kind} |", field.label);
        let written = field.written.into_iter().map(Some).chain([None]);
        for (read, written) in field.read.iter().zip(written) {
            let paths = read.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            let _ = match (paths.as_str(), written) {
                ("", _) => write!(page, " – |"),
                (paths, Some(Some(written))) if read[0] != written => {
                    write!(page, " {paths}; written as `{written}` |")
                }
                (paths, Some(Some(_)) | None) => write!(page, " {paths} |"),
                (paths, Some(None)) => write!(page, " {paths}; not written |"),
            };
        }
        page.push('\n');
    }
    page
}

#[test]
fn the_page_shows_the_table() {
    let page = include_str!("../../../TRANSLATION.md");
    let table = table();
    assert!(page.contains(&table), "gateway/TRANSLATION.md must contain this table:\n{table}");
}
