//! Errors as backends write them, whichever of the known forms they choose: OpenAI's, Anthropic's, Gemini's, Ollama's, those of
//! vLLM, Mistral, llama.cpp, FastAPI, OpenRouter and Azure, with any status or in a stream.
//!
//! This module must not know: what becomes of an error, who is to blame.

mod numbers;
mod recognise;

use std::time::Duration;

use serde_json::Value;

use crate::lenient::repaired;
use wasmgate_base::overflow::Overflow;

/// What a backend says of a call that failed. All texts are as the backend wrote them: unbounded, not for clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendError {
    /// The HTTP status that the error names, also if its answer had another one.
    pub status: Option<u16>,
    /// Its code, such as `context_length_exceeded`.
    pub code: Option<String>,
    /// Its type, such as `invalid_request_error`.
    pub kind: Option<String>,
    /// The parameter of the request that it names.
    pub param: Option<String>,
    /// Its sentence.
    pub message: String,
    /// How long to wait before another attempt, if it says that: Gemini's errors do.
    pub retry_after: Option<Duration>,
    /// By how much the prompt exceeds the model's context window, if it says that.
    pub overflow: Option<Overflow>,
}

/// Errors within errors are read up to this depth: gateways wrap those of their providers.
const MAX_DEPTH: usize = 3;

impl BackendError {
    /// Reads the body of an error, or the data of an event.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Value>(body).ok();
        let json = parsed.or_else(|| serde_json::from_slice(&repaired(body)?).ok());
        let mut error = match &json {
            Some(json) => Self::of(json, MAX_DEPTH),
            None => Self { message: plain_text(body), ..Self::default() },
        };
        error.overflow = recognise::overflow(&error, json.as_ref());
        error
    }

    /// The status that the error stands for: the one that it names, else that of its code or type.
    #[must_use]
    pub fn status_meant(&self) -> Option<u16> {
        let words = [&self.code, &self.kind].into_iter().flatten();
        self.status.or_else(|| words.filter_map(|word| status_of(word)).next())
    }

    fn of(json: &Value, depth: usize) -> Self {
        // Gemini's OpenAI dialect wraps the error in a list.
        let json = json.as_array().and_then(|list| list.first()).unwrap_or(json);
        // Mistral and vLLM write the members at the top.
        let inner = [&json["error"], &json["errors"][0], json].into_iter().find(|value| value.is_object());
        let inner = inner.unwrap_or(json);
        // Some gateways write empty texts for what there is not.
        let text = |name: &str| {
            let texts = [&inner[name], &json[name]].into_iter().filter_map(Value::as_str);
            texts.filter(|text| !text.is_empty()).map(str::to_owned).next()
        };
        let mut error = Self {
            status: ["status", "status_code", "statusCode", "StatusCode", "http_status", "code"]
                .iter()
                .find_map(|name| number(&inner[*name]).or_else(|| number(&json[*name]))),
            code: text("code").filter(|code| code.parse::<u64>().is_err()),
            kind: text("type").filter(|kind| kind != "error").or_else(|| text("status")).filter(|kind| kind != "error"),
            param: text("param")
                .or_else(|| location(&inner["message"]["detail"]))
                .or_else(|| location(&json["detail"])),
            ..Self::default()
        };
        let messages = [
            &json["error"],
            &inner["message"],
            &inner["Message"],
            &inner["msg"],
            &json["message"],
            &json["detail"],
            json,
        ];
        error.message = messages.into_iter().map(sentence).find(|text| !text.is_empty()).unwrap_or_default();
        error.retry_after = inner["details"].as_array().into_iter().flatten().find_map(delay);
        if inner["innererror"]["code"].as_str() == Some("ResponsibleAIPolicyViolation") {
            error.code = Some("content_filter".to_owned());
        }
        if let Some(raw) = inner["metadata"]["raw"].as_str().filter(|_| depth > 0) {
            let within = serde_json::from_str(raw).map(|json| Self::of(&json, depth - 1));
            error.adopt(within.unwrap_or_else(|_| Self { message: raw.to_owned(), ..Self::default() }));
        }
        error
    }

    /// Takes over what the error of the provider behind a gateway says: the gateway's own sentence says nothing.
    fn adopt(&mut self, within: Self) {
        if !within.message.is_empty() {
            self.message = within.message;
        }
        self.code = self.code.take().or(within.code);
        self.kind = self.kind.take().or(within.kind);
        self.param = self.param.take().or(within.param);
        self.retry_after = self.retry_after.or(within.retry_after);
        self.status = self.status.or(within.status);
    }
}

/// `google.rpc.RetryInfo`: seconds with the unit.
fn delay(detail: &Value) -> Option<Duration> {
    let seconds = detail["retryDelay"].as_str()?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// An error's status, as a number or as text.
fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// A sentence, or the sentences of a list: FastAPI's validation errors name a place and what is wrong with it.
fn sentence(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            list.iter().map(validation).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
        }
        Value::Object(_) if !value["detail"].is_null() => sentence(&value["detail"]),
        _ => String::new(),
    }
}

fn validation(value: &Value) -> String {
    let said = value.as_str().or(value["msg"].as_str()).or(value["message"].as_str()).unwrap_or_default();
    match place(value) {
        Some(place) if !said.is_empty() => format!("{place}: {said}"),
        _ => said.to_owned(),
    }
}

/// The parameter that a validation error names first.
fn location(detail: &Value) -> Option<String> {
    place(detail.as_array()?.first()?)
}

fn place(error: &Value) -> Option<String> {
    let path = error["loc"].as_array()?.iter().filter(|step| step.as_str() != Some("body"));
    let path: Vec<String> = path.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
    (!path.is_empty()).then(|| path.join("."))
}

/// A body that is no JSON: a sentence, unless it is a page, or JSON that broke off.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with(['<', '{', '[']) { String::new() } else { text.to_owned() }
}

/// The status that a code or type stands for.
fn status_of(word: &str) -> Option<u16> {
    let word = word.to_ascii_lowercase().replace(['-', ' '], "_");
    Some(match word.trim_end_matches("_error") {
        "invalid_request"
        | "badrequesterror"
        | "bad_request"
        | "invalid_argument"
        | "failed_precondition"
        | "context_length_exceeded"
        | "exceed_context_size"
        | "invalid_prompt"
        | "content_filter"
        | "content_policy_violation"
        | "invalid_value"
        | "unsupported_value"
        | "unsupported_parameter" => 400,
        "authentication" | "invalid_api_key" | "unauthorized" | "unauthenticated" => 401,
        "billing" | "payment_required" => 402,
        "permission" | "permission_denied" | "forbidden" => 403,
        "not_found" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit"
        | "rate_limit_exceeded"
        | "too_many_requests"
        | "resource_exhausted"
        | "insufficient_quota"
        | "tokens"
        | "requests" => 429,
        "api" | "server" | "internal" | "internal_server" | "internalservererror" => 500,
        "unavailable" | "service_unavailable" | "server_busy" => 503,
        "timeout" | "deadline_exceeded" => 504,
        "overloaded" | "engine_overloaded" => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
