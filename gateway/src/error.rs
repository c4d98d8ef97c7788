//! Every failure on a request's path: what the client sees, whose fault it is, how the gateway recovers. One table, so
//! that status, code, metric reason, retry and fallback cannot disagree.
//!
//! A failure carries two texts: `Display` is for the client; `detail` is for the log and may quote the backend. This
//! module must not know: dialects (they only encode a failure), HTTP bodies.

use std::fmt;
use std::time::Duration;

use hyper::StatusCode;
use wasmgate_base::overflow::Overflow;

/// Why a request did not get a complete answer.
#[derive(Debug)]
pub struct Failure {
    /// Which kind of failure.
    pub kind: Kind,
    /// For the client: what is wrong and what was expected. Never a guest's raw error text, and a backend's only if it
    /// speaks of the request (`RequestRefused`), bounded and without anything that looks like a key.
    pub message: String,
    /// What else the backend said of the request, if it refused the request itself.
    pub provider: Option<Box<ProviderError>>,
    /// For the log.
    pub detail: String,
    /// How long to wait before another attempt, if known.
    pub retry_after: Option<Duration>,
    /// Whether the backend says that another attempt is of no use.
    pub is_final: bool,
}

/// What a backend says of a request that it refuses, besides its sentence. None of it is the gateway's secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// The parameter of the request that it names as wrong.
    pub param: Option<String>,
    /// The error's type in its words.
    pub kind: Option<String>,
    /// By how much the prompt is too long.
    pub overflow: Option<Overflow>,
}

impl Failure {
    /// A failure without a separate text for the log.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            provider: None,
            detail: String::new(),
            retry_after: None,
            is_final: false,
        }
    }

    /// A prompt that is longer than a context window, or than the gateway allows.
    pub fn too_long(message: impl Into<String>, overflow: Overflow) -> Self {
        let provider = ProviderError { overflow: Some(overflow), ..ProviderError::default() };
        Self { provider: Some(Box::new(provider)), ..Self::new(Kind::ContextTooLong, message) }
    }

    /// Adds the text for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The kinds of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The request is not valid in its dialect.
    BadRequest,
    /// No such route.
    UnknownRoute,
    /// The route exists but does not accept the method.
    WrongMethod,
    /// The body is not `application/json`.
    WrongContentType,
    /// The body has a content coding that the gateway does not read.
    UnknownCoding,
    /// No model of that name.
    UnknownModel,
    /// No stored answer of that id.
    UnknownResponse,
    /// The client asks for a WebSocket, which the gateway does not speak.
    NoWebSocket,
    /// The request has no valid key.
    Unauthorized,
    /// A limit of the key's group, or of one above it, has no room: too many requests or tokens.
    RateLimited,
    /// A budget of the key's group, or of one above it, has no room.
    BudgetSpent,
    /// The limits of the key's group are shared with other gateways, and the server that knows what is left does not answer.
    LimitsUnavailable,
    /// The model has no price, and the key's group has a budget.
    Unpriced,
    /// A web page sent the request, and the operator did not allow its origin.
    OriginRefused,
    /// The request names a host that the gateway does not answer to.
    HostRefused,
    /// The body or the prompt is longer than the operator allows.
    TooLarge,
    /// The body did not arrive in time.
    SlowRequest,
    /// No permitted model can do what the request asks (tools, images, a field of one dialect only).
    NoCapableModel,
    /// The routing policy denied the request, with the policy's own code.
    Denied(String),
    /// Too many requests are in flight.
    Overloaded,
    /// The gateway is stopping.
    Stopping,
    /// The routing policy failed and the operator chose to fail closed.
    PolicyFailed,
    /// A defect of the gateway.
    Internal,
    /// The backend could not be reached.
    Connect,
    /// The backend did not answer in time.
    Timeout,
    /// No time was left to call this model. The client sees this only if no model was called.
    NoTimeLeft,
    /// The backend answered with a status of 500 or above. 529: it is overloaded. 200: it reported a failure in its answer,
    /// without a status.
    BackendStatus(u16),
    /// The backend asked for less traffic (429).
    BackendBusy,
    /// The backend refused the gateway (4xx): its credentials, its model name, its account.
    BackendRefused(u16),
    /// The backend refused the client's request (400, 404 of a parameter, 413, 422), with the status and the provider's own
    /// code. Any other model would get the same request, and any other client may send a better one.
    RequestRefused(u16, Option<String>),
    /// The prompt exceeds the model's context window, as its backend reports, or the limit that the operator set.
    ContextTooLong,
    /// The backend's content filter rejected the prompt.
    ContentFiltered,
    /// The model's circuit breaker is open. The client sees this only if no model that could answer was called.
    BreakerOpen,
    /// The backend is at its concurrency limit, and its queue is full or this call waited in it for too long.
    BackendFull,
    /// The backend's answer is not valid in its dialect.
    Protocol,
    /// The backend's stream ended before its end marker.
    Cut,
}

