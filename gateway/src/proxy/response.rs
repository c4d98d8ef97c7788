//! Turns answers and failures into HTTP responses. Every chat response leaves the gateway through here.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::MissedTickBehavior;

use super::body::{ResponseBody, State};
use super::codings;
use super::gateway::Gateway;
use super::in_flight::InFlight;
use super::limits;
use super::routes::dialect_of;
use crate::dispatch::{Answer, error_text};
use crate::error::{Failure, Kind};
use crate::metrics::labels::Ending;
use crate::telemetry::record::FailedAttempt;
use wasmgate_base::money::NanoDollars;
use wasmgate_dialect::{Dialect, stream_error};

/// Initial capacity of a response's header map: most answers have nine headers.
const HEADERS: usize = 12;

/// The response to a request that is answered.
pub(crate) fn respond(mut in_flight: InFlight, dialect: Dialect, answer: Answer) -> Response<ResponseBody> {
    // Its headers say what is left of the limits after it.
    if matches!(answer, Answer::Whole(_)) {
        in_flight.close(Ending::Finished);
    }
    let snapshot = Arc::clone(in_flight.snapshot());
    let content_type = match answer {
        Answer::Whole(_) => "application/json",
        Answer::Stream(..) => dialect.stream_content_type(),
    };
    // The actual cost of a complete answer; the estimate for an unfinished stream, whose cost is known only at its end.
    let cost = match &answer {
        Answer::Stream(relay, estimate) if !relay.is_whole() => *estimate,
        Answer::Whole(_) | Answer::Stream(..) => in_flight.record.cost(snapshot.price(in_flight.record.model)),
    };
    let mut response = Response::new(ResponseBody::plain(Bytes::new()));
    let headers = response.headers_mut();
    let limits = in_flight.snapshot().chain(in_flight.record.group).map_or(0, |_| limits::HEADERS);
    headers.reserve(HEADERS + limits);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    id_header(headers, &in_flight.record.id);
    routing_headers(headers, &in_flight, cost);
    if let Answer::Stream(relay, _) = &answer {
        stream_headers(headers);
        if relay.is_whole() {
            headers.insert("x-wasmgate-whole", HeaderValue::from_static("true"));
        }
    }
    *response.body_mut() = content(in_flight, answer).into();
    response
}

fn content(mut in_flight: InFlight, answer: Answer) -> State {
    match answer {
        Answer::Whole(bytes) => complete(&mut in_flight, bytes),
        Answer::Stream(relay, _) => State::Relay { relay, in_flight },
    }
}

/// A complete answer. Its request is over: a client that takes it slowly holds memory, but no permit.
pub(crate) fn complete(in_flight: &mut InFlight, bytes: Bytes) -> State {
    in_flight.close(Ending::Finished);
    let mut memory = in_flight.gateway().memory.hold();
    memory.add(bytes.len());
    State::Whole { bytes, _memory: Some(memory) }
}

fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and its derivatives buffer streams unless this header disables it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// The response to a request whose stream has not begun: its head now, a keep-alive comment `every` interval, then the
/// outcome of `asking`. The model is not known yet, so no header names it. `head`: the headers that are. `slow`: the request's
/// switch.
pub(crate) fn wait(
    dialect: Dialect,
    id: &str,
    head: HeaderMap,
    every: Duration,
    slow: Arc<AtomicBool>,
    asking: impl Future<Output = (InFlight, Result<Answer, Failure>)> + Send + 'static,
) -> Response<ResponseBody> {
    let then = async move {
        match asking.await {
            (in_flight, Ok(answer)) => content(in_flight, answer),
            (mut in_flight, Err(failure)) => {
                let error = error_text(&failure, &in_flight.record.id);
                in_flight.fail(&failure);
                State::whole(stream_error(dialect, &error))
            }
        }
    };
    let mut tick = tokio::time::interval(every);
    // A client that reads slowly does not get a burst of missed comments.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = Response::new(State::Waiting { then: Box::pin(then), tick, slow }.into());
    let headers = response.headers_mut();
    *headers = head;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(dialect.stream_content_type()));
    id_header(headers, id);
    stream_headers(headers);
    response
}

