//! Applies quirks to a request that is forwarded in its own dialect: its fields stay as the client wrote them, except those
//! that the operator says the server does not take.

use serde_json::value::RawValue;

use super::Quirks;
use crate::json::{self, ADMITTED, Path};
use crate::types::Dialect;

/// A request's top-level fields, as they are kept for forwarding.
type Fields = Vec<(String, Box<RawValue>)>;

/// The fields of a request as a server with these quirks takes them.
pub(crate) fn applied(raw: &Fields, to: Dialect, quirks: &Quirks) -> Fields {
    let paths: Vec<&str> = quirks.leave_out.iter().filter_map(|hint| hint.field().written_in(to)).collect();
    let has_newer = raw.iter().any(|(key, _)| key == "max_completion_tokens");
    let mut fields = Vec::with_capacity(raw.len());
    for (key, value) in raw {
        let mut value = value.clone();
        let mut left_out = false;
        for path in &paths {
            match split(path) {
                (first, _) if first.trim_end_matches("[]") != key => {}
                (_, None) => left_out = true,
                (first, Some(rest)) => value = in_all(first, &value, |value| without(value, rest)).unwrap_or(value),
            }
        }
        if quirks.string_content && key == "messages" {
            value = in_all("[]", &value, joined).unwrap_or(value);
        }
        match key.as_str() {
            _ if left_out => {}
            "max_tokens" if quirks.max_completion_tokens && has_newer => {}
            "max_tokens" if quirks.max_completion_tokens => fields.push(("max_completion_tokens".to_owned(), value)),
            _ => fields.push((key.clone(), value)),
        }
    }
    fields
}

/// The first key of a path and the rest.
fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)))
}

/// Changes a value, or each element of one whose key ends in `[]`. `None` if it stays as it is.
fn in_all(key: &str, raw: &RawValue, change: impl Fn(&RawValue) -> Option<Box<RawValue>>) -> Option<Box<RawValue>> {
    if !key.ends_with("[]") {
        return change(raw);
    }
    let elements = json::array(&Path::Body, raw, ADMITTED).ok()?;
    let changed: Vec<_> = elements.iter().map(|element| change(element)).collect();
    changed.iter().any(Option::is_some).then(|| {
        let texts = changed.iter().zip(&elements).map(|(new, old)| new.as_deref().unwrap_or(old).get());
        raw_value(format!("[{}]", texts.collect::<Vec<_>>().join(",")))
    })?
}

/// An object without the member at a path; `None` if it has none.
fn without(raw: &RawValue, path: &str) -> Option<Box<RawValue>> {
    let (first, rest) = split(path);
    let key = first.trim_end_matches("[]");
    let fields = json::object(&Path::Body, raw).ok()?;
    let member = fields.get(key)?;
    let changed = match rest {
        None => None,
        Some(rest) => Some(in_all(first, member, |value| without(value, rest))?),
    };
    with(&fields, key, changed.as_deref())
}

/// A message whose content is one string, if it is an array of texts only.
fn joined(message: &RawValue) -> Option<Box<RawValue>> {
    let fields = json::object(&Path::Body, message).ok()?;
    let mut all = String::new();
    let path = &Path::Body;
    for (index, part) in json::array(path, fields.get("content")?, ADMITTED).ok()?.into_iter().enumerate() {
        let part = json::object(path, part).ok()?;
        if json::required_string(path, &part, "type").ok()? != "text" {
            return None;
        }
        if index > 0 {
            all.push('\n');
        }
        all.push_str(&json::required_string(path, &part, "text").ok()?);
    }
    with(&fields, "content", Some(&*raw_value(serde_json::Value::from(all).to_string())?))
}

/// An object with another value of one member, or without that member.
fn with(fields: &json::Fields<'_>, key: &str, value: Option<&RawValue>) -> Option<Box<RawValue>> {
    let members = fields.iter().filter_map(|(name, raw)| {
        let raw = if name == key { value? } else { raw };
        Some(format!("{}:{}", serde_json::Value::from(name), raw.get()))
    });
    raw_value(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

fn raw_value(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bounds;
    use crate::fields::{Hint, Hints};

    #[test]
    fn what_a_server_does_not_take_is_left_out_and_the_rest_stays_as_it_was_written() {
        let all = Hints::of(&[Hint::Temperature, Hint::Reasoning, Hint::Strict, Hint::StreamOptions]);
        for (dialect, quirks, body, expected) in [
            (
                Dialect::OpenAi,
                Quirks { leave_out: all, ..Quirks::default() },
                r#"{"model":"m","temperature":1,"x":1.50,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"c"}],"tools":[{"type":"function","function":{"name":"f","strict":true}}],"stream":true}"#,
                r#"{"model":"n","x":1.50,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"tools":[{"type":"function","function":{"name":"f"}}],"stream":true}"#,
            ),
            (
                Dialect::OpenAi,
                Quirks { max_completion_tokens: true, string_content: true, ..Quirks::default() },
                r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#,
                r#"{"model":"n","max_completion_tokens":5,"messages":[{"role":"user","content":"a\nb"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#,
            ),
            (
                Dialect::Ollama,
                Quirks { leave_out: Hints::of(&[Hint::Seed, Hint::Thinking]), ..Quirks::default() },
                r#"{"model":"m","think":true,"options":{"seed":1,"num_ctx":5},"messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"n","options":{"num_ctx":5},"messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                Dialect::Anthropic,
                Quirks { leave_out: Hints::of(&[Hint::TopP, Hint::Effort]), ..Quirks::default() },
                r#"{"model":"m","max_tokens":1,"top_p":1,"output_config":{"effort":"low"},"messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"n","max_tokens":1,"output_config":{},"messages":[{"role":"user","content":"a"}]}"#,
            ),
        ] {
            let chat = dialect.decode(body.as_bytes(), &Bounds::default()).expect("valid");
            let target = crate::Target { model: "n", max_tokens: 1, quirks };
            assert_eq!(String::from_utf8_lossy(&dialect.encode(dialect, &chat, &target)), expected);
        }
    }
}
