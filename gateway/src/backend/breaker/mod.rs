//! The circuit breaker of a model at its backend. It opens if calls fail too often or are too slow. After a pause it is
//! half-open and lets one probe call through; if that call succeeds, it closes and traffic ramps up. A probe call that
//! takes long does not keep the next one away, and neither does a pause if no other model is left.
//!
//! Callers pass the time in, so tests need not wait. This module must not know: what a call is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use wasmgate_base::range::Range;

/// Slices of the sliding window. A call counts until its slice leaves the window.
const SLICES: usize = 10;
/// The whole traffic, in thousandths.
const WHOLE: u32 = 1000;
/// Doublings of the pause, at most. Its longest time is a setting; this only keeps the number small.
const MAX_DOUBLINGS: u32 = 16;
/// Longest `Retry-After` that an open breaker takes for its pause.
const MAX_ASKED: Duration = Duration::from_secs(300);
/// Pause between two probe calls of an open breaker if no other model is left: nobody else could answer, so the sooner
/// its recovery is found the better.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// When a breaker opens and closes, as in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Whether the breaker is in use.
    pub enabled: bool,
    /// How far back calls count, in seconds, 0.001 to 3,600.
    pub window_seconds: f64,
    /// Minimum of calls in the window before the breaker can open, 1 to 1,000,000.
    pub min_calls: u32,
    /// Share of failed calls at which the breaker opens, above 0, at most 1.
    pub failure_ratio: f64,
    /// A call is slow above this time, in seconds, 0 to 86,400: to the first token of a stream, or to the end of an
    /// answer that is not streamed. 0: never.
    pub slow_seconds: f64,
    /// Share of slow calls at which the breaker opens, above 0, at most 1.
    pub slow_ratio: f64,
    /// Pause before an open breaker lets one probe call through, in seconds, 0.001 to 3,600; doubled after each failed
    /// probe call. The next probe call also passes if the last one took so long.
    pub retry_seconds: f64,
    /// Longest pause that doubling leads to, in seconds, 0.001 to 3,600; if `retry_seconds` is longer, it stays as it is.
    pub max_retry_seconds: f64,
    /// Time over which traffic ramps up after the breaker closed, in seconds, 0 to 3,600.
    pub ramp_seconds: f64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            window_seconds: 30.0,
            min_calls: 10,
            failure_ratio: 0.5,
            slow_seconds: 0.0,
            slow_ratio: 0.8,
            retry_seconds: 5.0,
            max_retry_seconds: 15.0,
            ramp_seconds: 10.0,
        }
    }
}

impl BreakerSettings {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("window_seconds", Range::Number(0.001, 3600.0)),
        ("min_calls", Range::Whole(1, 1_000_000)),
        ("failure_ratio", Range::Above0(1.0)),
        ("slow_seconds", Range::Number(0.0, 86_400.0)),
        ("slow_ratio", Range::Above0(1.0)),
        ("retry_seconds", Range::Number(0.001, 3600.0)),
        ("max_retry_seconds", Range::Number(0.001, 3600.0)),
        ("ramp_seconds", Range::Number(0.0, 3600.0)),
    ];
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: BreakerSettings,
    state: State,
    /// Consecutive openings.
    openings: u32,
    slices: [Slice; SLICES],
    began: Instant,
    /// When the breaker last closed.
    closed: Instant,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Calls pass. During the ramp after an opening (`since`), only a share of them passes.
    Closed { since: Option<Instant>, credit: u32 },
    /// No call passes until then. `tried`: when the last probe call began, or the breaker opened.
    Open { until: Instant, slow: bool, tried: Instant },
    /// A probe call is in flight, the last one since `tried`.
    HalfOpen { slow: bool, tried: Instant },
}

/// The counts of one slice of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    /// The slice's number since the breaker was created.
    number: u64,
    calls: u32,
    failures: u32,
    slow: u32,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// The pause is over: one probe call may pass.
    HalfOpen,
    /// No call passes.
    Open,
}

