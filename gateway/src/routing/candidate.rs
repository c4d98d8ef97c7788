//! Turns a live model into the candidate that policies see.

use std::time::Instant;

use crate::backend::{BreakerState, Capability, HealthState, LiveModel, Location};
use wasmgate_policy_host::{Candidate, CostEstimate, Health, Observation};

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
            BreakerState::Closed => wasmgate_policy_host::Breaker::Closed,
            BreakerState::HalfOpen => wasmgate_policy_host::Breaker::HalfOpen,
            BreakerState::Open => wasmgate_policy_host::Breaker::Open,
        },
        in_flight: live.backend.in_flight(),
        observed: live.recent.observed().map(|observed| wasmgate_policy_host::Observed {
            latency: observed.latency,
            time_to_first_token: observed.time_to_first_token,
            tokens_per_second: observed.tokens_per_second,
        }),
    }
}

/// A model as policies see it: its configuration, and what was observed at one moment.
pub(super) fn candidate(live: &LiveModel, now: Observation, estimate: Option<CostEstimate>) -> Candidate<'_> {
    let settings = live.backend.settings();
    Candidate {
        model: &live.model.name,
        backend: &settings.name,
        location: match settings.location {
            Location::Local => wasmgate_policy_host::Location::Local,
            Location::Cloud => wasmgate_policy_host::Location::Cloud,
        },
        price: live
            .model
            .price
            .map(|price| wasmgate_policy_host::Price { input: price.input.0, output: price.output.0 }),
        context_window: live.model.context_window,
        capabilities: live.model.capabilities.iter().fold(
            wasmgate_policy_host::Capabilities::empty(),
            |set, capability| {
                set | match capability {
                    Capability::Tools => wasmgate_policy_host::Capabilities::TOOLS,
                    Capability::Images => wasmgate_policy_host::Capabilities::IMAGES,
                    Capability::StructuredOutput => wasmgate_policy_host::Capabilities::STRUCTURED_OUTPUT,
                }
            },
        ),
        health: now.health,
        breaker: now.breaker,
        in_flight: now.in_flight,
        observed: now.observed,
        estimate,
    }
}
