//! Calls to a guest and their answers, whatever the contract's version.

use crate::candidates::{Candidate, CostEstimate, Models};
use crate::request::Request;
use crate::shown::Shown;
use crate::verdict::Verdict;

use super::types::Manifest;

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The request.
    pub(crate) request: &'a Request<'a>,
    /// What of it the policy is shown.
    pub(crate) shown: &'a Shown<'a>,
    /// The configured models.
    pub(crate) models: &'a Models,
    /// Those that may answer.
    pub(crate) candidates: &'a [Candidate],
}

/// A call to a guest.
#[derive(Clone, Copy)]
pub(crate) enum Call<'a> {
    /// For its manifest.
    Describe,
    /// For the candidates that should answer.
    Route(Question<'a>),
    /// For the cost on each candidate.
    Estimate(Question<'a>),
}

impl<'a> Call<'a> {
    /// What the call asks; `None` if it asks for the manifest.
    pub(crate) fn question(&self) -> Option<Question<'a>> {
        match self {
            Self::Describe => None,
            Self::Route(question) | Self::Estimate(question) => Some(*question),
        }
    }
}

/// A guest's answer, not yet validated.
pub(crate) enum Answer {
    /// To `Describe`.
    Manifest(Manifest),
    /// To `Route`; and the number of the manifest's reason with the numbers in it, in place of a text.
    Verdict(Verdict, Option<CodedReason>),
    /// To `Estimate`.
    Estimates(Vec<CostEstimate>),
}

/// A reason by its number in the manifest.
pub(crate) type CodedReason = (u32, Vec<f64>);
