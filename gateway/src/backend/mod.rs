//! Backends: the model servers, and one shared way to call every kind of them.
//!
//! A call goes out in the backend's dialect, and the answer returns as bytes of that dialect, which the relay decodes.
//! This module must not know: policies, records, metrics, how the gateway answers clients.

mod averages;
mod body;
mod breaker;
mod capabilities;
mod catalog;
mod coding;
mod egress;
mod error_response;
mod health;
mod http;
mod kind;
mod prices;
mod probe;
mod queue;
mod quirks;
mod redaction;
pub mod retry;
mod sent;
mod settings;
mod sim;
mod sim_script;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Response, Uri};

use crate::error::{Failure, Kind as FailureKind};
use crate::offload;
use wasmgate_dialect::chat::{Chat, Pin};
use wasmgate_dialect::embeddings::Form;
use wasmgate_dialect::fields::Hint;
use wasmgate_dialect::{BackendError, Dialect, Dropped, Origin, Quirks, Seal, Target, forward_responses};

pub use averages::{Observed, Recent};
pub use body::Body;
use body::Source;
pub use breaker::{Admission, Breaker, BreakerSettings, BreakerState, CallOutcome, Pass};
pub use capabilities::{Capabilities, Capability};
pub use catalog::{Catalog, LiveModel, Model, Priced};
use coding::Decoding;
pub use egress::{
    ClientCertificate, Egress, ExtraHeader, Proxy, ProxyBy, ProxyVariables, Roots, SECRET_HEADERS, Tls, WrongClient,
};
pub use health::{Health, HealthState};
use http::{Http, Incoming, Lost, Outgoing};
pub use http::{Http2, Protocol};
use kind::Key;
pub use kind::Kind;
pub use prices::{price_at, priced, sought};
pub use queue::{Permit, QueueSettings};
pub use quirks::{ModelQuirks, hint_labels};
pub use redaction::Redaction;
pub use sent::Sent;
pub use settings::{LocatedBy, Location, Secret, Settings, Timeouts};
pub(crate) use settings::{SECONDS, TimeoutsFile, seconds};
pub use sim::SimSettings;
pub use sim_script::{HEADER as SIM_HEADER, Script};

/// A backend: its settings, and its live state.
#[derive(Debug)]
pub struct Backend {
    settings: Settings,
    chat_url: Option<Uri>,
    responses_url: Option<Uri>,
    origin: Origin,
    other_urls: Vec<(Dialect, Uri)>,
    count_url: Option<Uri>,
    embeddings_url: Option<Uri>,
    probe_url: Option<Uri>,
    headers: HeaderMap,
    redaction: Arc<Redaction>,
    live: Arc<Live>,
}

/// The live state of a backend. It outlives changes of the settings.
#[derive(Debug)]
struct Live {
    /// Its connections; `None` for a simulated backend.
    http: Option<Http>,
    health: Health,
    queue: queue::Queue,
    in_flight: AtomicU32,
    sim_calls: AtomicU32,
    /// The models in Ollama's memory as of the last probe; `None`: unknown.
    loaded: ArcSwapOption<HashSet<String>>,
}

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

/// Most fields that one call leaves out, one after the other, because the backend refused them by name.
const MAX_FIELD_REFUSALS: usize = 3;

/// The failure for an error that a backend reports in an answer with status 200.
#[must_use]
pub fn failed_in_band(error: &BackendError, redaction: &Redaction) -> Failure {
    error_response::in_band(error, redaction)
}

