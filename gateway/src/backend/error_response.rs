//! Classifies a backend's error: the kind of failure, its `Retry-After`, and what the client may read of it. An error comes
//! with an error status, in the body of an answer with status 200, or in a stream: the same rules apply.
//!
//! A refusal is either the client's affair or the gateway's. Status 400, 413 and 422, and a 404 that names a parameter,
//! speak of the request: the client gets the status and the provider's words. What speaks of the gateway's key, account or
//! model name is the operator's affair, whatever its status, and the client reads nothing of it.

use std::time::{Duration, SystemTime};

use hyper::Response;
use hyper::header::{HeaderMap, RETRY_AFTER};

use super::body::Body;
use super::coding::Decoding;
use super::http::Incoming;
use super::redaction::Redaction;
use crate::error::{Failure, Kind, ProviderError};
use wasmgate_dialect::BackendError;

/// Longest error body that the gateway reads, in bytes. Some servers repeat the request in it.
const MAX_BYTES: usize = 1 << 20;
/// Time limit for reading the error body.
const TIME: Duration = Duration::from_secs(2);

/// Reads an error response, of its body as much as the gateway looks at.
pub(super) async fn read(response: Response<Incoming>) -> Response<Vec<u8>> {
    let (head, body) = response.into_parts();
    // An error in a coding that nobody asked for, and that the gateway does not know, says no more than its status.
    let body = match Decoding::of(&head.headers) {
        Ok(decoding) => {
            let body = Body::unpermitted(body, decoding);
            tokio::time::timeout(TIME, read_body(body)).await.unwrap_or_default()
        }
        Err(_name) => Vec::new(),
    };
    Response::from_parts(head, body)
}

/// The failure for an error response.
pub(super) fn failure(response: &Response<Vec<u8>>, redaction: &Redaction) -> Failure {
    let headers = response.headers();
    let mut failure = classify(response.status().as_u16(), &BackendError::read(response.body()), redaction);
    failure.retry_after = retry_after(headers, SystemTime::now()).or(failure.retry_after);
    failure.is_final = headers.get("x-should-retry").is_some_and(|value| value == "false");
    failure
}

/// The failure for an error in an answer with status 200: its code says what it is.
pub(super) fn in_band(error: &BackendError, redaction: &Redaction) -> Failure {
    // A server that gives it no code may have worked on the request.
    classify(error.status_meant().unwrap_or(200), error, redaction)
}

fn classify(status: u16, error: &BackendError, redaction: &Redaction) -> Failure {
    let about = About::of(error);
    let (kind, message) = match status {
        // 413, so that clients do not send it again.
        429 if about.one_request() => (
            Kind::RequestRefused(413, code(error)),
            "this request is larger than the rate limit at the model's provider",
        ),
        429 if about.account() => (Kind::BackendRefused(429), REFUSED),
        429 => (Kind::BackendBusy, "the backend is rate limiting the gateway"),
        // Ollama and some gateways answer 500.
        200 | 400 | 413 | 422 | 500.. if error.overflow.is_some() => {
            (Kind::ContextTooLong, "the prompt is longer than the model's context window")
        }
        529 => (Kind::BackendStatus(529), OVERLOADED),
        503 if about.overload() => (Kind::BackendStatus(529), OVERLOADED),
        200 | 500.. => (Kind::BackendStatus(status), "the backend failed"),
        400 | 403 | 422 if about.content() => {
            (Kind::ContentFiltered, "the content filter of the model's provider refused this prompt")
        }
        400 | 404 | 413 | 422 if about.request(status) => {
            (Kind::RequestRefused(status, code(error)), "the model's provider refused this request")
        }
        _ if about.credentials() => (Kind::BackendRefused(401), REFUSED),
        _ => (Kind::BackendRefused(status), REFUSED),
    };
    let is_overflow = kind == Kind::ContextTooLong;
    let is_refusal = matches!(kind, Kind::RequestRefused(..));
    let said = redaction.sentence(&error.message).filter(|_| is_refusal || is_overflow);
    let message = match said {
        // Agents read it: nothing stands before it.
        Some(said) if is_overflow => said,
        Some(said) => format!("{message}: {said}"),
        None => message.to_owned(),
    };
    let word = error.code.as_deref().or(error.kind.as_deref()).filter(|word| is_code(word) && redaction.allows(word));
    let word = word.map_or(String::new(), |word| format!(", {word}"));
    let mut failure = Failure::new(kind, message).with_detail(format_args!("status {status}{word}"));
    failure.retry_after = error.retry_after;
    if is_refusal || is_overflow {
        let allowed = |text: &Option<String>, is: fn(&str) -> bool| {
            text.clone().filter(|text| is(text) && redaction.allows(text))
        };
        failure.provider = Some(Box::new(ProviderError {
            param: allowed(&error.param, is_param),
            kind: allowed(&error.kind, is_code).filter(|_| is_refusal),
            overflow: error.overflow.filter(|_| is_overflow),
        }));
    }
    failure
}

