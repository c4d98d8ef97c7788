//! Forwards Anthropic's requests to backends of the same dialect.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::chat::Chat;
use crate::json::{self, ADMITTED, Path};
use crate::quirks::Target;
use crate::types::Dialect;
use crate::{quirks, write};

/// Forwards a request: the client's fields, with the backend's name of the model.
///
/// It removes thinking that this gateway wrote into an earlier answer of a backend of another dialect: such a block has
/// no signature, and Anthropic refuses a conversation that contains it.
pub(crate) fn forward(chat: &Chat, target: &Target<'_>) -> Vec<u8> {
    let Target { model, quirks, .. } = target;
    let raw = match quirks.is_empty() {
        true => Cow::Borrowed(&chat.raw),
        false => Cow::Owned(quirks::applied(&chat.raw, Dialect::Anthropic, quirks)),
    };
    let messages = raw.iter().find(|(key, _)| key == "messages").and_then(|(_, raw)| without_unsigned(raw));
    write::forward(&raw, model, messages.as_deref().map(|messages| ("messages", messages)))
}

/// The messages without unsigned thinking; `None` if there is none. For nearly all requests a search for the word
/// `signature` shows that at once.
fn without_unsigned(messages: &RawValue) -> Option<Box<RawValue>> {
    memchr::memmem::find(messages.get().as_bytes(), b"\"signature\"")?;
    let mut found = false;
    let mut kept = Vec::new();
    for message in json::array(&Path::Body, messages, ADMITTED).ok()? {
        let fields = json::object(&Path::Body, message).ok()?;
        let Some(content) = fields.get("content").filter(|raw| raw.get().starts_with('[')) else {
            kept.push(message.get().to_owned());
            continue;
        };
        let blocks = json::array(&Path::Body, content, ADMITTED).ok()?;
        let signed: Vec<&str> = blocks.iter().filter(|block| !is_unsigned(block)).map(|block| block.get()).collect();
        if signed.len() == blocks.len() {
            kept.push(message.get().to_owned());
            continue;
        }
        found = true;
        if !signed.is_empty() {
            let content = format!("[{}]", signed.join(","));
            kept.push(object_with(&fields, "content", &content));
        }
    }
    found.then(|| RawValue::from_string(format!("[{}]", kept.join(","))).ok()).flatten()
}

fn is_unsigned(block: &RawValue) -> bool {
    let Ok(fields) = json::object(&Path::Body, block) else { return false };
    let is = |key: &str, value: &str| fields.get(key).is_some_and(|raw| raw.get() == value);
    is("type", "\"thinking\"") && is("signature", "\"\"")
}

fn object_with(fields: &json::Fields<'_>, replaced: &str, value: &str) -> String {
    let members: Vec<String> = fields
        .iter()
        .map(|(key, raw)| {
            let raw = if key == replaced { value } else { raw.get() };
            format!("{}:{raw}", serde_json::Value::from(key))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}
