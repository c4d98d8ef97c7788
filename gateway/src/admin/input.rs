//! Reads a request's query, JSON body or component, within bounds. Unknown keys are refused.

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
/// Time limit for a JSON body.
pub(super) const JSON_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for a component.
pub(super) const COMPONENT_TIMEOUT: Duration = Duration::from_secs(120);
/// Time limit for discarding the rest of a body.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the whole body. If it is too long, the unread rest stays in `body`.
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
        Ok(Err(_)) => Err(Problem::new(Kind::BadRequest, "the body ended before it was complete")),
        Err(_elapsed) => {
            let message = format!("the body did not arrive within {} seconds", time.as_secs());
            Err(Problem::new(Kind::SlowRequest, message))
        }
    }
}

/// Reads and discards the rest of what the client sends.
pub(super) async fn discard(headers: &HeaderMap, mut body: Incoming) {
    // A client that sent `Expect` waits for the answer before it sends a body.
    if !headers.contains_key(EXPECT) {
        let rest = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
    }
}

/// A JSON object with only the known keys; `None`: whoever gets it checks them. An empty body counts as an empty object.
pub(super) fn object(headers: &HeaderMap, body: &[u8], known: Option<&[&str]>) -> Result<Map<String, Value>, Problem> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // Required, because a web page's form can send any content type but this one.
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Kind::WrongContentType, "the content type must be application/json"));
    }
    let object = parse_object("the body", body)?;
    if let Some(known) = known {
        check_keys(object.keys().map(String::as_str), known, "key")?;
    }
    Ok(object)
}

/// Whether the body is a component or a script. Neither type is one that a web page's form can send.
pub(super) fn is_component(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["application/wasm", "application/octet-stream"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// Parses a JSON object. The error never quotes the text, which may hold secrets.
pub(super) fn parse_object(what: &str, text: &[u8]) -> Result<Map<String, Value>, Problem> {
    let bad = |message: String| Problem::new(Kind::BadRequest, message);
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad(format!("{what} is not a JSON object, expected one as in {{\"key\": 1}}"))),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(bad(format!("{what} is not valid JSON: error at line {line}, column {column}")))
        }
    }
}

/// The parameters of a query: only the known keys, each at most once.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<Map<String, Value>, Problem> {
    let bad = |message: String| Problem::new(Kind::BadRequest, message);
    let Some(query) = uri.query() else { return Ok(Map::new()) };
    // The host is a dummy: only the library's parser of queries is needed.
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))
        .map_err(|error| bad(format!("the query cannot be read: {error}")))?;
    let mut parameters = Map::new();
    for (key, value) in url.query_pairs() {
        check_keys([&*key].into_iter(), known, "parameter")?;
        if parameters.insert(key.to_string(), value.into()).is_some() {
            return Err(bad(format!("the parameter `{key}` appears twice, expected it once")));
        }
    }
    Ok(parameters)
}

/// A part of a path as text: `%2F` and the like are what they stand for.
pub(super) fn decoded(part: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(coded) => {
                bytes.push(coded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::new(Kind::BadRequest, "a name in the path is not UTF-8 text"))
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
