//! What a guest can be called for, and what it answers, in the types of the newest version.

use super::Verdict;
use super::types::{Candidate, CostEstimate, Manifest, Request};

/// What to ask a guest.
pub(crate) enum Call<'a> {
    /// Who it is.
    Describe,
    /// Which candidate.
    Route(Request<'a>, &'a [Candidate<'a>]),
    /// What it costs.
    Estimate(Request<'a>, &'a [Candidate<'a>]),
}

/// What it answered, unchecked.
pub(crate) enum Answer {
    /// To `Describe`.
    Manifest(Manifest),
    /// To `Route`.
    Verdict(Verdict),
    /// To `Estimate`.
    Estimates(Vec<CostEstimate>),
}
