//! What decides and what answers: models, policies and their metrics as one immutable value. A request takes it once
//! and keeps it to its end, so that no request sees half of a change.

use crate::catalog::Catalog;
use crate::config::OnFailure;
use crate::decision::LineLimit;
use crate::metrics::{ModelMetrics, PolicyMetrics};
use crate::money::Price;
use crate::policy::Policy;

/// See the module.
#[derive(Debug)]
pub struct Snapshot {
    /// The models and backends.
    pub catalog: Catalog,
    /// The routing policy.
    pub routing: Active,
    /// The cost policy.
    pub cost: Active,
    /// The series of each model, by position in the catalog.
    pub models: Vec<ModelMetrics>,
}

impl Snapshot {
    /// What a model charges; `None` where there is none or it is unpriced.
    #[must_use]
    pub fn price(&self, model: Option<usize>) -> Option<Price> {
        self.catalog.models()[model?].model.price
    }
}

/// A policy that decides.
#[derive(Debug)]
pub struct Active {
    /// The policy.
    pub policy: Policy,
    /// `name@version`.
    pub label: String,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// Its series.
    pub metrics: PolicyMetrics,
    /// Bounds its lines in the log when it fails.
    pub failure_lines: LineLimit,
}
