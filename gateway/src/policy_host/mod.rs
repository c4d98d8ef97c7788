//! Policies: Wasm components that decide which model answers (`routing`) and what that is expected to cost (`cost`).
//!
//! The spine calls `Policy::route` and `Policy::estimate`; both give an answer that was checked, or a failure of a
//! closed set of classes. Only the modules below name the Wasm runtime. This module must not know: HTTP, backends,
//! metrics, the configuration file.

mod component;
mod stage;

mod admission;
pub mod bench;
pub mod builtin;
pub mod fixtures;
pub mod inspect;
mod link;
mod loader;
mod samples;
mod settings;

mod pool;
mod sandbox;
mod validate;

mod background;
mod contract;
mod engine;
mod host;
mod limits;

use std::collections::HashMap;
use std::fmt;

pub use admission::MAX_COMPONENT_BYTES;
pub use component::{Policy, Probed, Source};
pub use contract::types::{
    Breaker, Budget, Candidate, Capabilities, CostEstimate, Dialect, Health, Location, Manifest, Message, Observed,
    Price, Request, Role, Setting, Value,
};
pub use contract::{Decision, Denial, Tier, Verdict};
pub use engine::EngineError;
pub use fixtures::Fixtures;
pub use limits::{GivenLimits, Isolation, Limits, Profile};
pub use loader::{Loader, LoaderOptions, compile_component};
pub use pool::PoolState;
pub use settings::MAX_SETTING_BYTES;
pub use stage::{LoadError, Stage};

/// What a policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Which model answers.
    Routing,
    /// What each candidate is expected to cost.
    Cost,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Routing, Self::Cost];

    /// The word in configuration, logs and the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Cost => "cost",
        }
    }
}

/// The settings an operator gave, by name, of the types that the manifest asks for.
pub type Settings = HashMap<String, Value>;

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

/// What the clock on the wall means for a policy's calls. The time that a guest may run is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for the answer: a call that has taken four times its time and 100 ms is given up.
    Serving,
    /// Nobody waits, and the thread has the lowest priority: on a busy machine it may not run for long, which is no fault
    /// of the guest's. A call is given up after a minute.
    Background,
}

#[cfg(test)]
mod testing;
