//! The operations and status types of the admin API and of `wasmgate policies`. The listener serializes them and the
//! command deserializes them, so each type supports both.
//!
//! This module must not know: HTTP, how an operation is done.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::analysis::Progress;
use super::comparison::Compared;
use super::slot::Slot;
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::{Policy, Reads, ReadsPrompt};

/// The status of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Number of the snapshot that serves, from 1 at each start.
    pub generation: u64,
    /// When that snapshot was published.
    pub since: UnixSeconds,
    /// Snapshots in use: the serving one and those that a request still holds.
    pub live_generations: usize,
    /// How long the oldest replaced snapshot has been draining, in seconds; 0 if there is none.
    pub oldest_draining_seconds: f64,
    /// The configuration.
    pub config: ConfigStatus,
    /// The prices.
    #[serde(default)]
    pub prices: PricesStatus,
    /// Each slot that has, had, or is configured to have a policy.
    pub policies: Vec<PolicyStatus>,
    /// The last events, newest first, at most 50.
    pub history: Vec<Event>,
}

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Its path; null if the embedded configuration serves.
    pub file: Option<String>,
    /// SHA-256 of the text that serves.
    pub digest: String,
    /// When it was applied.
    pub since: UnixSeconds,
    /// Why the current file does not serve; null if it serves.
    pub refused: Option<String>,
    /// Keys whose configured value differs from the one in force, which only a restart changes.
    #[serde(default)]
    pub needs_restart: Vec<String>,
}

/// The catalogue of prices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PricesStatus {
    /// `file`, `builtin` or `none`.
    pub origin: String,
    /// Its file.
    pub file: Option<String>,
    /// The version of the catalogue in force.
    pub version: Option<String>,
    /// The day as of which its prices hold, as in `2026-11-29`.
    pub date: Option<String>,
    /// Since when it is in force.
    pub since: UnixSeconds,
    /// The models that have its prices.
    pub models: Vec<String>,
    /// Why the current file is not in force; null if it is.
    pub refused: Option<String>,
}

/// One slot and its policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The slot.
    pub slot: Slot,
    /// `active`, `canary`, `shadow`, or `disabled`.
    pub mode: String,
    /// `serving`, `open` (the breaker is open, so the policy is not called), `loading` (its first version is being checked) or
    /// `empty`.
    pub state: String,
    /// The source of the version that serves, or that the files request if none serves: `NAME (built in)`, a path, or
    /// `uploaded`.
    pub source: String,
    /// The version that serves; null if the slot is empty.
    pub serving: Option<VersionStatus>,
    /// The version that `enable` loads again; null if the slot is enabled.
    #[serde(default)]
    pub kept: Option<VersionStatus>,
    /// The version that the gateway is checking.
    #[serde(default)]
    pub checking: Option<Checking>,
    /// The settings in force, defaults included; of a text above 1 KiB only its length. Empty if no version is loaded.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The limits in force. Empty if no version is loaded.
    #[serde(default)]
    pub limits: Map<String, Value>,
    /// The figures that a canary's abort rules compare.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// What a routing policy's canary is compared with the active one: their requests' failures, latency and cost. Null if not
    /// both decide a share.
    #[serde(default)]
    pub comparison: Option<Compared>,
    /// How often a shadow agreed with the active policy.
    #[serde(default)]
    pub agreement: Option<Agreement>,
    /// Share of the requests that a canary decides, in percent, 0 to 100.
    pub share_percent: Option<f64>,
    /// Whether the gateway takes the loaded policy for one that can deny requests, which fails closed by default: `declared` by
    /// its settings, `has_denied`, `no`, or `unknown`; null if none is loaded.
    #[serde(default)]
    pub can_deny: Option<String>,
    /// What the loaded policy reads of requests; null if none is loaded.
    #[serde(default)]
    pub reads: Option<ReadsStatus>,
    /// The tiers that no setting names, which the gateway made from the configured models; null if there are none.
    #[serde(default)]
    pub default_models: Option<DefaultModels>,
    /// Names in the settings that no configured model has, by setting.
    #[serde(default)]
    pub unknown_models: BTreeMap<String, Vec<String>>,
    /// The version that the files desire and why it does not serve; null if it serves.
    pub refused: Option<Refusal>,
    /// Whether a file is missing; the last good version then keeps serving.
    pub source_missing: bool,
    /// Earlier good versions to roll back to: the first that was not rolled back from is the next.
    pub previous: Vec<VersionStatus>,
}

