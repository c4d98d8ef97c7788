//! What a request brings with it: its query, its JSON, its component; within bounds, and without keys that nobody reads.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use hyper::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::reply::{Kind, Problem};

/// Longest body of JSON, in bytes.
pub(super) const MAX_JSON_BYTES: usize = 64 << 10;
/// For a body of JSON to come.
pub(super) const JSON_TIMEOUT: Duration = Duration::from_secs(10);
/// For a component to come.
pub(super) const COMPONENT_TIMEOUT: Duration = Duration::from_secs(120);
/// For what is not read to pass.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// A whole body. What was not read of it, since it is too long, stays in `body`.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut Option<Incoming>,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("the body is longer than {limit} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let Some(incoming) = body else { return Ok(Bytes::new()) };
    match tokio::time::timeout(time, Limited::new(&mut *incoming, limit).collect()).await {
        Ok(Ok(read)) => {
            *body = None;
            Ok(read.to_bytes())
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Kind::BadRequest, "the body broke off")),
        Err(_elapsed) => {
            let message = format!("the body did not come within {} seconds", time.as_secs());
            Err(Problem::new(Kind::SlowRequest, message))
        }
    }
}

/// Takes what a client still sends, and forgets it.
pub(super) async fn discard(headers: &HeaderMap, mut body: Incoming) {
    // Whoever asks before sending is answered before sending.
    if !headers.contains_key(EXPECT) {
        let rest = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
    }
}

/// An object of JSON with none but these keys; no body is an empty one.
pub(super) fn object(headers: &HeaderMap, body: &[u8], known: &[&str]) -> Result<Map<String, Value>, Problem> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // Required, not only tolerated: a form of a web page can send anything but this.
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Kind::WrongContentType, "the content type must be application/json"));
    }
    let object = parse_object("the body", body)?;
    check_keys(object.keys().map(String::as_str), known, "key")?;
    Ok(object)
}

/// An object of JSON. Its error never quotes it: what it holds may be secret.
pub(super) fn parse_object(what: &str, text: &[u8]) -> Result<Map<String, Value>, Problem> {
    let bad = |message: String| Problem::new(Kind::BadRequest, message);
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad(format!("{what} is not an object of JSON, as in {{\"key\": 1}}"))),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(bad(format!("{what} is not JSON: it goes wrong at line {line}, column {column}")))
        }
    }
}

/// The parameters of a query, each at most once, with none but these keys.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<Map<String, Value>, Problem> {
    let bad = |message: String| Problem::new(Kind::BadRequest, message);
    let Some(query) = uri.query() else { return Ok(Map::new()) };
    // Only to have the library take the query apart.
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))
        .map_err(|error| bad(format!("the query cannot be read: {error}")))?;
    let mut parameters = Map::new();
    for (key, value) in url.query_pairs() {
        check_keys([&*key].into_iter(), known, "parameter")?;
        if parameters.insert(key.to_string(), value.into()).is_some() {
            return Err(bad(format!("the parameter `{key}` is there twice")));
        }
    }
    Ok(parameters)
}

fn check_keys<'a>(mut given: impl Iterator<Item = &'a str>, known: &[&str], what: &str) -> Result<(), Problem> {
    if let Some(key) = given.find(|key| !known.contains(key)) {
        let hint = match wasmgate_base::nearest::nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "this route takes none".into(),
            None => format!("expected {}", known.join(" or ")),
        };
        let key: String = key.chars().take(64).collect();
        return Err(Problem::new(Kind::BadRequest, format!("unknown {what} `{key}`, {hint}")));
    }
    Ok(())
}
