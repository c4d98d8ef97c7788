//! How a policy fails: a closed set of classes.

use std::fmt;

/// A policy did not decide.
#[derive(Debug)]
pub struct PolicyFailure {
    /// Of which class.
    pub class: FailureClass,
    /// For the log; may hold the guest's words.
    pub detail: String,
}

impl fmt::Display for PolicyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), self.detail)
    }
}

/// Why a policy did not decide. A closed set: it is a metric label and an operator's first clue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum FailureClass {
    /// The guest crashed: an unreachable instruction, an access out of bounds, a stack overflow, an exit.
    Trap,
    /// It did not answer within its time.
    Timeout,
    /// It asked for more memory than its limit.
    OutOfMemory,
    /// It passed more data to the host in one call than its limit.
    HostcallLimit,
    /// It answered with an error of its own.
    GuestError,
    /// It answered, but not with a choice among what it was offered, or not in the form of the contract.
    InvalidDecision,
    /// Too many of its calls, or too many instances in all, were under way.
    Saturated,
    /// It failed so often that it is not called for a while.
    BreakerOpen,
    /// The host failed.
    Host,
}

impl FailureClass {
    /// All, in the order of their numbers.
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

    /// The label.
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
