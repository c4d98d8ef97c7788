//! Calls of a backend: a chat, a count of tokens, embeddings, a stored answer. Each sends and waits for the head of the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Response, Uri};

use super::body::{Body, Source};
use super::coding::Decoding;
use super::http::{Incoming, Lost, Outgoing};
use super::{Backend, ModelQuirks, Permit, Redaction, Script, Sent, error_response, failed_in_band, sim};
use crate::error::{Failure, Kind as FailureKind};
use crate::offload;
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::embeddings::Form;
use wasmgate_dialect::fields::Hint;
use wasmgate_dialect::{BackendError, Dialect, Dropped, Origin, Quirks, Target, forward_responses};

/// Most fields that one call leaves out, one after the other, because the backend refused them by name.
const MAX_FIELD_REFUSALS: usize = 3;

/// One chat call.
#[derive(Debug)]
pub struct Call<'a> {
    /// The chat to send.
    pub chat: &'a Arc<Chat>,
    /// The dialect of the client's request.
    pub from: Dialect,
    /// The model's name at the backend.
    pub model: &'a str,
    /// Output tokens to request if the client set no limit and the dialect requires one.
    pub max_tokens: u32,
    /// Whether thinking that another backend encrypted is left out.
    pub strip_reasoning: bool,
    /// What is known of the model's deviations from its dialect.
    pub quirks: &'a ModelQuirks,
    /// The client's headers that belong to its dialect, forwarded if the backend speaks the same dialect.
    pub dialect_headers: &'a HeaderMap,
    /// Deadline for the head of the answer.
    pub head_by: tokio::time::Instant,
    /// What the client wants a simulated model to answer.
    pub script: Option<&'a Script>,
    /// Set once the request is being written.
    pub sent: Sent,
}

/// An answer whose head arrived.
#[derive(Debug)]
pub struct Answer {
    /// The dialect of its body.
    pub dialect: Dialect,
    /// Whether each frame of a stream must be of the dialect, and its end marker must come.
    pub strict: bool,
    /// What the backend did not get of the request.
    pub dropped: Dropped,
    /// What clients must not read of its errors.
    pub redaction: Arc<Redaction>,
    /// Its body.
    pub body: Body,
}

impl Backend {
    /// Sends a chat and waits for the head of its answer. Dropping the future or the answer's body cancels the call at
    /// the backend.
    ///
    /// # Errors
    /// If the backend cannot be reached, misses the deadline, or answers with an error status.
    pub async fn chat(&self, permit: Permit, call: Call<'_>) -> Result<Answer, Failure> {
        let dialect = self.dialect_for(call.from);
        let other = self.other_urls.iter().find(|(other, _)| *other == dialect).map(|(_, url)| url);
        let url = match dialect {
            Dialect::Responses => self.responses_url.as_ref(),
            _ => other.or(self.chat_url.as_ref()),
        };
        let mut quirks = Quirks::default();
        let body = match (&self.settings.sim, url) {
            (Some(sim), _) => {
                let number = self.live.sim_calls.fetch_add(1, Ordering::Relaxed) + 1;
                let answer = tokio::time::timeout_at(call.head_by, sim::answer(sim, number, &call));
                let answer = answer.await.unwrap_or_else(|_elapsed| Err(too_slow()));
                let failed = answer.as_ref().is_err_and(|failure| failure.kind != FailureKind::BackendBusy);
                self.live.health.note(!failed);
                Source::Sim(answer?)
            }
            (None, Some(url)) => {
                let (body, learned) = self.chat_with_quirks(url, &call).await?;
                quirks = learned;
                body
            }
            (None, None) => return Err(Failure::new(FailureKind::Internal, "the backend has no address")),
        };
        let mut dropped = dialect.dropped(call.from, call.chat, &quirks);
        if call.from != dialect && call.dialect_headers.contains_key("anthropic-beta") {
            dropped.hints = dropped.hints.with(Hint::Beta);
        }
        let (strict, redaction) = (self.settings.strict_streams, Arc::clone(&self.redaction));
        Ok(Answer { dialect, strict, dropped, redaction, body: Body::new(body, permit) })
    }

