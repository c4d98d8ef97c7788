//! From a model at work to the candidate that policies see.

use std::time::Instant;

use crate::backend::LiveModel;
use crate::backend::{BreakerState, Capability, HealthState, Location};
use crate::policy_host;
use crate::policy_host::{Candidate, CostEstimate, Health};

/// A model as policies see it.
#[must_use]
pub(super) fn candidate(live: &LiveModel, estimate: Option<CostEstimate>) -> Candidate<'_> {
    let breaker = match live.breaker.state(Instant::now()) {
        BreakerState::Closed => policy_host::Breaker::Closed,
        BreakerState::HalfOpen => policy_host::Breaker::HalfOpen,
        BreakerState::Open => policy_host::Breaker::Open,
    };
    Candidate {
        model: &live.model.name,
        backend: &live.backend.settings().name,
        location: match live.backend.settings().location {
            Location::Local => policy_host::Location::Local,
            Location::Cloud => policy_host::Location::Cloud,
        },
        price: live.model.price.map(|price| policy_host::Price { input: price.input.0, output: price.output.0 }),
        context_window: live.model.context_window,
        capabilities: live.model.capabilities.iter().fold(policy_host::Capabilities::empty(), |set, capability| {
            set | match capability {
                Capability::Tools => policy_host::Capabilities::TOOLS,
                Capability::Images => policy_host::Capabilities::IMAGES,
                Capability::StructuredOutput => policy_host::Capabilities::STRUCTURED_OUTPUT,
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
        observed: live.recent.observed().map(|observed| policy_host::Observed {
            latency: observed.latency,
            time_to_first_token: observed.time_to_first_token,
            tokens_per_second: observed.tokens_per_second,
        }),
        estimate,
    }
}