/// What a policy reads of requests. It cannot see the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadsStatus {
    /// How much of the conversation: `none`, `newest` (the user's newest message) or `conversation`.
    pub prompt: String,
    /// The labels that it reads; `*`: all that the operator's allow-list lets policies see.
    pub labels: Vec<String>,
    /// Whether it reads the tenant's name and budget.
    pub tenant: bool,
}

impl From<&Reads> for ReadsStatus {
    fn from(reads: &Reads) -> Self {
        let prompt = match reads.prompt {
            ReadsPrompt::None => "none",
            ReadsPrompt::Newest => "newest",
            ReadsPrompt::Conversation => "conversation",
        };
        Self { prompt: prompt.to_owned(), labels: reads.labels.clone(), tenant: reads.tenant }
    }
}

impl fmt::Display for ReadsStatus {
    /// As in `the user's newest message, labels x-team, tenant`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.prompt {
            "none" => "nothing of the prompt",
            "newest" => "the user's newest message",
            _ => "the conversation",
        })?;
        match &self.labels[..] {
            [] => {}
            [all] if all == "*" => f.write_str(", all labels")?,
            labels => write!(f, ", labels {}", labels.join(" and "))?,
        }
        if self.tenant { f.write_str(", tenant") } else { Ok(()) }
    }
}

/// Tiers that the gateway made from the configured models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DefaultModels {
    /// The models of each tier, first choice first, by setting.
    pub models: BTreeMap<String, Vec<String>>,
    /// The order in which they were taken: `price` or `configuration`.
    pub order: String,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionStatus {
    /// The policy's name.
    pub policy: String,
    /// Its version, as in the label of its metrics.
    pub version: String,
    /// SHA-256 of the component, or of the script.
    pub digest: String,
    /// SHA-256 of all that determines its decisions: component or script, settings, limits and fixtures.
    #[serde(default)]
    pub revision: String,
    /// When the version was put into its slot.
    pub since: UnixSeconds,
    /// Whether an operator rolled back from it, so that a rollback without `to` passes it over.
    #[serde(default)]
    pub rolled_back_from: bool,
}

/// A version that the gateway is checking: it parses, compiles and probes it before it may serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checking {
    /// Its source, as of a policy.
    pub source: String,
    /// Its revision.
    pub revision: String,
    /// When the check began.
    pub since: UnixSeconds,
}

/// Comparisons of a shadow's decisions with the active policy's, since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The shadow decided the same.
    pub agree: u64,
    /// The shadow decided differently.
    pub disagree: u64,
    /// The shadow failed.
    pub failed: u64,
    /// The shadow was not called, for lack of spare capacity.
    pub skipped: u64,
}

/// A version that does not serve, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its `name@version`; null if it was refused before that was known.
    #[serde(default)]
    pub policy: Option<String>,
    /// SHA-256 of the component or script; null if it could not be read.
    pub digest: Option<String>,
    /// As of a version; null if it could not be read.
    #[serde(default)]
    pub revision: Option<String>,
    /// The stage that it did not reach, or its outcome: `rolled_back`, `aborted`, `superseded`.
    pub stage: String,
    /// The reason.
    pub reason: String,
    /// When it was refused.
    pub since: UnixSeconds,
}

/// An event in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The time.
    pub at: UnixSeconds,
    /// The slot; null for the configuration.
    pub slot: Option<Slot>,
    /// The kind: `placed`, `rejected`, `rolled_back`, `promoted`, `aborted`, `opened`, `closed`, `share`, `enabled`,
    /// `disabled`, `source_missing`, `source_back`, `config_applied`, `config_refused`.
    pub event: String,
    /// The actor: `files`, `operator`, `breaker`, `canary rules`, `start`.
    pub by: String,
    /// `name@version` of the version that was placed, refused or removed; null if there is none, or it was refused before that
    /// was known.
    pub policy: Option<String>,
    /// SHA-256 of its component or script; null if there is none.
    pub digest: Option<String>,
    /// Its revision; null if there is none.
    #[serde(default)]
    pub revision: Option<String>,
    /// Details, as a sentence; may be empty.
    pub detail: String,
}

