//! Why an answer ended, in the words of all servers. They mean the same whichever dialect carries them: compatible servers and
//! gateways pass on the words of the provider behind them.

use std::borrow::Cow;

use crate::backend_error::BackendError;
use crate::chat::Finish;

/// Reads a finish reason. `calls`: whether the answer calls tools.
///
/// # Errors
/// If the reason says that the answer broke off: the error that it stands for.
pub(super) fn read(reason: &str, calls: bool) -> Result<Finish, Box<BackendError>> {
    // Most reasons are words as they should be, which need no copy.
    let is_plain = reason.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    let word = match is_plain {
        true => Cow::Borrowed(reason),
        false => Cow::Owned(reason.to_ascii_lowercase().replace(['-', ' '], "_")),
    };
    // Gemini's enumeration may come with its name, and a filter's verdict with the filter's.
    let word = word.rsplit(['.', ':']).next().unwrap_or_default().trim_matches('_');
    Ok(match word {
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "max_length"
        | "max_new_tokens"
        | "model_length"
        | "token_limit"
        | "limit"
        | "error_limit"
        | "incomplete"
        | "model_context_window_exceeded"
        | "context_length_exceeded" => Finish::Length,
        "content_filter"
        | "content_filtered"
        | "content_policy_violation"
        | "guardrail_intervened"
        | "refusal"
        | "sensitive"
        | "safety"
        | "image_safety"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "blocked"
        | "error_toxic" => Finish::ContentFilter,
        "error"
        | "abort"
        | "aborted"
        | "cancelled"
        | "canceled"
        | "user_cancel"
        | "timeout"
        | "network_error"
        | "server_error"
        | "internal_error"
        | "insufficient_system_resource"
        | "malformed_function_call"
        | "malformed_tool_call" => return Err(Box::new(broke_off(word))),
        // OpenAI sends `stop` after a forced call, and Ollama after any. Clients of other dialects would not run the tool.
        _ if calls => Finish::ToolCalls,
        "stop_sequence" => Finish::StopSequence,
        // `stop`, `end_turn`, `eos`; `tool_calls` of an answer that has none; and future reasons.
        _ => Finish::Stop,
    })
}

/// The error of an answer that broke off for a reason without any further words.
fn broke_off(reason: &str) -> BackendError {
    let status = match reason {
        "insufficient_system_resource" => Some(503),
        "network_error" => Some(502),
        "timeout" => Some(504),
        // The server may have worked on the request.
        _ => None,
    };
    let message = "the answer broke off".to_owned();
    BackendError { status, code: Some(reason.to_owned()), message, ..BackendError::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_in_the_words_of_all_servers() {
        for (reasons, calls, expected) in [
            ("length model_length max_tokens MAX_TOKENS FinishReason.MAX_TOKENS ERROR_LIMIT", false, Finish::Length),
            ("length max_tokens model_context_window_exceeded", true, Finish::Length),
            ("content_filter content-filter SAFETY RECITATION sensitive refusal", true, Finish::ContentFilter),
            ("stop STOP end_turn eos tool_calls function_call tool_use TOOL_CALL new_reason", false, Finish::Stop),
            ("stop STOP end_turn eos tool_calls function_call tool_use stop_sequence", true, Finish::ToolCalls),
            ("stop_sequence STOP_SEQUENCE", false, Finish::StopSequence),
        ] {
            for reason in reasons.split(' ') {
                assert_eq!(read(reason, calls), Ok(expected), "{reason}");
            }
        }
    }

    #[test]
    fn an_answer_that_broke_off_is_an_error() {
        for (reason, status) in [
            ("insufficient_system_resource", Some(503)),
            ("network_error", Some(502)),
            ("abort", None),
            ("error", None),
            ("function_call_filter: MALFORMED_FUNCTION_CALL", None),
        ] {
            for calls in [false, true] {
                let error = read(reason, calls).expect_err(reason);
                assert_eq!(error.status, status, "{reason}");
                assert!(reason.to_ascii_lowercase().contains(error.code.as_deref().unwrap_or("?")), "{error:?}");
            }
        }
    }
}
