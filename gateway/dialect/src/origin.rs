//! Marks what only the backend that made it understands: ids of stored answers, and encrypted text that a client sends back.
//! A marked text begins with `wg1.`, the backend's tag and a dot; the backend's own text follows.
//!
//! The tag is a digest of the backend's name in the configuration, so that all gateways of one configuration agree on it. A
//! client may forge it: that only narrows the choice among the models that may answer anyway.
//!
//! Ids of stored answers also have a seal if a group's key asked for the answer: `wg2.`, the tag, a dot, the seal, a dot and the
//! backend's id. The seal is a digest of the id, the group and a secret, so that keys of another group find no answer under
//! the id, whatever they make of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Path};
use wasmgate_base::digest;

/// What each mark begins with. `1` is the version of its form.
const START: &str = "wg1.";
/// What the mark of a sealed id begins with.
const SEALED: &str = "wg2.";
/// Characters of a tag.
const TAG: usize = 12;
/// Characters of a seal.
const SEAL: usize = 16;

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
        let Parts { tag, own, .. } = parts(marked)?;
        Some((Self { mark: format!("{START}{tag}.") }, own))
    }

    /// The text without the mark, if it is of this origin; else as it is.
    pub(crate) fn unmarked<'a>(&self, text: &'a str) -> &'a str {
        parts(text).filter(|parts| parts.tag == self.tag()).map_or(text, |parts| parts.own)
    }

    fn tag(&self) -> &str {
        &self.mark[START.len()..START.len() + TAG]
    }

    /// The bytes of JSON with marks within the strings that begin at `places`: the positions of their quotes, and the seals.
    fn mark_at(&self, bytes: &[u8], mut places: Vec<(usize, Option<String>)>) -> Vec<u8> {
        places.sort_unstable();
        let mut out = Vec::with_capacity(bytes.len() + places.len() * (self.mark.len() + SEAL + 1));
        let mut from = 0;
        for (place, seal) in places {
            out.extend_from_slice(&bytes[from..=place]);
            match seal {
                Some(seal) => out.extend_from_slice(format!("{SEALED}{}.{seal}.", self.tag()).as_bytes()),
                None => out.extend_from_slice(self.mark.as_bytes()),
            }
            from = place + 1;
        }
        out.extend_from_slice(&bytes[from..]);
        out
    }

    /// Marks a response object within `bytes`, or an event that holds one or an item; `None` if nothing is to be marked.
    /// Nothing else changes. `json` is a part of `bytes`. `seal`: that of the group that asked.
    pub(crate) fn mark(&self, bytes: &[u8], json: &[u8], what: Marked, seal: Option<&Seal>) -> Option<Vec<u8>> {
        let mut places = Places { base: bytes.as_ptr().addr(), seal, found: Vec::new() };
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

/// The parts of a marked text.
struct Parts<'a> {
    tag: &'a str,
    /// The seal of a sealed id.
    seal: Option<&'a str>,
    /// The backend's own text.
    own: &'a str,
}

fn parts(marked: &str) -> Option<Parts<'_>> {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let take = |text: &'_ str, length: usize| -> Option<usize> {
        let field = text.get(..length)?;
        (hex(field) && text[length..].starts_with('.')).then_some(length)
    };
    let (sealed, rest) = match marked.strip_prefix(START) {
        Some(rest) => (false, rest),
        None => (true, marked.strip_prefix(SEALED)?),
    };
    let end = take(rest, TAG)?;
    let (tag, rest) = (&rest[..end], &rest[end + 1..]);
    if !sealed {
        return Some(Parts { tag, seal: None, own: rest });
    }
    let end = take(rest, SEAL)?;
    Some(Parts { tag, seal: Some(&rest[..end]), own: &rest[end + 1..] })
}

/// Binds stored answers to the group whose key asked for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal(String);

impl Seal {
    /// That of a group. `secret`: what no client knows, and all gateways that share the backend's answers.
    #[must_use]
    pub fn new(secret: &str, group: &str) -> Self {
        Self(digest::sha256(format!("{}.{secret}{group}", secret.len()).as_bytes()))
    }

    fn of(&self, own: &str) -> String {
        let mut seal = digest::sha256(format!("{}{own}", self.0).as_bytes());
        seal.truncate(SEAL);
        seal
    }

