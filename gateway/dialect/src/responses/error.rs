//! Errors in the Responses dialect: as in OpenAI's chat dialect before the answer, an event `response.failed` in a stream.
//! Agents act on the code of that event: Codex compacts on `context_length_exceeded`, waits on `rate_limit_exceeded` and
//! `server_is_overloaded`, gives up on `insufficient_quota` and `invalid_prompt`, and retries on the others.

use std::borrow::Cow;

use crate::overflow;
use crate::types::ErrorText;

pub(crate) use crate::openai::error_body;

/// The code of an error in a stream.
pub(super) fn stream_code(error: &ErrorText) -> &str {
    match (error.status, error.code.as_str()) {
        (_, overflow::OVERFLOW_CODE) => overflow::OVERFLOW_CODE,
        (_, "insufficient_quota") | (402, _) => "insufficient_quota",
        (429, _) => "rate_limit_exceeded",
        (503 | 529, _) => "server_is_overloaded",
        // The client's own time was over: the same request may succeed.
        (408, _) => "server_error",
        (400..=499, _) => "invalid_prompt",
        _ => "server_error",
    }
}

/// The message, without what only the gateway's own dialect tells.
pub(super) fn stream_message(error: &ErrorText) -> Cow<'_, str> {
    format!("{} (request {})", overflow::for_others(error), error.request_id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_get_the_codes_that_they_act_on() {
        for (status, code, expected) in [
            (400, "context_length_exceeded", "context_length_exceeded"),
            (402, "x", "insufficient_quota"),
            (429, "insufficient_quota", "insufficient_quota"),
            (429, "x", "rate_limit_exceeded"),
            (429, "backend_busy", "rate_limit_exceeded"),
            (503, "breaker_open", "server_is_overloaded"),
            (529, "x", "server_is_overloaded"),
            (400, "content_filtered", "invalid_prompt"),
            (408, "slow_client", "server_error"),
            (502, "stream_cut", "server_error"),
            (200, "x", "server_error"),
        ] {
            let error = ErrorText { status, code: code.to_owned(), ..ErrorText::default() };
            assert_eq!(stream_code(&error), expected, "{status} {code}");
        }
    }
}
