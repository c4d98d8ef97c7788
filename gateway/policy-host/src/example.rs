//! A request that a policy failed, kept so that another version can be asked the same.
//!
//! This module must not know: why it is kept, what follows from the answers.

use super::candidates::{ModelFacts, Observation};
use super::component::Policy;
use super::contract::types::{Candidate, CostEstimate, Request};
use super::failure::PolicyFailure;
use super::hook::Hook;
use super::request::OwnedRequest;

/// See the module.
#[derive(Debug)]
pub struct Example {
    request: OwnedRequest,
    candidates: Vec<(ModelFacts, Observation, Option<CostEstimate>)>,
}

impl Example {
    /// A copy of a request and its candidates.
    #[must_use]
    pub fn of(request: &Request<'_>, candidates: &[Candidate<'_>]) -> Self {
        let owned = |candidate: &Candidate<'_>| (candidate.into(), candidate.into(), candidate.estimate);
        Self { request: request.into(), candidates: candidates.iter().map(owned).collect() }
    }

    /// Asks a policy the same.
    ///
    /// # Errors
    /// If the policy fails, too.
    pub async fn ask(&self, policy: &Policy) -> Result<(), PolicyFailure> {
        let lists = self.request.lists();
        let request = self.request.request(&lists);
        let candidates = self.candidates.iter().map(|(facts, now, estimate)| facts.candidate(*now, *estimate));
        let candidates: Vec<_> = candidates.collect();
        match policy.hook() {
            Hook::Routing => policy.route(request, &candidates).await.map(|_| ()),
            Hook::Cost => policy.estimate(request, &candidates).await.map(|_| ()),
        }
    }
}
