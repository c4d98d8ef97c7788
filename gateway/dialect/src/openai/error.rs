//! Errors in OpenAI's format. The official SDKs raise `APIError` for a `data:` event whose object has an `error`.

use serde::Serialize;

use crate::types::ErrorText;
use crate::{sse, write};

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'a str,
    request_id: &'a str,
}

/// An error as a response body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    let r#type = match error.status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let (message, code, request_id) = (&error.message, &error.code, &error.request_id);
    write::to_vec(&Body { error: Error { message, r#type, param: error.param.as_deref(), code, request_id } })
}

/// An error as the last event of a stream. No `[DONE]` follows: the answer is not complete.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = Vec::new();
    sse::data(&error_body(error), &mut out);
    out
}
