//! Errors in Anthropic's format. The official SDKs raise `APIStatusError` for an event named `error`.

use serde::Serialize;

use crate::types::ErrorText;
use crate::{sse, write};

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Error<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    message: &'a str,
    code: &'a str,
}

/// An error as a response body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    let r#type = match error.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    let error_object = Error { r#type, message: &error.message, code: &error.code };
    write::to_vec(&Body { r#type: "error", error: error_object, request_id: &error.request_id })
}

/// An error as the last event of a stream.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = Vec::new();
    sse::named("error", &error_body(error), &mut out);
    out
}
