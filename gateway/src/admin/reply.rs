//! Responses of the admin API, all JSON, and the one table of error statuses and codes.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::Answer;
use super::stream::{Events, Readers};
use crate::accounts::api as accounts;
use crate::rollout::api::NotDone;
use wasmgate_accounts::without_keys;
use wasmgate_base::json_text;

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    /// What is wrong, and what was expected.
    pub(super) message: String,
}

/// The kinds of problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request is invalid for its route.
    BadRequest,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request may come from a browser.
    Forbidden,
    /// No such route.
    UnknownRoute,
    /// No such slot.
    UnknownSlot,
    /// The decision log does not have the request.
    UnknownRequest,
    /// No such key.
    UnknownKey,
    /// No such group.
    UnknownGroup,
    /// The route exists, but not with this method. Holds the methods that it accepts.
    WrongMethod(String),
    /// The body did not arrive in time.
    SlowRequest,
    /// The operation conflicts with the slot's state, or with what the decision log keeps.
    Conflict,
    /// The body is too long.
    TooLarge,
    /// The body is not `application/json`.
    WrongContentType,
    /// A component was refused.
    Refused,
    /// A defect of the gateway.
    Internal,
    /// The gateway cannot keep a change of keys or groups.
    NotSaved,
    /// The gateway is stopping.
    Stopping,
}

impl Kind {
    /// The status and the stable code.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "unknown_route"),
            Self::UnknownSlot => (StatusCode::NOT_FOUND, "unknown_slot"),
            Self::UnknownRequest => (StatusCode::NOT_FOUND, "unknown_request"),
            Self::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
            Self::UnknownGroup => (StatusCode::NOT_FOUND, "unknown_group"),
            Self::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
            Self::SlowRequest => (StatusCode::REQUEST_TIMEOUT, "slow_request"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::WrongContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type"),
            Self::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::NotSaved => (StatusCode::SERVICE_UNAVAILABLE, "not_saved"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        }
    }
}

impl Problem {
    /// `message` may repeat what it does not know, such as a key in the wrong place, which nobody is shown.
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: without_keys(&message.into()).into_owned() }
    }

    pub(super) fn stopping() -> Self {
        Self::new(Kind::Stopping, "the gateway is stopping")
    }

    /// The text for the audit log. A refusal's reason may quote settings, so only the client gets it.
    pub(super) fn for_audit(&self) -> &str {
        match self.kind {
            Kind::Refused => "the component was refused",
            _ => &self.message,
        }
    }
}

impl From<NotDone> for Problem {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::NoSuchSlot(message) => Self::new(Kind::UnknownSlot, message),
            NotDone::Conflict(message) => Self::new(Kind::Conflict, message),
            NotDone::Refused(message) => Self::new(Kind::Refused, message),
            NotDone::Stopping => Self::stopping(),
        }
    }
}

impl From<accounts::NotDone> for Problem {
    fn from(not_done: accounts::NotDone) -> Self {
        use accounts::NotDone as N;
        let (kind, message) = match not_done {
            N::NoSuchKey(message) => (Kind::UnknownKey, message),
            N::NoSuchGroup(message) => (Kind::UnknownGroup, message),
            N::Invalid(message) => (Kind::BadRequest, message),
            N::Conflict(message) => (Kind::Conflict, message),
            N::NotSaved(message) => (Kind::NotSaved, message),
            N::Stopping => return Self::stopping(),
        };
        Self::new(kind, message)
    }
}

/// A successful response with this JSON.
pub(super) fn tell(text: Bytes) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::new(text)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A successful response with metrics, in Prometheus' text format.
pub(super) fn metrics(text: Bytes) -> Response<Answer> {
    let mut response = tell(text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}

/// New decisions as server-sent events, if there are not too many readers.
pub(super) fn events(readers: &Readers) -> Response<Answer> {
    let Some(events) = readers.follow() else {
        let message = "too many readers follow the decisions; close one, or read pages of GET /decisions";
        return refuse(&Problem::new(Kind::Conflict, message));
    };
    let mut response = Response::new(Either::Right(Events::new(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error response.
pub(super) fn refuse(problem: &Problem) -> Response<Answer> {
    let (status, code) = problem.kind.row();
    let body = json!({"error": {"code": code, "message": problem.message}});
    let mut response = tell(json_text::json(&body).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match &problem.kind {
        Kind::Unauthorized => {
            // A client without the token gets no more of this connection's time.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Kind::WrongMethod(allow) => {
            if let Ok(allow) = HeaderValue::from_str(allow) {
                headers.insert(ALLOW, allow);
            }
        }
        Kind::Stopping => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}
