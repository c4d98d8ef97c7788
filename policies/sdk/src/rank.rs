//! Ranks candidates: which can take a request at all, and in which order.
//!
//! A ranking is a list of indexes into the candidates. The helpers here reorder and never drop: a
//! candidate that is down now may be the last resort a second later.

use crate::{Breaker, Candidate, Capabilities, Health, Request};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// Why a candidate should not get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its backend does not answer.
    Down,
    /// Its circuit breaker is open.
    BreakerOpen,
    /// The prompt and the requested output do not fit its context window.
    ContextWindow,
    /// The request offers tools, and the model cannot call them.
    Tools,
    /// The request contains images, and the model cannot read them.
    Images,
    /// The client wants the answer in a format, and the model cannot be held to one.
    StructuredOutput,
}

impl fmt::Display for Obstacle {
    /// What follows the candidate's name: "phi2 is down".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "is down",
            Self::BreakerOpen => "has an open breaker",
            Self::ContextWindow => "has too small a context window",
            Self::Tools => "cannot call tools",
            Self::Images => "cannot read images",
            Self::StructuredOutput => "cannot be held to an output format",
        })
    }
}

/// Why `candidate` cannot answer `request`, the gravest reason first.
pub fn obstacle(request: &Request, candidate: &Candidate) -> Option<Obstacle> {
    // Any sum of two u32 fits in a u64. Without a limit from the client, only the prompt counts.
    let tokens = u64::from(request.prompt_tokens) + u64::from(request.max_tokens.unwrap_or(0));
    let lacks = |capability| !candidate.capabilities.contains(capability);
    if candidate.health == Health::Down {
        Some(Obstacle::Down)
    } else if candidate.breaker == Breaker::Open {
        Some(Obstacle::BreakerOpen)
    } else if candidate.context_window.is_some_and(|window| tokens > u64::from(window)) {
        Some(Obstacle::ContextWindow)
    } else if request.tools && lacks(Capabilities::TOOLS) {
        Some(Obstacle::Tools)
    } else if request.images && lacks(Capabilities::IMAGES) {
        Some(Obstacle::Images)
    } else if request.structured_output && lacks(Capabilities::STRUCTURED_OUTPUT) {
        Some(Obstacle::StructuredOutput)
    } else {
        None
    }
}

/// Whether `candidate` can answer `request`.
pub fn able(request: &Request, candidate: &Candidate) -> bool {
    obstacle(request, candidate).is_none()
}

/// Every candidate, in the gateway's order.
pub fn given(candidates: &[Candidate]) -> Vec<u32> {
    (0..candidates.len() as u32).collect()
}

/// Every candidate, sorted by `compare`; those that compare equal stay in the given order.
pub fn sorted(candidates: &[Candidate], mut compare: impl FnMut(&Candidate, &Candidate) -> Ordering) -> Vec<u32> {
    let mut ranking = given(candidates);
    ranking.sort_by(|&a, &b| compare(&candidates[a as usize], &candidates[b as usize]));
    ranking
}

/// Moves the candidates that cannot take the request to the end of a ranking, otherwise in order.
pub fn able_first(request: &Request, candidates: &[Candidate], mut ranking: Vec<u32>) -> Vec<u32> {
    let unable = |index: u32| !able(request, &candidates[index as usize]);
    if ranking.iter().any(|&index| unable(index)) {
        ranking.sort_by_cached_key(|&index| unable(index));
    }
    ranking
}

/// How strained an able candidate is: 0 normally, 1 if its recent calls failed. A backend without calls so far counts
/// as 0, and so does one with a half-open breaker: the gateway sends one of its requests as a trial, and the others to
/// the next candidate of the ranking.
pub fn strain(candidate: &Candidate) -> u8 {
    u8::from(candidate.health == Health::Degraded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{candidate, request};
    use alloc::vec;

    #[test]
    fn obstacles() {
        let mut ask = request("hello");
        let mut model = candidate("phi2");
        assert_eq!(obstacle(&ask, &model), None);
        (ask.tools, ask.images) = (true, true);
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::Tools));
        model.capabilities = Capabilities::TOOLS;
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::Images));
        (ask.prompt_tokens, ask.max_tokens, model.context_window) = (60, Some(40), Some(100));
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::Images));
        ask.max_tokens = Some(41);
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::ContextWindow));
        (ask.prompt_tokens, ask.max_tokens) = (u32::MAX, Some(u32::MAX));
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::ContextWindow));
        model.breaker = Breaker::Open;
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::BreakerOpen));
        model.health = Health::Down;
        assert_eq!(obstacle(&ask, &model), Some(Obstacle::Down));
    }

    #[test]
    fn those_that_cannot_go_last_and_keep_their_order() {
        let mut models = vec![candidate("a"), candidate("b"), candidate("c"), candidate("d")];
        models[0].health = Health::Down;
        models[2].breaker = Breaker::Open;
        assert_eq!(able_first(&request("x"), &models, vec![2, 3, 0, 1]), [3, 1, 2, 0]);
    }
}