/// Sets the request's id, which every answer carries: under the gateway's own name, and under the names that the
/// official SDKs of OpenAI and Anthropic read.
pub(crate) fn id_header(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        for name in ["x-wasmgate-request-id", "x-request-id", "request-id"] {
            headers.insert(HeaderName::from_static(name), id.clone());
        }
    }
}

/// Sets the headers of a routed request: policy, model, cost. A failure carries those that were known when it
/// occurred.
pub(crate) fn routing_headers(headers: &mut HeaderMap, in_flight: &InFlight, cost: Option<NanoDollars>) {
    let (record, snapshot) = (&in_flight.record, in_flight.snapshot());
    let mut set = |name: &'static str, value: &str| {
        // Configured names and checked manifests hold only characters that a header allows.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(live) = record.model.or(record.chosen).map(|index| &snapshot.catalog.models()[index]) {
        set("x-wasmgate-model", &live.model.name);
        set("x-wasmgate-backend", &live.backend.settings().name);
    }
    if let Some(policy) = record.policy_label() {
        set("x-wasmgate-policy", policy);
    }
    if let Some(score) = record.score {
        set("x-wasmgate-complexity", &score.to_string());
    }
    if !record.failed_attempts.is_empty() {
        let names = |attempt: &FailedAttempt| {
            format!("{} {}", snapshot.catalog.models()[attempt.model].model.name, attempt.reason.as_str())
        };
        let (shown, more) = record.first_failed_attempts();
        let mut text = shown.iter().map(names).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text += &format!(", {more} more");
        }
        set("x-wasmgate-failed-attempts", &text);
    }
    if let Some(hedge) = record.hedge {
        set("x-wasmgate-hedge", hedge.result.as_str());
    }
    if let (false, Some(dialect)) = (record.dropped.is_empty(), record.dialect) {
        set("x-wasmgate-dropped", &record.dropped.names(dialect));
    }
    if let Some(cost) = cost {
        set("x-wasmgate-cost-usd", &cost.usd().to_string());
    }
    if record.model.is_some_and(|index| snapshot.catalog.models()[index].backend.is_simulated()) {
        set("x-wasmgate-simulated", "true");
    }
    limits::headers(headers, in_flight);
}

/// The response to a request that failed. Every failure becomes a response here.
pub(crate) fn refuse(mut in_flight: InFlight, dialect: Dialect, failure: &Failure) -> Response<ResponseBody> {
    let error = error_text(failure, &in_flight.record.id);
    // OpenAI reports a prompt that is too long within the stream, and Codex compacts its history only then.
    let in_stream = dialect == Dialect::Responses && in_flight.record.stream && failure.kind == Kind::ContextTooLong;
    let (body, status, content_type) = match in_stream {
        true => (stream_error(dialect, &error), StatusCode::OK, dialect.stream_content_type()),
        false => (dialect.error_body(&error), failure.kind.status(), "application/json"),
    };
    let mut response = Response::new(ResponseBody::plain(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    id_header(headers, &in_flight.record.id);
    routing_headers(headers, &in_flight, None);
    if failure.kind == Kind::UnknownCoding {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(codings::ACCEPTED));
    }
    if failure.kind == Kind::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let asks_to_wait = matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    // A limit without a period never has room again.
    let is_limit = matches!(failure.kind, Kind::RateLimited | Kind::BudgetSpent);
    if asks_to_wait && !is_limit || failure.retry_after.is_some() {
        let seconds = failure.retry_after.unwrap_or_default().as_secs_f64().ceil().max(1.0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds as u32));
    }
    // The official SDKs heed it: they repeat a 5xx by themselves.
    if failure.is_final || !failure.kind.may_pass() {
        response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
    }
    in_flight.fail(failure);
    response
}

/// The response to a method that the route does not accept.
pub(crate) fn wrong_method(gateway: &Arc<Gateway>, path: &str, allowed: &'static str) -> Response<ResponseBody> {
    let failure = Failure::new(Kind::WrongMethod, format!("this route accepts {allowed} only"));
    let mut response = refuse(InFlight::new(gateway), dialect_of(path), &failure);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
