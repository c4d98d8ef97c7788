//! Reads and parses an inbound request within the operator's bounds.
//!
//! This module must not know: policies, backends, metrics.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Request};

use crate::config::Server;
use crate::error::{Failure, Kind};
use wasmgate_dialect::Dialect;
use wasmgate_dialect::chat::{Chat, Part};

/// Reads a JSON body within the operator's bounds.
///
/// # Errors
/// If the body has another content type, is too long, arrives too slowly, or breaks off.
pub(super) async fn read(request: Request<Incoming>, limits: &Server) -> Result<(HeaderMap, Bytes), Failure> {
    let (head, body) = request.into_parts();
    check_content_type(&head.headers)?;
    let too_large = || Failure::new(Kind::TooLarge, format!("the body is longer than {} bytes", limits.max_body_bytes));
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.max_body_bytes as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(limits.body_timeout, Limited::new(body, limits.max_body_bytes).collect()).await;
    match read {
        Ok(Ok(body)) => Ok((head.headers, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            Err(Failure::new(Kind::BadRequest, "the body ended before it was complete").with_detail(error))
        }
        Err(_elapsed) => Err(slow(limits.body_timeout)),
    }
}

fn slow(limit: Duration) -> Failure {
    Failure::new(Kind::SlowRequest, format!("the body did not arrive within {} seconds", limit.as_secs_f64()))
}

/// Accepts `application/json` or no type. `curl -d` without a header sends a form type: the mistake to catch.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "the content type must be application/json; send the header `content-type: application/json`";
    Err(Failure::new(Kind::WrongContentType, message))
}

/// Parses a chat request and bounds its prompt.
///
/// # Errors
/// If the request is not valid in its dialect, or its prompt is too long.
pub(super) fn parse(dialect: Dialect, body: &[u8], limits: &Server) -> Result<Chat, Failure> {
    let chat = dialect.decode(body).map_err(|error| Failure::new(Kind::BadRequest, error.to_string()))?;
    // A character has one to four bytes: most prompts need not be counted.
    let bytes: usize = texts_of(&chat).map(str::len).sum();
    if bytes > limits.max_prompt_chars {
        let chars: usize = texts_of(&chat).map(|text| text.chars().count()).sum();
        if chars > limits.max_prompt_chars {
            let message = format!("the prompt has {chars} characters, expected at most {}", limits.max_prompt_chars);
            return Err(Failure::new(Kind::TooLarge, message));
        }
    }
    Ok(chat)
}

fn texts_of(chat: &Chat) -> impl Iterator<Item = &str> + Clone {
    chat.messages.iter().flat_map(|message| &message.parts).filter_map(Part::text)
}
