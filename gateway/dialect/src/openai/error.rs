//! Errors in OpenAI's format. The official SDKs raise `APIError` for a `data:` event whose object has an `error`.

use std::borrow::Cow;

use serde::Serialize;

use crate::types::ErrorText;
use crate::{overflow, sse, write};

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: Cow<'a, str>,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    request_id: &'a str,
}

/// An error as a response body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    let by_status = match error.status {
        429 if error.code == "insufficient_quota" => "insufficient_quota",
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let r#type = error.kind.as_deref().unwrap_or(by_status);
    let (message, code, request_id) = (overflow::for_others(error), &error.code, &error.request_id);
    let messages = error.overflow.map(|_| "messages");
    let param = error.param.as_deref().or(messages);
    write::to_vec(&Body { error: Error { message, r#type, param, code, request_id } })
}

/// An error as the last event of a stream. No `[DONE]` follows: the answer is not complete.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = Vec::new();
    sse::data(&error_body(error), &mut out);
    out
}
