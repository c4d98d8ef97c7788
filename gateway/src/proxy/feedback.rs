//! `POST /v1/feedback`: what a client says of an answer, joined to the decision that led to it. Only clients of the group that
//! sent the request may say something of it.
//!
//! This module must not know: what the feedback is used for.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::response::{id_header, refuse};
use super::unread::Unread;
use crate::error::{Failure, Kind};
use crate::telemetry::decisions::Decisions;
use wasmgate_base::json_text;
use wasmgate_decisions::{Feedback, Moment, find};
use wasmgate_dialect::Dialect;

/// Look-ups in the decision log at a time: each reads files.
const LOOK_UPS: usize = 2;
/// Requests that may wait for one. More are refused at once: whoever sends ids that are nowhere must not hold the permits of chats.
const WAITING: usize = 16;
/// Longest source, in bytes.
const MAX_SOURCE_BYTES: usize = 128;
/// The source of feedback that names none.
const ANYBODY: &str = "client";

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    request_id: String,
    score: f64,
    source: Option<String>,
}

/// Answers one request.
pub(super) async fn serve(mut in_flight: InFlight, headers: &HeaderMap, body: &mut Unread) -> Response<ResponseBody> {
    match steps(&mut in_flight, headers, body).await {
        Err(failure) => refuse(in_flight, Dialect::OpenAi, &failure),
        Ok(()) => {
            in_flight.gateway().metrics.feedback();
            let mut response = Response::new(ResponseBody::plain(json_text::json(&json!({"status": "accepted"}))));
            *response.status_mut() = StatusCode::ACCEPTED;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            id_header(response.headers_mut(), &in_flight.record.id);
            in_flight.close_explained();
            response
        }
    }
}

async fn steps(in_flight: &mut InFlight, headers: &HeaderMap, body: &mut Unread) -> Result<(), Failure> {
    let (gateway, snapshot) = (Arc::clone(in_flight.gateway()), Arc::clone(in_flight.snapshot()));
    if gateway.decisions.is_none() {
        let message = "this gateway keeps no decision log, to which feedback would be joined";
        return Err(Failure::new(Kind::UnknownRoute, message));
    }
    in_flight.check_limit()?;
    let body = intake::read(headers, body, Types::Json, &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    let said: Said = serde_json::from_slice(&body.bytes).map_err(|error| {
        let expected = "expected {\"request_id\": \"…\", \"score\": 0 to 1, \"source\": \"…\"}";
        Failure::new(Kind::BadRequest, format!("the body is no feedback: {error}; {expected}"))
    })?;
    if !(0.0..=1.0).contains(&said.score) {
        return Err(Failure::new(Kind::BadRequest, format!("`score` is {}, expected 0 to 1", said.score)));
    }
    let source = said.source.unwrap_or_else(|| ANYBODY.to_owned());
    if source.is_empty() || source.len() > MAX_SOURCE_BYTES {
        let message = format!("`source` has {} bytes, expected 1 to {MAX_SOURCE_BYTES}", source.len());
        return Err(Failure::new(Kind::BadRequest, message));
    }
    let group = in_flight.group().map(|group| group.name.to_string());
    let feedback = Feedback { id: said.request_id, time: Moment::now(), group, score: said.score, source };
    let permits = permits().await?;
    // The thread's tasks must not wait for the disk.
    let joined = tokio::task::spawn_blocking({
        let gateway = Arc::clone(&gateway);
        move || {
            let _permits = permits;
            gateway.decisions.as_ref().map(|decisions| join(decisions, feedback))
        }
    });
    joined.await.ok().flatten().unwrap_or_else(|| Err(Failure::new(Kind::Stopping, "the gateway is stopping")))
}

/// The right to look a decision up.
async fn permits() -> Result<[SemaphorePermit<'static>; 2], Failure> {
    static WAITERS: Semaphore = Semaphore::const_new(LOOK_UPS + WAITING);
    static LOOKS: Semaphore = Semaphore::const_new(LOOK_UPS);
    let busy = "too much feedback waits to be joined to its decisions; retry shortly";
    let waiter = WAITERS.try_acquire().map_err(|_| Failure::new(Kind::Overloaded, busy))?;
    // Nobody closes it.
    let look = LOOKS.acquire().await.map_err(|_| Failure::new(Kind::Overloaded, busy))?;
    Ok([waiter, look])
}

fn join(decisions: &Decisions, feedback: Feedback) -> Result<(), Failure> {
    // It may wait to be written.
    decisions.flush();
    let found = find(decisions.folder(), &feedback.id)
        .map_err(|error| Failure::new(Kind::Overloaded, "the decision log cannot be read").with_detail(error))?;
    if found.is_none_or(|(decision, _)| decision.group != feedback.group) {
        let message = "there is no answer of that id in the decision log, or it is of another group";
        return Err(Failure::new(Kind::UnknownResponse, message));
    }
    match decisions.feedback(feedback) {
        true => Ok(()),
        false => Err(Failure::new(Kind::Overloaded, "the decision log takes no more lines; retry shortly")),
    }
}
