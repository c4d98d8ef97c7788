//! From a model at work to the candidate that policies see.

use std::time::Instant;

use crate::backend::{BreakerState, Capability, HealthState, Location};
use crate::catalog::LiveModel;
use crate::policy::{self, Candidate, CostEstimate, Health};

/// A model as policies see it.
#[must_use]
pub fn candidate(live: &LiveModel, estimate: Option<CostEstimate>) -> Candidate<'_> {
    let breaker = match live.breaker.state(Instant::now()) {
        BreakerState::Closed => policy::Breaker::Closed,
        BreakerState::HalfOpen => policy::Breaker::HalfOpen,
        BreakerState::Open => policy::Breaker::Open,
    };
    Candidate {
        model: &live.model.name,
        backend: &live.backend.settings().name,
        location: match live.backend.settings().location {
            Location::Local => policy::Location::Local,
            Location::Cloud => policy::Location::Cloud,
        },
        price: live.model.price.map(|price| policy::Price { input: price.input.0, output: price.output.0 }),
        context_window: live.model.context_window,
        capabilities: live.model.capabilities.iter().fold(policy::Capabilities::empty(), |set, capability| {
            set | match capability {
                Capability::Tools => policy::Capabilities::TOOLS,
                Capability::Images => policy::Capabilities::IMAGES,
                Capability::StructuredOutput => policy::Capabilities::STRUCTURED_OUTPUT,
            }
        }),
        health: match live.backend.health().state() {
            HealthState::Unknown => Health::Unknown,
            HealthState::Healthy => Health::Healthy,
            HealthState::Degraded => Health::Degraded,
            HealthState::Down => Health::Down,
        },
        breaker,
        in_flight: live.backend.in_flight(),
        observed: live.recent.observed().map(|observed| policy::Observed {
            latency: observed.latency,
            time_to_first_token: observed.time_to_first_token,
            tokens_per_second: observed.tokens_per_second,
        }),
        estimate,
    }
}
