//! The spine: one chat from its request to its answer. Only this file orders the steps; each step does its work and
//! returns here.
//!
//! This module must not know: how any step works.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderName;
use hyper::{HeaderMap, Response};

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::limits;
use super::memory::Held;
use super::response::{refuse, respond, wait};
use super::stored;
use super::unread::Unread;
use crate::backend::{SIM_HEADER, Script};
use crate::dispatch::{self, ChatCall};
use crate::error::{Failure, Kind};
use crate::routing::{Inbound, Router};
use wasmgate_dialect::frames::Framing;
use wasmgate_dialect::{Dialect, loaded};

/// The request header by which a client asks for a guarded stream: held back until it is complete.
const GUARDED: HeaderName = HeaderName::from_static("x-wasmgate-guarded");

/// Answers one chat.
pub(super) async fn serve(
    mut in_flight: InFlight,
    dialect: Dialect,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Response<ResponseBody> {
    in_flight.record.dialect = Some(dialect);
    match prepare(&mut in_flight, dialect, headers, body).await {
        Ok(Next::Call(prepared)) => answer(in_flight, prepared).await,
        Ok(Next::Nothing(text)) => respond(in_flight, dialect, dispatch::Answer::Whole(text)),
        Err(failure) => refuse(in_flight, dialect, &failure),
    }
}

/// What follows the preparation.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and an allocation of each request would cost more")]
enum Next {
    /// A model is called.
    Call(Prepared),
    /// Nothing: this is the answer.
    Nothing(Bytes),
}

/// A chat that is ready to be sent, and the memory that it holds until its answer is there.
struct Prepared {
    call: ChatCall,
    _memory: Held,
}

/// The steps before a model is called, in order.
async fn prepare(
    in_flight: &mut InFlight,
    dialect: Dialect,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Result<Next, Failure> {
    in_flight.check_limit()?;
    limits::check(in_flight)?;
    let (gateway, snapshot) = (Arc::clone(in_flight.gateway()), Arc::clone(in_flight.snapshot()));
    let types = Types::of(dialect);
    let body = intake::read(headers, body, types, &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    let chat = Arc::new(intake::parse(dialect, body.bytes.clone(), &snapshot.limits).await?);
    let memory = body.parsed();
    if dialect == Dialect::Responses {
        stored::check_previous(in_flight, &chat)?;
    }
    if chat.load && !Router::loads_models(&snapshot, in_flight.group(), &chat)? {
        return Ok(Next::Nothing(loaded(dialect, &chat, in_flight.record.created()).into()));
    }
    in_flight.record.stream = chat.stream;
    let inbound = Inbound { dialect, chat: &chat, headers };
    in_flight.record.wants_decided = gateway.decisions.is_some();
    let decided = gateway.router.decide(&mut in_flight.record, &snapshot, inbound).await;
    in_flight.keep_text(&chat);
    let mut decision = decided?;
    limits::reserve(in_flight, &mut decision, chat.max_tokens).await?;
    gateway.router.explore(&mut in_flight.record, &snapshot, &chat, &mut decision);
    in_flight.noted().await;
    let script = headers.get(SIM_HEADER).map(|value| Script::parse(value.as_bytes())).transpose();
    let script = script.map_err(|wrong| Failure::new(Kind::BadRequest, wrong))?.map(Box::new);
    let guarded = headers.get(GUARDED).is_some_and(|value| value == "true");
    let headers = if dialect == Dialect::Anthropic { dialect_headers(headers) } else { HeaderMap::new() };
    Ok(Next::Call(Prepared { call: ChatCall { dialect, chat, decision, headers, guarded, script }, _memory: memory }))
}

/// The steps from the first model call on. If the operator configured keep-alive comments, a stream that is slow to
/// begin starts with them; the first one commits the status, so a later failure appears in the stream.
async fn answer(mut in_flight: InFlight, prepared: Prepared) -> Response<ResponseBody> {
    let dialect = prepared.call.dialect;
    let comments = prepared.call.chat.stream && dialect.framing() == Framing::Sse;
    let Some(keep_alive) = in_flight.snapshot().limits.keep_alive.filter(|_| comments) else {
        let answer = dispatch(&mut in_flight, &prepared.call).await;
        return finish(in_flight, dialect, answer);
    };
    let (id, slow) = (in_flight.record.id.clone(), in_flight.slow_client());
    let mut head = HeaderMap::new();
    limits::headers(&mut head, &in_flight);
    let mut dispatched = Box::pin(async move {
        let answer = dispatch(&mut in_flight, &prepared.call).await;
        (in_flight, answer)
    });
    tokio::select! {
        biased;
        (in_flight, answer) = &mut dispatched => finish(in_flight, dialect, answer),
        () = tokio::time::sleep(keep_alive) => wait(dialect, &id, head, keep_alive, slow, dispatched),
    }
}

async fn dispatch(in_flight: &mut InFlight, call: &ChatCall) -> Result<dispatch::Answer, Failure> {
    let (gateway, snapshot) = (Arc::clone(in_flight.gateway()), Arc::clone(in_flight.snapshot()));
    dispatch::dispatch(&gateway.budgets, &snapshot, &mut in_flight.record, call).await
}

fn finish(in_flight: InFlight, dialect: Dialect, answer: Result<dispatch::Answer, Failure>) -> Response<ResponseBody> {
    match answer {
        Ok(answer) => respond(in_flight, dialect, answer),
        Err(failure) => refuse(in_flight, dialect, &failure),
    }
}

/// The request headers that are part of Anthropic's dialect.
pub(super) fn dialect_headers(headers: &HeaderMap) -> HeaderMap {
    let mut shared = HeaderMap::new();
    for name in ["anthropic-version", "anthropic-beta"] {
        let name = HeaderName::from_static(name);
        for value in headers.get_all(&name) {
            shared.append(name.clone(), value.clone());
        }
    }
    shared
}
