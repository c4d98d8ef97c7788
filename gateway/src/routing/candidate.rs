//! Observes a live model for the policies.

use std::time::{Duration, Instant};

use crate::backend::{BreakerState, HealthState, LiveModel};
use wasmgate_policy_host::{Breaker, Candidate, Health, Observation, Observed};

/// Observes a model now.
pub(super) fn observe(live: &LiveModel) -> Observation {
    Observation {
        health: match live.backend.health().state() {
            HealthState::Unknown => Health::Unknown,
            HealthState::Healthy => Health::Healthy,
            HealthState::Degraded => Health::Degraded,
            HealthState::Down => Health::Down,
        },
        breaker: match live.breaker.state(Instant::now()) {
            BreakerState::Closed => Breaker::Closed,
            BreakerState::HalfOpen => Breaker::HalfOpen,
            BreakerState::Open => Breaker::Open,
        },
        in_flight: live.backend.in_flight(),
        observed: live.recent.observed().map(|observed| Observed {
            latency: observed.latency,
            time_to_first_token: observed.time_to_first_token,
            tokens_per_second: observed.tokens_per_second,
        }),
    }
}

/// The model at `index` of the catalog as it is now, without an estimate, for a request that has taken `passed`.
pub(super) fn candidate(index: usize, live: &LiveModel, passed: Duration) -> Candidate {
    let time_left = live.model.timeouts.total.saturating_sub(passed).as_secs_f64();
    Candidate { model: u32::try_from(index).unwrap_or(u32::MAX), now: observe(live), time_left, estimate: None }
}
