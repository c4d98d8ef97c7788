//! A backend's health, derived from its traffic and its probes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Consecutive failures after which a backend counts as down.
const DOWN_AFTER: u32 = 3;
/// How long an unprobed backend remembers a failure. Only a call can show that the backend has recovered, and policies
/// that avoid unhealthy backends would never make that call.
const MEMORY: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub struct Health {
    probed: AtomicBool,
    heard: Mutex<Heard>,
}

/// The last observation.
#[derive(Debug, Clone, Copy)]
enum Heard {
    /// No observation yet.
    Nothing,
    /// It answered.
    Answer,
    /// Consecutive failures, and the time of the last one.
    Failures(u32, Instant),
}

/// The health of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// No observation, or no recent one.
    Unknown,
    /// The backend answered the last call or probe.
    Healthy,
    /// The last one or two calls or probes failed.
    Degraded,
    /// The last three or more calls or probes failed.
    Down,
}

impl HealthState {
    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl Health {
    pub(super) fn new(known_to_answer: bool, probed: bool) -> Self {
        Self {
            probed: AtomicBool::new(probed),
            heard: Mutex::new(if known_to_answer { Heard::Answer } else { Heard::Nothing }),
        }
    }

    /// Notes whether probes run from now on.
    pub(super) fn set_probed(&self, probed: bool) {
        self.probed.store(probed, Ordering::Relaxed);
    }

    /// Records whether the backend answered a call or a probe.
    pub(super) fn note(&self, answered: bool) {
        self.note_at(Instant::now(), answered);
    }

    fn note_at(&self, now: Instant, answered: bool) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = match *heard {
            _ if answered => Heard::Answer,
            Heard::Nothing | Heard::Answer => Heard::Failures(1, now),
            Heard::Failures(count, _) => Heard::Failures(count.saturating_add(1), now),
        };
    }

    /// The current health.
    #[must_use]
    pub fn state(&self) -> HealthState {
        self.state_at(Instant::now())
    }

    fn state_at(&self, now: Instant) -> HealthState {
        match *self.heard.lock().unwrap_or_else(PoisonError::into_inner) {
            Heard::Nothing => HealthState::Unknown,
            Heard::Answer => HealthState::Healthy,
            Heard::Failures(_, last)
                if !self.probed.load(Ordering::Relaxed) && now.saturating_duration_since(last) > MEMORY =>
            {
                HealthState::Unknown
            }
            Heard::Failures(count, _) if count >= DOWN_AFTER => HealthState::Down,
            Heard::Failures(..) => HealthState::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_down_and_one_answer_is_enough() {
        let health = Health::new(false, true);
        assert_eq!(health.state(), HealthState::Unknown);
        let after = |answered| {
            health.note(answered);
            health.state()
        };
        assert_eq!(after(false), HealthState::Degraded);
        assert_eq!(after(false), HealthState::Degraded);
        assert_eq!(after(false), HealthState::Down);
        assert_eq!(after(false), HealthState::Down);
        assert_eq!(after(true), HealthState::Healthy);
    }

    #[test]
    fn failures_of_what_is_not_probed_are_forgotten() {
        let began = Instant::now();
        let [probed, unprobed] = [true, false].map(|probed| {
            let health = Health::new(false, probed);
            for _ in 0..3 {
                health.note_at(began, false);
            }
            health
        });
        let after = |milliseconds| began + Duration::from_millis(milliseconds);
        let later = after(15_001);
        assert_eq!(
            (unprobed.state_at(after(15_000)), unprobed.state_at(later)),
            (HealthState::Down, HealthState::Unknown)
        );
        assert_eq!(probed.state_at(later), HealthState::Down);
        unprobed.note_at(later, false);
        assert_eq!(unprobed.state_at(later), HealthState::Down, "it is as bad as it was");
    }
}
