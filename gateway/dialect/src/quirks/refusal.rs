//! What a server's refusal says about the fields that it does not take.

use super::Quirks;
use crate::chat::Chat;
use crate::dropped;
use crate::fields::{self, Hint, Hints};
use crate::types::Dialect;

/// The hints of a request, written with `quirks` for a backend of dialect `to`, that can be left out without breaking what
/// the client asked: those of another dialect, and those that the gateway added.
fn spareable(to: Dialect, from: Dialect, chat: &Chat, quirks: &Quirks) -> Hints {
    let added = if to == Dialect::OpenAi && chat.stream && (to != from || !chat.include_usage) {
        Hints::of(&[Hint::StreamOptions])
    } else {
        Hints::default()
    };
    // A client of the backend's own dialect wrote the rest itself, and learns what the server does not take.
    let read = if to == from { Hints::default() } else { dropped::read(chat).and(fields::written(to)) };
    // A limit is renamed, never left out; stop sequences are part of what was asked.
    added.or(read).without(quirks.leave_out).without(Hints::of(&[Hint::Stop, Hint::SchemaName]))
}

/// What to change in a request that a server refused with `status` and `error`, a body of at most 16 KiB, because it does not
/// take a field. `None` if the refusal names no field that can be spared.
pub(crate) fn refused(
    to: Dialect,
    from: Dialect,
    chat: &Chat,
    quirks: &Quirks,
    status: u16,
    error: &[u8],
) -> Option<Quirks> {
    if !matches!(status, 400 | 422) {
        return None;
    }
    let text = String::from_utf8_lossy(error).to_ascii_lowercase();
    let param = serde_json::from_slice::<serde_json::Value>(error)
        .ok()
        .and_then(|json| Some(json.pointer("/error/param").or(json.get("param"))?.as_str()?.to_ascii_lowercase()));
    let refuses = REFUSALS.iter().any(|words| text.contains(words));
    let names = |hint: Hint| {
        let path = hint.field().written_in(to).unwrap_or_default();
        words(path, hint, to).iter().any(|word| match &param {
            Some(param) => refuses && param.rsplit(['.', ']']).any(|part| part.split('[').next() == Some(*word)),
            None => refuses && is_named(&text, word),
        })
    };
    let mut named = Hint::ALL
        .iter()
        .copied()
        .filter(|&hint| spareable(to, from, chat, quirks).has(hint) && names(hint))
        .fold(Hints::default(), Hints::with);
    if named.has(Hint::Temperature) && named.has(Hint::TopP) {
        // Such models take either of them.
        named = named.without(Hints::of(&[Hint::Temperature]));
    }
    let limit = named.has(Hint::OutputLimit);
    let found = Quirks {
        max_completion_tokens: limit
            && to == Dialect::OpenAi
            && !quirks.max_completion_tokens
            && (param.as_deref() == Some("max_tokens") || text.contains("max_completion_tokens")),
        string_content: false,
        leave_out: named.without(Hints::of(&[Hint::OutputLimit])),
    };
    (!found.is_empty()).then_some(found)
}

/// Words by which servers say that they do not take a field, in lower case.
const REFUSALS: [&str; 19] = [
    "unsupported",
    "not support",
    "n't support",
    "unrecognized",
    "not recognized",
    "unknown",
    "unexpected",
    "extra_forbidden",
    "extra inputs",
    "not permitted",
    "not allowed",
    "not accepted",
    "not available",
    "cannot both",
    "deprecated",
    "not implemented",
    "no longer",
    "additional properties",
    "invalid parameter",
];

/// The words for a hint in refusals.
fn words(path: &'static str, hint: Hint, to: Dialect) -> Vec<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let more = match (to, hint) {
        (Dialect::Ollama, Hint::Thinking | Hint::Effort) => "thinking",
        (Dialect::Anthropic, Hint::Effort) => "output_config.effort",
        (Dialect::OpenAi, Hint::StreamOptions) => "include_usage",
        _ => last,
    };
    vec![last, more]
}

/// Whether the text has the word on its own: in quotes if it is one that people use as well.
fn is_named(text: &str, word: &str) -> bool {
    let needs_quotes = matches!(word, "user" | "strict" | "stop");
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_quote = |c: Option<char>| c.is_some_and(|c| matches!(c, '"' | '\'' | '`'));
        if needs_quotes { is_quote(before) && is_quote(after) } else { !is_part(before) && !is_part(after) }
    })
}
