//! Automatic rollback: the policy circuit breaker and canary analysis. A failing active version is replaced by the
//! version before it; if there is none, the gateway's default decides until the policy decides its samples again. If there is
//! one, the two are compared first (`compare`): a request's own failure costs no version its traffic.
//! Nothing here ever gives a version more traffic than it had.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::desired::Loaded;
use super::operations::{Job, JobDone};
use super::{About, By, Control};
use crate::metrics::Reload;
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::api::Refusal;
use crate::rollout::evidence::Size;
use crate::rollout::slot::Slot;
use crate::rollout::stats::{Counts, KEPT};
use crate::state::Version;
use wasmgate_policy_host::{Hook, PolicyFailure, Stage};

/// An open breaker.
#[derive(Debug, Default)]
pub(super) struct OpenBreaker {
    /// Openings and failed probes in a row.
    times: u32,
    /// Time of the next probe with the samples; `None` during a probe and once the breaker is closed.
    next_try: Option<Instant>,
    /// When the breaker last closed.
    closed: Option<Instant>,
}

impl Control {
    /// Applies the breaker and abort rules to the recent calls of each active version and canary, and starts due
    /// probes.
    pub(super) fn judge(&mut self) {
        for hook in Hook::ALL {
            self.judge_canary(&Slot::canary(hook));
            self.judge_active(&Slot::active(hook));
        }
        self.try_samples();
    }

    fn judge_active(&mut self, slot: &Slot) {
        let breaker = self.config.hook(slot.hook).breaker;
        let Some(version) = self.slots.version(slot).cloned() else { return };
        if version.is_open() {
            return;
        }
        let (counts, large) = (version.stats.counts(breaker.window()), version.stats.large());
        let found = breaker.verdict(&counts).map(|reason| (Size::Ordinary, counts, reason)).or_else(|| {
            let reason = BreakerRules { window_seconds: KEPT.as_secs(), ..breaker }.verdict(&large)?;
            Some((Size::Large, large, Size::Large.sentence(reason)))
        });
        let Some((size, counts, reason)) = found else { return };
        let earlier = self.slots.state(slot).and_then(|state| state.earlier(None).ok()).cloned();
        match (earlier, size) {
            (Some(earlier), _) if self.may_compare(slot) => {
                self.compare_with_earlier(slot, version, earlier, (size, counts), reason);
            }
            // Only a comparison shows whose failures those of large requests are.
            (Some(_), _) | (None, Size::Large) => {}
            (None, Size::Ordinary) => self.open_breaker(slot, &version, &reason),
        }
    }

    /// Opens a version's breaker: from now on no request calls it.
    pub(super) fn open_breaker(&mut self, slot: &Slot, version: &Version, reason: &str) {
        version.open.store(true, Ordering::Relaxed);
        let breaker = self.config.hook(slot.hook).breaker;
        let window = breaker.window();
        let opening = self.slots.entry(slot).breaker.get_or_insert_default();
        let calm = opening.closed.is_some_and(|closed| closed.elapsed() > 2 * window + breaker.pause(opening.times));
        opening.times = if calm { 1 } else { opening.times + 1 };
        opening.next_try = Some(Instant::now() + breaker.pause(opening.times));
        let pause = breaker.pause(opening.times).as_secs();
        tracing::error!(%slot, policy = version.label, reason, "breaker open: the policy is not called");
        self.changed(slot, "opened", By::Breaker, format!("{reason}; next probe of its samples in {pause} s"));
    }

    /// Loads the version before the one that failed, if there is one.
    pub(super) fn step_back(&mut self, slot: &Slot, reason: String) {
        let earlier = self.slots.state(slot).and_then(|state| state.earlier(None).ok()).cloned();
        if let Some(earlier) = earlier {
            let job = self.stored(Job::StepBack { reason }, slot.clone(), earlier);
            self.spawn(job);
        }
    }

    /// Deploys the version before the one that failed, if it loaded.
    pub(super) fn stepped_back(&mut self, reason: String, done: JobDone) {
        let JobDone { slot, spec, outcome, .. } = done;
        // The breaker may have closed, or the version been replaced, meanwhile.
        if !self.slots.version(&slot).is_some_and(|version| version.is_open()) {
            return;
        }
        match outcome {
            Ok(Loaded { policy, .. }) => {
                let refusal = refusal("rolled_back", reason.clone());
                self.count(&slot, Reload::RolledBack);
                let version = self.version(policy, &spec);
                let revision = self.revision(&version, spec);
                tracing::warn!(%slot, policy = version.label, reason, "rolled back to the earlier version");
                self.put_in_slot(&slot, version, By::Breaker, |state| {
                    state.roll_back(revision, refusal, true);
                });
                self.changed(&slot, "rolled_back", By::Breaker, reason);
            }
            // A version missing from the store will not come back. Any other error may be temporary: the next failed
            // probe retries the load.
            Err(error) if error.stage == Stage::Observed => {
                tracing::warn!(%slot, %error, "an earlier version is no longer in the store; it is dropped");
                if let Some(entry) = self.slots.get_mut(&slot) {
                    entry.state.forget(&spec.identity());
                }
                self.step_back(&slot, reason);
            }
            Err(error) => tracing::warn!(%slot, %error, "the earlier version does not load; the breaker stays open"),
        }
    }

