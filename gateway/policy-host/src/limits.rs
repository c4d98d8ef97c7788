//! The resource limits of a policy.
//!
//! This module must not know: how a limit is enforced.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::types::ReadsPrompt;
use wasmgate_base::range::Range;

/// How guest instances are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// An instance serves further calls until it reaches its limit of calls, its age or its memory mark, or fails. A
    /// call of a small policy costs a few microseconds. Later calls of the same policy can see what a call left in the
    /// guest's memory.
    #[default]
    Warm,
    /// Each call gets a fresh instance: no call can see what another did. Costs some 20 µs a call for a small Rust
    /// policy, 1 to 2 ms for one with a JavaScript or Python engine inside.
    PerCall,
}

impl Isolation {
    /// The word in the configuration and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::PerCall => "per-call",
        }
    }
}

/// The kind of a component, judged by its bytes. It decides the default limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The policy itself is compiled code, for example from Rust, Go, C or Zig.
    Compiled,
    /// The component contains a JavaScript or Python engine, and the policy is among its data: calls take ten times as
    /// long, memory begins at tens of MiB.
    Engine,
}

/// Bytes of WebAssembly code from which a component counts as one with an engine inside. The largest compiled policies
/// seen so far have 1.6 MiB, most of it Go's runtime; the smallest engines have 4 MiB.
const ENGINE_CODE_BYTES: usize = 2 << 20;

impl Profile {
    /// The profile of a component with this many bytes of code.
    #[must_use]
    pub(super) fn of(code_bytes: usize) -> Self {
        if code_bytes < ENGINE_CODE_BYTES { Self::Compiled } else { Self::Engine }
    }

    /// The name for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Engine => "engine",
        }
    }

    /// The default limits of this profile.
    #[must_use]
    pub fn limits(self) -> Limits {
        let compiled = Limits {
            call_time_ms: 10,
            memory_bytes: 64 << 20,
            // Within these bytes no single host call takes a millisecond.
            hostcall_bytes: 128 << 10,
            // Above what the default limits of `/api/v1/chat` let in; of longer conversations, the beginning and the end.
            input_bytes: 1 << 20,
            concurrent_calls: 64,
            isolation: Isolation::Warm,
            warm_instances: 8,
            calls_per_instance: 128,
            instance_age_seconds: 300,
            instance_memory_bytes: 0,
        };
        match self {
            Self::Compiled => compiled,
            // Roughly one instance for each processor that could run one: each holds tens of MiB.
            Self::Engine => Limits { call_time_ms: 250, memory_bytes: 256 << 20, warm_instances: 4, ..compiled },
        }
    }
}

/// The resource limits of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// How long one call may run, in milliseconds, 1 to 10,000, accurate to 1 ms. Single instructions that fill or copy
    /// much memory are not interrupted. A call that is shown more than 64 KiB has as much time again for each further 64
    /// KiB, but at most 10 ms for each: a policy may read what it is shown. If the call needs an instantiation, that has the same time in addition. Time in
    /// which the machine does not run the guest does not count, up to a wall-clock limit of four times the sum plus
    /// 100 ms.
    pub call_time_ms: u64,
    /// Linear memories and tables of one instance together, in bytes, 64 KiB to 512 MiB.
    pub memory_bytes: usize,
    /// Data a guest may pass to the host in one call, its answer included, in bytes, 1 KiB to 64 MiB.
    pub hostcall_bytes: usize,
    /// What a policy is shown of a request, in bytes, 1 KiB to 64 MiB: texts and labels, each with 64 bytes for itself.
    /// If a request is larger, the policy is shown the first message and the newest ones that fit, and a hint.
    pub input_bytes: usize,
    /// Maximum in-flight calls of this policy, 1 to 128; one more fails as `saturated`.
    pub concurrent_calls: usize,
    /// Whether instances are kept between calls.
    pub isolation: Isolation,
    /// Maximum instances kept between calls, 1 to 64.
    pub warm_instances: usize,
    /// Calls after which an instance is replaced, 1 to 1,000,000.
    pub calls_per_instance: u32,
    /// Age in seconds after which an instance is replaced, 1 to 86,400.
    pub instance_age_seconds: u64,
    /// Memory in bytes beyond which an instance is replaced after its call. 0 means half of `memory_bytes`.
    pub instance_memory_bytes: usize,
}

impl Limits {
    /// As operators see them.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(limits)) => limits,
            _ => serde_json::Map::new(),
        }
    }

    /// How long one call may run.
    pub(crate) fn call_time(&self) -> Duration {
        Duration::from_millis(self.call_time_ms)
    }

    /// What one call may run longer for what it is shown, in bytes. Whole steps, so that most calls have none.
    pub(crate) fn time_to_read(&self, shown: usize) -> Duration {
        const STEP_BYTES: usize = 64 << 10;
        const MOST_EACH: Duration = Duration::from_millis(10);
        let steps = u32::try_from(shown / STEP_BYTES).unwrap_or(u32::MAX);
        self.call_time().min(MOST_EACH).saturating_mul(steps)
    }

    /// The sentence that names a field out of range, if there is one.
    fn out_of_range(&self) -> Option<String> {
        let values = [
            self.call_time_ms,
            self.memory_bytes as u64,
            self.hostcall_bytes as u64,
            self.input_bytes as u64,
            self.concurrent_calls as u64,
            self.warm_instances as u64,
            u64::from(self.calls_per_instance),
            self.instance_age_seconds,
            self.instance_memory_bytes as u64,
        ];
        let wrong =
            GivenLimits::RANGES.iter().zip(values).find(|((_, range), value)| !range.has_whole((*value).into()));
        if let Some(((name, range), value)) = wrong {
            return Some(format!("{name} is {value}, expected {range}"));
        }
        let (mark, most) = (self.instance_memory_bytes, self.memory_bytes);
        (mark > most).then(|| format!("instance_memory_bytes is {mark}, expected 0 to {most}"))
    }
}

