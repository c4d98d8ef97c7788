//! Backends: the model servers, and one shared way to call every kind of them.
//!
//! A call goes out in the backend's dialect, and the answer returns as bytes of that dialect, which the relay decodes.
//! This module must not know: policies, records, metrics, how the gateway answers clients.

mod averages;
mod body;
mod breaker;
mod calls;
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
use hyper::Uri;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::error::Failure;
use wasmgate_dialect::chat::Pin;
use wasmgate_dialect::{BackendError, Dialect, Origin, Seal};

pub use averages::{Observed, Recent};
pub use body::Body;
pub use breaker::{Admission, Breaker, BreakerSettings, BreakerState, CallOutcome, Pass};
pub use calls::{Answer, Call};
pub use capabilities::{Capabilities, Capability};
pub use catalog::{Catalog, LiveModel, Model, Priced};
pub use egress::{
    ClientCertificate, Egress, ExtraHeader, Proxy, ProxyBy, ProxyVariables, Roots, SECRET_HEADERS, Tls, WrongClient,
};
pub use health::{Health, HealthState};
use http::Http;
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
}
