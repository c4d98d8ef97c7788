//! Whether and when a call that failed is tried again at the same backend. Pauses have full jitter, as in "Exponential
//! Backoff and Jitter" (AWS Architecture Blog, 2015), so that callers that failed together do not come back together.
//!
//! Its budget also bounds hedging. This module must not know: what is called.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;

/// The longest pause that is not asked for by a backend.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How often a backend is tried, and how long is waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Attempts at one model in all, 1 to 10; 1: none is repeated.
    pub attempts: u32,
    /// The first pause is up to so long, in milliseconds, 1 to 10,000; it doubles with each attempt, up to 2 seconds.
    pub pause_ms: u32,
    /// The longest `Retry-After` that is waited for, in seconds, 0 to 600; where a backend asks for more, the next model
    /// is asked at once.
    pub max_wait_seconds: f64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 2, pause_ms: 100, max_wait_seconds: 10.0 }
    }
}

impl Retries {
    /// What is out of range, in a sentence.
    #[must_use]
    pub fn out_of_range(&self) -> Option<String> {
        if !(1..=10).contains(&self.attempts) {
            return Some(format!("attempts is {}, expected 1 to 10", self.attempts));
        }
        if !(1..=10_000).contains(&self.pause_ms) {
            return Some(format!("pause_ms is {}, expected 1 to 10000", self.pause_ms));
        }
        let in_range = (0.0..=600.0).contains(&self.max_wait_seconds);
        (!in_range).then(|| format!("max_wait_seconds is {}, expected 0 to 600", self.max_wait_seconds))
    }

    /// How long to wait after attempt number `failed` (from 1) before the next; `None`: there is none. `asked`: what the
    /// backend asked for.
    #[must_use]
    pub fn pause(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let first = Duration::from_millis(self.pause_ms.into());
        let jitter = random() * first.saturating_mul(1 << (failed - 1).min(16)).min(MAX_PAUSE).as_secs_f64();
        let pause = asked.unwrap_or_default() + Duration::from_secs_f64(jitter);
        asked.is_none_or(|asked| asked.as_secs_f64() <= self.max_wait_seconds).then_some(pause)
    }
}

/// A number from 0 to below 1, another each time.
fn random() -> f64 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let hash = RandomState::new().hash_one(CALLS.fetch_add(1, Ordering::Relaxed));
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let number = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    number
}

/// Keeps calls that are made in addition a share of the traffic, so that they cannot make an overload worse.
#[derive(Debug)]
pub struct Budget {
    /// Hundredths of calls that may be made.
    left: AtomicU32,
}

/// Hundredths of a call.
const CALL: u32 = 100;
/// What may be saved up: ten calls, so that a gateway with little traffic can make one at all.
const MOST: u32 = 10 * CALL;

impl Default for Budget {
    fn default() -> Self {
        Self { left: AtomicU32::new(MOST) }
    }
}

impl Budget {
    /// A request came: so many percent of a call may be made more.
    pub fn deposit(&self, percent: u32) {
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left < MOST).then(|| (left + percent).min(MOST))
        });
    }

    /// Takes one call out; whether there was one.
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
        let retries = Retries { attempts: 10, pause_ms: 100, max_wait_seconds: 10.0 };
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
    fn repeated_attempts_stay_a_share_of_the_traffic() {
        let budget = Budget::default();
        let repeated = (0..1000).filter(|_| {
            budget.deposit(20);
            budget.withdraw()
        });
        assert_eq!(repeated.count(), 10 + 200 - 1);
    }
}