    /// Sends a chat. If the server refuses a field that the gateway can spare, the chat is sent once more without it, and
    /// the model's later calls do without it for a while. A refusal is free, so one call may be sent for each such field.
    async fn chat_with_quirks(&self, url: &Uri, call: &Call<'_>) -> Result<(Source, Quirks), Failure> {
        let dialect = self.dialect_for(call.from);
        let shared = (call.from == dialect).then_some(call.dialect_headers);
        let known = call.quirks.for_call(call.from == dialect, call.chat.include_usage);
        let mut quirks = known;
        let mut left = MAX_FIELD_REFUSALS;
        loop {
            let body = encode(dialect, call, &self.origin, quirks).await?;
            let response = self.send(Method::POST, url, body.into(), &call.sent, shared, call.head_by).await?;
            if response.status().is_success() {
                if quirks != known {
                    call.quirks.learn(&self.settings.name, call.model, dialect, quirks.without(known));
                }
                return Ok((self.accept(response).await?, quirks));
            }
            let refusal = error_response::read(response).await;
            let status = refusal.status().as_u16();
            let removed = dialect.quirks_in(call.from, call.chat, &quirks, status, refusal.body());
            let Some(removed) = removed.filter(|_| left > 0) else { return Err(self.refused(&refusal)) };
            // No provider charges for a refusal.
            call.sent.clear();
            quirks = quirks.or(removed);
            left -= 1;
        }
    }

    /// Whether it can say how many tokens a prompt has.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        self.count_url.is_some()
    }

    /// Asks how many tokens the prompt in `body` has, and waits for the head of the answer. `headers`: those of the client's
    /// dialect.
    ///
    /// # Errors
    /// As `chat`; also if this kind of backend does not count.
    pub async fn count_tokens(
        &self,
        permit: Permit,
        body: Bytes,
        headers: &HeaderMap,
        head_by: tokio::time::Instant,
        sent: Sent,
    ) -> Result<Body, Failure> {
        let Some(url) = &self.count_url else {
            return Err(Failure::new(FailureKind::NoCapableModel, "this model's backend does not count tokens"));
        };
        let response = self.send(Method::POST, url, body, &sent, Some(headers), head_by).await?;
        Ok(Body::new(self.accept(response).await?, permit))
    }

    /// The form in which it serves embeddings; `None`: it serves none.
    #[must_use]
    pub fn embeddings_form(&self) -> Option<Form> {
        if self.is_simulated() { Some(Form::OpenAi) } else { self.settings.kind.embeddings.map(|(form, _)| form) }
    }

    /// Sends an embeddings request unchanged and waits for the head of its answer.
    ///
    /// # Errors
    /// As `chat`; also if this kind of backend serves no embeddings.
    pub async fn embeddings(
        &self,
        permit: Permit,
        body: Bytes,
        inputs: usize,
        head_by: tokio::time::Instant,
        sent: Sent,
    ) -> Result<Body, Failure> {
        let source = match (&self.settings.sim, &self.embeddings_url) {
            (Some(_), _) => {
                sent.note();
                Source::Sim(sim::embeddings(inputs))
            }
            (None, Some(url)) => {
                let response = self.send(Method::POST, url, body, &sent, None, head_by).await?;
                self.accept(response).await?
            }
            (None, None) => {
                return Err(Failure::new(FailureKind::NoCapableModel, "this model's backend serves no embeddings"));
            }
        };
        Ok(Body::new(source, permit))
    }

    /// The failure for an error that this backend wrote into an answer with status 200.
    pub fn failed_in_band(&self, error: &BackendError) -> Failure {
        failed_in_band(error, &self.redaction)
    }

    /// Sends a request about a stored answer and waits for the head of the backend's. `below`: the path below that of the
    /// Responses API, with the query.
    ///
    /// # Errors
    /// As `chat`; also if the backend has no Responses API.
    pub async fn stored(
        &self,
        permit: Permit,
        method: Method,
        below: &str,
        head_by: tokio::time::Instant,
    ) -> Result<Body, Failure> {
        let url = self.responses_url.as_ref().and_then(|url| format!("{url}{below}").parse::<Uri>().ok());
        let url = url.ok_or_else(|| Failure::new(FailureKind::BadRequest, "the query is not valid in an address"))?;
        let response = self.send(method, &url, Bytes::new(), &Sent::default(), None, head_by).await?;
        Ok(Body::new(self.accept(response).await?, permit))
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    async fn send(
        &self,
        method: Method,
        url: &Uri,
        body: Bytes,
        sent: &Sent,
        more: Option<&HeaderMap>,
        head_by: tokio::time::Instant,
    ) -> Result<Response<Incoming>, Failure> {
        let Some(http) = &self.live.http else {
            return Err(Failure::new(FailureKind::Internal, "the backend has no connections"));
        };
        let both = more.filter(|more| !more.is_empty()).map(|more| {
            let mut headers = self.headers.clone();
            // The client's dialect headers, such as its API version, replace the gateway's, but not the operator's. Both may
            // switch on features: that header is a list.
            let set = |name: &HeaderName| self.settings.egress.headers.iter().any(|header| header.name() == name);
            let is_list = |name: &HeaderName| name == "anthropic-beta";
            for name in more.keys().filter(|name| !set(name)) {
                headers.remove(name);
            }
            for (name, value) in more.iter().filter(|(name, _)| !set(name) || is_list(name)) {
                headers.append(name, value.clone());
            }
            headers
        });
        let headers = both.as_ref().unwrap_or(&self.headers);
        let request = Outgoing { method, to: url, headers, body, sent };
        let response = http.send(&request, self.settings.timeouts.connect, head_by).await;
        // Any status below 500 proves that the backend is up. A call that found no free stream proves nothing.
        if !matches!(response, Err(Lost::Full)) {
            self.live.health.note(response.as_ref().is_ok_and(|response| response.status().as_u16() < 500));
        }
        response.map_err(lost)
    }

    /// The body of an answer, unless its status says that it is an error.
    async fn accept(&self, response: Response<Incoming>) -> Result<Source, Failure> {
        if response.status().is_success() {
            let decoding = Decoding::of(response.headers()).map_err(|name| {
                let message = "the backend's answer has a content-encoding that the gateway did not ask for";
                Failure::new(FailureKind::Protocol, message).with_detail(format_args!("content-encoding {name}"))
            })?;
            return Ok(Source::Http(response.into_body(), decoding.map(Box::new)));
        }
        Err(self.refused(&error_response::read(response).await))
    }

    /// The failure for an error response.
    fn refused(&self, refusal: &Response<Vec<u8>>) -> Failure {
        error_response::failure(refusal, &self.redaction)
    }
}

