//! Classifies a backend's error response: the kind of failure and its `Retry-After`.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};

use crate::error::{Failure, Kind};

/// Longest error body that the gateway reads, in bytes.
const MAX_BYTES: usize = 16 << 10;
/// Time limit for reading the error body.
const TIME: Duration = Duration::from_secs(2);

/// The failure for an error response. `key`: the API key, which some backends repeat in their errors.
pub(super) async fn failure(response: Response<Incoming>, key: &str) -> Failure {
    let status = response.status().as_u16();
    let asked = retry_after(response.headers(), SystemTime::now());
    let body = tokio::time::timeout(TIME, read(response.into_body())).await.unwrap_or_default();
    let error = Error::of(&body);
    let (kind, message) = match status {
        429 => (Kind::BackendBusy, "the backend is rate limiting the gateway"),
        500.. => (Kind::BackendStatus(status), "the backend failed"),
        400 | 413 | 422 if error.is_about_context() => {
            (Kind::ContextTooLong, "the prompt is longer than the model's context window")
        }
        400 | 403 | 422 if error.is_about_content() => {
            (Kind::ContentFiltered, "the content filter of the model's provider refused this prompt")
        }
        _ => (Kind::BackendRefused(status), "the backend refused the gateway's request"),
    };
    let word = error.word().filter(|word| key.is_empty() || !word.contains(key));
    let word = word.map_or(String::new(), |word| format!(", {word}"));
    let mut failure = Failure::new(kind, message).with_detail(format_args!("status {status}{word}"));
    failure.retry_after = asked;
    failure
}

async fn read(mut body: Incoming) -> Vec<u8> {
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
    message: String,
}

impl Error {
    fn of(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| json.pointer(&format!("/error/{name}")).and_then(serde_json::Value::as_str);
        let message = field("message").or(json["error"].as_str()).unwrap_or_default();
        Self {
            code: field("code").map(str::to_owned),
            kind: field("type").map(str::to_owned),
            message: message.to_ascii_lowercase(),
        }
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
                .any(|words| self.message.contains(words))
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
        let is_word = |word: &String| word.len() <= 64 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        self.code.or(self.kind).filter(is_word)
    }
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
}
