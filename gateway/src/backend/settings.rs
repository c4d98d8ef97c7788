//! A backend's configuration: kind, address, API key, timeouts, retries, breaker and queue.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::breaker::BreakerSettings;
use super::kind::Kind;
use super::queue::QueueSettings;
use super::retry::Retries;
use super::sim::SimSettings;

/// The configuration of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name, also a metric label.
    pub name: String,
    /// Its kind, which sets the dialect.
    pub kind: &'static Kind,
    /// How it is simulated; `None` for a real one.
    pub sim: Option<SimSettings>,
    /// Its address, without a trailing slash; `None` for a simulated one.
    pub url: Option<String>,
    /// Where it runs.
    pub location: Location,
    /// The API key to send.
    pub api_key: Option<Secret>,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Interval of probes; `None`: only traffic shows its health.
    pub probe_interval: Option<Duration>,
    /// How failed calls are retried.
    pub retries: Retries,
    /// The circuit breaker of each of its models.
    pub breaker: BreakerSettings,
    /// Its limit of concurrent calls, and the queue for more.
    pub queue: QueueSettings,
    /// Whether a frame of a stream that is not of the dialect, or a missing end marker, is an error. If not, the gateway
    /// skips such frames, and an answer with a finish reason is complete.
    pub strict_streams: bool,
}

/// Where a backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// On the operator's hardware.
    Local,
    /// At a provider.
    Cloud,
}

impl Location {
    /// The word in labels and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

/// The timeouts of a backend or model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the call to the head of a stream.
    pub head: Duration,
    /// From the call to the first token of a stream.
    pub first_token: Duration,
    /// From the call to the end of an answer that is not streamed or is a guarded stream, while another model could answer.
    pub answer: Duration,
    /// Time to the first token of a stream after which the gateway hedges with the next model; `None`: never.
    pub hedge: Option<Duration>,
    /// Extra time for `head`, `first_token` and `answer` while Ollama loads the model from disk.
    pub loading: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// From the request's arrival to the answer's end, earlier attempts included.
    pub total: Duration,
}

/// Timeouts as written in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimeoutsFile {
    pub(crate) connect_seconds: Option<f64>,
    head_seconds: Option<f64>,
    first_token_seconds: Option<f64>,
    answer_seconds: Option<f64>,
    hedge_seconds: Option<f64>,
    loading_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    total_seconds: Option<f64>,
}

impl Timeouts {
    /// The defaults for a location. A local backend may read a long prompt slowly; a provider answers soon or fails.
    pub(crate) fn defaults(location: Location) -> Self {
        let (connect, begin, answer) = match location {
            Location::Local => (2, 300, 300),
            Location::Cloud => (5, 60, 120),
        };
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(connect),
            head: seconds(begin),
            first_token: seconds(begin),
            answer: seconds(answer),
            hedge: None,
            loading: seconds(300),
            idle: seconds(60),
            total: seconds(600),
        }
    }
}

impl TimeoutsFile {
    /// The written values; `otherwise` supplies the rest.
    pub(crate) fn or(&self, otherwise: &Timeouts) -> Result<Timeouts, (&'static str, String)> {
        let seconds = |key: &'static str, value: Option<f64>, otherwise: Duration| match value {
            None => Ok(otherwise),
            Some(value) if value > 0.0 && value <= 86_400.0 => Ok(Duration::from_secs_f64(value)),
            Some(value) => Err((key, format!("{value}, expected a number of seconds above 0, at most 86400"))),
        };
        Ok(Timeouts {
            connect: seconds("connect_seconds", self.connect_seconds, otherwise.connect)?,
            head: seconds("head_seconds", self.head_seconds, otherwise.head)?,
            first_token: seconds("first_token_seconds", self.first_token_seconds, otherwise.first_token)?,
            answer: seconds("answer_seconds", self.answer_seconds, otherwise.answer)?,
            hedge: match self.hedge_seconds {
                None => otherwise.hedge,
                Some(0.0) => None,
                after => Some(seconds("hedge_seconds", after, Duration::MAX)?),
            },
            loading: seconds("loading_seconds", self.loading_seconds, otherwise.loading)?,
            idle: seconds("idle_seconds", self.idle_seconds, otherwise.idle)?,
            total: seconds("total_seconds", self.total_seconds, otherwise.total)?,
        })
    }
}

/// A secret. Its debug output never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    pub(crate) fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
