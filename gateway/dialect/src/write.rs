//! Helpers for writing that the dialects share: bodies, forwarded fields, ids, times, arguments of tool calls.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::json::{self, Path};
use crate::types::Malformed;

/// Writes JSON into a new body.
pub(super) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    append(value, &mut out);
    out
}

/// Appends JSON to `out`.
pub(super) fn append(value: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to memory does not fail, and all keys of these types are strings.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

/// Writes the fields of a request unchanged, except `model` and, if given, `replaced`: a member and its new value,
/// which is added if the member is missing.
pub(super) fn forward(raw: &[(String, Box<RawValue>)], model: &str, replaced: Option<(&str, &RawValue)>) -> Vec<u8> {
    let size = raw.iter().map(|(key, value)| key.len() + value.get().len() + 8).sum::<usize>();
    let mut out = Vec::with_capacity(size + model.len() + 64);
    out.push(b'{');
    for (key, value) in raw {
        match replaced {
            _ if key == "model" => member(key, &model, &mut out),
            Some((name, value)) if name == key => member(key, &value, &mut out),
            _ => {
                append(key, &mut out);
                out.push(b':');
                out.extend_from_slice(value.get().as_bytes());
                out.push(b',');
            }
        }
    }
    let absent = |name: &str| raw.iter().all(|(key, _)| key != name);
    if absent("model") {
        member("model", &model, &mut out);
    }
    if let Some((name, value)) = replaced
        && absent(name)
    {
        member(name, &value, &mut out);
    }
    out.pop();
    out.push(b'}');
    out
}

fn member(key: &str, value: &impl Serialize, out: &mut Vec<u8>) {
    append(&key, out);
    out.push(b':');
    append(value, out);
    out.push(b',');
}

/// The error for bytes that do not follow the backend's dialect. Serde quotes what it found; a model's words do not
/// belong in a log, so the quoted text is removed.
pub(super) fn malformed(what: &str, error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    let text = match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &text[..first], &text[last + 1..]),
        _ => text,
    };
    Malformed::new(format!("{what}: {text}"))
}

/// The same for a frame of a stream. It holds a piece of the answer if it has one of `texts`.
pub(super) fn malformed_frame(what: &str, error: &serde_json::Error, frame: &[u8], texts: &[&str]) -> Malformed {
    let text = malformed(what, error).to_string();
    if has_one_of(frame, texts) { Malformed::part_of_answer(text) } else { Malformed::new(text) }
}

/// Whether a frame has one of `texts`.
pub(super) fn has_one_of(frame: &[u8], texts: &[&str]) -> bool {
    texts.iter().any(|text| memchr::memmem::find(frame, text.as_bytes()).is_some())
}

/// The arguments of a tool call as an object, for dialects that have no text there. Empty text means no arguments. Text
/// that is not an object is kept under the name that Anthropic's documentation recommends.
pub(super) fn arguments(text: &str) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Invalid<'a> {
        #[serde(rename = "INVALID_JSON")]
        text: &'a str,
    }
    let text = arguments_text(text);
    match serde_json::from_str::<&RawValue>(text) {
        Ok(object) if object.get().starts_with('{') => object.to_owned(),
        _ => to_raw_value(&Invalid { text }).unwrap_or_default(),
    }
}

/// The arguments of a tool call as text. Clients parse it, so empty text becomes `{}`.
pub(super) fn arguments_text(text: &str) -> &str {
    if text.trim().is_empty() { "{}" } else { text }
}

/// The text of a tool's result that consists of images, where these are in the message behind it.
pub(super) const SEE_IMAGES: &str = "The next message has the image.";

/// The schema of a tool's arguments, for dialects that require the schema of an object. `$schema`, which names the language
/// of the schema, is left out: some servers refuse it. `properties`: whether they are required.
pub(super) fn object_schema(schema: &RawValue, properties: bool) -> Cow<'_, RawValue> {
    let Ok(fields) = json::map(&Path::Body, schema) else { return Cow::Borrowed(schema) };
    let has = |key: &str| fields.iter().any(|(name, _)| name == key);
    let adds_properties = properties && !has("properties");
    if has("type") && !adds_properties && !has("$schema") {
        return Cow::Borrowed(schema);
    }
    let mut out = b"{".to_vec();
    if !has("type") {
        member("type", &"object", &mut out);
    }
    for (key, raw) in fields.iter().filter(|(key, _)| *key != "$schema") {
        member(key, &raw, &mut out);
    }
    if adds_properties {
        out.extend_from_slice(br#""properties":{},"#);
    }
    out.pop();
    out.push(b'}');
    let text = String::from_utf8(out).ok();
    text.and_then(|text| RawValue::from_string(text).ok()).map_or(Cow::Borrowed(schema), Cow::Owned)
}

/// Whether a tool's result already says that the tool failed.
pub(super) fn says_error(text: &str) -> bool {
    text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"))
}

/// A response's id: the dialect's prefix, and the characters of the request's id that every dialect accepts.
pub(super) fn id(prefix: &str, request_id: &str) -> String {
    let plain = request_id.chars().filter(char::is_ascii_alphanumeric);
    prefix.chars().chain(plain).collect()
}

/// The id of a tool call: the backend's, else a generated one. It contains the request's id, because the ids of one
/// conversation, which spans many requests, must differ.
pub(super) fn call_id(own: &str, request_id: &str, index: usize) -> String {
    if own.is_empty() { format!("{}_{index}", id("call_", request_id)) } else { own.to_owned() }
}

/// Formats a time as in `2026-01-31T23:59:59Z`.
pub(super) fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Converts days to a date. The calendar repeats every 400 years, counted from 1 March of year 0.
    let day = days + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn arguments_are_always_an_object() {
        for (text, object) in [
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("", "{}"),
            ("  ", "{}"),
            ("[1]", "{\"INVALID_JSON\":\"[1]\"}"),
            ("{\"a\":", "{\"INVALID_JSON\":\"{\\\"a\\\":\"}"),
        ] {
            assert_eq!(arguments(text).get(), object);
        }
    }

    #[test]
    fn a_models_words_stay_out_of_errors() {
        let error = serde_json::from_str::<u64>(r#""a secret \"x\"""#).expect_err("a string");
        assert_eq!(
            malformed("chunk", &error).to_string(),
            "chunk: invalid type: string …, expected u64 at line 1 column 16"
        );
    }

    #[test]
    fn ids_keep_only_what_every_dialect_takes() {
        assert_eq!(id("msg_", "0198-ab/c"), "msg_0198abc");
        assert_eq!(call_id("", "0198-ab", 2), "call_0198ab_2");
        assert_eq!(call_id("own", "0198-ab", 2), "own");
    }
}
