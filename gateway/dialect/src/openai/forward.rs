//! Forwards OpenAI's requests to backends of the same dialect.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::chat::Chat;
use crate::fields::Hint;
use crate::json::{self, Path};
use crate::quirks::Target;
use crate::types::Dialect;
use crate::{quirks, write};

/// Forwards a request: the client's fields, with the backend's name of the model. It always asks a stream for usage,
/// because the cost would otherwise be a guess, unless the server does not take such options.
pub(crate) fn forward(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let Target { model, quirks, .. } = target;
    let raw = match quirks.is_empty() {
        true => Cow::Borrowed(&chat.raw),
        false => Cow::Owned(quirks::applied(&chat.raw, Dialect::OpenAi, quirks)),
    };
    let adds = chat.stream && quirks.takes(Hint::StreamOptions);
    let options = adds.then(|| stream_options(chat)).flatten();
    write::forward(&raw, model, options.as_deref().map(|options| ("stream_options", options)))
}

/// The client's stream options with `include_usage: true`; `None` if they already have it.
fn stream_options(chat: &Chat) -> Option<Box<RawValue>> {
    if chat.include_usage {
        return None;
    }
    let own = chat.raw.iter().find(|(key, _)| key == "stream_options").map(|(_, raw)| raw);
    let mut out = b"{".to_vec();
    // `decode` has checked that it is an object.
    if let Some(fields) = own.and_then(|raw| json::object(&Path::Body, raw).ok()) {
        for (key, raw) in fields.iter().filter(|(key, _)| *key != "include_usage") {
            write::append(&key, &mut out);
            out.push(b':');
            out.extend_from_slice(raw.get().as_bytes());
            out.push(b',');
        }
    }
    out.extend_from_slice(br#""include_usage":true}"#);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}
