//! What one version of a policy did lately: calls, failures, time, and how the requests that it routed ended, in steps of
//! a few seconds. Written by every decision without a lock, read by the rules that take a version out.
//!
//! This module must not know: what is done about it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Length of a step.
pub const STEP: Duration = Duration::from_secs(5);
/// How far back a tally goes.
pub const KEPT: Duration = Duration::from_secs(600);
#[expect(clippy::cast_possible_truncation, reason = "120")]
const STEPS: usize = (KEPT.as_secs() / STEP.as_secs()) as usize;

/// See the module.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    steps: Box<[Step; STEPS]>,
}

/// Counts of one step. It is taken over by a later step of the same position: who comes first in that step clears it.
/// A count that another thread makes in that moment may be lost; rules that judge ratios can bear that.
#[derive(Debug, Default)]
struct Step {
    // The step's number since the tally began, from 1; 0: never used.
    number: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    nanoseconds: AtomicU64,
    succeeded: AtomicU64,
    errors: AtomicU64,
}

/// Sums over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls.
    pub calls: u64,
    /// Of those, the ones without a valid answer.
    pub failures: u64,
    /// Time of all calls together.
    pub nanoseconds: u64,
    /// Requests routed by it that ended well.
    pub succeeded: u64,
    /// Requests routed by it that ended in an error.
    pub errors: u64,
}

impl Counts {
    /// Share of the calls that failed; 0 where there were none.
    #[must_use]
    pub fn failure_ratio(&self) -> f64 {
        share(self.failures, self.calls)
    }

    /// Share of the ended requests that ended in an error; 0 where there were none.
    #[must_use]
    pub fn error_ratio(&self) -> f64 {
        share(self.errors, self.ended())
    }

    /// Requests that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.errors
    }

    /// Mean time of a call; 0 where there were none.
    #[must_use]
    pub fn mean_call(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.checked_div(self.calls).unwrap_or(0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes are far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Default for Stats {
    fn default() -> Self {
        Self { started: Instant::now(), steps: Box::new(std::array::from_fn(|_| Step::default())) }
    }
}

impl Stats {
    /// A call ended.
    pub fn note_call(&self, took: Duration, failed: bool) {
        let step = self.step(Instant::now());
        step.calls.fetch_add(1, Ordering::Relaxed);
        step.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if failed {
            step.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request that it routed ended.
    pub fn note_ending(&self, failed: bool) {
        let step = self.step(Instant::now());
        let count = if failed { &step.errors } else { &step.succeeded };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// What happened in the last `window`, the step under way included.
    #[must_use]
    pub fn counts(&self, window: Duration) -> Counts {
        self.counts_at(Instant::now(), window)
    }

    fn counts_at(&self, now: Instant, window: Duration) -> Counts {
        let newest = self.number(now);
        let oldest = newest.saturating_sub(window.as_secs() / STEP.as_secs());
        let mut counts = Counts::default();
        for step in self.steps.iter() {
            let number = step.number.load(Ordering::Acquire);
            if number > oldest && number <= newest {
                counts.calls += step.calls.load(Ordering::Relaxed);
                counts.failures += step.failures.load(Ordering::Relaxed);
                counts.nanoseconds += step.nanoseconds.load(Ordering::Relaxed);
                counts.succeeded += step.succeeded.load(Ordering::Relaxed);
                counts.errors += step.errors.load(Ordering::Relaxed);
            }
        }
        counts
    }

    /// Forgets everything: a version that was taken out begins anew.
    pub fn clear(&self) {
        for step in self.steps.iter() {
            step.number.store(0, Ordering::Release);
        }
    }

    fn number(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_secs() / STEP.as_secs() + 1
    }

    fn step(&self, now: Instant) -> &Step {
        let number = self.number(now);
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of 120")]
        let step = &self.steps[(number % STEPS as u64) as usize];
        let was = step.number.load(Ordering::Acquire);
        if was != number && step.number.compare_exchange(was, number, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            for count in [&step.calls, &step.failures, &step.nanoseconds, &step.succeeded, &step.errors] {
                count.store(0, Ordering::Relaxed);
            }
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_counted_until_it_is_forgotten() {
        let tally = Stats::default();
        tally.note_call(Duration::from_micros(10), false);
        tally.note_call(Duration::from_micros(30), true);
        tally.note_ending(false);
        tally.note_ending(true);
        let counts = tally.counts(STEP);
        assert_eq!(counts, Counts { calls: 2, failures: 1, nanoseconds: 40_000, succeeded: 1, errors: 1 });
        assert_eq!((counts.failure_ratio(), counts.error_ratio()), (0.5, 0.5));
        assert_eq!(counts.mean_call(), Duration::from_micros(20));
        tally.clear();
        assert_eq!(tally.counts(KEPT), Counts::default());
    }

    #[test]
    fn old_steps_fall_out_of_the_window_and_their_places_are_used_anew() {
        let tally = Stats::default();
        let step = |number: u32| tally.started + STEP * number;
        tally.step(step(1)).calls.fetch_add(7, Ordering::Relaxed);
        let calls = |now: u32, window: Duration| tally.counts_at(step(now), window).calls;
        assert_eq!((calls(1, STEP), calls(2, STEP), calls(2, 2 * STEP)), (7, 0, 7));
        let last = 1 + STEPS as u32;
        assert_eq!((calls(last - 1, KEPT), calls(last, KEPT)), (7, 0));
        tally.step(step(last)).calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!(calls(last, KEPT), 1, "the place was cleared");
    }
}
