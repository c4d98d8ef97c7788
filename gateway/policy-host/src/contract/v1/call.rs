//! Calls to a guest and their answers, in the types of the newest version.

use super::Verdict;
use super::types::{Candidate, CostEstimate, Manifest, Request};

/// A call to a guest.
pub(crate) enum Call<'a> {
    /// For its manifest.
    Describe,
    /// For the candidates that should answer.
    Route(Request<'a>, &'a [Candidate<'a>]),
    /// For the cost on each candidate.
    Estimate(Request<'a>, &'a [Candidate<'a>]),
}

/// A guest's answer, not yet validated.
pub(crate) enum Answer {
    /// To `Describe`.
    Manifest(Manifest),
    /// To `Route`.
    Verdict(Verdict),
    /// To `Estimate`.
    Estimates(Vec<CostEstimate>),
}