    /// Whether an id is of an answer that keys of this group may ask for; without a group, one that was made without a key.
    #[must_use]
    pub fn opens(seal: Option<&Self>, id: &str) -> bool {
        match (parts(id), seal) {
            (Some(Parts { seal: Some(found), own, .. }), Some(seal)) => {
                // In the same time wherever they differ.
                found.bytes().zip(seal.of(own).bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
            }
            (Some(Parts { seal: Some(_), .. }), None) | (Some(_) | None, Some(_)) => false,
            (Some(_) | None, None) => true,
        }
    }
}

/// Without what it is made of.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(seal)")
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

/// The positions of the strings to be marked, in the bytes that begin at `base`, and the seals of ids.
struct Places<'a> {
    base: usize,
    seal: Option<&'a Seal>,
    found: Vec<(usize, Option<String>)>,
}

impl Places<'_> {
    fn response(&mut self, response: &Response<'_>) {
        self.text(response.id, self.seal);
        self.text(response.previous_response_id, self.seal);
        for raw in [response.output, response.data].into_iter().flatten() {
            let items = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
            items.into_iter().for_each(|item| self.item(Some(item)));
        }
    }

    fn item(&mut self, item: Option<&RawValue>) {
        let item = item.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok());
        self.text(item.and_then(|item| item.encrypted_content), None);
    }

    /// Notes a string that is not empty.
    fn text(&mut self, raw: Option<&RawValue>, seal: Option<&Seal>) {
        let text = raw.map(RawValue::get).filter(|text| text.starts_with('"') && text.len() > 2);
        let place = text.and_then(|text| Some((text.as_ptr().addr().checked_sub(self.base)?, text)));
        self.found.extend(place.map(|(at, text)| (at, seal.map(|seal| seal.of(&text[1..text.len() - 1])))));
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
        _ if !has_mark(raw.get().as_bytes()) => None,
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

fn has_mark(text: &[u8]) -> bool {
    [START, SEALED].iter().any(|start| memchr::memmem::find(text, start.as_bytes()).is_some())
}

/// The id of the stored answer that a request continues, as the client sent it.
pub(crate) fn previous_response(raw: &[(String, Box<RawValue>)]) -> Option<Cow<'_, str>> {
    let (_, raw) = raw.iter().find(|(key, _)| key == "previous_response_id")?;
    json::string(&Path::Body, raw).ok()
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
        let marked = origin.mark(body.as_bytes(), body.as_bytes(), Marked::Response, None).expect("marks");
        let expected = body
            .replace("\"a\\\"b\"", &format!("\"{mark}a\\\"b\""))
            .replace("\"id\":\"resp_1\", \"prev", &format!("\"id\":\"{mark}resp_1\", \"prev"));
        assert_eq!(String::from_utf8(marked).expect("text"), expected);
        assert_eq!(origin.mark(b"{}", b"{}", Marked::Response, None), None);
        assert_eq!(origin.mark(b"not JSON", b"not JSON", Marked::Event, None), None);
    }

    #[test]
    fn a_sealed_id_is_of_one_group_and_one_answer() {
        let (origin, seal) = (Origin::of("openai"), Seal::new("secret", "acme"));
        let body = r#"{"id":"resp_1","output":[{"encrypted_content":"x"}]}"#;
        let marked = origin.mark(body.as_bytes(), body.as_bytes(), Marked::Response, Some(&seal)).expect("marks");
        let marked: serde_json::Value = serde_json::from_slice(&marked).expect("JSON");
        assert_eq!(marked["output"][0]["encrypted_content"], format!("{}x", origin.mark), "the client has it anyway");
        let id = marked["id"].as_str().expect("an id");
        assert_eq!(Origin::read(id), Some((origin.clone(), "resp_1")));
        assert_eq!((origin.unmarked(id), Origin::of("other").unmarked(id)), ("resp_1", id));
        assert!(Seal::opens(Some(&seal), id) && !Seal::opens(None, id));
        for other in [Seal::new("secret", "other"), Seal::new("other", "acme"), Seal::new("secreta", "cme")] {
            assert!(!Seal::opens(Some(&other), id));
        }
        let unsealed = format!("{}resp_1", origin.mark);
        for forged in [&*id.replace("resp_1", "resp_2"), &unsealed, "resp_1", ""] {
            assert!(!Seal::opens(Some(&seal), forged), "{forged}");
        }
        assert!(Seal::opens(None, &unsealed) && Seal::opens(None, "resp_1"));
        for broken in
            ["wg2.", "wg2.0123456789ab.resp_1", "wg2.0123456789ab.0123456789abcdeg.x", "wg2.0123456789ab.\u{e9}"]
        {
            assert_eq!(Origin::read(broken), None, "{broken}");
        }
        assert_eq!(format!("{seal:?}"), "(seal)");
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