impl Backend {
    /// A backend, not yet probed.
    ///
    /// # Errors
    /// If the TLS library cannot be set up, or if the address or the API key is invalid.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let about = |error: &dyn fmt::Display| format!("backend {}: {error}", settings.name);
        let server =
            settings.url.as_deref().map(|url| url.parse::<Uri>().map_err(|error| about(&error))).transpose()?;
        let http = server
            .map(|server| Http::new(&server, settings.http2, &settings.egress).map_err(|error| about(&error)))
            .transpose()?;
        let live = Live {
            http,
            health: Health::new(settings.kind.simulated, settings.probe_interval.is_some()),
            queue: queue::Queue::new(settings.queue),
            in_flight: AtomicU32::new(0),
            sim_calls: AtomicU32::new(0),
            loaded: ArcSwapOption::empty(),
        };
        Self::build(settings, Arc::new(live))
    }

    /// The same backend with other settings. Its live state works by them from `take_effect` on.
    ///
    /// # Errors
    /// If the address or the API key is invalid.
    fn with(&self, settings: Settings) -> Result<Self, String> {
        Self::build(settings, Arc::clone(&self.live))
    }

    fn build(settings: Settings, live: Arc<Live>) -> Result<Self, String> {
        let about = |error: &dyn fmt::Display| format!("backend {}: {error}", settings.name);
        let kind = settings.kind;
        let url = |path: &str| match &settings.url {
            None => Ok(None),
            Some(base) => {
                let root = reqwest::Url::parse(base).is_ok_and(|url| url.path() == "/");
                let root_path = if root { kind.root_path } else { "" };
                let url = reqwest::Url::parse(&format!("{base}{root_path}{path}")).map_err(|error| about(&error))?;
                url.as_str().parse::<Uri>().map(Some).map_err(|error| about(&error))
            }
        };
        let maybe = |path: Option<&str>| path.map_or(Ok(None), url);
        let others = kind.others.iter().map(|&(dialect, path)| Ok(url(path)?.map(|url| (dialect, url))));
        let others = others.collect::<Result<Vec<_>, String>>()?.into_iter().flatten().collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("wasmgate/", env!("CARGO_PKG_VERSION"))));
        // Without it, a server or a proxy before it may compress answers.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in kind.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(Secret(key)) = &settings.api_key {
            let (name, value) = match kind.key {
                Key::Header(name) => (HeaderName::from_static(name), key.clone()),
                Key::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
            };
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| about(&"the API key has a character that an HTTP header cannot carry"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        for header in &settings.egress.headers {
            headers.insert(header.name(), header.value().clone());
        }
        let chat_url = url(kind.chat_path)?;
        let host = chat_url.as_ref().and_then(Uri::host).unwrap_or_default().to_owned();
        let key = settings.api_key.as_ref().map_or(String::new(), |Secret(key)| key.clone());
        Ok(Self {
            redaction: Arc::new(Redaction::new([key, host].into_iter().chain(settings.egress.secrets()))),
            chat_url,
            responses_url: maybe(kind.responses_path)?,
            origin: Origin::of(&settings.name),
            other_urls: others,
            count_url: maybe(kind.count_path)?,
            embeddings_url: maybe(kind.embeddings.map(|(_, path)| path))?,
            probe_url: maybe(kind.probe_path)?,
            headers,
            live,
            settings,
        })
    }

    fn take_effect(&self) {
        self.live.queue.resize(self.settings.queue);
        self.live.health.set_probed(self.settings.probe_interval.is_some());
    }

    /// Whether both have one live state.
    fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }

    /// Its configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it is simulated. A simulated backend accepts any request, because it reads only the text.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.settings.kind.simulated
    }

    /// The dialect in which it is sent a request that a client wrote in `from`: as it is, if the backend speaks that dialect as
    /// well, else in the dialect of its kind.
    #[must_use]
    pub fn dialect_for(&self, from: Dialect) -> Dialect {
        let kind = self.settings.kind;
        let speaks = kind.others.iter().any(|(dialect, _)| *dialect == from);
        if speaks || from == Dialect::Responses && self.settings.responses { from } else { kind.dialect }
    }

    /// Whether it made a part of a request, and can be sent it again.
    #[must_use]
    pub fn made(&self, pin: &Pin) -> bool {
        self.has_stored(&pin.origin)
    }

    /// Whether it has stored the answers of this origin.
    #[must_use]
    pub fn has_stored(&self, origin: &Origin) -> bool {
        self.settings.responses && self.origin == *origin
    }

    /// What binds answers that it stores to a group. Its API key is the secret that all gateways know and no client.
    #[must_use]
    pub fn seal(&self, group: Option<&str>) -> Option<Seal> {
        let secret = self.settings.api_key.as_ref().map_or("", |Secret(key)| key);
        group.map(|group| Seal::new(secret, group))
    }

    /// Its health.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.live.health
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.live.in_flight.load(Ordering::Relaxed)
    }

    /// Calls that wait for a permit.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.live.queue.waiting()
    }

    /// Open connections of this protocol; 0 for a simulated backend.
    #[must_use]
    pub fn connections(&self, protocol: Protocol) -> u32 {
        self.live.http.as_ref().map_or(0, |http| http.open(protocol))
    }

    /// Models in Ollama's memory as of the last probe; 0 for other kinds.
    #[must_use]
    pub fn loaded_models(&self) -> usize {
        self.live.loaded.load().as_ref().map_or(0, |loaded| loaded.len())
    }

    /// Whether a call to this model may wait until the backend loads the model from disk. Only Ollama reports this.
    #[must_use]
    pub fn may_load(&self, model: &str) -> bool {
        // Ollama appends the tag `latest` to names without a tag.
        let is_loaded = |loaded: &HashSet<String>| {
            loaded.contains(model) || (!model.contains(':') && loaded.contains(&format!("{model}:latest")))
        };
        self.settings.kind.loads_models && !self.live.loaded.load().as_ref().is_some_and(|loaded| is_loaded(loaded))
    }

    /// Probes the backend for as long as the future is polled; returns immediately if probing is not configured.
    pub async fn keep_probing(self: Arc<Self>) {
        if let Some(interval) = self.settings.probe_interval {
            probe::run(&self, interval).await;
        }
    }

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
