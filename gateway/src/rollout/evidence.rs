//! Which calls of a version are evidence about it, and samples of the requests that it failed.
//!
//! A request's own size or shape can make a policy fail. Such failures are not the version's, so they must not cost it its
//! traffic. Two rules tell them apart:
//! - Failures of requests far larger than the samples that each version has passed are counted apart. Alone they prove nothing,
//!   and neither does their time.
//! - What counts is compared before it has consequences: the control task asks another version (the earlier one, or the active
//!   one for a canary) the same requests. Failures that it shares are the requests' own. A large request must in addition fail
//!   again in the version itself: a busy machine may have been the reason.
//!
//! This module must not know: the rules on counts, who compares.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmgate_policy_host::{Candidate, Example, FailureClass, Models, Request};

/// Up to this size a request is ordinary, in bytes as a policy is shown it. The largest sample has some 5 KiB.
pub const ORDINARY_BYTES: usize = 32 << 10;
/// Above this size, in bytes, no call counts among the others.
pub const COMPARABLE_BYTES: usize = 128 << 10;
/// Above this size, in bytes, no request is kept: a policy is shown a part of it, and smaller ones have the same effect.
const KEPT_BYTES: usize = 2 << 20;
/// Failed requests that are kept of a version: 1 MiB of texts at most.
const EXAMPLES: usize = 8;
/// Large ones that are kept: 8 MiB at most.
const LARGE_EXAMPLES: usize = 4;

/// Among which calls one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Those of requests of a size that a version must decide.
    Ordinary,
    /// Those of requests so large that only a comparison shows whose failure it is.
    Large,
}

impl Size {
    /// A verdict on the calls of these requests, as a sentence.
    #[must_use]
    pub fn sentence(self, verdict: String) -> String {
        match self {
            Self::Ordinary => verdict,
            Self::Large => format!("of requests above {} KiB: {verdict}", ORDINARY_BYTES >> 10),
        }
    }
}

/// Among which calls one counts that had a request of this size; `failed` is the class of its failure. `None`: it says nothing
/// about the version.
#[must_use]
pub fn weight(failed: Option<FailureClass>, bytes: usize) -> Option<Size> {
    let up_to = match failed {
        // The gateway did not call the version, or had no instance for it.
        Some(FailureClass::Saturated | FailureClass::BreakerOpen) => return None,
        // A larger request needs more of these. A script's own limits are among the guest's errors.
        Some(
            FailureClass::Timeout | FailureClass::OutOfMemory | FailureClass::HostcallLimit | FailureClass::GuestError,
        ) => ORDINARY_BYTES,
        Some(FailureClass::Trap | FailureClass::InvalidDecision | FailureClass::Host) | None => COMPARABLE_BYTES,
    };
    Some(if bytes <= up_to { Size::Ordinary } else { Size::Large })
}

/// Uniform samples of the failed requests since they were last cleared.
#[derive(Debug, Default)]
pub struct Evidence {
    ordinary: Mutex<Kept>,
    large: Mutex<Kept>,
    random: RandomState,
}

#[derive(Debug, Default)]
struct Kept {
    seen: u64,
    /// Failures since the start, so that each draw differs also after the sample was cleared.
    noted: u64,
    examples: Vec<Arc<Example>>,
}

impl Evidence {
    /// Notes a failed request. Copies it if it becomes part of the sample: the first ones always, later ones ever more
    /// rarely.
    pub fn note(&self, size: Size, bytes: usize, request: &Request<'_>, models: &Models, candidates: &[Candidate]) {
        if bytes > KEPT_BYTES {
            return;
        }
        let most = match size {
            Size::Ordinary => EXAMPLES,
            Size::Large => LARGE_EXAMPLES,
        };
        let mut kept = self.of(size);
        kept.seen += 1;
        kept.noted += 1;
        // Reservoir sampling: each failure is kept with the same probability, whoever sent it and when.
        let place = match kept.examples.len() {
            few if few < most => few,
            _ => usize::try_from(self.random.hash_one(kept.noted) % kept.seen).unwrap_or(usize::MAX),
        };
        if place < most {
            let example = Arc::new(Example::of(request, models, candidates));
            match kept.examples.get_mut(place) {
                Some(old) => *old = example,
                None => kept.examples.push(example),
            }
        }
    }

    /// A sample.
    #[must_use]
    pub fn examples(&self, size: Size) -> Vec<Arc<Example>> {
        self.of(size).examples.clone()
    }

    /// Clears a sample.
    pub fn clear(&self, size: Size) {
        let mut kept = self.of(size);
        (kept.seen, kept.examples) = (0, Vec::new());
    }

    fn of(&self, size: Size) -> MutexGuard<'_, Kept> {
        let kept = match size {
            Size::Ordinary => &self.ordinary,
            Size::Large => &self.large,
        };
        kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_policy_host::OwnedRequest;

    #[test]
    fn requests_count_by_their_size() {
        for class in FailureClass::ALL {
            let up_to = match class {
                FailureClass::Saturated | FailureClass::BreakerOpen => None,
                FailureClass::Trap | FailureClass::InvalidDecision | FailureClass::Host => Some(COMPARABLE_BYTES),
                _ => Some(ORDINARY_BYTES),
            };
            for bytes in [0, ORDINARY_BYTES, ORDINARY_BYTES + 1, COMPARABLE_BYTES, COMPARABLE_BYTES + 1] {
                let expected = up_to.map(|up_to| if bytes <= up_to { Size::Ordinary } else { Size::Large });
                assert_eq!(weight(Some(class), bytes), expected, "{class:?} {bytes}");
            }
        }
        assert_eq!(weight(None, COMPARABLE_BYTES), Some(Size::Ordinary));
        assert_eq!(weight(None, COMPARABLE_BYTES + 1), Some(Size::Large));
    }

    #[test]
    fn the_sample_is_bounded_and_represents_all_failures() {
        let evidence = Evidence::default();
        let noted = |id: &str| {
            let request = OwnedRequest { id: id.to_owned(), ..OwnedRequest::default() };
            let lists = request.lists();
            evidence.note(Size::Ordinary, 0, &request.request(&lists), &Models::new([]), &[]);
        };
        let mut late = 0;
        for _ in 0..200 {
            (0..50).for_each(|_| noted("early"));
            (0..50).for_each(|_| noted("late"));
            let examples = evidence.examples(Size::Ordinary);
            assert_eq!(examples.len(), EXAMPLES);
            late += examples.iter().filter(|example| format!("{example:?}").contains("late")).count();
            evidence.clear(Size::Ordinary);
            assert!(evidence.examples(Size::Ordinary).is_empty());
        }
        // 800 of 1,600 are expected; ten standard deviations are 200.
        assert!((600..1000).contains(&late), "{late} of 1600 are from the second half");
    }

    #[test]
    fn large_requests_are_kept_apart_and_the_largest_not_at_all() {
        let (evidence, request) = (Evidence::default(), OwnedRequest::default());
        let lists = request.lists();
        for bytes in [ORDINARY_BYTES + 1, KEPT_BYTES, KEPT_BYTES + 1] {
            for _ in 0..10 {
                evidence.note(Size::Large, bytes, &request.request(&lists), &Models::new([]), &[]);
            }
        }
        let lengths = [Size::Ordinary, Size::Large].map(|size| evidence.examples(size).len());
        assert_eq!((lengths, evidence.of(Size::Large).seen), ([0, LARGE_EXAMPLES], 20));
        evidence.clear(Size::Large);
        assert!(evidence.examples(Size::Large).is_empty());
    }
}
