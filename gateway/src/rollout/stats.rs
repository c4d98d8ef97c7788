//! Recent statistics of one policy version: calls, failures, time and outcomes of the requests that it routed, in steps
//! of 5 s. Every decision writes them without a lock; the breaker and abort rules read them.
//!
//! This module must not know: the rules and their consequences.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Length of a step.
pub const STEP: Duration = Duration::from_secs(5);
/// How far back the statistics reach.
pub const KEPT: Duration = Duration::from_secs(600);
#[expect(clippy::cast_possible_truncation, reason = "120")]
const STEPS: usize = (KEPT.as_secs() / STEP.as_secs()) as usize;

/// See the module.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    steps: Box<[Step; STEPS]>,
}

/// Counts of one step. A later step reuses the position, and its first writer clears the counts. A count that another
/// thread adds at that moment may be lost; rules on ratios tolerate that.
#[derive(Debug, Default)]
struct Step {
    // The step's number since the statistics began, from 1; 0: never used.
    number: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    timed: AtomicU64,
    nanoseconds: AtomicU64,
    succeeded: AtomicU64,
    errors: AtomicU64,
    large: AtomicU64,
    large_failures: AtomicU64,
}

/// Sums over a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls.
    pub calls: u64,
    /// Calls without a valid answer.
    pub failures: u64,
    /// Calls whose time counts: those that succeeded, with an ordinary request.
    pub timed: u64,
    /// Total time of those calls.
    pub nanoseconds: u64,
    /// Requests routed by the version that succeeded.
    pub succeeded: u64,
    /// Requests routed by the version that ended in an error.
    pub errors: u64,
}

impl Counts {
    /// Share of the calls that failed; 0 if there were none.
    #[must_use]
    pub fn failure_ratio(&self) -> f64 {
        share(self.failures, self.calls)
    }

    /// Share of the ended requests that ended in an error; 0 if there were none.
    #[must_use]
    pub fn error_ratio(&self) -> f64 {
        share(self.errors, self.ended())
    }

    /// Requests that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.errors
    }

    /// Mean time of the timed calls; 0 if there were none.
    #[must_use]
    pub fn mean_call(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.checked_div(self.timed).unwrap_or(0))
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
    /// Counts a call that ended, and its time if that counts.
    pub fn note_call(&self, took: Option<Duration>, failed: bool) {
        let step = self.step(Instant::now());
        step.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took {
            step.timed.fetch_add(1, Ordering::Relaxed);
            step.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        if failed {
            step.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a call of a large request. It does not count among the others if it failed.
    pub fn note_large(&self, failed: bool) {
        let step = self.step(Instant::now());
        step.large.fetch_add(1, Ordering::Relaxed);
        if failed {
            step.large_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the end of a request that the version routed.
    pub fn note_ending(&self, failed: bool) {
        let step = self.step(Instant::now());
        let count = if failed { &step.errors } else { &step.succeeded };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Sums over the last `window`, including the current step.
    #[must_use]
    pub fn counts(&self, window: Duration) -> Counts {
        self.counts_at(Instant::now(), window)
    }

    /// Calls of large requests and their failures, as far back as the statistics reach: such requests are rare.
    #[must_use]
    pub fn large(&self) -> Counts {
        let newest = self.number(Instant::now());
        let mut counts = Counts::default();
        for step in self.recent(newest, KEPT) {
            counts.calls += step.large.load(Ordering::Relaxed);
            counts.failures += step.large_failures.load(Ordering::Relaxed);
        }
        counts
    }

    /// The steps of the last `window`, including the current one.
    fn recent(&self, newest: u64, window: Duration) -> impl Iterator<Item = &Step> {
        let oldest = newest.saturating_sub(window.as_secs() / STEP.as_secs());
        self.steps.iter().filter(move |step| {
            let number = step.number.load(Ordering::Acquire);
            number > oldest && number <= newest
        })
    }

    fn counts_at(&self, now: Instant, window: Duration) -> Counts {
        let mut counts = Counts::default();
        for step in self.recent(self.number(now), window) {
            counts.calls += step.calls.load(Ordering::Relaxed);
            counts.failures += step.failures.load(Ordering::Relaxed);
            counts.timed += step.timed.load(Ordering::Relaxed);
            counts.nanoseconds += step.nanoseconds.load(Ordering::Relaxed);
            counts.succeeded += step.succeeded.load(Ordering::Relaxed);
            counts.errors += step.errors.load(Ordering::Relaxed);
        }
        counts
    }

    /// Clears everything, so that a version whose breaker closed starts without its old failures.
    pub fn clear(&self) {
        for step in self.steps.iter() {
            step.number.store(0, Ordering::Release);
        }
    }

    /// Clears the failures alone: they turned out to be those of the requests.
    pub fn clear_failures(&self) {
        for step in self.steps.iter() {
            step.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Clears the failures of large requests alone.
    pub fn clear_large_failures(&self) {
        for step in self.steps.iter() {
            step.large_failures.store(0, Ordering::Relaxed);
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
            let Step { number: _, calls, failures, timed, nanoseconds, succeeded, errors, large, large_failures } =
                step;
            for count in [calls, failures, timed, nanoseconds, succeeded, errors, large, large_failures] {
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
        let stats = Stats::default();
        stats.note_call(Some(Duration::from_micros(10)), false);
        stats.note_call(Some(Duration::from_micros(30)), true);
        stats.note_call(None, false);
        stats.note_call(None, true);
        stats.note_ending(false);
        stats.note_ending(true);
        let counts = stats.counts(STEP);
        assert_eq!(counts, Counts { calls: 4, failures: 2, timed: 2, nanoseconds: 40_000, succeeded: 1, errors: 1 });
        assert_eq!((counts.failure_ratio(), counts.error_ratio()), (0.5, 0.5));
        assert_eq!(counts.mean_call(), Duration::from_micros(20));
        stats.note_large(true);
        stats.note_large(false);
        let large = Counts { calls: 2, failures: 1, ..Counts::default() };
        assert_eq!((stats.large(), stats.counts(STEP)), (large, counts), "large requests are counted apart");
        stats.clear_failures();
        assert_eq!(stats.counts(STEP), Counts { failures: 0, ..counts });
        assert_eq!(stats.large(), large);
        stats.clear_large_failures();
        assert_eq!(stats.large(), Counts { failures: 0, ..large });
        stats.clear();
        assert_eq!(stats.counts(KEPT), Counts::default());
    }

    #[test]
    fn old_steps_fall_out_of_the_window_and_their_places_are_used_anew() {
        let stats = Stats::default();
        let step = |number: u32| stats.started + STEP * number;
        stats.step(step(1)).calls.fetch_add(7, Ordering::Relaxed);
        let calls = |now: u32, window: Duration| stats.counts_at(step(now), window).calls;
        assert_eq!((calls(1, STEP), calls(2, STEP), calls(2, 2 * STEP)), (7, 0, 7));
        let last = 1 + STEPS as u32;
        assert_eq!((calls(last - 1, KEPT), calls(last, KEPT)), (7, 0));
        stats.step(step(last)).calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!(calls(last, KEPT), 1, "the position was cleared");
    }
}
