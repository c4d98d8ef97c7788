//! A backend as configured: what speaks there, where, with which key, and how long it may take.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::breaker::BreakerSettings;
use super::kind::Kind;
use super::queue::QueueSettings;
use super::retry::Retries;
use super::sim::SimSettings;

/// A backend as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name: a metric label.
    pub name: String,
    /// What speaks there.
    pub kind: &'static Kind,
    /// How it is simulated, if it is.
    pub sim: Option<SimSettings>,
    /// Where; `None` for a simulated one. Without a slash at its end.
    pub url: Option<String>,
    /// On whose hardware.
    pub location: Location,
    /// What it wants to see.
    pub api_key: Option<Secret>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How often it is probed; `None`: known by its traffic alone.
    pub probe_interval: Option<Duration>,
    /// How often a call that failed is tried again.
    pub retries: Retries,
    /// When its models are not asked for a while.
    pub breaker: BreakerSettings,
    /// How many calls it is given at once.
    pub queue: QueueSettings,
}

/// On whose hardware a backend runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// The operator's own.
    Local,
    /// A provider's.
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

/// How long a backend may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the call to the head of a stream.
    pub head: Duration,
    /// From the call to the first token of a stream.
    pub first_token: Duration,
    /// How long the first token of a stream may take until the next model is asked beside this one; `None`: none is.
    pub hedge: Option<Duration>,
    /// What `head` and `first_token` may take longer while Ollama loads the model from disk.
    pub loading: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// From the request's arrival to the answer's end, attempts before included.
    pub total: Duration,
}

/// Timeouts as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimeoutsFile {
    pub(crate) connect_seconds: Option<f64>,
    head_seconds: Option<f64>,
    first_token_seconds: Option<f64>,
    hedge_seconds: Option<f64>,
    loading_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    total_seconds: Option<f64>,
}

impl Timeouts {
    /// What suits a backend there: a local one may be slow to read a long prompt, a provider answers or it does not.
    pub(crate) fn defaults(location: Location) -> Self {
        let (connect, begin) = match location {
            Location::Local => (2, 300),
            Location::Cloud => (5, 60),
        };
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(connect),
            head: seconds(begin),
            first_token: seconds(begin),
            hedge: None,
            loading: seconds(300),
            idle: seconds(60),
            total: seconds(600),
        }
    }
}

impl TimeoutsFile {
    /// As written, else as in `otherwise`.
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

/// A secret: nothing that prints it shows it.
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
