//! The inbound chat request: read within bounds, parsed, and what policies may see of it.
//!
//! This module must not know: policies' answers, backends, metrics.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Request};

use crate::chat::{Chat, Format, Part, Role};
use crate::config::Server;
use crate::dialect::Dialect;
use crate::error::{Failure, Kind};
use crate::policy;

/// Reads a body of JSON within the operator's bounds.
///
/// # Errors
/// Where it is of another type, too long, too slow or broken off.
pub async fn read(request: Request<Incoming>, limits: &Server) -> Result<(HeaderMap, Bytes), Failure> {
    let (head, body) = request.into_parts();
    check_content_type(&head.headers)?;
    let too_large = || Failure::new(Kind::TooLarge, format!("the body is longer than {} bytes", limits.max_body_bytes));
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.max_body_bytes as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(limits.body_timeout, Limited::new(body, limits.max_body_bytes).collect()).await;
    match read {
        Ok(Ok(body)) => Ok((head.headers, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::new(Kind::BadRequest, "the body broke off").with_detail(error)),
        Err(_elapsed) => Err(slow(limits.body_timeout)),
    }
}

fn slow(limit: Duration) -> Failure {
    Failure::new(Kind::SlowRequest, format!("the body did not come within {} seconds", limit.as_secs_f64()))
}

/// `application/json`, or nothing said: `curl -d` without a type says a form, which is the mistake to catch.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::new(Kind::WrongContentType, "the content type must be application/json"))
}

/// Parses a chat request and bounds its prompt.
///
/// # Errors
/// Where it is not what its dialect says, or its prompt is too long.
pub fn parse(dialect: Dialect, body: &[u8], limits: &Server) -> Result<Chat, Failure> {
    let chat = dialect.decode(body).map_err(|error| Failure::new(Kind::BadRequest, error.to_string()))?;
    // A character has one to four bytes: most prompts need not be counted.
    let bytes: usize = texts_of(&chat).map(str::len).sum();
    if bytes > limits.max_prompt_chars {
        let chars: usize = texts_of(&chat).map(|text| text.chars().count()).sum();
        if chars > limits.max_prompt_chars {
            let message = format!("the prompt has {chars} characters, expected at most {}", limits.max_prompt_chars);
            return Err(Failure::new(Kind::TooLarge, message));
        }
    }
    Ok(chat)
}

fn texts_of(chat: &Chat) -> impl Iterator<Item = &str> + Clone {
    chat.messages.iter().flat_map(|message| &message.parts).filter_map(text_of)
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::ToolResult { text, .. } => Some(text),
        Part::Image(_) | Part::ToolCall(_) => None,
    }
}

/// What policies may see of a request: roles and texts, flags, allow-listed headers.
pub struct View<'a> {
    /// Each message's role and text.
    messages: Vec<(policy::Role, Cow<'a, str>)>,
    labels: Vec<(&'a str, &'a str)>,
    /// What the client needs of a model beside text.
    pub needs: policy::Capabilities,
}

impl<'a> View<'a> {
    /// Looks at a request.
    #[must_use]
    pub fn new(chat: &'a Chat, headers: &'a HeaderMap, allowed: &'a [String]) -> Self {
        let messages = chat.messages.iter().map(|message| {
            let role = match message.role {
                Role::System => policy::Role::System,
                Role::User => policy::Role::User,
                Role::Assistant => policy::Role::Assistant,
                Role::Tool => policy::Role::Tool,
            };
            let mut texts = message.parts.iter().filter_map(text_of);
            let text = match (texts.next(), texts.next()) {
                (None, _) => Cow::Borrowed(""),
                (Some(only), None) => Cow::Borrowed(only),
                (Some(first), Some(second)) => {
                    let mut joined = format!("{first}\n{second}");
                    for text in texts {
                        joined.push('\n');
                        joined.push_str(text);
                    }
                    Cow::Owned(joined)
                }
            };
            (role, text)
        });
        let labels = allowed.iter().filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
        let mut needs = policy::Capabilities::empty();
        if !chat.tools.is_empty() {
            needs |= policy::Capabilities::TOOLS;
        }
        if chat.messages.iter().flat_map(|message| &message.parts).any(|part| matches!(part, Part::Image(_))) {
            needs |= policy::Capabilities::IMAGES;
        }
        if matches!(chat.format, Some(Format::Json | Format::Schema { .. })) {
            needs |= policy::Capabilities::STRUCTURED_OUTPUT;
        }
        Self { messages: messages.collect(), labels: labels.collect(), needs }
    }

    /// The messages as the contract has them.
    #[must_use]
    pub fn messages(&self) -> Vec<policy::Message<'_>> {
        self.messages.iter().map(|(role, text)| policy::Message { role: *role, text }).collect()
    }

    /// Each message's text.
    pub fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.messages.iter().map(|(_, text)| &**text)
    }

    /// The request as the contract has it.
    #[must_use]
    pub fn request<'r>(
        &'r self,
        id: &'r str,
        dialect: Dialect,
        chat: &'r Chat,
        messages: &'r [policy::Message<'r>],
        prompt_tokens: u32,
    ) -> policy::Request<'r> {
        policy::Request {
            id,
            dialect: match dialect {
                Dialect::Native => policy::Dialect::Native,
                Dialect::OpenAi => policy::Dialect::Openai,
                Dialect::Anthropic => policy::Dialect::Anthropic,
                Dialect::Ollama => policy::Dialect::Ollama,
            },
            requested_model: &chat.model,
            messages,
            prompt_tokens,
            max_tokens: chat.max_tokens,
            streaming: chat.stream,
            tools: self.needs.contains(policy::Capabilities::TOOLS),
            images: self.needs.contains(policy::Capabilities::IMAGES),
            tenant: None,
            budget: None,
            labels: &self.labels,
            hints: &[],
        }
    }
}
