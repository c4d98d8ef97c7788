//! The configuration, in two stages: the file as written (`config/file.rs`) and as meant (here), with addresses
//! parsed, durations typed, names resolved, secrets fetched. After this nothing can be half-configured.
//!
//! Only this module and its parts know the file's format. Errors name the file, the line and the key.

mod file;
mod locate;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend;
use crate::catalog::Model;
use crate::policy::Limits;

/// The configuration that serves where no file is given: the documented example, whose models are simulated.
pub const EMBEDDED: &str = include_str!("../../examples/wasmgate.toml");

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Limits of the server.
    pub server: Server,
    /// What is logged.
    pub log: Log,
    /// Backends, in the file's order.
    pub backends: Vec<backend::Settings>,
    /// Models, in the file's order, which is the order of preference where no policy has one.
    pub models: Vec<Model>,
    /// The routing policy.
    pub routing: PolicyChoice,
    /// The cost policy.
    pub cost: PolicyChoice,
}

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Requests in flight, streams included; one more is refused with 503.
    pub max_in_flight: usize,
    /// Open connections; one more waits to be accepted.
    pub max_connections: usize,
    /// Longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest prompt: characters of all messages together.
    pub max_prompt_chars: usize,
    /// Largest request head, in bytes.
    pub max_head_bytes: usize,
    /// How long a client may take to send a request's head; a kept connection that is idle as long is closed.
    pub head_timeout: Duration,
    /// How long it may take to send the body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer that is there for it, before the connection is closed.
    pub write_timeout: Duration,
    /// How long requests in flight may go on after the gateway was told to stop.
    pub drain_timeout: Duration,
    /// Request headers that policies may see, in lower case.
    pub label_headers: Vec<String>,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct Log {
    /// JSON or text.
    pub format: LogFormat,
    /// A filter as in `info` or `info,policy=debug`.
    pub level: String,
    /// Whether each request gets a line.
    pub requests: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Which component decides, with what.
#[derive(Debug, Clone)]
pub struct PolicyChoice {
    /// Where the configuration says so, for messages: file, line and key.
    pub place: String,
    /// Built in, or a file.
    pub source: PolicySource,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// What it may use.
    pub limits: Limits,
    /// Its settings, to be checked against its manifest.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Where a component is.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// In this binary, by name.
    BuiltIn(String),
    /// In a file.
    File(PathBuf),
}

/// What happens when a policy fails on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The gateway's own default decides (routing), or the candidates have no estimates (cost).
    DefaultDecision,
    /// The request is refused with 503.
    FailClosed,
}

/// A configuration was refused.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, or `embedded configuration`.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// The key, as in `models.phi2.backend`; empty where there is none.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file, or the embedded configuration where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, is not TOML, has an unknown key, or means nothing that the gateway could do.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Self::parse(EMBEDDED, "embedded configuration", Path::new("."));
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            line: None,
            key: String::new(),
            message: format!("cannot be read: {error}"),
        })?;
        Self::parse(&text, &file, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads a text. Relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self, ConfigError> {
        file::parse(text, file, folder)
    }
}
