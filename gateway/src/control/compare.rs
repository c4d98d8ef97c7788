//! Before failures cost a version its traffic, another version is asked the requests that it failed: the earlier one for an
//! active version, the active one for a canary. Failures that both share are the requests' own.
//!
//! A version that fails large requests alone is found in the same way, but by their own count: among all calls they are few.
//!
//! The comparison runs in the background. Until it ends the version is called as before, and a failure has the consequence
//! that the operator chose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::operations::{Job, JobDone};
use super::{Control, Done};
use crate::rollout::evidence::Size;
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::Revision;
use crate::rollout::stats::Counts;
use crate::state::Version;
use wasmgate_policy_host::{Example, FailureClass, Policy};

/// A slot's comparison.
#[derive(Debug)]
pub(super) enum Comparison {
    /// It runs.
    Running,
    /// The last one cleared the version; no other begins before this moment.
    NotBefore(Instant),
}

/// The result of a comparison.
pub(super) struct Compared {
    slot: Slot,
    version: Arc<Version>,
    size: Size,
    /// What the rules saw.
    counts: Counts,
    reason: String,
    /// The number of requests that were compared.
    examples: usize,
    /// Those that are the version's own failures.
    own: usize,
    with: String,
    /// The load of the earlier version, if the version was active.
    earlier: Option<JobDone>,
}

impl Control {
    /// Whether a comparison may begin in a slot.
    pub(super) fn may_compare(&self, slot: &Slot) -> bool {
        match self.slots.get(slot).and_then(|entry| entry.comparison.as_ref()) {
            None => true,
            Some(Comparison::Running) => false,
            Some(Comparison::NotBefore(moment)) => *moment <= Instant::now(),
        }
    }

    /// Compares an active version with the one before it.
    pub(super) fn compare_with_earlier(
        &mut self,
        slot: &Slot,
        version: Arc<Version>,
        earlier: Revision,
        (size, counts): (Size, Counts),
        reason: String,
    ) {
        let with = format!("{}@{}", earlier.policy, earlier.version);
        let load = self.stored(Job::StepBack { reason: reason.clone() }, slot.clone(), earlier);
        let of = slot.clone();
        self.compare(slot, async move {
            let done = load.await;
            let examples = version.evidence.examples(size);
            let own = match &done.outcome {
                Ok(loaded) => own(&examples, size, &version.policy, &loaded.policy).await,
                // Nothing shows that failures of large requests are its own.
                Err(_) if size == Size::Large => 0,
                Err(_) => examples.len(),
            };
            let examples = examples.len();
            Compared { slot: of, version, size, counts, reason, examples, own, with, earlier: Some(done) }
        });
    }

    /// Compares a canary with the active version.
    pub(super) fn compare_with_active(
        &mut self,
        slot: &Slot,
        canary: Arc<Version>,
        active: Arc<Version>,
        (size, counts): (Size, Counts),
        reason: String,
    ) {
        let of = slot.clone();
        self.compare(slot, async move {
            let examples = canary.evidence.examples(size);
            let own = own(&examples, size, &canary.policy, &active.policy).await;
            let (examples, with) = (examples.len(), active.label.clone());
            Compared { slot: of, version: canary, size, counts, reason, examples, own, with, earlier: None }
        });
    }

    fn compare(&mut self, slot: &Slot, comparison: impl Future<Output = Compared> + Send + 'static) {
        self.slots.entry(slot).comparison = Some(Comparison::Running);
        self.jobs.spawn(async move { Done::Compared(Box::new(comparison.await)) });
    }

    /// Applies the result: the rules judge again, with the version's own failures only.
    pub(super) fn compared(&mut self, compared: Compared) {
        let Compared { slot, version, size, counts, reason, examples, own, with, earlier } = compared;
        // It may have been replaced meanwhile.
        if !self.slots.version(&slot).is_some_and(|loaded| Arc::ptr_eq(loaded, &version)) {
            return;
        }
        self.slots.entry(&slot).comparison = None;
        let own_failures = match (size, examples) {
            // Without a sample nothing shows that they are its own.
            (Size::Large, 0) => 0,
            _ => share(counts.failures, own, examples),
        };
        let own_counts = Counts { failures: own_failures, ..counts };
        match earlier {
            None => {
                if let Some(verdict) = self.canary_verdict(&slot, &own_counts) {
                    return self.abort_canary(&slot, &version, size.sentence(verdict));
                }
            }
            Some(done) => {
                if self.config.hook(slot.hook).breaker.verdict(&own_counts).is_some() {
                    self.open_breaker(&slot, &version, &reason);
                    return match done.outcome {
                        Ok(_) => self.stepped_back(reason, done),
                        Err(_) => self.step_back(&slot, reason),
                    };
                }
            }
        }
        match size {
            Size::Ordinary => version.stats.clear_failures(),
            Size::Large => version.stats.clear_large_failures(),
        }
        version.evidence.clear(size);
        let pause = Duration::from_secs(self.config.hook(slot.hook).breaker.retry_seconds);
        self.slots.entry(&slot).comparison = Some(Comparison::NotBefore(Instant::now() + pause));
        tracing::warn!(
            %slot,
            policy = version.label,
            reason,
            with,
            compared = examples,
            shared = examples - own,
            "policy keeps its traffic: the requests that it failed fail in the other version too"
        );
    }
}

/// How often a version must fail a large request anew, so that the failure is not one of a busy machine.
const ANEW: usize = 2;

/// How many of the requests another version decides. If it has no instance for one, that says nothing in favour of the first,
/// unless the request is large: then the other must decide it, and the first must fail it anew.
async fn own(examples: &[Arc<Example>], size: Size, first: &Policy, other: &Policy) -> usize {
    let mut own = 0;
    for example in examples {
        let is_own = match (example.ask(other).await, size) {
            (Ok(()), Size::Ordinary) => true,
            (Err(failure), Size::Ordinary) => failure.class == FailureClass::Saturated,
            (Ok(()), Size::Large) => fails_anew(example, first).await,
            (Err(_), Size::Large) => false,
        };
        own += usize::from(is_own);
    }
    own
}

async fn fails_anew(example: &Example, policy: &Policy) -> bool {
    for _ in 0..ANEW {
        match example.ask(policy).await {
            Err(failure) if failure.class != FailureClass::Saturated => {}
            Ok(()) | Err(_) => return false,
        }
    }
    true
}

/// The failures that are the version's own: their share in the sample, rounded up. Without a sample, all of them.
fn share(failures: u64, own: usize, examples: usize) -> u64 {
    match examples as u64 {
        0 => failures,
        examples => (failures * own as u64).div_ceil(examples),
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn own_failures_are_in_proportion_to_the_sample() {
        for (failures, own, examples, expected) in
            [(20, 8, 8, 20), (20, 0, 8, 0), (20, 4, 8, 10), (3, 1, 8, 1), (7, 0, 0, 7), (1, 1, 1, 1)]
        {
            assert_eq!(share(failures, own, examples), expected, "{own} of {examples}");
        }
    }
}
