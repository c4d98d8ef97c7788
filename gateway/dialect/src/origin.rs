//! Marks what only the backend that made it understands: ids of stored answers, and encrypted text that a client sends back.
//! A marked text begins with `wg1.`, the backend's tag and a dot; the backend's own text follows.
//!
//! The tag is a digest of the backend's name in the configuration, so that all gateways of one configuration agree on it. A
//! client may forge it: that only narrows the choice among the models that may answer anyway.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Path};
use wasmgate_base::digest;

/// What each mark begins with. `1` is the version of its form.
const START: &str = "wg1.";
/// Characters of a tag.
const TAG: usize = 12;

/// The backend that made a part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The mark: `START`, the tag and a dot.
    mark: String,
}

impl Origin {
    /// The origin that a backend of this name is.
    #[must_use]
    pub fn of(backend: &str) -> Self {
        let digest = digest::sha256(backend.as_bytes());
        Self { mark: format!("{START}{}.", &digest[..TAG]) }
    }

    /// The origin of a marked text, and the backend's own text; `None` if it is not marked.
    #[must_use]
    pub fn read(marked: &str) -> Option<(Self, &str)> {
        let own = marked.get(START.len() + TAG + 1..)?;
        let mark = &marked[..START.len() + TAG + 1];
        let tag = mark.strip_prefix(START)?.strip_suffix('.')?;
        let is_tag = tag.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_tag.then(|| (Self { mark: mark.to_owned() }, own))
    }

    /// The text without the mark, if it is of this origin; else as it is.
    pub(crate) fn unmarked<'a>(&self, text: &'a str) -> &'a str {
        text.strip_prefix(self.mark.as_str()).unwrap_or(text)
    }

    /// The bytes of JSON with this mark within the strings that begin at `places`: the positions of their quotes.
    fn mark_at(&self, bytes: &[u8], mut places: Vec<usize>) -> Vec<u8> {
        places.sort_unstable();
        let mut out = Vec::with_capacity(bytes.len() + places.len() * self.mark.len());
        let mut from = 0;
        for place in places {
            out.extend_from_slice(&bytes[from..=place]);
            out.extend_from_slice(self.mark.as_bytes());
            from = place + 1;
        }
        out.extend_from_slice(&bytes[from..]);
        out
    }

    /// Marks a response object within `bytes`, or an event that holds one or an item; `None` if nothing is to be marked.
    /// Nothing else changes. `json` is a part of `bytes`.
    pub(crate) fn mark(&self, bytes: &[u8], json: &[u8], what: Marked) -> Option<Vec<u8>> {
        let mut places = Places { base: bytes.as_ptr().addr(), found: Vec::new() };
        match what {
            Marked::Response => places.response(&serde_json::from_slice(json).ok()?),
            Marked::Event => {
                let event: Event<'_> = serde_json::from_slice(json).ok()?;
                if let Some(response) = event.response.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
                    places.response(&response);
                }
                places.item(event.item);
            }
        }
        (!places.found.is_empty()).then(|| self.mark_at(bytes, places.found))
    }
}

/// What is to be marked.
#[derive(Clone, Copy)]
pub(crate) enum Marked {
    Response,
    Event,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    /// The items of a list.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    encrypted_content: Option<&'a RawValue>,
}

/// The positions of the strings to be marked, in the bytes that begin at `base`.
struct Places {
    base: usize,
    found: Vec<usize>,
}

impl Places {
    fn response(&mut self, response: &Response<'_>) {
        self.text(response.id);
        self.text(response.previous_response_id);
        for raw in [response.output, response.data].into_iter().flatten() {
            let items = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
            items.into_iter().for_each(|item| self.item(Some(item)));
        }
    }

    fn item(&mut self, item: Option<&RawValue>) {
        let item = item.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok());
        self.text(item.and_then(|item| item.encrypted_content));
    }

    /// Notes a string that is not empty.
    fn text(&mut self, raw: Option<&RawValue>) {
        let text = raw.map(RawValue::get).filter(|text| text.starts_with('"') && text.len() > 2);
        self.found.extend(text.and_then(|text| text.as_ptr().addr().checked_sub(self.base)));
    }
}

/// The fields of a request for the backend of `origin`: without its marks, and with `strip` without thinking that another
/// backend encrypted.
pub(crate) fn unmarked<'a>(
    raw: &'a [(String, Box<RawValue>)],
    origin: &Origin,
    strip: bool,
) -> Cow<'a, [(String, Box<RawValue>)]> {
    let replaced = |key: &str, raw: &RawValue| match key {
        _ if memchr::memmem::find(raw.get().as_bytes(), START.as_bytes()).is_none() => None,
        "previous_response_id" => {
            let text = json::string(&Path::Body, raw).ok()?;
            serde_json::value::to_raw_value(origin.unmarked(&text)).ok()
        }
        "input" => unmarked_input(raw, origin, strip),
        _ => None,
    };
    let mut fields = Cow::Borrowed(raw);
    for (at, (key, raw)) in raw.iter().enumerate() {
        if let Some(value) = replaced(key, raw) {
            fields.to_mut()[at].1 = value;
        }
    }
    fields
}

