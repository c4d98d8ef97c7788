//! Policies: Wasm components that decide which model answers (`routing`) and what that is expected to cost (`cost`).
//!
//! The spine calls `Policy::route` and `Policy::estimate`; both give an answer that was checked, or a failure of a
//! closed set of classes. Only the modules below name the Wasm runtime. This module must not know: HTTP, backends,
//! metrics, the configuration file.

mod component;
mod stage;

mod admission;
pub mod fixtures;
mod link;
mod loader;
mod samples;
mod settings;

mod pool;
mod sandbox;
mod verdict;

mod aside;
mod bindings;
mod engine;
mod host;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bindings::routing::exports::wasmgate::policy::routing::{Decision, Denial, Tier, Verdict};
pub use bindings::routing::wasmgate::policy::types::{
    Breaker, Budget, Candidate, Capabilities, CostEstimate, Dialect, Health, Location, Manifest, Message, Observed,
    Price, Request, Role, Setting, Value,
};
pub use component::{Policy, Probed, Source};
pub use engine::EngineError;
pub use fixtures::Fixtures;
pub use loader::{Loader, LoaderOptions, compile_component};
pub use pool::PoolState;
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

/// How guest instances are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// An instance is kept and called again, until it reached its calls, its age or its memory mark, or failed.
    /// A call of a small policy costs a few microseconds. What a call leaves behind in the guest's memory can be
    /// seen by later calls of the same policy.
    #[default]
    Warm,
    /// Each call gets an instance of its own: nothing a call did can be seen by another. Costs some 20 µs a call
    /// for a small Rust policy, 1 to 2 ms for one with a JavaScript or Python engine inside.
    PerCall,
}

/// What one policy may use.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long one call may run, in milliseconds, 1 to 10,000, kept to within 1 ms but for single instructions that
    /// fill or copy much memory, which end on their own; instantiation, where it is part of
    /// the call, has the same again. Time in which the machine does not let it run is not held against it, up to four
    /// times this and 100 ms on the wall.
    pub call_time_ms: u64,
    /// Linear memories and tables of one instance together, in bytes, 64 KiB to 512 MiB.
    pub memory_bytes: usize,
    /// Data a guest may pass to the host in one call, its answer included, in bytes, 1 KiB to 64 MiB.
    pub hostcall_bytes: usize,
    /// Text of the messages that a policy is shown, in bytes, 1 KiB to 64 MiB: the newest messages that fit.
    pub input_bytes: usize,
    /// Calls of this policy under way at once, 1 to 128; one more fails as `saturated`.
    pub concurrent_calls: usize,
    /// Whether instances are kept between calls.
    pub isolation: Isolation,
    /// Most instances kept between calls, 1 to 64.
    pub warm_instances: usize,
    /// Calls after which an instance is replaced, 1 to 1,000,000.
    pub calls_per_instance: u32,
    /// Age in seconds after which an instance is replaced, 1 to 86,400.
    pub instance_age_seconds: u64,
    /// Memory in bytes beyond which an instance is replaced after its call. Half of `memory_bytes` where 0.
    pub instance_memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_time_ms: 10,
            memory_bytes: 64 << 20,
            hostcall_bytes: 1 << 20,
            input_bytes: 256 << 10,
            concurrent_calls: 64,
            isolation: Isolation::Warm,
            warm_instances: 8,
            calls_per_instance: 128,
            instance_age_seconds: 300,
            instance_memory_bytes: 0,
        }
    }
}

impl Limits {
    /// How long one call may run.
    pub(crate) fn call_time(&self) -> Duration {
        Duration::from_millis(self.call_time_ms)
    }

    /// What is out of range: the field and a sentence.
    #[must_use]
    pub fn out_of_range(&self) -> Option<String> {
        fn check(name: &str, value: u64, low: u64, high: u64) -> Option<String> {
            (value < low || value > high).then(|| format!("{name} is {value}, expected {low} to {high}"))
        }
        check("call_time_ms", self.call_time_ms, 1, 10_000)
            .or(check("memory_bytes", self.memory_bytes as u64, 64 << 10, engine::MAX_MEMORY_BYTES as u64))
            .or(check("hostcall_bytes", self.hostcall_bytes as u64, 1 << 10, 64 << 20))
            .or(check("input_bytes", self.input_bytes as u64, 1 << 10, 64 << 20))
            .or(check("concurrent_calls", self.concurrent_calls as u64, 1, 128))
            .or(check("warm_instances", self.warm_instances as u64, 1, 64))
            .or(check("calls_per_instance", u64::from(self.calls_per_instance), 1, 1_000_000))
            .or(check("instance_age_seconds", self.instance_age_seconds, 1, 86_400))
            .or(check("instance_memory_bytes", self.instance_memory_bytes as u64, 0, self.memory_bytes as u64))
    }
}

#[cfg(test)]
mod testing;
