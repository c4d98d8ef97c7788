//! What a policy may use.
//!
//! This module must not know: how a limit is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
            .or(check("memory_bytes", self.memory_bytes as u64, 64 << 10, super::engine::MAX_MEMORY_BYTES as u64))
            .or(check("hostcall_bytes", self.hostcall_bytes as u64, 1 << 10, 64 << 20))
            .or(check("input_bytes", self.input_bytes as u64, 1 << 10, 64 << 20))
            .or(check("concurrent_calls", self.concurrent_calls as u64, 1, 128))
            .or(check("warm_instances", self.warm_instances as u64, 1, 64))
            .or(check("calls_per_instance", u64::from(self.calls_per_instance), 1, 1_000_000))
            .or(check("instance_age_seconds", self.instance_age_seconds, 1, 86_400))
            .or(check("instance_memory_bytes", self.instance_memory_bytes as u64, 0, self.memory_bytes as u64))
    }
}
