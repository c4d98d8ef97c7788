//! A backend as configured: what speaks there, where, with which key, and how long it may take.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::sim::SimSettings;
use crate::dialect::Dialect;
use crate::policy::Location;

/// A backend as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name: a metric label.
    pub name: String,
    /// What speaks there.
    pub kind: Kind,
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
}

/// What speaks at a backend.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Ollama's native API.
    Ollama,
    /// OpenAI's API, or any server compatible with it.
    OpenAi,
    /// Anthropic's API.
    Anthropic,
    /// A simulated model inside the gateway, that says that it is one.
    Sim(SimSettings),
}

impl Kind {
    /// The dialect of its chat API.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Ollama => Dialect::Ollama,
            Self::OpenAi | Self::Sim(_) => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
        }
    }

    pub(crate) fn default_url(&self) -> Option<&'static str> {
        match self {
            Self::Ollama => Some("http://127.0.0.1:11434"),
            Self::Anthropic => Some("https://api.anthropic.com"),
            // Which of the many compatible servers is meant cannot be guessed.
            Self::OpenAi | Self::Sim(_) => None,
        }
    }

    pub(crate) fn default_location(&self) -> Location {
        match self {
            Self::Anthropic => Location::Cloud,
            Self::Ollama | Self::OpenAi | Self::Sim(_) => Location::Local,
        }
    }

    pub(super) fn chat_path(&self) -> &'static str {
        match self {
            Self::Ollama => "/api/chat",
            Self::OpenAi | Self::Sim(_) => "/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }
}

/// A kind as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindName {
    Ollama,
    Openai,
    Anthropic,
    Sim,
}

/// A location as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LocationName {
    Local,
    Cloud,
}

impl From<LocationName> for Location {
    fn from(name: LocationName) -> Self {
        match name {
            LocationName::Local => Self::Local,
            LocationName::Cloud => Self::Cloud,
        }
    }
}

/// How long a backend may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the request to the head of the answer. Local models load in this time.
    pub head: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// For the whole call.
    pub total: Duration,
}

/// Timeouts as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimeoutsFile {
    connect_seconds: Option<f64>,
    head_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    total_seconds: Option<f64>,
}

impl TimeoutsFile {
    /// A local model may have to be loaded from disk before it says anything; a provider answers or it does not.
    pub(crate) fn or_defaults(&self, location: Location) -> Result<Timeouts, (&'static str, String)> {
        let seconds = |key: &'static str, value: Option<f64>, default: f64| {
            let value = value.unwrap_or(default);
            if value > 0.0 && value <= 86_400.0 {
                Ok(Duration::from_secs_f64(value))
            } else {
                Err((key, format!("{value}, expected a number of seconds above 0, at most 86400")))
            }
        };
        let (connect, head) = match location {
            Location::Local => (2.0, 300.0),
            Location::Cloud => (5.0, 60.0),
        };
        Ok(Timeouts {
            connect: seconds("connect_seconds", self.connect_seconds, connect)?,
            head: seconds("head_seconds", self.head_seconds, head)?,
            idle: seconds("idle_seconds", self.idle_seconds, 60.0)?,
            total: seconds("total_seconds", self.total_seconds, 600.0)?,
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
