//! A model that may answer, as a policy sees it: the configured model, and what was observed of it at this moment.

use crate::bindings::routing::wasmgate::policy::types;
use crate::{Breaker, Capabilities, Health, Location, Model, Price};
use alloc::string::String;

/// A number of tokens, a cost, and a time that are not known, in the contract.
const UNKNOWN_TOKENS: u32 = u32::MAX;
const UNKNOWN_COST: u64 = u64::MAX;
const UNKNOWN_TIME: f64 = 0.0;

/// What recent calls of a model took. Moving averages that weigh recent calls more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Whole call, in seconds, above 0.
    pub latency: f64,
    /// From the call to its first token, in seconds, above 0. `None` until a stream was seen.
    pub time_to_first_token: Option<f64>,
    /// Output tokens a second once they flow, above 0. `None` until a stream was seen.
    pub tokens_per_second: Option<f64>,
}

/// What a cost policy expects of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostEstimate {
    /// Expected input tokens.
    pub input_tokens: u32,
    /// Expected output tokens.
    pub output_tokens: u32,
    /// Expected cost in nano-dollars. `None` where the candidate is unpriced.
    pub cost: Option<u64>,
}

/// A model that may answer this request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The configured name of the model; unique among the candidates.
    pub model: &'a str,
    /// The configured name of the backend that serves it; several models may share one.
    pub backend: &'a str,
    /// Where the model runs.
    pub location: Location,
    /// What it charges. `None` means unpriced, which is not free: free is a price of 0.
    pub price: Option<Price>,
    /// The longest input and output together, in tokens, above 0. `None` where not configured.
    pub context_window: Option<u32>,
    /// What it can do besides text.
    pub capabilities: Capabilities,
    /// The operator's labels for it: name, value.
    pub labels: &'a [(String, String)],
    /// What probes and traffic say of its backend.
    pub health: Health,
    /// The state of its breaker.
    pub breaker: Breaker,
    /// Requests that the gateway has under way to its backend, this one not counted.
    pub in_flight: u32,
    /// How much of the time that its answer may take is left, in seconds, 0 or more.
    pub time_left: f64,
    /// What recent calls took. `None` until one ended.
    pub observed: Option<Observed>,
    /// What the cost policy expects of this request on this model. `None` for a cost policy, and for a routing policy where
    /// the cost policy failed.
    pub estimate: Option<CostEstimate>,
}

impl<'a> Candidate<'a> {
    /// The value of one of the operator's labels for the model.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The candidate from what the gateway passes, and its model.
    // Inlined, it is written where it stays: a copy of so large a value costs more than all of its fields.
    #[inline(always)]
    pub(crate) fn lifted(candidate: &types::Candidate, model: &'a Model) -> Self {
        let known = |time: f64| (time > UNKNOWN_TIME).then_some(time);
        let estimate = &candidate.estimate;
        Self {
            model: &model.name,
            backend: &model.backend,
            location: model.location,
            price: model.price,
            context_window: model.context_window,
            capabilities: model.capabilities,
            labels: &model.labels,
            health: match candidate.health {
                1 => Health::Healthy,
                2 => Health::Degraded,
                3 => Health::Down,
                _ => Health::Unknown,
            },
            breaker: match candidate.breaker {
                1 => Breaker::HalfOpen,
                2 => Breaker::Open,
                _ => Breaker::Closed,
            },
            in_flight: candidate.in_flight,
            time_left: candidate.time_left,
            observed: known(candidate.latency).map(|latency| Observed {
                latency,
                time_to_first_token: known(candidate.time_to_first_token),
                tokens_per_second: known(candidate.tokens_per_second),
            }),
            estimate: (estimate.input_tokens != UNKNOWN_TOKENS).then_some(CostEstimate {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                cost: Some(estimate.cost).filter(|&cost| cost != UNKNOWN_COST),
            }),
        }
    }
}

impl From<CostEstimate> for types::CostEstimate {
    fn from(estimate: CostEstimate) -> Self {
        Self {
            input_tokens: estimate.input_tokens,
            output_tokens: estimate.output_tokens,
            cost: estimate.cost.unwrap_or(UNKNOWN_COST),
        }
    }
}
