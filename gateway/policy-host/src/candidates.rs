//! A candidate in two parts: a configured model, which every request shares, and what was observed of it at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::contract::types::{Breaker, Capabilities, Health, Location, Price};

/// The configured facts of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
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
    /// The operator's labels for it: name, value.
    pub labels: Vec<(String, String)>,
}

/// The configured models, in the configuration's order. Policies get them once and then only their positions.
#[derive(Debug, Clone)]
pub struct Models {
    /// Tells these models from all others of the process.
    id: u64,
    list: Arc<[Model]>,
}

impl Models {
    /// The models of a configuration.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = Model>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), list: list.into_iter().collect() }
    }

    /// These models if `list` has the same, so that policies need not be given them again.
    #[must_use]
    pub fn renewed(&self, list: impl IntoIterator<Item = Model>) -> Self {
        let new = Self::new(list);
        if new.list == self.list { self.clone() } else { new }
    }

    /// A number that no other models of this process have, above 0.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Model] {
        &self.list
    }

    /// The position of a model.
    pub(crate) fn position(&self, name: &str) -> Option<u32> {
        let position = self.list.iter().position(|model| model.name == name)?;
        u32::try_from(position).ok()
    }

    /// The model of a candidate of these models.
    #[must_use]
    pub fn of(&self, candidate: &Candidate) -> &Model {
        &self.list[candidate.model as usize]
    }
}

/// What recent calls of a model took: moving averages that weigh recent calls more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Whole call, in seconds, above 0.
    pub latency: f64,
    /// From the call to its first token, in seconds, above 0; `None` until a stream was seen.
    pub time_to_first_token: Option<f64>,
    /// Output tokens a second, above 0; `None` until a stream was seen.
    pub tokens_per_second: Option<f64>,
}

/// What a cost policy expects of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostEstimate {
    /// Expected input tokens.
    pub input_tokens: u32,
    /// Expected output tokens.
    pub output_tokens: u32,
    /// Expected cost in nano-dollars; `None` if the candidate is unpriced.
    pub cost: Option<u64>,
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

/// A model that may answer a request, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its position among the configured models.
    pub model: u32,
    /// What was observed of it.
    pub now: Observation,
    /// How much of the time that its answer may take is left, in seconds, 0 or more.
    pub time_left: f64,
    /// The cost policy's estimate; `None` for a cost policy, and if the cost policy failed.
    pub estimate: Option<CostEstimate>,
}