impl BreakerState {
    /// All.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The word in labels and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// Whether a call may pass.
#[derive(Debug)]
pub enum Admission<'a> {
    /// It may pass. The caller must note its outcome.
    Pass(Pass<'a>),
    /// It may not pass. The next call may pass after this time.
    Wait(Duration),
}

/// A call that the breaker let through. If dropped without an outcome, it does not count; if it was the probe call, the
/// next call becomes the probe.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
    noted: bool,
}

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The backend answered after this time.
    Answered(Duration),
    /// The backend asked for less traffic, and maybe for a pause.
    Busy(Option<Duration>),
    /// The call failed through the backend's fault.
    Failed,
    /// The call was cancelled when the backend had been silent for this time. If that is slow, the call counts as slow; else
    /// it does not count.
    Cancelled(Duration),
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(rules: BreakerSettings) -> Self {
        let began = Instant::now();
        let inner = Inner {
            rules,
            state: State::Closed { since: None, credit: 0 },
            openings: 0,
            slices: [Slice::default(); SLICES],
            began,
            closed: began,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Takes other settings. What is known of the calls stays.
    pub(super) fn set_rules(&self, rules: BreakerSettings) {
        let mut inner = self.lock();
        inner.rules = rules;
        if !rules.enabled {
            inner.state = State::Closed { since: None, credit: 0 };
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.lock().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until, .. } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Decides whether a call may pass. A breaker that opened for slowness, or that ramps up, never holds the `last`
    /// candidate back: a slow answer is better than none.
    #[must_use]
    pub fn admit(&self, now: Instant, last: bool) -> Admission<'_> {
        let pass = |probe| Admission::Pass(Pass { breaker: self, probe, noted: false });
        let mut inner = self.lock();
        match inner.state {
            State::Closed { since: None, .. } => pass(false),
            State::Closed { since: Some(since), credit } => {
                let share = inner.share(now.saturating_duration_since(since));
                if share >= WHOLE {
                    inner.state = State::Closed { since: None, credit: 0 };
                    return pass(false);
                }
                let credit = credit + share;
                let passes = credit >= WHOLE || last;
                let credit = if passes { credit.saturating_sub(WHOLE) } else { credit };
                inner.state = State::Closed { since: Some(since), credit };
                if passes { pass(false) } else { Admission::Wait(Duration::ZERO) }
            }
            State::Open { until, slow, .. } if now >= until => {
                inner.state = State::HalfOpen { slow, tried: now };
                pass(true)
            }
            State::Open { slow: true, .. } | State::HalfOpen { slow: true, .. } if last => pass(false),
            State::Open { slow, tried, .. } | State::HalfOpen { slow, tried } => {
                let next = match inner.state {
                    _ if last => tried + LAST_RESORT,
                    State::Open { until, .. } => until,
                    _ => tried + Duration::from_secs_f64(inner.rules.retry_seconds),
                };
                if now < next {
                    return Admission::Wait(next - now);
                }
                inner.state = State::HalfOpen { slow, tried: now };
                pass(true)
            }
        }
    }

    /// Records that an answer broke off after its call had been noted as answered.
    pub fn note_broken(&self, now: Instant) {
        let mut inner = self.lock();
        if inner.rules.enabled && matches!(inner.state, State::Closed { .. }) {
            let number = inner.number(now);
            inner.slice(number).failures += 1;
            inner.judge(now, number, CallOutcome::Failed, false);
        }
    }

    /// False if the outcome says nothing.
    fn note(&self, now: Instant, probe: bool, outcome: CallOutcome) -> bool {
        let mut inner = self.lock();
        let rules = inner.rules;
        if !rules.enabled {
            return true;
        }
        let slow = rules.slow_seconds > 0.0
            && matches!(outcome, CallOutcome::Answered(took) | CallOutcome::Cancelled(took)
                if took.as_secs_f64() > rules.slow_seconds);
        if matches!(outcome, CallOutcome::Cancelled(_)) && !slow {
            return false;
        }
        let failed = outcome.is_failure();
        match inner.state {
            State::HalfOpen { .. } if probe => match failed || slow {
                true => inner.open(now, outcome, slow),
                false => {
                    inner.slices = [Slice::default(); SLICES];
                    inner.closed = now;
                    inner.state = State::Closed { since: Some(now), credit: 0 };
                }
            },
            // Calls that were in flight when the breaker opened add no information.
            State::HalfOpen { .. } | State::Open { .. } => {}
            State::Closed { .. } => {
                let number = inner.number(now);
                let slice = inner.slice(number);
                slice.calls += 1;
                slice.failures += u32::from(failed);
                slice.slow += u32::from(slow);
                inner.judge(now, number, outcome, slow);
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallOutcome {
    fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Busy(_))
    }
}

impl Inner {
    fn judge(&mut self, now: Instant, number: u64, outcome: CallOutcome, slow: bool) {
        let counts = self.sum(number);
        if counts.calls < self.rules.min_calls {
            return;
        }
        let share = |part: u32| f64::from(part) / f64::from(counts.calls);
        if outcome.is_failure() && share(counts.failures) >= self.rules.failure_ratio {
            self.open(now, outcome, false);
        } else if slow && share(counts.slow) >= self.rules.slow_ratio {
            self.open(now, outcome, true);
        }
    }

    fn open(&mut self, now: Instant, outcome: CallOutcome, slow: bool) {
        // After more than two windows closed, the pause starts over; after a failed probe call, it doubles.
        let calm = now.saturating_duration_since(self.closed).as_secs_f64() > 2.0 * self.rules.window_seconds;
        if calm && matches!(self.state, State::Closed { .. }) {
            self.openings = 0;
        }
        let first = self.rules.retry_seconds;
        let doubled = first * f64::from(1_u32 << self.openings.min(MAX_DOUBLINGS));
        let pause = Duration::from_secs_f64(doubled.min(self.rules.max_retry_seconds.max(first)));
        let asked = match outcome {
            CallOutcome::Busy(asked) => asked.unwrap_or_default().min(MAX_ASKED),
            CallOutcome::Answered(_) | CallOutcome::Failed | CallOutcome::Cancelled(_) => Duration::ZERO,
        };
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: now + pause.max(asked), slow, tried: now };
    }

    /// The share of calls that pass, in thousandths, this time after the breaker closed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.1 to 1, saturating")]
    fn share(&self, closed: Duration) -> u32 {
        let share = (closed.as_secs_f64() / self.rules.ramp_seconds).max(0.1);
        // A ramp of 0 seconds gives 0 / 0.
        if share.is_nan() { WHOLE } else { (share * f64::from(WHOLE)) as u32 }
    }

    /// The number of the slice that `now` is in, from 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of seconds since a start")]
    fn number(&self, now: Instant) -> u64 {
        let slice = self.rules.window_seconds / SLICES as f64;
        (now.saturating_duration_since(self.began).as_secs_f64() / slice) as u64 + 1
    }

    fn slice(&mut self, number: u64) -> &mut Slice {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of 10")]
        let slice = &mut self.slices[(number % SLICES as u64) as usize];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice
    }

    fn sum(&self, newest: u64) -> Slice {
        let current = self.slices.iter().filter(|slice| slice.number + SLICES as u64 > newest);
        current.fold(Slice::default(), |sum, slice| Slice {
            number: newest,
            calls: sum.calls + slice.calls,
            failures: sum.failures + slice.failures,
            slow: sum.slow + slice.slow,
        })
    }
}

impl Pass<'_> {
    /// Notes the call's outcome.
    pub fn note(mut self, now: Instant, outcome: CallOutcome) {
        self.noted = self.breaker.note(now, self.probe, outcome);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.noted {
            let mut inner = self.breaker.lock();
            if let State::HalfOpen { slow, tried } = inner.state {
                inner.state = State::Open { until: inner.began, slow, tried };
            }
        }
    }
}

#[cfg(test)]
mod tests;
