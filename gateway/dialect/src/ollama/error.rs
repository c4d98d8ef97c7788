//! Errors in Ollama's shape. The official clients raise at an object with an `error`, in streams too.

use serde::Serialize;

use crate::types::ErrorText;
use crate::write;

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'a str,
    request_id: &'a str,
}

/// An error as a whole body.
pub(crate) fn error_body(error: &ErrorText) -> Vec<u8> {
    write::to_vec(&Body { error: &error.message, code: &error.code, request_id: &error.request_id })
}

/// An error as the last line of a stream.
pub(crate) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = error_body(error);
    out.push(b'\n');
    out
}