/// Writes a call's body; a large one off the worker.
async fn encode(dialect: Dialect, call: &Call<'_>, origin: &Origin, quirks: Quirks) -> Result<Vec<u8>, Failure> {
    let (from, max_tokens, strip) = (call.from, call.max_tokens, call.strip_reasoning);
    let write = move |chat: &Chat, model: &str, origin: &Origin| match dialect {
        Dialect::Responses => forward_responses(chat, model, origin, strip),
        _ => dialect.encode(from, chat, &Target { model, max_tokens, quirks }),
    };
    if !offload::is_large(call.chat.body_bytes) {
        return Ok(write(call.chat, call.model, origin));
    }
    let (chat, model, origin) = (Arc::clone(call.chat), call.model.to_owned(), origin.clone());
    offload::run(call.chat.body_bytes, move || write(&chat, &model, &origin)).await
}

fn too_slow() -> Failure {
    Failure::new(FailureKind::Timeout, "the backend did not start to answer in time")
}

fn lost(lost: Lost) -> Failure {
    let (message, detail) = match lost {
        Lost::Late => return too_slow(),
        Lost::Full => {
            let message = "all connections to the backend are in use; retry shortly";
            return Failure::new(FailureKind::BackendFull, message);
        }
        Lost::Unreached(detail) => ("the backend cannot be reached", detail),
        Lost::Broken(detail) | Lost::Unsent(detail) | Lost::Unprocessed(detail) | Lost::Raced(detail) => {
            ("the connection to the backend broke", detail)
        }
    };
    Failure::new(FailureKind::Connect, message).with_detail(detail)
}
