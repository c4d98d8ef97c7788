//! Errors in Ollama's format. The official clients raise an exception for an object with an `error`, also in streams.

use std::borrow::Cow;

use serde::Serialize;

use crate::types::ErrorText;
use crate::{overflow, write};

#[derive(Serialize)]
struct Body<'a> {
    error: Cow<'a, str>,
    code: &'a str,
    request_id: &'a str,
}

/// An error as a response body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    write::to_vec(&Body { error: overflow::for_others(error), code: &error.code, request_id: &error.request_id })
}

/// An error as the last line of a stream.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = error_body(error);
    out.push(b'\n');
    out
}
