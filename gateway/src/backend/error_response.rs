//! Classifies a backend's error response: the kind of failure, its `Retry-After`, and what the client may read of it.
//!
//! A refusal is either the client's affair or the gateway's. Status 400, 413 and 422, and a 404 that names a parameter,
//! speak of the request: the client gets the status and the provider's words. What speaks of the gateway's key, account or
//! model name is the operator's affair, whatever its status, and the client reads nothing of it.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::Response;
use hyper::header::{HeaderMap, RETRY_AFTER};

use super::http::Incoming;
use crate::error::{Failure, Kind};

/// Longest error body that the gateway reads, in bytes.
const MAX_BYTES: usize = 16 << 10;
/// Longest message of a provider that a client gets, in characters.
const MAX_MESSAGE: usize = 500;
/// Time limit for reading the error body.
const TIME: Duration = Duration::from_secs(2);

/// Reads an error response, of its body as much as the gateway looks at.
pub(super) async fn read(response: Response<Incoming>) -> Response<Vec<u8>> {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(TIME, read_body(body)).await.unwrap_or_default();
    Response::from_parts(head, body)
}

/// The failure for an error response. `key`: the API key, which some backends repeat in their errors.
pub(super) fn failure(response: &Response<Vec<u8>>, key: &str) -> Failure {
    let status = response.status().as_u16();
    let asked = retry_after(response.headers(), SystemTime::now());
    let error = Error::of(response.body());
    let (kind, message) = match status {
        // 413, so that clients do not send it again.
        429 if error.is_about_one_request() => (
            Kind::RequestRefused(413, error.code.clone().filter(|word| is_code(word))),
            "this request is larger than the rate limit at the model's provider",
        ),
        429 => (Kind::BackendBusy, "the backend is rate limiting the gateway"),
        500.. => (Kind::BackendStatus(status), "the backend failed"),
        400 | 413 | 422 if error.is_about_context() => {
            (Kind::ContextTooLong, "the prompt is longer than the model's context window")
        }
        400 | 403 | 422 if error.is_about_content() => {
            (Kind::ContentFiltered, "the content filter of the model's provider refused this prompt")
        }
        400 | 404 | 413 | 422 if error.is_about_request(status) => (
            Kind::RequestRefused(status, error.code.clone().filter(|word| is_code(word))),
            "the model's provider refused this request",
        ),
        _ => (Kind::BackendRefused(status), "the backend refused the gateway's request"),
    };
    let refused = matches!(kind, Kind::RequestRefused(..));
    let said = refused.then(|| error.for_client(key)).flatten();
    let param =
        error.param.clone().filter(|param| refused && is_param(param) && (key.is_empty() || !param.contains(key)));
    let word = error.word().filter(|word| key.is_empty() || !word.contains(key));
    let word = word.map_or(String::new(), |word| format!(", {word}"));
    let message = said.map_or_else(|| message.to_owned(), |said| format!("{message}: {said}"));
    let mut failure = Failure::new(kind, message).with_detail(format_args!("status {status}{word}"));
    failure.retry_after = asked;
    failure.param = param;
    failure
}

async fn read_body(mut body: Incoming) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        read.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if read.len() > MAX_BYTES {
            break;
        }
    }
    read
}

/// `Retry-After`: a number of seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// The fields of an error body in the forms of `OpenAI`, Anthropic, Ollama and llama.cpp.
struct Error {
    code: Option<String>,
    kind: Option<String>,
    param: Option<String>,
    /// The message, as it came and in lower case.
    message: String,
    lower: String,
}

/// Codes and types of errors about the gateway's key, account or configuration.
const OF_THE_GATEWAY: [&str; 14] = [
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
    "unauthorized",
    "unsupported_country_region_territory",
];
/// Words of such errors in messages of servers that give them no code.
const WORDS_OF_THE_GATEWAY: [&str; 5] = ["api key", "api_key", "credit balance", "billing", "model not found"];

impl Error {
    fn of(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| json.pointer(&format!("/error/{name}")).and_then(serde_json::Value::as_str);
        // The last is what servers built on FastAPI answer.
        let message = field("message").or(json["error"].as_str()).or(json["detail"].as_str()).unwrap_or_default();
        Self {
            code: field("code").map(str::to_owned),
            kind: field("type").map(str::to_owned),
            param: field("param").map(str::to_owned),
            lower: message.to_ascii_lowercase(),
            message: message.to_owned(),
        }
    }

    /// Whether a rate limit refused one request for its size: `OpenAI` answers 429 if a request alone is above the limit of
    /// tokens per minute. Waiting does not help, and other requests are not concerned.
    fn is_about_one_request(&self) -> bool {
        self.lower.starts_with("request too large")
    }

