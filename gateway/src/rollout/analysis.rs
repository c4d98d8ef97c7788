//! The breaker and abort rules, as operators set them, and their verdicts on a version's statistics. Pure, so that
//! tests need no gateway.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stats::{Counts, KEPT, STEP};
use wasmgate_base::range::Range;

/// How far back both may look, in seconds: whole steps of the statistics, as many as are kept.
const WINDOW: Range = Range::Steps(STEP.as_secs(), KEPT.as_secs(), STEP.as_secs());

/// The breaker of a hook: when an active version is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerRules {
    /// Whether the hook has a breaker.
    pub enabled: bool,
    /// How far back calls count, in seconds, 5 to 600, in steps of 5.
    pub window_seconds: u64,
    /// Minimum of calls in the window before the breaker can open, 1 to 1,000,000.
    pub min_calls: u64,
    /// Share of failed calls at which the breaker opens, above 0, at most 1.
    pub failure_ratio: f64,
    /// Pause before an open breaker probes the policy with its samples, in seconds, 1 to 3,600; doubled after each
    /// failure, up to 64 times this.
    pub retry_seconds: u64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { enabled: true, window_seconds: 30, min_calls: 20, failure_ratio: 0.5, retry_seconds: 5 }
    }
}

/// When a canary is aborted. Each rule needs its minimum sample: missing data never aborts a canary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbortRules {
    /// How far back calls and requests count, in seconds, 5 to 600, in steps of 5.
    pub window_seconds: u64,
    /// Minimum of calls, or of ended requests, before a rule can abort, 1 to 1,000,000.
    pub min_samples: u64,
    /// Share of the canary's calls that may fail (traps, timeouts and all other classes), 0 to 1.
    pub max_failure_ratio: f64,
    /// How far the share of the canary's requests that end in an error may exceed the active policy's share, 0 to 1.
    pub max_error_ratio_above_active: f64,
    /// Maximum mean time of the canary's calls that succeeded, with ordinary requests (`evidence`), in milliseconds,
    /// above 0.
    pub max_mean_call_ms: f64,
}

/// The figures that the abort rules compare, in the rules' window, and the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The canary's calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Mean time of its calls that count, in milliseconds; null if none does.
    pub mean_call_ms: Option<f64>,
    /// Requests that it routed and that ended.
    pub ended: u64,
    /// Those that ended in an error.
    pub errors: u64,
    /// Requests that the active policy routed and that ended.
    pub active_ended: u64,
    /// Those that ended in an error.
    pub active_errors: u64,
    /// The rules.
    pub rules: AbortRules,
}

impl Default for AbortRules {
    fn default() -> Self {
        Self {
            window_seconds: 600,
            min_samples: 20,
            max_failure_ratio: 0.02,
            max_error_ratio_above_active: 0.05,
            max_mean_call_ms: 5.0,
        }
    }
}

impl BreakerRules {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("window_seconds", WINDOW),
        ("min_calls", Range::Whole(1, 1_000_000)),
        ("failure_ratio", Range::Above0(1.0)),
        ("retry_seconds", Range::Whole(1, 3600)),
    ];

    /// How far back calls count.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }

    /// The reason to take the version out, if its calls in the window give one.
    #[must_use]
    pub fn verdict(&self, counts: &Counts) -> Option<String> {
        let bad = self.enabled
            && counts.calls >= self.min_calls
            && counts.failures > 0
            && counts.failure_ratio() >= self.failure_ratio;
        bad.then(|| format!("{} of {} calls in {} s failed", counts.failures, counts.calls, self.window_seconds))
    }

    /// The pause before the next probe, after so many openings in a row.
    #[must_use]
    pub fn pause(&self, openings: u32) -> Duration {
        Duration::from_secs(self.retry_seconds << openings.saturating_sub(1).min(6))
    }
}

