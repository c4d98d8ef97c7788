//! How a policy fails: a closed set of classes.

use std::fmt;

/// A policy failed to decide.
#[derive(Debug)]
pub struct PolicyFailure {
    /// The class.
    pub class: FailureClass,
    /// The detail for the log; may contain the guest's words.
    pub detail: String,
}

impl fmt::Display for PolicyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), self.detail)
    }
}

/// Why a policy failed to decide. A closed set, because it is a metric label and an operator's first clue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum FailureClass {
    /// The guest crashed: an unreachable instruction, an access out of bounds, a stack overflow, an exit.
    Trap,
    /// The guest did not answer within its time limit.
    Timeout,
    /// The guest asked for more memory than its limit.
    OutOfMemory,
    /// The guest passed more data to the host in one call than its limit.
    HostcallLimit,
    /// The guest returned an error.
    GuestError,
    /// The guest's answer is not a choice among the candidates, or does not follow the contract.
    InvalidDecision,
    /// Too many calls of this policy, or too many instances in total, were in flight.
    Saturated,
    /// The policy's circuit breaker is open after repeated failures.
    BreakerOpen,
    /// The host failed.
    Host,
}

impl FailureClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::Timeout,
        Self::OutOfMemory,
        Self::HostcallLimit,
        Self::GuestError,
        Self::InvalidDecision,
        Self::Saturated,
        Self::BreakerOpen,
        Self::Host,
    ];

    /// The metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::HostcallLimit => "hostcall_limit",
            Self::GuestError => "guest_error",
            Self::InvalidDecision => "invalid_decision",
            Self::Saturated => "saturated",
            Self::BreakerOpen => "breaker_open",
            Self::Host => "host",
        }
    }
}
