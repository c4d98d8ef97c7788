//! A candidate in two parts: facts from the configuration, and observations at one moment.

use super::contract::types::{Breaker, Candidate, Capabilities, CostEstimate, Health, Location, Observed, Price};

/// The configured facts of a model.
#[derive(Debug, Clone)]
pub struct ModelFacts {
    /// Its name.
    pub model: String,
    /// The name of its backend.
    pub backend: String,
    /// On whose hardware it runs.
    pub location: Location,
    /// Its price; `None` if unpriced.
    pub price: Option<Price>,
    /// Maximum tokens of input and output together.
    pub context_window: Option<u32>,
    /// What it can do besides text.
    pub capabilities: Capabilities,
}

/// What was observed of a model at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// Whether its backend answers.
    pub health: Health,
    /// The state of its breaker.
    pub breaker: Breaker,
    /// Requests in flight at its backend.
    pub in_flight: u32,
    /// Latency and speed of recent calls.
    pub observed: Option<Observed>,
}

impl Default for Observation {
    /// A healthy model that has not been called yet.
    fn default() -> Self {
        Self { health: Health::Healthy, breaker: Breaker::Closed, in_flight: 0, observed: None }
    }
}

impl From<&Candidate<'_>> for Observation {
    fn from(candidate: &Candidate<'_>) -> Self {
        Self {
            health: candidate.health,
            breaker: candidate.breaker,
            in_flight: candidate.in_flight,
            observed: candidate.observed,
        }
    }
}

impl From<&Candidate<'_>> for ModelFacts {
    fn from(candidate: &Candidate<'_>) -> Self {
        Self {
            model: candidate.model.to_owned(),
            backend: candidate.backend.to_owned(),
            location: candidate.location,
            price: candidate.price,
            context_window: candidate.context_window,
            capabilities: candidate.capabilities,
        }
    }
}

impl ModelFacts {
    /// The candidate as policies see it.
    #[must_use]
    pub fn candidate(&self, now: Observation, estimate: Option<CostEstimate>) -> Candidate<'_> {
        Candidate {
            model: &self.model,
            backend: &self.backend,
            location: self.location,
            price: self.price,
            context_window: self.context_window,
            capabilities: self.capabilities,
            health: now.health,
            breaker: now.breaker,
            in_flight: now.in_flight,
            observed: now.observed,
            estimate,
        }
    }
}
