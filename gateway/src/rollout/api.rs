//! What operators may ask of the lifecycle and what they are told: the words of the admin API and of `wasmgate policies`.
//! The command reads what the listener wrote, so each type goes both ways.
//!
//! This module must not know: HTTP, how anything is done.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::slot::Slot;
use wasmgate_base::time::UnixSeconds;

/// Everything at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Number of the snapshot that serves, from 1 at each start.
    pub generation: u64,
    /// Since when it serves.
    pub since: UnixSeconds,
    /// Snapshots that a request still holds, the serving one included.
    pub live_generations: usize,
    /// How long the oldest of those that were replaced has been draining, in seconds; 0 where there is none.
    pub oldest_draining_seconds: f64,
    /// The configuration.
    pub config: ConfigStatus,
    /// Each place that has, had, or is to have a policy.
    pub policies: Vec<PolicyStatus>,
    /// What happened last, newest first, at most 50.
    pub history: Vec<Event>,
}

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Its path; null where the embedded configuration serves.
    pub file: Option<String>,
    /// SHA-256 of the text that serves.
    pub digest: String,
    /// Since when.
    pub since: UnixSeconds,
    /// Why the file as it stands does not serve; null where it does.
    pub refused: Option<String>,
}

/// One place and the policy in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The place.
    pub slot: Slot,
    /// `active`, `canary`, `shadow`, or `disabled`.
    pub mode: String,
    /// What happens there: `serving`, `open` (its breaker keeps it from deciding), `empty`.
    pub state: String,
    /// Where its component is looked for: `NAME (built in)`, a path, or `uploaded`.
    pub source: String,
    /// The version that serves.
    pub serving: Option<VersionStatus>,
    /// Share of the requests that a canary decides, in percent.
    pub share_percent: Option<f64>,
    /// What the files ask for and why that does not serve; null where it does.
    pub refused: Option<Refusal>,
    /// Whether the file is gone; the version that serves then goes on.
    pub source_missing: bool,
    /// Earlier good versions to roll back to, newest first.
    pub previous: Vec<VersionStatus>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionStatus {
    /// The policy's name.
    pub policy: String,
    /// Its version, as in the label of its metrics.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Since when it is in its place; for an earlier one, since when it had been.
    pub since: UnixSeconds,
}

/// Something that does not serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// SHA-256 of the component; null where it could not be read.
    pub digest: Option<String>,
    /// The stage that it did not reach, or what became of it: `rolled_back`, `aborted`, `superseded`.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: UnixSeconds,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: UnixSeconds,
    /// In which place; null for the configuration.
    pub slot: Option<Slot>,
    /// What: `placed`, `rejected`, `rolled_back`, `promoted`, `aborted`, `opened`, `closed`, `share`, `enabled`,
    /// `disabled`, `source_missing`, `source_back`, `config_applied`, `config_refused`.
    pub event: String,
    /// By whom: `files`, `operator`, `breaker`, `canary rules`, `start`.
    pub by: String,
    /// `name@version` where there is one.
    pub policy: Option<String>,
    /// SHA-256 of the component where there is one.
    pub digest: Option<String>,
    /// The rest in a sentence.
    pub detail: String,
}

/// What an operator asks for.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Takes a component into a place, as if its file had changed. A canary or shadow needs no place in the
    /// configuration; it then starts with the limits of the policy that decides.
    Upload {
        /// The place.
        slot: Slot,
        /// The component.
        component: Bytes,
        /// Its settings; those of the place's configuration, else of the policy that decides, where left out.
        settings: Option<serde_json::Map<String, serde_json::Value>>,
        /// For a canary: its share in percent.
        percent: Option<f64>,
    },
    /// Lets a canary or shadow decide in place of the active policy.
    Promote(Slot),
    /// Goes back to an earlier version: the last one, or the one whose digest begins so.
    Rollback(Slot, Option<String>),
    /// Sets a canary's share, in percent, 0 to 100.
    Share(Slot, f64),
    /// Tries what the files ask for once more.
    Retry(Slot),
    /// Lets a disabled place work again.
    Enable(Slot),
    /// Keeps a place from working; what was there is kept. An uploaded canary or shadow that no configuration names is
    /// taken out.
    Disable(Slot),
}

impl Operation {
    /// The word in the API, the commands and the audit log.
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

    /// The place that it is about.
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

/// An operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// There is no such place.
    NoSuchSlot(String),
    /// It makes no sense as things stand: there is no earlier version, no canary, a share out of range.
    Conflict(String),
    /// The component was refused, with stage and reason.
    Refused(String),
    /// The gateway is stopping.
    Stopping,
}

/// A question to the lifecycle, with where to answer.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Status>),
    Operation(Operation, oneshot::Sender<Result<PolicyStatus, NotDone>>),
}

/// The lifecycle as its operators reach it.
#[derive(Debug, Clone)]
pub struct Operator(pub(crate) mpsc::Sender<Question>);

impl Operator {
    /// How things stand; `None` while the gateway is stopping.
    pub async fn status(&self) -> Option<Status> {
        let (answer, status) = oneshot::channel();
        self.0.send(Question::Status(answer)).await.ok()?;
        status.await.ok()
    }

    /// Does something, and tells how the place stands after it.
    ///
    /// # Errors
    /// Where it could not be done.
    pub async fn operate(&self, operation: Operation) -> Result<PolicyStatus, NotDone> {
        let (answer, done) = oneshot::channel();
        self.0.send(Question::Operation(operation, answer)).await.map_err(|_| NotDone::Stopping)?;
        done.await.unwrap_or(Err(NotDone::Stopping))
    }
}
