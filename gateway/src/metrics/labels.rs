//! The closed sets that serve as labels.

use std::time::Duration;

use crate::error::{Fault, Kind, Reason, Rejection};
use wasmgate_policy_host::{FailureClass, Tier};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Turned away: the client's fault, or a policy's or operator's wish.
    Rejected(Rejection),
    /// Answered in whole.
    Finished,
    /// The gateway or a backend failed.
    Failed(Reason),
    /// The client left.
    Abandoned,
    /// The gateway stopped before the answer was whole.
    Shutdown,
}

impl Ending {
    /// The word in log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
            Self::Abandoned => "abandoned",
            Self::Shutdown => "shutdown",
        }
    }

    /// The status by which metrics count it; `None` for what is no answer and no error of ours.
    #[must_use]
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Finished => Some(Status::Success),
            Self::Failed(_) | Self::Shutdown => Some(Status::Error),
            Self::Rejected(_) | Self::Abandoned => None,
        }
    }

    /// How a failure ends a request.
    #[must_use]
    pub fn of(kind: &Kind) -> Self {
        match (kind, kind.fault()) {
            (Kind::Stopping, _) => Self::Shutdown,
            (_, Fault::Rejected(rejection)) => Self::Rejected(rejection),
            (_, Fault::Error(reason)) => Self::Failed(reason),
        }
    }
}

/// Whether a request got its answer, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Status {
    /// It did.
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
    /// It takes the most capable model.
    High,
    /// No policy said.
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
    /// What came of it.
    pub outcome: Result<DecisionOutcome, FailureClass>,
}

/// What a routing policy's call came to; a cost policy's is always `Route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It chose.
    Route,
    /// It refused the request.
    Deny,
    /// It had no opinion.
    Pass,
}

/// Whether it helped to ask another model beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeResult {
    /// The other one answered.
    Won,
    /// The first one answered, or neither did.
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
