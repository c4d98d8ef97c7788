//! Keys in another case: what the gateway reads must be what every backend reads.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ALL, Bounds, Dialect};
use crate::json::KNOWN;

/// A request with keys of each level that the reader of this dialect opens.
fn request(dialect: Dialect) -> Value {
    let schema = json!({"type": "object", "Model": 1, "properties": {"Name": {"Type": "string"}}});
    let function = json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}});
    match dialect {
        Dialect::Native => json!({"prompt": "hi"}),
        Dialect::Completions => json!({"model": "m", "prompt": "hi", "max_tokens": 5, "stream": true}),
        Dialect::Generate => json!({"model": "m", "prompt": "hi", "system": "s", "options": {"num_predict": 5}}),
        Dialect::OpenAi => json!({
            "model": "m", "max_tokens": 5, "stream": true, "stream_options": {"include_usage": true},
            "tools": [function], "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}}]},
                {"role": "assistant", "content": "ho", "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"Name": 1}}}]},
                {"role": "tool", "tool_call_id": "c", "content": "1"}]}),
        Dialect::Anthropic => json!({
            "model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "s"}], "stream": true,
            "metadata": {"user_id": "u"}, "tools": [{"name": "f", "input_schema": schema}],
            "tool_choice": {"type": "tool", "name": "f"},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoA"}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"Name": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]}]}),
        Dialect::Ollama => json!({
            "model": "m", "stream": false, "options": {"num_predict": 5, "temperature": 0.5}, "tools": [function],
            "format": schema,
            "messages": [
                {"role": "user", "content": "hi", "images": ["iVBORw0KGgoA"]},
                {"role": "assistant", "content": "ho", "tool_calls": [
                    {"function": {"name": "f", "arguments": {"Name": 1}}}]},
                {"role": "tool", "tool_name": "f", "content": "1"}]}),
        Dialect::Responses => json!({
            "model": "m", "instructions": "s", "max_output_tokens": 5, "stream": true, "reasoning": {"effort": "low"},
            "tools": [{"type": "function", "name": "f", "parameters": schema}],
            "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}},
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"Name\":1}"},
                {"type": "function_call_output", "call_id": "c", "output": "1"}]}),
    }
}

/// Other spellings of a key that some parser takes for it.
fn spellings(key: &str) -> Vec<String> {
    let mut capital = key.to_owned();
    capital[..1].make_ascii_uppercase();
    let mut last = key.to_owned();
    last[key.len() - 1..].make_ascii_uppercase();
    let other = [('s', 'ſ'), ('k', '\u{212a}'), ('i', 'ı'), ('i', 'İ')];
    let other = other.iter().filter(|(ascii, _)| key.contains(*ascii));
    let other = other.map(|(ascii, letter)| key.replacen(*ascii, &letter.to_string(), 1));
    [capital, last, key.to_ascii_uppercase()].into_iter().chain(other).collect()
}

/// The pointers to all objects whose keys a reader knows: not those of schemas and arguments, which are the client's.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (key, value) in members {
                let of_client = match key.as_str() {
                    "parameters" | "schema" | "input_schema" | "arguments" => true,
                    "input" => value.is_object(),
                    "format" => at.is_empty(),
                    _ => false,
                };
                if !of_client {
                    objects(value, &format!("{at}/{key}"), found);
                }
            }
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(n, value)| objects(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

fn members<'v>(request: &'v mut Value, at: &str) -> &'v mut Map<String, Value> {
    request.pointer_mut(at).and_then(Value::as_object_mut).expect("an object")
}

#[test]
fn a_known_key_in_another_case_is_refused_at_every_level_alone_and_next_to_the_known_one() {
    for dialect in ALL {
        let whole = request(dialect);
        let decode = |body: &Value| dialect.decode(body.to_string().as_bytes(), &Bounds::default());
        decode(&whole).unwrap_or_else(|refusal| panic!("{dialect:?}: {refusal}"));
        let mut levels = Vec::new();
        objects(&whole, "", &mut levels);
        for at in levels {
            for (key, value) in members(&mut whole.clone(), &at) {
                for spelling in spellings(key) {
                    for instead in [false, true] {
                        let mut body = whole.clone();
                        let members = members(&mut body, &at);
                        members.insert(spelling.clone(), value.clone());
                        if instead {
                            members.remove(key);
                        }
                        let refusal = decode(&body).map(|_| ()).expect_err(&body.to_string()).to_string();
                        let missing = instead && refusal.contains("missing");
                        assert!(
                            missing || refusal.contains(&format!("is another spelling of {key};")),
                            "{refusal}: {body}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn words_that_readers_compare_keys_with_are_known() {
    assert!(KNOWN.is_sorted(), "the search needs the order");
    let mut unknown = Vec::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single =
        ["native/request.rs", "ollama/generate.rs", "ollama/load.rs", "openai/completions.rs", "embeddings.rs"];
    let mut files: Vec<_> = single.iter().map(|file| src.join(file)).collect();
    for dialect in ["openai", "anthropic", "ollama", "responses"] {
        let folder = fs::read_dir(src.join(dialect).join("request")).expect("a folder");
        files.extend(folder.map(|entry| entry.expect("an entry").path()).filter(|path| !path.ends_with("tests.rs")));
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in code.split('"').skip(1).step_by(2) {
            let is_key = word.len() > 1 && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
            if is_key && KNOWN.binary_search(&word).is_err() {
                unknown.push(word.to_owned());
            }
        }
    }
    assert!(unknown.is_empty(), "add to json/spelling.rs: {unknown:?}");
}