    /// Whether the error speaks of the client's request and not of the gateway.
    fn is_about_request(&self, status: u16) -> bool {
        let of_gateway = |word: &Option<String>| {
            word.as_deref().is_some_and(|word| OF_THE_GATEWAY.contains(&&*word.to_ascii_lowercase()))
        };
        // The gateway chose the model's name.
        let of_model = self.param.as_deref() == Some("model");
        let says_so = WORDS_OF_THE_GATEWAY.iter().any(|words| self.lower.contains(words));
        let of_parameter = status != 404 || self.param.is_some();
        of_parameter && !of_model && !of_gateway(&self.code) && !of_gateway(&self.kind) && !says_so
    }

    /// The message as a client may read it: one line, bounded, without words that look like a key. `None` if there is none.
    fn for_client(&self, key: &str) -> Option<String> {
        let is_secret = |word: &str| {
            let word = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            (!key.is_empty() && word.contains(key))
                || (word.len() > 8 && (word.starts_with("sk-") || word.starts_with("AIza")))
        };
        let words = self.message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.map(|word| if is_secret(word) { "[removed]" } else { word }).collect();
        let line = words.join(" ");
        let mut said: String = line.chars().take(MAX_MESSAGE).collect();
        if said.len() < line.len() {
            said.push('…');
        }
        (!said.is_empty()).then_some(said)
    }

    fn is_about_context(&self) -> bool {
        let names = |word: &Option<String>| {
            word.as_deref().is_some_and(|word| {
                ["context_length_exceeded", "exceed_context_size_error", "request_too_large"].contains(&word)
            })
        };
        // Anthropic and many compatible servers say so in the message only.
        names(&self.code)
            || names(&self.kind)
            || ["prompt is too long", "maximum context length", "context window", "context size"]
                .iter()
                .any(|words| self.lower.contains(words))
    }

    fn is_about_content(&self) -> bool {
        let names = |word: &Option<String>| {
            word.as_deref().is_some_and(|word| {
                ["content_filter", "content_policy_violation", "responsibleaipolicyviolation"].contains(&word)
            })
        };
        names(&self.code) || names(&self.kind)
    }

    /// Its code or type, if that is a plain word such as `rate_limit_exceeded`. Never its message, which may repeat the
    /// prompt.
    fn word(self) -> Option<String> {
        self.code.or(self.kind).filter(|word| is_code(word))
    }
}

/// A plain word such as `rate_limit_exceeded`.
fn is_code(word: &str) -> bool {
    !word.is_empty() && word.len() <= 64 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
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
    fn both_forms_of_retry_after_are_understood() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let asked = |value: &str| {
            let headers = [(RETRY_AFTER, value.parse().expect("a header"))].into_iter().collect();
            retry_after(&headers, now)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked(&httpdate::fmt_http_date(now + Duration::from_secs(90))), Some(Duration::from_secs(90)));
        assert_eq!(asked(&httpdate::fmt_http_date(now - Duration::from_secs(90))), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    fn about_request(status: u16, body: &str) -> bool {
        Error::of(body.as_bytes()).is_about_request(status)
    }

    #[test]
    fn what_speaks_of_the_gateway_is_not_the_clients_affair() {
        let schema = r#"{"error":{"message":"Invalid schema","type":"invalid_request_error","param":"tools[0]","code":"invalid_function_parameters"}}"#;
        for (status, body) in [(400, schema), (404, schema), (422, r#"{"detail":"no"}"#), (400, "<html>"), (413, "")] {
            assert!(about_request(status, body), "{status} {body}");
        }
        for (status, body) in [
            (404, r#"{"error":"model 'x' not found, try pulling it first"}"#),
            (404, r#"{"error":{"message":"no","code":"model_not_found","param":"model"}}"#),
            (400, r#"{"error":{"message":"no","code":null,"param":"model"}}"#),
            (400, r#"{"error":{"message":"Your credit balance is too low","type":"invalid_request_error"}}"#),
            (400, r#"{"error":{"message":"API key not valid","code":400}}"#),
            (400, r#"{"error":{"message":"no","type":"authentication_error"}}"#),
        ] {
            assert!(!about_request(status, body), "{status} {body}");
        }
    }

    #[test]
    fn a_client_reads_one_bounded_line_without_keys() {
        let read = |message: &str, key: &str| {
            Error::of(serde_json::json!({"error": {"message": message}}).to_string().as_bytes()).for_client(key)
        };
        assert_eq!(read("a\nb\u{1b} c", "").as_deref(), Some("a b c"));
        assert_eq!(
            read("key 'secret-1' and sk-abcdefghij", "secret-1").as_deref(),
            Some("key [removed] and [removed]")
        );
        assert_eq!(read("", ""), None);
        assert_eq!(read(&"ä".repeat(600), "").map(|text| text.chars().count()), Some(501));
    }
}
