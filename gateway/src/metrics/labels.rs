//! The closed sets of label values.

use std::time::Duration;

use crate::error::{Fault, Kind, Reason, Rejection};
use wasmgate_policy_host::{FailureClass, Tier};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Rejected: through the client's fault, or as a policy or the operator decided.
    Rejected(Rejection),
    /// Answered completely.
    Finished,
    /// The gateway or a backend failed.
    Failed(Reason),
    /// The client did not take the whole answer.
    Abandoned(Abandonment),
    /// The gateway stopped before the answer was complete.
    Shutdown,
}

impl Ending {
    /// The words of all endings, in the order of `number`.
    pub const WORDS: [&'static str; 5] = ["rejected", "finished", "failed", "abandoned", "shutdown"];

    /// The place of its word among `WORDS`.
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Self::Rejected(_) => 0,
            Self::Finished => 1,
            Self::Failed(_) => 2,
            Self::Abandoned(_) => 3,
            Self::Shutdown => 4,
        }
    }

    /// The word in log lines and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self.number()]
    }

    /// The status that metrics count; `None` for an ending that is neither an answer nor an error.
    #[must_use]
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Finished => Some(Status::Success),
            Self::Failed(_) | Self::Shutdown => Some(Status::Error),
            Self::Rejected(_) | Self::Abandoned(_) => None,
        }
    }

    /// The ending of a request that failed with `kind`.
    #[must_use]
    pub fn of(kind: &Kind) -> Self {
        match (kind, kind.fault()) {
            (Kind::Stopping, _) => Self::Shutdown,
            (_, Fault::Rejected(rejection)) => Self::Rejected(rejection),
            (_, Fault::Error(reason)) => Self::Failed(reason),
        }
    }
}

/// Why a client did not take its whole answer, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Abandonment {
    /// It disconnected, or cancelled the request.
    Disconnected,
    /// It read so slowly that the gateway ended the answer.
    SlowClient,
}

impl Abandonment {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Disconnected, Self::SlowClient];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::SlowClient => "slow_client",
        }
    }
}

/// Whether a request was answered, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Status {
    /// It was answered.
    Success,
    /// The gateway or a backend failed.
    Error,
}

impl Status {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Success, Self::Error];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// How demanding a request is, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(usize)]
pub enum Complexity {
    /// A small model will do.
    Low,
    /// Between the two.
    Medium,
    /// It needs the most capable model.
    High,
    /// No policy rated it.
    #[default]
    Unknown,
}

impl Complexity {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Unknown];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Tier> for Complexity {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Low => Self::Low,
            Tier::Medium => Self::Medium,
            Tier::High => Self::High,
        }
    }
}

/// One call of one policy.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// How long it took, instantiation and checks included.
    pub took: Duration,
    /// Its outcome.
    pub outcome: Result<DecisionOutcome, FailureClass>,
}

/// The outcome of a routing policy's call; a cost policy's is always `Route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It chose a model.
    Route,
    /// It refused the request.
    Deny,
    /// It left the decision to the gateway.
    Pass,
}

/// Who said how many tokens a prompt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum CountSource {
    /// A backend.
    Backend,
    /// The gateway's estimate.
    Estimate,
}

impl CountSource {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Backend, Self::Estimate];

    /// The word in labels and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Estimate => "estimate",
        }
    }
}

/// Whether a hedge won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeResult {
    /// The second model answered.
    Won,
    /// The first model answered, or neither did.
    Lost,
}

impl HedgeResult {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Won, Self::Lost];

    /// The word in labels, headers and log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// Why nobody knows what a call produced: its request was written, and neither usage nor output came back. As a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Unaccounted {
    /// The backend did not answer in time.
    Timeout,
    /// The answer broke off, was not valid, or ended in an error.
    Broken,
    /// The client left.
    Abandoned,
    /// Another model won the hedge.
    HedgeLost,
    /// The gateway stopped.
    Shutdown,
}

impl Unaccounted {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Timeout, Self::Broken, Self::Abandoned, Self::HedgeLost, Self::Shutdown];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Abandoned => "abandoned",
            Self::HedgeLost => "hedge_lost",
            Self::Shutdown => "shutdown",
        }
    }

    /// Why a call that failed with `kind` is unaccounted; `None` if such a call costs nothing.
    #[must_use]
    pub fn of(kind: &Kind) -> Option<Self> {
        match kind {
            _ if !kind.may_cost() => None,
            Kind::Timeout => Some(Self::Timeout),
            Kind::Stopping => Some(Self::Shutdown),
            _ => Some(Self::Broken),
        }
    }
}