    fn judge_canary(&mut self, slot: &Slot) {
        let Some(canary) = self.slots.version(slot).filter(|_| self.is_enabled(slot)).cloned() else { return };
        let counts = canary.stats.counts(self.abort_rules(slot).window());
        let active = self.slots.version(&Slot::active(slot.hook)).cloned();
        let Some(reason) = self.canary_verdict(slot, &counts) else {
            let large = canary.stats.large();
            if let (Some(reason), Some(active)) = (self.canary_verdict(slot, &large), active)
                && self.may_compare(slot)
            {
                self.compare_with_active(slot, canary, active, (Size::Large, large), Size::Large.sentence(reason));
            }
            return;
        };
        match (self.canary_verdict(slot, &Counts { failures: 0, ..counts }), active) {
            // Its failures alone speak against it.
            (None, Some(active)) => {
                if self.may_compare(slot) {
                    self.compare_with_active(slot, canary, active, (Size::Ordinary, counts), reason);
                }
            }
            (Some(reason), _) => self.abort_canary(slot, &canary, reason),
            (None, None) => self.abort_canary(slot, &canary, reason),
        }
    }

    pub(super) fn abort_rules(&self, slot: &Slot) -> AbortRules {
        self.config.hook(slot.hook).canary.as_ref().map(|canary| canary.abort).unwrap_or_default()
    }

    /// The abort rules' verdict on a canary with these counts.
    pub(super) fn canary_verdict(&self, slot: &Slot, counts: &Counts) -> Option<String> {
        let abort = self.abort_rules(slot);
        let active = self.slots.version(&Slot::active(slot.hook));
        let active = active.map(|version| version.stats.counts(abort.window())).unwrap_or_default();
        abort.verdict(counts, &active)
    }

    /// Takes a canary's traffic.
    pub(super) fn abort_canary(&mut self, slot: &Slot, canary: &Arc<Version>, reason: String) {
        tracing::error!(%slot, policy = canary.label, reason, "canary aborted");
        self.count(slot, Reload::RolledBack);
        let refusal = refusal("aborted", reason.clone());
        self.event(Some(slot), "aborted", By::CanaryRules, reason);
        self.slots.unload(slot);
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.state.vacate(refusal);
        }
        self.publish();
        self.keep(Vec::new());
    }

    /// Probes each policy whose breaker has been open for its pause.
    fn try_samples(&mut self) {
        let mut due = Vec::new();
        for (slot, entry) in self.slots.iter_mut() {
            if let (Some(version), Some(breaker)) = (&entry.version, &mut entry.breaker)
                && version.is_open()
                && breaker.next_try.is_some_and(|next| next <= Instant::now())
            {
                breaker.next_try = None;
                due.push((slot.clone(), Arc::clone(version)));
            }
        }
        for (slot, version) in due {
            self.jobs.spawn(async move {
                let outcome = version.policy.probe().await.map(|_| ());
                super::Done::Probed(slot, version, outcome)
            });
        }
    }

    /// Closes the breaker if the probe passed, else extends its pause.
    pub(super) fn probed(&mut self, slot: Slot, version: Arc<Version>, outcome: Result<(), PolicyFailure>) {
        if !self.slots.version(&slot).is_some_and(|loaded| Arc::ptr_eq(loaded, &version)) {
            return;
        }
        let breaker = self.config.hook(slot.hook).breaker;
        let Some(opening) = self.slots.get_mut(&slot).and_then(|entry| entry.breaker.as_mut()) else { return };
        match outcome {
            Ok(()) => {
                opening.closed = Some(Instant::now());
                version.stats.clear();
                version.evidence.clear(Size::Ordinary);
                version.evidence.clear(Size::Large);
                version.open.store(false, Ordering::Relaxed);
                tracing::info!(%slot, policy = version.label, "breaker closed: the policy decided its samples");
                self.changed(&slot, "closed", By::Breaker, "the policy decided its samples".into());
            }
            Err(failure) => {
                opening.times += 1;
                let pause = breaker.pause(opening.times);
                opening.next_try = Some(Instant::now() + pause);
                tracing::warn!(%slot, policy = version.label, %failure, pause_seconds = pause.as_secs(), "breaker stays open");
                self.step_back(&slot, format!("the policy fails its samples: {failure}"));
            }
        }
    }
}

/// The refusal of a version that is taken out. The slot's state adds which one it is.
pub(super) fn refusal(stage: &str, reason: String) -> Refusal {
    About::default().refused(stage, reason)
}
