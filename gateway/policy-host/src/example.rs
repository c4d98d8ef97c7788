//! A request that a policy failed, kept so that another version can be asked the same.
//!
//! This module must not know: why it is kept, what follows from the answers.

use super::candidates::{Candidate, Models};
use super::component::Policy;
use super::failure::PolicyFailure;
use super::hook::Hook;
use super::request::{OwnedRequest, Request};

/// See the module.
#[derive(Debug)]
pub struct Example {
    request: OwnedRequest,
    models: Models,
    candidates: Vec<Candidate>,
}

impl Example {
    /// A copy of a request and its candidates, which are of `models`.
    #[must_use]
    pub fn of(request: &Request<'_>, models: &Models, candidates: &[Candidate]) -> Self {
        Self { request: request.into(), models: models.clone(), candidates: candidates.to_vec() }
    }

    /// Asks a policy the same.
    ///
    /// # Errors
    /// If the policy fails, too.
    pub async fn ask(&self, policy: &Policy) -> Result<(), PolicyFailure> {
        let lists = self.request.lists();
        let request = self.request.request(&lists);
        match policy.hook() {
            Hook::Routing => policy.route(&request, &self.models, &self.candidates).await.map(|_| ()),
            Hook::Cost => policy.estimate(&request, &self.models, &self.candidates).await.map(|_| ()),
        }
    }
}
