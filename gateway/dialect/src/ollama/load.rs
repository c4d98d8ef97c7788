//! Requests without a prompt: Ollama's servers load the model into memory, or unload it if `keep_alive` is 0.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::Chat;
use crate::types::Dialect;
use crate::write;

#[derive(Serialize)]
struct Loaded<'a> {
    model: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
    done: bool,
    done_reason: &'static str,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: &'static str,
}

/// The answer to such a request of dialect `from`, of a gateway whose backend loads no models. `created`: the time now, in
/// seconds since 1970.
pub(crate) fn loaded(from: Dialect, chat: &Chat, created: u64) -> Vec<u8> {
    let keep_alive = chat.raw.iter().find(|(key, _)| key == "keep_alive").map(|(_, raw)| &**raw);
    let prompt = from == Dialect::Generate;
    let mut line = write::to_vec(&Loaded {
        model: &chat.model,
        created_at: write::rfc3339(created),
        response: prompt.then_some(""),
        message: (!prompt).then_some(Message { role: "assistant", content: "" }),
        done: true,
        done_reason: if keep_alive.is_some_and(is_none) { "unload" } else { "load" },
    });
    line.push(b'\n');
    line
}

/// Whether a time is none: `0` or a text such as `0s`.
fn is_none(raw: &RawValue) -> bool {
    let text = raw.get().trim_matches('"').trim_end_matches(|c: char| c.is_ascii_alphabetic());
    text.parse() == Ok(0.0)
}