/// Why a request was rejected, as the label of `api_gateway_rejected_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Rejection {
    /// The client's request is invalid.
    BadRequest,
    /// The body or the prompt is too long.
    TooLarge,
    /// The request has no valid key (401).
    Unauthorized,
    /// The gateway is not for this client: its page's origin, or the host that it named, is not allowed (403).
    Forbidden,
    /// A policy denied it.
    PolicyDenied,
    /// A limit or a budget of a group has no room (429).
    LimitExceeded,
    /// What is left of a limit that gateways share is not known, because the shared state does not answer (503).
    SharedDown,
    /// The model has no price, and the group has a budget (403).
    Unpriced,
    /// Too many requests are in flight, or hold too much memory.
    Overloaded,
    /// Each backend that may answer is at its concurrency limit, and its queue is full or the wait in it was too long.
    BackendFull,
}

impl Rejection {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::Unauthorized,
        Self::Forbidden,
        Self::PolicyDenied,
        Self::LimitExceeded,
        Self::SharedDown,
        Self::Unpriced,
        Self::Overloaded,
        Self::BackendFull,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::PolicyDenied => "policy_denied",
            Self::Unpriced => "unpriced",
            Self::LimitExceeded => "limit_exceeded",
            Self::SharedDown => "shared_down",
            Self::Overloaded => "overloaded",
            Self::BackendFull => "backend_full",
        }
    }
}

/// Why an accepted request failed, as the label of `api_gateway_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// The backend did not answer in time.
    Timeout,
    /// The backend could not be reached.
    Connect,
    /// The backend answered with a status of 500 or above.
    Upstream5xx,
    /// The backend answered with 429.
    Upstream429,
    /// The backend answered with 401 or 403: it refused the gateway's credentials.
    UpstreamAuth,
    /// The backend answered with another 4xx: it refused the gateway's configuration, or the request.
    Upstream4xx,
    /// The backend's answer is not valid in its dialect, or its stream was cut.
    Protocol,
    /// The model's circuit breaker is open after failures or slow answers; the model was not called.
    BreakerOpen,
    /// The backend is at its concurrency limit.
    BackendFull,
    /// A defect of the gateway, or a fail-closed policy that failed.
    Internal,
    /// The gateway stopped before the answer was complete.
    Shutdown,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Timeout,
        Self::Connect,
        Self::Upstream5xx,
        Self::Upstream429,
        Self::UpstreamAuth,
        Self::Upstream4xx,
        Self::Protocol,
        Self::BreakerOpen,
        Self::BackendFull,
        Self::Internal,
        Self::Shutdown,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Upstream5xx => "upstream_5xx",
            Self::Upstream429 => "upstream_429",
            Self::UpstreamAuth => "upstream_auth",
            Self::Upstream4xx => "upstream_4xx",
            Self::Protocol => "protocol",
            Self::BreakerOpen => "breaker_open",
            Self::BackendFull => "backend_full",
            Self::Internal => "internal",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Whose fault a failure is, and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client's fault, or the operator's decision: a rejection, not an error.
    Rejected(Rejection),
    /// The gateway's or a backend's fault.
    Error(Reason),
}

