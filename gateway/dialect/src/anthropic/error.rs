//! Errors in Anthropic's format. The official SDKs raise `APIStatusError` for an event named `error`.

use std::borrow::Cow;

use serde::Serialize;

use crate::types::ErrorText;
use crate::{overflow, sse, write};

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Error<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'a str,
    message: Cow<'a, str>,
    code: &'a str,
}

/// The types of errors that Anthropic's documentation lists. Its clients tell errors by them.
const TYPES: [&str; 11] = [
    "api_error",
    "authentication_error",
    "billing_error",
    "conflict_error",
    "invalid_request_error",
    "not_found_error",
    "overloaded_error",
    "permission_error",
    "rate_limit_error",
    "request_too_large",
    "timeout_error",
];

/// An error as a response body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    let by_status = match error.status {
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
    let r#type = error.kind.as_deref().filter(|kind| TYPES.contains(kind)).unwrap_or(by_status);
    let error_object = Error { r#type, message: overflow::for_anthropic(error), code: &error.code };
    write::to_vec(&Body { r#type: "error", error: error_object, request_id: &error.request_id })
}

/// An error as the last event of a stream.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = Vec::new();
    sse::named("error", &error_body(error), &mut out);
    out
}
