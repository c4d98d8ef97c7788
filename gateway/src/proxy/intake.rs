//! Reads and parses an inbound request within the operator's bounds: of one body, and of all bodies together.
//!
//! This module must not know: policies, backends, metrics.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::Instant;

use super::codings;
use super::memory::{Held, Memory, Room, no_room};
use super::unread::Unread;
use crate::config::{OWN_PROMPT_CHARS, Server};
use crate::error::{Failure, Kind};
use crate::offload;
use wasmgate_base::overflow::{Overflow, Unit};
use wasmgate_base::timeout::{Elapsed, timeout};
use wasmgate_base::tokens::IMAGE_TOKENS;
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::{BadRequest, Bounds, Dialect};

/// Characters that an image counts as in the length of a prompt: four for each token.
const IMAGE_CHARS: usize = 4 * IMAGE_TOKENS as usize;

/// How often a body is in memory at once: as it arrived, as it was parsed, and as it is sent to a backend.
const COPIES: usize = 3;
/// Initial capacity for a body that arrives in several pieces.
const CAPACITY: usize = 64 << 10;

/// A body that has arrived.
pub(super) struct Body {
    /// The text.
    pub(super) bytes: Bytes,
    held: Held,
}

impl Body {
    /// Drops the text once it is parsed. What is returned stands for the parsed request and what is sent of it.
    pub(super) fn parsed(self) -> Held {
        let Self { bytes, mut held } = self;
        held.shrink(bytes.len() * (COPIES - 1));
        held
    }
}

/// Which content types a route reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    /// JSON, or no type.
    Json,
    /// Any: Ollama reads a body whatever its type, and programs written for it rely on that. Browsers cannot use it to send
    /// what a page of another origin may not: they name the origin (`origin.rs`).
    Any,
}

impl Types {
    /// Those of a chat route.
    pub(super) fn of(dialect: Dialect) -> Self {
        if matches!(dialect, Dialect::Ollama | Dialect::Generate) { Self::Any } else { Self::Json }
    }
}

/// Reads a body within the operator's bounds, and undoes its content codings.
///
/// # Errors
/// If the body has another content type or an unknown coding, is too long, finds no room in memory, arrives too slowly, or
/// breaks off.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut Unread,
    types: Types,
    limits: &Server,
    memory: &Arc<Memory>,
) -> Result<Body, Failure> {
    if types == Types::Json {
        check_content_type(headers)?;
    }
    let codings = codings::of(headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let (held, room) = (memory.hold(), Room::new(limits.max_buffered_bytes, limits.max_body_bytes * COPIES));
    if announced.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(too_large(limits));
    }
    // Memory is held only for what has arrived: a head that announces much takes nobody's place.
    if announced.is_some_and(|length| !held.fits(length * COPIES, room)) {
        return Err(no_room());
    }
    let collected = pin!(collect(body, held, limits, room));
    let body = match timeout(collected, || Instant::now() + limits.body_timeout).await {
        Ok(body) => body?,
        Err(Elapsed) => return Err(slow(limits.body_timeout)),
    };
    if codings.is_empty() {
        return Ok(body);
    }
    let bounds = codings::Bounds { body: limits.max_body_bytes, copies: COPIES, room };
    let (bytes, held) = codings::decode(body.bytes, &codings, body.held, bounds).await?;
    Ok(Body { bytes, held })
}

async fn collect(body: &mut Unread, mut held: Held, limits: &Server, room: Room) -> Result<Body, Failure> {
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let broken = |error| Failure::new(Kind::BadRequest, "the body ended before it was complete").with_detail(error);
        // The gateway does not use trailers.
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limits.max_body_bytes {
            return Err(too_large(limits));
        }
        if !held.grow(data.len() * COPIES, room) {
            return Err(no_room());
        }
        if all.is_empty() && body.is_end() && first.is_empty() {
            // Most bodies are one piece, which needs no copy.
            first = data;
        } else {
            if all.is_empty() {
                all.reserve(CAPACITY);
            }
            all.extend_from_slice(&data);
        }
    }
    let bytes = if all.is_empty() { first } else { all.into() };
    Ok(Body { bytes, held })
}

fn too_large(limits: &Server) -> Failure {
    Failure::new(Kind::TooLarge, format!("the body is longer than {} bytes", limits.max_body_bytes))
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
/// If the request is not valid in its dialect, or too large.
pub(super) async fn parse(dialect: Dialect, body: Bytes, limits: &Server) -> Result<Chat, Failure> {
    let (bounds, max_prompt_chars) = (limits.bounds, max_prompt_chars(dialect, limits));
    offload::run(body.len(), move || parse_now(dialect, &body, &bounds, max_prompt_chars)).await?
}

/// Parses a request that asks how long a prompt is. The prompt may be of any length.
///
/// # Errors
/// If the request is not valid.
pub(super) async fn parse_count(body: Bytes, limits: &Server) -> Result<Chat, Failure> {
    let bounds = limits.bounds;
    offload::run(body.len(), move || Dialect::decode_count(&body, &bounds).map_err(refused)).await?
}

fn refused(error: BadRequest) -> Failure {
    let kind = if error.is_too_large() { Kind::TooLarge } else { Kind::BadRequest };
    Failure::new(kind, error.to_string())
}

/// Longest prompt of a dialect, in characters. The programs that speak those of the SDKs fill a model's context, and its
/// provider knows how long that is.
fn max_prompt_chars(dialect: Dialect, limits: &Server) -> usize {
    let unset = if dialect == Dialect::Native { OWN_PROMPT_CHARS } else { usize::MAX };
    limits.max_prompt_chars.unwrap_or(unset)
}

fn parse_now(dialect: Dialect, body: &[u8], bounds: &Bounds, max_prompt_chars: usize) -> Result<Chat, Failure> {
    let chat = dialect.decode(body, bounds).map_err(refused)?;
    let images = chat.images() * IMAGE_CHARS;
    // A character has one to four bytes: most prompts need not be counted.
    let bytes = images + chat.texts().map(str::len).sum::<usize>();
    if bytes > max_prompt_chars {
        let chars = images + chat.texts().map(|text| text.chars().count()).sum::<usize>();
        if chars > max_prompt_chars {
            return Err(too_long(dialect, chars, max_prompt_chars));
        }
    }
    Ok(chat)
}

/// A prompt above the operator's limit. To a program of an SDK that is what a full context is: it shortens its history, where
/// it would give up at a body that is too large.
fn too_long(dialect: Dialect, chars: usize, most: usize) -> Failure {
    let counted = "characters in messages, tools and images";
    if dialect == Dialect::Native {
        let message = format!("the prompt has {chars} {counted}; at most {most} are expected");
        return Failure::new(Kind::TooLarge, message);
    }
    let count = |chars: usize| u64::try_from(chars).ok();
    let overflow = Overflow { prompt: count(chars), limit: count(most), unit: Unit::Characters, ..Overflow::default() };
    Failure::too_long(format!("the prompt has {chars} {counted}"), overflow)
}