/// An operator's command.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Uploads a component or a script to a slot, as if its file had changed. A canary or shadow need not be configured; it then
    /// has the limits of the active policy.
    Upload {
        /// The slot.
        slot: Slot,
        /// The component or script.
        component: Bytes,
        /// The name of a script that states none.
        name: Option<String>,
        /// Its settings; the default is the slot's configuration, else the active policy's.
        settings: Option<Map<String, Value>>,
        /// For a canary: its share in percent, 0 to 100.
        percent: Option<f64>,
    },
    /// Moves a canary or shadow into the active slot.
    Promote(Slot),
    /// Rolls back to an earlier version: the last one that was not rolled back from, or the one whose revision or digest has this prefix.
    Rollback(Slot, Option<String>),
    /// Sets a canary's share, in percent, 0 to 100.
    Share(Slot, f64),
    /// Tries the version that the files desire once more.
    Retry(Slot),
    /// Enables a disabled slot.
    Enable(Slot),
    /// Disables a slot and keeps its state. If the configuration does not name the slot, it is removed.
    Disable(Slot),
}

impl Operation {
    /// Its name in the API, the commands and the audit log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Upload { .. } => "upload",
            Self::Promote(_) => "promote",
            Self::Rollback(..) => "rollback",
            Self::Share(..) => "share",
            Self::Retry(_) => "retry",
            Self::Enable(_) => "enable",
            Self::Disable(_) => "disable",
        }
    }

    /// The slot that it concerns.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        match self {
            Self::Upload { slot, .. }
            | Self::Promote(slot)
            | Self::Rollback(slot, _)
            | Self::Share(slot, _)
            | Self::Retry(slot)
            | Self::Enable(slot)
            | Self::Disable(slot) => slot,
        }
    }
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// The slot does not exist.
    NoSuchSlot(String),
    /// It conflicts with the slot's state: for example there is no earlier version or no canary, or the share is out of
    /// range.
    Conflict(String),
    /// The component was refused, with stage and reason.
    Refused(String),
    /// The gateway is stopping.
    Stopping,
}

/// A component or a script that an operator sends.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The component or script.
    pub component: Bytes,
    /// The name of a script that states none.
    pub name: Option<String>,
    /// Its settings; the default is the slot's configuration, else the active policy's.
    pub settings: Option<Map<String, Value>>,
}

/// A query or command to the control task, with the channel for the answer.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Status>),
    Operation(Operation, oneshot::Sender<Result<PolicyStatus, NotDone>>),
    Load(Upload, oneshot::Sender<Result<Policy, NotDone>>),
}

/// A handle with which operators reach the control task.
#[derive(Debug, Clone)]
pub struct Operator(pub(crate) mpsc::Sender<Question>);

impl Operator {
    /// The status; `None` while the gateway is stopping.
    pub async fn status(&self) -> Option<Status> {
        let (answer, status) = oneshot::channel();
        self.0.send(Question::Status(answer)).await.ok()?;
        status.await.ok()
    }

    /// Executes an operation and returns the slot's status after it.
    ///
    /// # Errors
    /// If it was not done.
    pub async fn operate(&self, operation: Operation) -> Result<PolicyStatus, NotDone> {
        let (answer, done) = oneshot::channel();
        self.0.send(Question::Operation(operation, answer)).await.map_err(|_| NotDone::Stopping)?;
        done.await.unwrap_or(Err(NotDone::Stopping))
    }
    /// Loads a routing policy as an upload to the active slot would, without a slot: to ask it something. It is gone when it is
    /// dropped.
    ///
    /// # Errors
    /// If it was refused.
    pub async fn load(&self, upload: Upload) -> Result<Policy, NotDone> {
        let (answer, loaded) = oneshot::channel();
        self.0.send(Question::Load(upload, answer)).await.map_err(|_| NotDone::Stopping)?;
        loaded.await.unwrap_or(Err(NotDone::Stopping))
    }
}
