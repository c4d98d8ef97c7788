//! A prompt that is too long, in the words at which agents compact their history and ask again.
//!
//! Claude Code and Cline look for Anthropic's sentences, and read the numbers in them; opencode, LangChain and Codex look for
//! OpenAI's code or its `maximum context length`. A provider's own sentence stays if it has the words.

use std::borrow::Cow;

use crate::types::ErrorText;
use wasmgate_base::overflow::{Overflow, Unit};

/// The code of such an error in OpenAI's dialect, which the other dialects share.
pub const OVERFLOW_CODE: &str = "context_length_exceeded";

/// The message of an error for clients of Anthropic's dialect.
pub(super) fn for_anthropic(error: &ErrorText) -> Cow<'_, str> {
    let Some(overflow) = error.overflow else { return Cow::Borrowed(&error.message) };
    if says(&error.message, &["prompt is too long", "exceed context limit"]) {
        return Cow::Borrowed(&error.message);
    }
    let Overflow { prompt, output, limit, unit } = overflow;
    Cow::Owned(match (prompt, output, limit) {
        // The prompt alone would fit: Claude Code asks again with a smaller `max_tokens`.
        (Some(prompt), Some(output), Some(limit)) if prompt < limit => format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {output} > {limit}, decrease input length or \
             `max_tokens` and try again"
        ),
        (Some(prompt), _, Some(limit)) if prompt > limit => {
            format!("prompt is too long: {prompt} {} > {limit} maximum", unit.as_str())
        }
        _ => format!("prompt is too long: {}", error.message),
    })
}

/// The message of an error for clients of the other dialects.
pub(super) fn for_others(error: &ErrorText) -> Cow<'_, str> {
    let Some(overflow) = error.overflow else { return Cow::Borrowed(&error.message) };
    if says(&error.message, &["maximum context length"]) {
        return Cow::Borrowed(&error.message);
    }
    let Overflow { prompt, output, limit, unit } = overflow;
    let shorten = "Please reduce the length of the messages";
    Cow::Owned(match (prompt, output, limit, unit.as_str()) {
        (Some(prompt), Some(output), Some(limit), what) => format!(
            "This model's maximum context length is {limit} {what}. However, you requested {} {what} ({prompt} in the \
             messages, {output} in the completion). {shorten} or completion.",
            prompt.saturating_add(output)
        ),
        (Some(prompt), None, Some(limit), what) => {
            let whose = if unit == Unit::Characters { "The gateway's" } else { "This model's" };
            format!(
                "{whose} maximum context length is {limit} {what}. However, your messages resulted in {prompt} {what}. \
                 {shorten}."
            )
        }
        _ => format!("The request exceeds the model's maximum context length: {}", error.message),
    })
}

fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|words| message.contains(words))
}
