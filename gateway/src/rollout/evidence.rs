//! Which calls of a version are evidence about it, and a sample of the requests that it failed.
//!
//! A request's own size or shape can make a policy fail. Such failures are not the version's, so they must not cost it its
//! traffic. Two rules tell them apart:
//! - Failures of requests far larger than the samples that each version has passed do not count, and neither does their time.
//! - What counts is compared before it has consequences: the control task asks another version (the earlier one, or the active
//!   one for a canary) the same requests. Failures that it shares are the requests' own.
//!
//! This module must not know: the rules on counts, who compares.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use wasmgate_policy_host::{Candidate, Example, FailureClass, Request};

/// Up to this size a request is ordinary, in bytes as a policy is shown it. The largest sample has some 5 KiB.
pub const ORDINARY_BYTES: usize = 32 << 10;
/// Above this size, in bytes, a call says nothing about a version.
pub const COMPARABLE_BYTES: usize = 128 << 10;
/// Failed requests that are kept of a version: 1 MiB of texts at most.
const EXAMPLES: usize = 8;

/// Whether a call of a request of this size counts for or against the version; `failed` is the class of its failure.
#[must_use]
pub fn counts(failed: Option<FailureClass>, bytes: usize) -> bool {
    let up_to = match failed {
        // The gateway did not call the version, or had no instance for it.
        Some(FailureClass::Saturated | FailureClass::BreakerOpen) => return false,
        // A larger request needs more of these. A script's own limits are among the guest's errors.
        Some(
            FailureClass::Timeout | FailureClass::OutOfMemory | FailureClass::HostcallLimit | FailureClass::GuestError,
        ) => ORDINARY_BYTES,
        Some(FailureClass::Trap | FailureClass::InvalidDecision | FailureClass::Host) | None => COMPARABLE_BYTES,
    };
    bytes <= up_to
}

/// A uniform sample of the failed requests that counted, since it was last cleared.
#[derive(Debug, Default)]
pub struct Evidence {
    kept: Mutex<Kept>,
    random: RandomState,
}

#[derive(Debug, Default)]
struct Kept {
    seen: u64,
    examples: Vec<Arc<Example>>,
}

impl Evidence {
    /// Notes a failed request. Copies it if it becomes part of the sample: the first ones always, later ones ever more
    /// rarely.
    pub fn note(&self, request: &Request<'_>, candidates: &[Candidate<'_>]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seen += 1;
        // Reservoir sampling: each failure is kept with the same probability, whoever sent it and when.
        let place = match kept.examples.len() {
            few @ 0..EXAMPLES => few,
            _ => usize::try_from(self.random.hash_one(kept.seen) % kept.seen).unwrap_or(usize::MAX),
        };
        if place < EXAMPLES {
            let example = Arc::new(Example::of(request, candidates));
            match kept.examples.get_mut(place) {
                Some(old) => *old = example,
                None => kept.examples.push(example),
            }
        }
    }

    /// The sample.
    #[must_use]
    pub fn examples(&self) -> Vec<Arc<Example>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).examples.clone()
    }

    /// Clears the sample.
    pub fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_policy_host::OwnedRequest;

    #[test]
    fn only_requests_of_a_comparable_size_count() {
        for class in FailureClass::ALL {
            let up_to = match class {
                FailureClass::Saturated | FailureClass::BreakerOpen => None,
                FailureClass::Trap | FailureClass::InvalidDecision | FailureClass::Host => Some(COMPARABLE_BYTES),
                _ => Some(ORDINARY_BYTES),
            };
            for bytes in [0, ORDINARY_BYTES, ORDINARY_BYTES + 1, COMPARABLE_BYTES, COMPARABLE_BYTES + 1] {
                assert_eq!(counts(Some(class), bytes), up_to.is_some_and(|up_to| bytes <= up_to), "{class:?} {bytes}");
            }
        }
        assert!(counts(None, COMPARABLE_BYTES) && !counts(None, COMPARABLE_BYTES + 1));
    }

    #[test]
    fn the_sample_is_bounded_and_represents_all_failures() {
        let evidence = Evidence::default();
        let noted = |id: &str| {
            let request = OwnedRequest { id: id.to_owned(), ..OwnedRequest::default() };
            let lists = request.lists();
            evidence.note(&request.request(&lists), &[]);
        };
        let mut late = 0;
        for _ in 0..200 {
            (0..50).for_each(|_| noted("early"));
            (0..50).for_each(|_| noted("late"));
            let examples = evidence.examples();
            assert_eq!(examples.len(), EXAMPLES);
            late += examples.iter().filter(|example| format!("{example:?}").contains("late")).count();
            evidence.clear();
            assert!(evidence.examples().is_empty());
        }
        // 800 of 1,600 are expected; ten standard deviations are 200.
        assert!((600..1000).contains(&late), "{late} of 1600 are from the second half");
    }
}