impl AbortRules {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("window_seconds", WINDOW),
        ("min_samples", Range::Whole(1, 1_000_000)),
        ("max_failure_ratio", Range::Number(0.0, 1.0)),
        ("max_error_ratio_above_active", Range::Number(0.0, 1.0)),
        ("max_mean_call_ms", Range::Above0(f64::MAX)),
    ];

    /// How far back calls and requests count.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }

    /// The figures that the rules compare.
    #[must_use]
    pub fn progress(&self, canary: &Counts, active: &Counts) -> Progress {
        Progress {
            calls: canary.calls,
            failures: canary.failures,
            mean_call_ms: (canary.timed > 0).then(|| canary.mean_call().as_secs_f64() * 1e3),
            ended: canary.ended(),
            errors: canary.errors,
            active_ended: active.ended(),
            active_errors: active.errors,
            rules: *self,
        }
    }

    /// The reason to abort the canary, if its calls and requests and the active policy's in the window give one.
    #[must_use]
    pub fn verdict(&self, canary: &Counts, active: &Counts) -> Option<String> {
        if canary.calls >= self.min_samples && canary.failures > 0 && canary.failure_ratio() > self.max_failure_ratio {
            return Some(format!("{} of {} calls failed", canary.failures, canary.calls));
        }
        if canary.timed >= self.min_samples {
            let mean = canary.mean_call().as_secs_f64() * 1e3;
            if mean > self.max_mean_call_ms {
                return Some(format!(
                    "the mean time of a call is {mean:.3} ms, expected at most {} ms",
                    self.max_mean_call_ms
                ));
            }
        }
        let enough = canary.ended() >= self.min_samples && active.ended() >= self.min_samples;
        let (ours, theirs) = (canary.error_ratio(), active.error_ratio());
        (enough && ours > theirs + self.max_error_ratio_above_active).then(|| {
            format!(
                "{:.1} % of the canary's requests ended in errors, {:.1} % of the active policy's",
                ours * 100.0,
                theirs * 100.0
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(calls: u64, failures: u64, succeeded: u64, errors: u64) -> Counts {
        Counts { calls, failures, timed: calls, nanoseconds: calls * 10_000, succeeded, errors }
    }

    #[test]
    fn a_breaker_needs_its_sample_and_its_share() {
        let breaker = BreakerRules::default();
        assert_eq!(breaker.verdict(&counts(19, 19, 0, 0)), None, "too few to judge");
        assert_eq!(breaker.verdict(&counts(40, 19, 0, 0)), None, "fewer than half");
        assert!(breaker.verdict(&counts(40, 20, 0, 0)).unwrap().contains("20 of 40"));
        assert_eq!(BreakerRules { enabled: false, ..breaker }.verdict(&counts(40, 40, 0, 0)), None);
        let pauses: Vec<u64> = [1, 2, 3, 7, 50].map(|openings| breaker.pause(openings).as_secs()).into();
        assert_eq!(pauses, [5, 10, 20, 320, 320]);
    }

    #[test]
    fn missing_data_never_aborts_a_canary() {
        let abort = AbortRules::default();
        let fine = counts(1000, 0, 1000, 0);
        assert_eq!(abort.verdict(&Counts::default(), &Counts::default()), None);
        assert_eq!(abort.verdict(&counts(19, 19, 0, 19), &fine), None, "too few of its own");
        assert_eq!(abort.verdict(&counts(0, 0, 0, 50), &Counts::default()), None, "nothing to compare with");
    }

    #[test]
    fn a_canary_is_aborted_by_each_rule() {
        let abort = AbortRules::default();
        let fine = counts(1000, 0, 1000, 0);
        assert_eq!(abort.verdict(&counts(100, 2, 100, 0), &fine), None);
        assert!(abort.verdict(&counts(100, 3, 100, 0), &fine).unwrap().contains("3 of 100 calls failed"));
        assert_eq!(abort.verdict(&counts(100, 0, 96, 4), &fine), None);
        assert!(abort.verdict(&counts(100, 0, 90, 10), &fine).unwrap().contains("10.0 % of the canary's requests"));
        assert_eq!(abort.verdict(&counts(100, 0, 90, 10), &counts(100, 0, 90, 10)), None, "no worse than the active");
        let slow = Counts { nanoseconds: 100 * 6_000_000, ..counts(100, 0, 100, 0) };
        assert!(abort.verdict(&slow, &fine).unwrap().contains("the mean time of a call is 6.000 ms"));
    }
}