/// How the gateway recovers from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Not at all: the client gets the failure.
    Nothing,
    /// Retry the same model; then fall back to the next model of the ranking.
    Retry,
    /// Fall back to the next model of the ranking: a retry would fail the same way.
    Fallback,
    /// Fall back to the next model of the ranking with a larger context window.
    FallbackLarger,
    /// Fall back to the next model of the ranking, if the operator enabled that.
    FallbackIfEnabled,
}

impl Kind {
    /// The table: status, stable code, whose fault, how to recover.
    fn row(&self) -> (StatusCode, &str, Fault, Recovery) {
        use Fault::{Error, Rejected};
        use Reason as E;
        use Recovery::{Fallback, FallbackIfEnabled, FallbackLarger, Nothing, Retry};
        use Rejection as R;
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request", Rejected(R::BadRequest), Nothing),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "unknown_route", Rejected(R::BadRequest), Nothing),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method", Rejected(R::BadRequest), Nothing),
            Self::WrongContentType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", Rejected(R::BadRequest), Nothing)
            }
            Self::UnknownCoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_content_encoding", Rejected(R::BadRequest), Nothing)
            }
            Self::UnknownModel => (StatusCode::NOT_FOUND, "unknown_model", Rejected(R::BadRequest), Nothing),
            Self::UnknownResponse => (StatusCode::NOT_FOUND, "unknown_response", Rejected(R::BadRequest), Nothing),
            Self::NoWebSocket => (StatusCode::UPGRADE_REQUIRED, "no_websocket", Rejected(R::BadRequest), Nothing),
            // The code of OpenAI's.
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "invalid_api_key", Rejected(R::Unauthorized), Nothing),
            // These two are the codes of OpenAI's.
            Self::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", Rejected(R::LimitExceeded), Nothing)
            }
            Self::BudgetSpent => {
                (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Rejected(R::LimitExceeded), Nothing)
            }
            Self::LimitsUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "limits_unavailable", Rejected(R::SharedDown), Nothing)
            }
            Self::Unpriced => (StatusCode::FORBIDDEN, "unpriced_model", Rejected(R::Unpriced), Nothing),
            Self::OriginRefused => (StatusCode::FORBIDDEN, "origin_not_allowed", Rejected(R::Forbidden), Nothing),
            Self::HostRefused => (StatusCode::FORBIDDEN, "host_not_allowed", Rejected(R::Forbidden), Nothing),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", Rejected(R::TooLarge), Nothing),
            Self::SlowRequest => (StatusCode::REQUEST_TIMEOUT, "slow_request", Rejected(R::BadRequest), Nothing),
            Self::NoCapableModel => (StatusCode::BAD_REQUEST, "no_capable_model", Rejected(R::BadRequest), Nothing),
            Self::Denied(code) => (StatusCode::FORBIDDEN, code, Rejected(R::PolicyDenied), Nothing),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", Rejected(R::Overloaded), Nothing),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", Error(E::Shutdown), Nothing),
            Self::PolicyFailed => (StatusCode::SERVICE_UNAVAILABLE, "policy_failed", Error(E::Internal), Nothing),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", Error(E::Internal), Nothing),
            Self::Connect => (StatusCode::BAD_GATEWAY, "backend_unreachable", Error(E::Connect), Retry),
            // No retry: the backend may still be busy with the call that timed out.
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "backend_timeout", Error(E::Timeout), Fallback),
            Self::NoTimeLeft => (StatusCode::GATEWAY_TIMEOUT, "no_time_left", Error(E::Timeout), Fallback),
            // 503, because some proxies do not know 529.
            Self::BackendStatus(529) => {
                (StatusCode::SERVICE_UNAVAILABLE, "backend_overloaded", Error(E::Upstream5xx), Retry)
            }
            Self::BackendStatus(500 | 502..=504) => {
                (StatusCode::BAD_GATEWAY, "backend_error", Error(E::Upstream5xx), Retry)
            }
            Self::BackendStatus(_) => (StatusCode::BAD_GATEWAY, "backend_error", Error(E::Upstream5xx), Fallback),
            Self::BackendBusy => (StatusCode::TOO_MANY_REQUESTS, "backend_busy", Error(E::Upstream429), Retry),
            Self::BackendRefused(401 | 403) => {
                (StatusCode::BAD_GATEWAY, "backend_unauthorized", Error(E::UpstreamAuth), Fallback)
            }
            // The server gave the request up for its own reasons; the official SDKs repeat it too.
            Self::BackendRefused(408 | 409) => {
                (StatusCode::BAD_GATEWAY, "backend_refused", Error(E::Upstream4xx), Retry)
            }
            Self::BackendRefused(_) => (StatusCode::BAD_GATEWAY, "backend_refused", Error(E::Upstream4xx), Fallback),
            Self::RequestRefused(status, code) => {
                let rejection = if *status == 413 { R::TooLarge } else { R::BadRequest };
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                (status, code.as_deref().unwrap_or("request_refused"), Rejected(rejection), Nothing)
            }
            Self::ContextTooLong => {
                // The code by which agents tell that they must shorten their history.
                (StatusCode::BAD_REQUEST, "context_length_exceeded", Rejected(R::TooLarge), FallbackLarger)
            }
            Self::ContentFiltered => {
                (StatusCode::BAD_REQUEST, "content_filtered", Rejected(R::BadRequest), FallbackIfEnabled)
            }
            Self::BreakerOpen => (StatusCode::SERVICE_UNAVAILABLE, "breaker_open", Error(E::BreakerOpen), Fallback),
            Self::BackendFull => (StatusCode::SERVICE_UNAVAILABLE, "backend_full", Rejected(R::BackendFull), Fallback),
            Self::Protocol => (StatusCode::BAD_GATEWAY, "backend_protocol", Error(E::Protocol), Fallback),
            Self::Cut => (StatusCode::BAD_GATEWAY, "stream_cut", Error(E::Protocol), Fallback),
        }
    }

    /// The HTTP status that the client gets if the answer has not begun.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The stable code in the error's body.
    #[must_use]
    pub fn code(&self) -> &str {
        self.row().1
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.row().2
    }

    /// How the gateway recovers from it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.row().3
    }

    /// Why an attempt failed, as a label.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.fault() {
            Fault::Error(reason) => reason,
            Fault::Rejected(_) if *self == Self::BackendFull => Reason::BackendFull,
            // The gateway had no thread for a large answer.
            Fault::Rejected(_) if *self == Self::Overloaded => Reason::Internal,
            // The backend rejected the request itself.
            Fault::Rejected(_) => Reason::Upstream4xx,
        }
    }

    /// Whether a provider may charge for a call that failed in this way after its request was written. An error status in
    /// place of an answer is free; an answer that broke off, or that nobody waited for, is not.
    #[must_use]
    pub fn may_cost(&self) -> bool {
        match self {
            Self::Connect | Self::Timeout | Self::Protocol | Self::Cut | Self::Stopping => true,
            // The answer came, and the gateway had no thread to read or write it.
            Self::Overloaded => true,
            // An error in the stream of an answer that had begun with status 200.
            Self::BackendStatus(status) => *status == 200,
            _ => false,
        }
    }

    /// Whether the same request may succeed later. If not, clients are told so: the official SDKs repeat many requests by
    /// themselves.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self.fault() {
            Fault::Rejected(Rejection::Overloaded | Rejection::BackendFull | Rejection::SharedDown) => true,
            Fault::Rejected(_) => matches!(self, Self::SlowRequest | Self::RateLimited),
            Fault::Error(_) => match self {
                Self::BackendRefused(status) => matches!(status, 408 | 409),
                _ => !matches!(self, Self::BackendStatus(501 | 505)),
            },
        }
    }

    /// Whether the backend is at fault, so that the circuit breaker counts the failure.
    #[must_use]
    pub fn blames_backend(&self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::BackendStatus(_) | Self::Protocol | Self::Cut)
    }
}
