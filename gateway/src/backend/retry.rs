//! Retries at the same backend: how many attempts, and after which pause. Which failures are retried is the table in
//! `error.rs`; `dispatch/attempt.rs` applies both. Pauses have full jitter, as in "Exponential Backoff and Jitter" (AWS
//! Architecture Blog, 2015), so that callers that failed together do not retry together.
//!
//! The same kind of budget bounds retries and hedges. This module must not know: what is called.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use wasmgate_base::range::Range;

/// Longest pause, unless the backend requests a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause after a 429 without `Retry-After`.
const MAX_BUSY_PAUSE: Duration = Duration::from_secs(60);

/// The retry settings of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Total attempts at one model, 1 to 10; 1: no retry.
    pub attempts: u32,
    /// Longest pause before the first retry, in milliseconds, 1 to 10,000; doubled with each attempt, up to 2 seconds.
    pub pause_ms: u32,
    /// Shortest pause before the first retry after a 429 without `Retry-After`, in milliseconds, 1 to 60,000; doubled with
    /// each attempt, up to a minute. If another model is left, the gateway falls back to it instead.
    pub busy_pause_ms: u32,
    /// Longest `Retry-After` that the gateway waits for, in seconds, 0 to 600. If a backend requests more, the gateway
    /// falls back to the next model immediately.
    pub max_wait_seconds: f64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 2, pause_ms: 100, busy_pause_ms: 1000, max_wait_seconds: 10.0 }
    }
}

impl Retries {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("attempts", Range::Whole(1, 10)),
        ("pause_ms", Range::Whole(1, 10_000)),
        ("busy_pause_ms", Range::Whole(1, 60_000)),
        ("max_wait_seconds", Range::Number(0.0, 600.0)),
    ];

    /// The pause after failed attempt number `failed` (from 1); `None`: no retry. `asked`: the backend's `Retry-After`.
    #[must_use]
    pub fn pause(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let first = Duration::from_millis(self.pause_ms.into());
        let jitter = random() * doubled(first, failed).min(MAX_PAUSE).as_secs_f64();
        let pause = asked.unwrap_or_default() + Duration::from_secs_f64(jitter);
        asked.is_none_or(|asked| asked.as_secs_f64() <= self.max_wait_seconds).then_some(pause)
    }

    /// The pause after failed attempt number `failed` (from 1) if the backend asked for less traffic and named no pause;
    /// `None`: no retry.
    #[must_use]
    pub fn busy_pause(&self, failed: u32) -> Option<Duration> {
        let pause = self.pause(failed, None)?;
        Some(pause + doubled(Duration::from_millis(self.busy_pause_ms.into()), failed).min(MAX_BUSY_PAUSE))
    }
}

/// A first pause, doubled with each attempt after the first.
fn doubled(first: Duration, failed: u32) -> Duration {
    first.saturating_mul(1 << (failed - 1).min(16))
}

/// A random number from 0 to below 1.
pub fn random() -> f64 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let hash = RandomState::new().hash_one(CALLS.fetch_add(1, Ordering::Relaxed));
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let number = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    number
}

/// A retry or hedge budget: bounds extra calls to a share of the traffic, so that they cannot make an overload worse.
#[derive(Debug)]
pub struct Budget {
    /// Budget left, in hundredths of a call.
    left: AtomicU32,
}

/// One call, in hundredths.
const CALL: u32 = 100;
/// Largest budget: a burst of ten calls, so that a gateway with little traffic can retry at all.
const MOST: u32 = 10 * CALL;

impl Default for Budget {
    fn default() -> Self {
        Self { left: AtomicU32::new(MOST) }
    }
}

impl Budget {
    /// Adds one request's share to the budget: `percent` hundredths of a call.
    pub fn deposit(&self, percent: u32) {
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left < MOST).then(|| (left + percent).min(MOST))
        });
    }

    /// Takes one call from the budget; false if the budget is exhausted.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(CALL)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_random_and_grow_up_to_a_bound() {
        let retries = Retries { attempts: 10, pause_ms: 100, ..Retries::default() };
        for (failed, most) in [(1, 0.1), (2, 0.2), (3, 0.4), (6, 2.0), (9, 2.0)] {
            let pauses: Vec<f64> =
                (0..200).map(|_| retries.pause(failed, None).expect("not the last").as_secs_f64()).collect();
            let (least, longest) =
                (pauses.iter().copied().fold(9.0, f64::min), pauses.iter().copied().fold(0.0, f64::max));
            assert!(longest < most && longest > 0.8 * most && least < 0.2 * most, "{failed}: {least} to {longest}");
        }
        assert_eq!(retries.pause(10, None), None);
    }

    #[test]
    fn what_a_backend_asks_for_is_waited_for_up_to_a_bound() {
        let retries = Retries::default();
        let second = Duration::from_secs(1);
        let pause = retries.pause(1, Some(10 * second)).expect("within the bound");
        assert!(pause >= 10 * second && pause < 10 * second + Duration::from_millis(100));
        assert_eq!(retries.pause(1, Some(11 * second)), None);
    }

    #[test]
    fn a_busy_backend_without_a_word_on_when_gets_a_longer_pause() {
        let retries = Retries { attempts: 9, ..Retries::default() };
        for (failed, least) in [(1, 1), (2, 2), (3, 4), (8, 60)] {
            let pause = retries.busy_pause(failed).expect("not the last");
            assert!(
                pause >= Duration::from_secs(least) && pause < Duration::from_secs(least + 2),
                "{failed}: {pause:?}"
            );
        }
        assert_eq!(retries.busy_pause(9), None);
    }

    #[test]
    fn repeated_attempts_stay_a_share_of_the_traffic() {
        let budget = Budget::default();
        let repeated = (0..1000).filter(|_| {
            budget.deposit(20);
            budget.withdraw()
        });
        assert_eq!(repeated.count(), 10 + 200 - 1);
    }
}