const REFUSED: &str = "the backend refused the gateway's request";
const OVERLOADED: &str = "the backend is overloaded; retry shortly";

async fn read_body(mut body: Body) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(chunk)) = body.chunk().await {
        read.extend_from_slice(&chunk);
        if read.len() > MAX_BYTES {
            break;
        }
    }
    read
}

/// How long the backend asks to wait: `retry-after-ms`, which OpenAI's SDKs read first, else `Retry-After`, a number of
/// seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |value: &hyper::header::HeaderValue| value.to_str().ok().map(|text| text.trim().to_owned());
    let of_seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    let milliseconds = headers.get("retry-after-ms").and_then(text).and_then(|text| text.parse::<f64>().ok());
    if let Some(asked) = milliseconds.and_then(|milliseconds| of_seconds(milliseconds / 1000.0)) {
        return Some(asked);
    }
    let value = headers.get(RETRY_AFTER).and_then(text)?;
    match value.parse::<f64>() {
        Ok(seconds) => of_seconds(seconds),
        Err(_) => Some(httpdate::parse_http_date(&value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// Codes and types of errors about the gateway's key, account or configuration.
const OF_THE_GATEWAY: [&str; 15] = [
    "account_deactivated",
    "authentication_error",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_quota",
    "invalid_api_key",
    "model_not_found",
    "not_found_error",
    "organization_not_found",
    "permission_denied",
    "permission_error",
    "unauthenticated",
    "unauthorized",
    "unsupported_country_region_territory",
];
/// What such errors say in lower case, where a server gives them no code. Whole phrases, since a message about the request
/// may repeat the client's words: the name of a tool or of a schema's property.
const PHRASES_OF_THE_ACCOUNT: [&str; 7] = [
    "credit balance is too low",
    "billing hard limit",
    "billing details",
    "billing is not",
    "billing account",
    "enable billing",
    "model not found",
];
const PHRASES_OF_CREDENTIALS: [&str; 12] = [
    "api key not valid",
    "api key not found",
    "api key expired",
    "api key is invalid",
    "api key provided",
    "invalid api key",
    "incorrect api key",
    "missing api key",
    "no api key",
    "provide an api key",
    "valid api key",
    "invalid api_key",
];

/// Those of them that speak of its key.
const OF_CREDENTIALS: [&str; 6] = [
    "authentication_error",
    "invalid_api_key",
    "permission_denied",
    "permission_error",
    "unauthenticated",
    "unauthorized",
];
/// Codes and types of errors about the gateway's account, which no waiting mends.
const OF_THE_ACCOUNT: [&str; 5] =
    ["account_deactivated", "billing_error", "billing_hard_limit_reached", "billing_not_active", "insufficient_quota"];
/// Codes and types of a content filter.
const OF_CONTENT: [&str; 3] = ["content_filter", "content_policy_violation", "responsibleaipolicyviolation"];

/// Of what an error speaks.
struct About<'a> {
    error: &'a BackendError,
    /// Its message, in lower case.
    text: String,
}

impl<'a> About<'a> {
    fn of(error: &'a BackendError) -> Self {
        Self { error, text: error.message.to_ascii_lowercase() }
    }

    fn is_named(&self, words: &[&str]) -> bool {
        let named = [&self.error.code, &self.error.kind].into_iter().flatten();
        named.map(|word| word.to_ascii_lowercase()).any(|word| words.contains(&&*word))
    }

    /// Whether a rate limit refused one request for its size: `OpenAI` answers 429 if a request alone is above the limit of
    /// tokens per minute. Waiting does not help, and other requests are not concerned.
    fn one_request(&self) -> bool {
        self.text.starts_with("request too large")
    }

    /// Whether it speaks of the gateway's account.
    fn account(&self) -> bool {
        self.is_named(&OF_THE_ACCOUNT)
    }

    /// Whether it speaks of the gateway's credentials.
    fn credentials(&self) -> bool {
        self.is_named(&OF_CREDENTIALS) || self.says(&PHRASES_OF_CREDENTIALS)
    }

    /// Whether its sentence has one of these phrases. An error that names a parameter speaks of that one.
    fn says(&self, phrases: &[&str]) -> bool {
        self.error.param.is_none() && phrases.iter().any(|phrase| self.text.contains(phrase))
    }

    /// Whether the server says that it has too much to do.
    fn overload(&self) -> bool {
        self.is_named(&["overloaded_error", "server_busy"]) || self.text.contains("overloaded")
    }

    fn content(&self) -> bool {
        self.is_named(&OF_CONTENT)
    }

    /// Whether it speaks of the client's request and not of the gateway.
    fn request(&self, status: u16) -> bool {
        // The gateway chose the model's name.
        let of_model = self.error.param.as_deref() == Some("model");
        let says_so = self.says(&PHRASES_OF_THE_ACCOUNT) || self.says(&PHRASES_OF_CREDENTIALS);
        let of_parameter = status != 404 || self.error.param.is_some();
        of_parameter && !of_model && !self.is_named(&OF_THE_GATEWAY) && !says_so
    }
}

/// The provider's own code, if it is a plain word.
fn code(error: &BackendError) -> Option<String> {
    error.code.clone().filter(|word| is_code(word))
}

/// A plain word such as `rate_limit_exceeded` or `InvalidParameter`. Never a message, which may repeat the prompt.
fn is_code(word: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    word.len() <= 64 && word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(allowed)
}

/// The path of a parameter, such as `tools[0].function.parameters`.
fn is_param(param: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.[]'\"/".contains(c);
    !param.is_empty() && param.len() <= 128 && param.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_retry_after_are_understood() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let asked = |name: &'static str, value: &str| {
            let headers = [(hyper::header::HeaderName::from_static(name), value.parse().expect("a header"))];
            retry_after(&headers.into_iter().collect(), now)
        };
        assert_eq!(asked("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("retry-after", " 1.5 "), Some(Duration::from_millis(1500)));
        for (seconds, sign) in [(90, 1), (0, -1)] {
            let date = if sign > 0 { now + Duration::from_secs(90) } else { now - Duration::from_secs(90) };
            let date = httpdate::fmt_http_date(date);
            assert_eq!(asked("retry-after", &date), Some(Duration::from_secs(seconds)));
        }
        assert_eq!(asked("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        for odd in ["soon", "-3", "NaN", "1e400"] {
            assert_eq!((asked("retry-after", odd), asked("retry-after-ms", odd)), (None, None), "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_wait_that_only_the_body_names_is_kept() {
        let body = r#"[{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED",
            "details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}]"#;
        let failure = classified(429, body);
        assert_eq!((failure.kind, failure.retry_after), (Kind::BackendBusy, Some(Duration::from_millis(34_500))));
        for odd in ["soon", "-1s", "1e999s", "34"] {
            assert_eq!(classified(429, &body.replace("34.5s", odd)).retry_after, None, "{odd}");
        }
    }

    fn classified(status: u16, body: &str) -> Failure {
        classify(status, &BackendError::read(body.as_bytes()), &Redaction::default())
    }

    #[test]
    fn what_speaks_of_the_gateway_is_not_the_clients_affair() {
        let schema = r#"{"error":{"message":"Invalid schema","type":"invalid_request_error","param":"tools[0]","code":"invalid_function_parameters"}}"#;
        for (status, body) in [(400, schema), (404, schema), (422, r#"{"detail":"no"}"#), (400, "<html>"), (413, "")] {
            let kind = classified(status, body).kind;
            assert!(matches!(kind, Kind::RequestRefused(told, _) if told == status), "{status} {body}: {kind:?}");
        }
        for (status, body, refused) in [
            (404, r#"{"error":"model 'x' not found, try pulling it first"}"#, 404),
            (404, r#"{"error":{"message":"no","code":"model_not_found","param":"model"}}"#, 404),
            (400, r#"{"error":{"message":"no","code":null,"param":"model"}}"#, 400),
            (400, r#"{"error":{"message":"Your credit balance is too low","type":"invalid_request_error"}}"#, 400),
            (400, r#"{"error":{"message":"API key not valid","code":400}}"#, 401),
            (400, r#"{"error":{"message":"no","type":"authentication_error"}}"#, 401),
            (403, "", 403),
            (429, r#"{"error":{"message":"no","code":"insufficient_quota"}}"#, 429),
            (400, r#"{"error":{"message":"Incorrect API key provided: sk-...ab.","param":"","code":""}}"#, 401),
            (
                400,
                r#"{"error":{"message":"This API method requires billing to be enabled. Please enable billing on"}}"#,
                400,
            ),
        ] {
            assert_eq!(classified(status, body).kind, Kind::BackendRefused(refused), "{status} {body}");
        }
    }

    #[test]
    fn the_clients_own_words_in_a_refusal_are_not_taken_for_the_gateways_account() {
        for word in ["billing", "api_key", "api key", "credit balance", "billing_update"] {
            for error in [
                serde_json::json!({"message": format!("Invalid schema for function '{word}'"), "type": "invalid_request_error"}),
                serde_json::json!({"message": format!("tools.0.custom.input_schema: property '{word}' is not valid")}),
                serde_json::json!({"message": format!("'enable {word}' and no API key"), "param": "tools[0].function"}),
            ] {
                let body = serde_json::json!({"error": error}).to_string();
                assert_eq!(classified(400, &body).kind, Kind::RequestRefused(400, None), "{body}");
            }
        }
    }

    #[test]
    fn an_error_in_an_answer_is_told_by_its_code() {
        for (body, kind) in [
            (r#"{"error":{"code":429,"message":"no"},"choices":null}"#, Kind::BackendBusy),
            (r#"{"error":{"type":"overloaded_error"}}"#, Kind::BackendStatus(529)),
            (r#"{"error":{"type":"api_error"}}"#, Kind::BackendStatus(500)),
            (r#"{"error":{"code":503,"message":"The model is overloaded."}}"#, Kind::BackendStatus(529)),
            (r#"{"error":"words"}"#, Kind::BackendStatus(200)),
            (r#"{"error":{"message":"This model's maximum context length is 9 tokens."}}"#, Kind::ContextTooLong),
            (r#"{"error":{"code":401,"message":"no"}}"#, Kind::BackendRefused(401)),
            (r#"{"error":{"code":400,"message":"no"}}"#, Kind::RequestRefused(400, None)),
            (r#"{"error":{"code":"context_length_exceeded","message":"no"}}"#, Kind::ContextTooLong),
        ] {
            assert_eq!(in_band(&BackendError::read(body.as_bytes()), &Redaction::default()).kind, kind, "{body}");
        }
    }
}