/// How much of a conversation the operator lets a policy read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptGrant {
    /// No text.
    None,
    /// The newest message of the user.
    Newest,
    /// All messages.
    Conversation,
}

impl PromptGrant {
    /// What a policy that reads this much needs.
    pub(crate) fn needed(reads: ReadsPrompt) -> Self {
        match reads {
            ReadsPrompt::None => Self::None,
            ReadsPrompt::Newest => Self::Newest,
            ReadsPrompt::Conversation => Self::Conversation,
        }
    }

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Newest => "newest",
            Self::Conversation => "conversation",
        }
    }
}

/// What the operator lets a policy read. A policy that reads more is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// How much of a conversation; all of it if the operator says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptGrant>,
}

impl Grants {
    /// Whether the operator restricts nothing.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.prompt.is_none()
    }
}

/// The operator's limits of a policy, field by field as in [`Limits`]. The profile's limits apply to the rest.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "each is documented where it is meant, in `Limits`")]
pub struct GivenLimits {
    pub call_time_ms: Option<u64>,
    pub memory_bytes: Option<usize>,
    pub hostcall_bytes: Option<usize>,
    pub input_bytes: Option<usize>,
    pub concurrent_calls: Option<usize>,
    pub isolation: Option<Isolation>,
    pub warm_instances: Option<usize>,
    pub calls_per_instance: Option<u32>,
    pub instance_age_seconds: Option<u64>,
    pub instance_memory_bytes: Option<usize>,
    /// What the policy may read. In the configuration it is a table of its own.
    #[serde(skip_serializing_if = "Grants::is_unrestricted")]
    pub grants: Grants,
}

impl GivenLimits {
    /// The numbers that each limit may have, in the order of their fields.
    pub const RANGES: &[(&str, Range)] = &[
        ("call_time_ms", Range::Whole(1, 10_000)),
        ("memory_bytes", Range::Whole(64 << 10, super::engine::MAX_MEMORY_BYTES as u64)),
        ("hostcall_bytes", Range::Whole(1 << 10, 64 << 20)),
        ("input_bytes", Range::Whole(1 << 10, 64 << 20)),
        ("concurrent_calls", Range::Whole(1, 128)),
        ("warm_instances", Range::Whole(1, 64)),
        ("calls_per_instance", Range::Whole(1, 1_000_000)),
        ("instance_age_seconds", Range::Whole(1, 86_400)),
        ("instance_memory_bytes", Range::Whole(0, super::engine::MAX_MEMORY_BYTES as u64)),
    ];

    /// The limits of a component of this profile.
    ///
    /// # Errors
    /// If a limit is out of range: the field, its value and its range.
    pub fn over(&self, profile: Profile) -> Result<Limits, String> {
        let usual = profile.limits();
        let limits = Limits {
            call_time_ms: self.call_time_ms.unwrap_or(usual.call_time_ms),
            memory_bytes: self.memory_bytes.unwrap_or(usual.memory_bytes),
            hostcall_bytes: self.hostcall_bytes.unwrap_or(usual.hostcall_bytes),
            input_bytes: self.input_bytes.unwrap_or(usual.input_bytes),
            concurrent_calls: self.concurrent_calls.unwrap_or(usual.concurrent_calls),
            isolation: self.isolation.unwrap_or(usual.isolation),
            warm_instances: self.warm_instances.unwrap_or(usual.warm_instances),
            calls_per_instance: self.calls_per_instance.unwrap_or(usual.calls_per_instance),
            instance_age_seconds: self.instance_age_seconds.unwrap_or(usual.instance_age_seconds),
            instance_memory_bytes: self.instance_memory_bytes.unwrap_or(usual.instance_memory_bytes),
        };
        limits.out_of_range().map_or(Ok(limits), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_goes_before_the_profile() {
        let given = GivenLimits { memory_bytes: Some(128 << 20), ..GivenLimits::default() };
        for (code, profile, call_time_ms) in
            [(0, Profile::Compiled, 10), ((2 << 20) - 1, Profile::Compiled, 10), (2 << 20, Profile::Engine, 250)]
        {
            assert_eq!(Profile::of(code), profile);
            let limits = given.over(profile).expect("in range");
            assert_eq!((limits.call_time_ms, limits.memory_bytes), (call_time_ms, 128 << 20));
        }
    }

    #[test]
    fn profiles_are_in_range_and_what_is_given_must_be() {
        let mark = GivenLimits { instance_memory_bytes: Some(100 << 20), ..GivenLimits::default() };
        assert!(mark.over(Profile::Engine).is_ok());
        let error = mark.over(Profile::Compiled).expect_err("more than all of its memory");
        assert_eq!(error, "instance_memory_bytes is 104857600, expected 0 to 67108864");
    }
}