fn unmarked_input(raw: &RawValue, origin: &Origin, strip: bool) -> Option<Box<RawValue>> {
    let mut out = String::with_capacity(raw.get().len());
    json::objects(&Path::Body, raw, |_, fields| {
        let text = |key: &str| fields.get(key).and_then(|raw| json::string(&Path::Body, raw).ok());
        let marked = text("encrypted_content").filter(|text| Origin::read(text).is_some());
        let is_foreign = marked.as_ref().is_some_and(|text| origin.unmarked(text) == text.as_ref());
        if strip && is_foreign && text("type").is_some_and(|kind| kind == "reasoning") {
            return Ok(());
        }
        out.push(if out.is_empty() { '[' } else { ',' });
        for (at, (key, raw)) in fields.iter().enumerate() {
            out.push(if at == 0 { '{' } else { ',' });
            out.push_str(&serde_json::Value::from(key).to_string());
            out.push(':');
            match &marked {
                Some(text) if key == "encrypted_content" => {
                    out.push_str(&serde_json::Value::from(origin.unmarked(text)).to_string());
                }
                _ => out.push_str(raw.get()),
            }
        }
        out.push_str(if fields.is_empty() { "{}" } else { "}" });
        Ok(())
    })
    .ok()?;
    if out.is_empty() {
        out.push('[');
    }
    out.push(']');
    RawValue::from_string(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let origin = Origin::of("openai");
        let marked = format!("{}resp_1.x", origin.mark);
        assert_eq!(marked.len(), "wg1.".len() + TAG + 1 + "resp_1.x".len());
        assert_eq!(Origin::read(&marked), Some((origin.clone(), "resp_1.x")));
        assert_eq!(origin.unmarked(&marked), "resp_1.x");
        assert_eq!(Origin::of("other").unmarked(&marked), marked);
        for unmarked in [
            "",
            "resp_1",
            "wg1.",
            "wg1.0123456789abXresp_1",
            "wg1.0123456789aG.x",
            "wg2.0123456789ab.x",
            "wg1.\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}.x",
        ] {
            assert_eq!(Origin::read(unmarked), None, "{unmarked}");
        }
    }

    #[test]
    fn only_what_the_backend_alone_understands_is_marked() {
        let origin = Origin::of("openai");
        let mark = &origin.mark;
        let body = r#"{ "output" : [{"id":"rs_1","encrypted_content": "a\"b"},{"content":[{"text":"\"id\":\"resp_1\""}]},
            {"encrypted_content":null},{"encrypted_content":""}], "id":"resp_1", "previous_response_id": null , "n":1.50}"#;
        let marked = origin.mark(body.as_bytes(), body.as_bytes(), Marked::Response).expect("marks");
        let expected = body
            .replace("\"a\\\"b\"", &format!("\"{mark}a\\\"b\""))
            .replace("\"id\":\"resp_1\", \"prev", &format!("\"id\":\"{mark}resp_1\", \"prev"));
        assert_eq!(String::from_utf8(marked).expect("text"), expected);
        assert_eq!(origin.mark(b"{}", b"{}", Marked::Response), None);
        assert_eq!(origin.mark(b"not JSON", b"not JSON", Marked::Event), None);
    }

    #[test]
    fn requests_lose_the_marks_of_their_backend() {
        let (own, other) = (Origin::of("openai"), Origin::of("other"));
        let item =
            |origin: &Origin, kind: &str| format!(r#"{{"type":"{kind}","encrypted_content":"{}x"}}"#, origin.mark);
        let input = format!("[{},{},{{\"text\":  \"wg1.\"}},{{}}]", item(&own, "reasoning"), item(&other, "reasoning"));
        let field = |key: &str, value: String| (key.to_owned(), RawValue::from_string(value).expect("JSON"));
        let raw = [
            field("input", input.clone()),
            field("previous_response_id", format!("\"{}resp_1\"", own.mark)),
            field("n", "1.50".into()),
        ];
        let sent = |strip| unmarked(&raw, &own, strip).iter().map(|(_, raw)| raw.get().to_owned()).collect::<Vec<_>>();
        let plain = r#"{"type":"reasoning","encrypted_content":"x"}"#;
        assert_eq!(
            sent(false),
            [
                format!("[{plain},{},{{\"text\":\"wg1.\"}},{{}}]", item(&other, "reasoning")),
                "\"resp_1\"".into(),
                "1.50".into()
            ]
        );
        assert_eq!(sent(true)[0], format!("[{plain},{{\"text\":\"wg1.\"}},{{}}]"));
        // What is not thinking cannot be left out, and a request without marks is not rewritten.
        let raw = [field("input", format!("[{}]", item(&other, "compaction")))];
        assert_eq!(unmarked(&raw, &own, true)[0].1.get(), raw[0].1.get());
        let raw = [field("input", "[ {\"a\" :1} ]".into())];
        assert!(matches!(unmarked(&raw, &own, true), Cow::Borrowed(_)));
        let raw = [field("input", format!("[{}]", item(&other, "reasoning")))];
        assert_eq!(unmarked(&raw, &own, true)[0].1.get(), "[]");
    }
}
