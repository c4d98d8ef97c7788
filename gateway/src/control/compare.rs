//! Before failures cost a version its traffic, another version is asked the requests that it failed: the earlier one for an
//! active version, the active one for a canary. Failures that both share are the requests' own.
//!
//! The comparison runs in the background. Until it ends the version is called as before, and a failure has the consequence
//! that the operator chose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::operations::{Job, JobDone};
use super::{Control, Done};
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
    /// What the rules saw.
    counts: Counts,
    reason: String,
    /// The number of requests that were compared.
    examples: usize,
    /// Those that the other version did not fail.
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
        counts: Counts,
        reason: String,
    ) {
        let with = format!("{}@{}", earlier.policy, earlier.version);
        let load = self.stored(Job::StepBack { reason: reason.clone() }, slot.clone(), earlier);
        let of = slot.clone();
        self.compare(slot, async move {
            let done = load.await;
            let examples = version.evidence.examples();
            let own = match &done.outcome {
                Ok(loaded) => own(&examples, &loaded.policy).await,
                Err(_) => examples.len(),
            };
            let examples = examples.len();
            Compared { slot: of, version, counts, reason, examples, own, with, earlier: Some(done) }
        });
    }

    /// Compares a canary with the active version.
    pub(super) fn compare_with_active(
        &mut self,
        slot: &Slot,
        canary: Arc<Version>,
        active: Arc<Version>,
        counts: Counts,
        reason: String,
    ) {
        let of = slot.clone();
        self.compare(slot, async move {
            let examples = canary.evidence.examples();
            let own = own(&examples, &active.policy).await;
            let (examples, with) = (examples.len(), active.label.clone());
            Compared { slot: of, version: canary, counts, reason, examples, own, with, earlier: None }
        });
    }

    fn compare(&mut self, slot: &Slot, comparison: impl Future<Output = Compared> + Send + 'static) {
        self.slots.entry(slot).comparison = Some(Comparison::Running);
        self.jobs.spawn(async move { Done::Compared(Box::new(comparison.await)) });
    }

    /// Applies the result: the rules judge again, with the version's own failures only.
    pub(super) fn compared(&mut self, compared: Compared) {
        let Compared { slot, version, counts, reason, examples, own, with, earlier } = compared;
        // It may have been replaced meanwhile.
        if !self.slots.version(&slot).is_some_and(|loaded| Arc::ptr_eq(loaded, &version)) {
            return;
        }
        self.slots.entry(&slot).comparison = None;
        let own_counts = Counts { failures: share(counts.failures, own, examples), ..counts };
        match earlier {
            None => {
                if let Some(reason) = self.canary_verdict(&slot, &own_counts) {
                    return self.abort_canary(&slot, &version, reason);
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
        version.stats.clear_failures();
        version.evidence.clear();
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

/// How many of the requests another version decides. If it has no instance for one, that says nothing in favour of the first.
async fn own(examples: &[Arc<Example>], other: &Policy) -> usize {
    let mut own = 0;
    for example in examples {
        match example.ask(other).await {
            Err(failure) if failure.class != FailureClass::Saturated => {}
            Ok(()) | Err(_) => own += 1,
        }
    }
    own
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
