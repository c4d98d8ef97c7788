//! Whether a backend answers, as its traffic and its probes say.

use std::sync::atomic::{AtomicU32, Ordering};

/// Failures in a row after which a backend counts as down.
const DOWN_AFTER: u32 = 3;
/// Nothing heard yet.
const UNKNOWN: u32 = u32::MAX;

/// See the module. Failures in a row, or `UNKNOWN`.
#[derive(Debug)]
pub struct Health(AtomicU32);

/// What is known of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// Nothing yet.
    Unknown,
    /// The last call or probe was answered.
    Healthy,
    /// The last one or two were not.
    Degraded,
    /// The last three were not.
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
    pub(super) fn new(known_to_answer: bool) -> Self {
        Self(AtomicU32::new(if known_to_answer { 0 } else { UNKNOWN }))
    }

    /// A call or a probe ended: was it answered? Two notes at once may count as one; the next sets it right.
    pub(super) fn note(&self, answered: bool) {
        let failures = match self.0.load(Ordering::Relaxed) {
            _ if answered => 0,
            UNKNOWN => 1,
            failures => failures.saturating_add(1).min(DOWN_AFTER),
        };
        self.0.store(failures, Ordering::Relaxed);
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> HealthState {
        match self.0.load(Ordering::Relaxed) {
            0 => HealthState::Healthy,
            UNKNOWN => HealthState::Unknown,
            failures if failures >= DOWN_AFTER => HealthState::Down,
            _ => HealthState::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_down_and_one_answer_is_enough() {
        let health = Health::new(false);
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
}
