//! Wasmgate's own dialect: `POST /api/v1/chat`. No backend speaks it.

mod reply;
mod request;
mod stream;

use std::borrow::Cow;

use serde::Serialize;

use super::{overflow, sse, write};
use crate::types::ErrorText;

pub(super) use reply::encode_reply;
pub(super) use request::decode;
pub(super) use stream::Encoder;

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: Cow<'a, str>,
    request_id: &'a str,
}

/// An error as a response body.
pub(super) fn error_body(error: &ErrorText) -> Vec<u8> {
    let (code, message, request_id) = (&error.code, overflow::for_others(error), &error.request_id);
    write::to_vec(&Body { error: Error { code, message, request_id } })
}

/// An error as the last event of a stream.
pub(super) fn stream_error(error: &ErrorText) -> Vec<u8> {
    let mut out = Vec::new();
    sse::data(&error_body(error), &mut out);
    out
}
