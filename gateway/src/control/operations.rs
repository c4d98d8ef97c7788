//! Executes operators' commands. Versions load in the background, and only a retry or an enable that needs the files
//! waits for a reconciliation: a rollback must work while something else fails. (It waits for the compiler only if the
//! cache has lost the earlier version.)

use std::sync::Arc;

use bytes::Bytes as Body;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::auto_rollback::refusal;
use super::desired::Loaded;
use super::{About, By, Control, models};
use crate::metrics::Reload;
use crate::rollout::api::{NotDone, Operation, PolicyStatus, Question, Upload};
use crate::rollout::slot::{MAX_SHADOWS, Role, Slot};
use crate::rollout::slot_state::{Override, Revision, Spec};
use wasmgate_policy_host::LoadError;

/// The channel for a command's result.
pub(super) type Reply = oneshot::Sender<Result<PolicyStatus, NotDone>>;

/// An operator who waits for the next reconciliation of a slot.
pub(super) struct Waiting {
    slot: Slot,
    reply: Reply,
}

/// Why a version is loaded in the background.
pub(super) enum Job {
    /// An operator uploaded it.
    Upload { percent: Option<f64>, reply: Reply },
    /// An operator promotes a shadow.
    Promote { from: Slot, reply: Reply },
    /// An operator rolls back to it.
    Rollback { reply: Reply },
    /// A disabled slot is enabled.
    Restore { by: By, reply: Option<Reply> },
    /// The breaker of the version after it opened.
    StepBack { reason: String },
}

/// The result of a background load.
pub(super) struct JobDone {
    pub(super) job: Job,
    pub(super) slot: Slot,
    pub(super) spec: Spec,
    pub(super) outcome: Result<Loaded, LoadError>,
}

impl Control {
    /// Answers an operator, at once or when the command is done.
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Question::Operation(operation, reply) => self.operate(operation, reply),
            Question::Load(upload, reply) => self.try_out(upload, reply),
        }
    }

    fn operate(&mut self, operation: Operation, reply: Reply) {
        let slot = operation.slot().clone();
        let known = self.config.policy(&slot).is_some() || self.slots.get(&slot).is_some();
        if !known && !matches!(operation, Operation::Upload { .. }) {
            let names = self.status().policies.into_iter().map(|policy| policy.slot.to_string()).collect::<Vec<_>>();
            let message = format!("slot {slot} does not exist, expected one of {}", names.join(", "));
            let _ = reply.send(Err(NotDone::NoSuchSlot(message)));
            return;
        }
        let to = match &operation {
            Operation::Promote(from) => Slot::active(from.hook),
            other => other.slot().clone(),
        };
        let decides = matches!(operation, Operation::Upload { .. } | Operation::Promote(_) | Operation::Rollback(..));
        if decides && !self.is_enabled(&to) {
            let _ = reply.send(Err(disabled(&to)));
            return;
        }
        let done = match operation {
            Operation::Upload { component, name, settings, percent, .. } => {
                return self.upload(slot, (component, name), settings, percent, reply);
            }
            Operation::Promote(_) => return self.promote(slot, reply),
            Operation::Rollback(_, digest) => return self.roll_back(slot, digest.as_deref(), reply),
            Operation::Retry(_) => return self.retry(slot, reply),
            Operation::Enable(_) => return self.enable(slot, reply),
            Operation::Disable(_) => self.disable(&slot),
            Operation::Share(_, percent) => self.share(&slot, percent),
        };
        let _ = reply.send(done.map(|()| self.policy_status(&slot)));
    }

    fn upload(
        &mut self,
        slot: Slot,
        (component, name): (Body, Option<String>),
        settings: Option<Map<String, Value>>,
        percent: Option<f64>,
        reply: Reply,
    ) {
        let refuse = |reply: Reply, message: String| {
            let _ = reply.send(Err(NotDone::Conflict(message)));
        };
        let configured = self.config.policy(&slot);
        if let Some(percent) = percent {
            if slot.role != Role::Canary {
                return refuse(reply, format!("only a canary has a share; {slot} is not a canary"));
            }
            if let Err(message) = check_percent(percent) {
                return refuse(reply, message);
            }
        }
        if slot.role == Role::Canary && configured.is_none() && percent.is_none() {
            return refuse(reply, "no canary is configured; give its share in `percent` (`--percent`)".into());
        }
        if let Some(message) = self.too_many_shadows(&slot) {
            return refuse(reply, message);
        }
        let prepared = match self.prepare(&slot, Upload { component, name, settings }) {
            Ok(prepared) => prepared,
            Err(message) => return refuse(reply, message),
        };
        let (loader, checks) = (Arc::clone(&self.loader), self.checks.clone());
        let models = models::known(&self.catalog);
        self.spawn(async move {
            let (spec, outcome) = prepared.load(&loader, &checks, &models, &slot).await;
            JobDone { job: Job::Upload { percent, reply }, slot, spec, outcome }
        });
    }

    /// The reason to refuse an upload to a shadow's slot, if the hook's other slots for shadows are all in use.
    fn too_many_shadows(&self, slot: &Slot) -> Option<String> {
        let others = self
            .slots
            .iter()
            .filter(|(other, _)| other.hook == slot.hook && *other != slot && matches!(other.role, Role::Shadow(_)));
        (matches!(slot.role, Role::Shadow(_)) && others.count() >= MAX_SHADOWS)
            .then(|| format!("the hook has the maximum of {MAX_SHADOWS} shadows; remove one first"))
    }

    fn promote(&mut self, from: Slot, reply: Reply) {
        let to = Slot::active(from.hook);
        let serving = self.slots.serving(&from).cloned();
        let refused = match (&from.role, &serving) {
            (Role::Active, _) => Some(format!("{from} is active already; only a canary or a shadow can be promoted")),
            (_, None) => Some(format!("no version serves in {from}")),
            (_, Some(_)) if self.slots.version(&from).is_none() => {
                Some(format!("{from} is disabled; `enable` it first"))
            }
            _ => None,
        };
        if let Some(message) = refused {
            let _ = reply.send(Err(NotDone::Conflict(message)));
            return;
        }
        match (&from.role, serving, self.slots.version(&from).cloned()) {
            (Role::Canary, Some(serving), Some(version)) => {
                let revision = self.revision(&version, serving.spec);
                self.promoted(&from, &to, version, revision);
                let _ = reply.send(Ok(self.policy_status(&to)));
            }
            // A shadow was loaded with `Pace::Background`. To decide, it is loaded anew with `Pace::Serving`.
            (_, Some(serving), _) => {
                let job = self.stored(Job::Promote { from, reply }, to, serving);
                self.spawn(job);
            }
            _ => {}
        }
    }

    /// Moves a version from its slot to the active slot.
    fn promoted(&mut self, from: &Slot, to: &Slot, version: Arc<crate::state::Version>, revision: Revision) {
        let because = |label: &str| format!("an operator promoted {label} from {from}");
        let refusal_there = refusal("superseded", because(&version.label));
        let refusal_here = refusal_there.clone();
        self.slots.unload(from);
        if let Some(entry) = self.slots.get_mut(from) {
            entry.state.vacate(refusal_here);
        }
        if self.config.policy(from).is_none() {
            self.slots.remove(from);
        }
        let detail = format!("{} from {from}", version.label);
        self.put_in_slot(to, version, By::Operator, |state| state.supersede(revision, refusal_there));
        self.count(to, Reload::Success);
        self.changed(to, "promoted", By::Operator, detail);
    }

    fn roll_back(&mut self, slot: Slot, digest: Option<&str>, reply: Reply) {
        let state = self.slots.state(&slot);
        let earlier = state.map_or(Err(format!("{slot} has no earlier version")), |state| state.earlier(digest));
        match earlier.cloned() {
            Err(message) => {
                let _ = reply.send(Err(NotDone::Conflict(message)));
            }
            Ok(earlier) => {
                let job = self.stored(Job::Rollback { reply }, slot, earlier);
                self.spawn(job);
            }
        }
    }

    fn retry(&mut self, slot: Slot, reply: Reply) {
        let unblocked = self.slots.get_mut(&slot).is_some_and(|entry| entry.state.retry());
        if !unblocked && self.config_refused.take().is_none() {
            let message = format!("nothing to retry: no version is refused in {slot}");
            let _ = reply.send(Err(NotDone::Conflict(message)));
            return;
        }
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.desired = None;
        }
        self.waiting.push(Waiting { slot, reply });
        self.next_look = tokio::time::Instant::now();
    }

    /// Answers the operators who waited for the reconciliation. If a file was unsettled they wait on, as it may be
    /// theirs.
    pub(super) fn answer_waiting(&mut self, unsettled: bool) {
        let answering = std::mem::take(&mut self.answering);
        if unsettled {
            self.waiting.extend(answering);
        } else {
            self.answer_each(answering);
        }
        if !self.waiting.is_empty() && !unsettled {
            self.next_look = tokio::time::Instant::now();
        }
    }

    fn answer_each(&self, answering: Vec<Waiting>) {
        for Waiting { slot, reply } in answering {
            let status = self.policy_status(&slot);
            let _ = reply.send(match &status.refused {
                Some(refusal) => Err(NotDone::Refused(format!("not {}: {}", refusal.stage, refusal.reason))),
                None => Ok(status),
            });
        }
    }

    fn enable(&mut self, slot: Slot, reply: Reply) {
        if self.is_enabled(&slot) {
            let _ = reply.send(Err(NotDone::Conflict(format!("{slot} is enabled already"))));
            return;
        }
        let configured = self.config.policy(&slot).is_none_or(|choice| choice.enabled);
        let state = &mut self.slots.entry(&slot).state;
        state.enabled = Some(Override::new(configured, true));
        match state.serving.clone() {
            Some(serving) => {
                self.restore(slot, serving, By::Operator, Some(reply));
            }
            None => {
                self.changed(&slot, "enabled", By::Operator, String::new());
                self.waiting.push(Waiting { slot, reply });
                self.next_look = tokio::time::Instant::now();
            }
        }
    }

    /// Loads the version that served in a slot before it was disabled.
    pub(super) fn restore(&mut self, slot: Slot, serving: Revision, by: By, reply: Option<Reply>) {
        let job = self.stored(Job::Restore { by, reply }, slot, serving);
        self.spawn(job);
    }

    fn disable(&mut self, slot: &Slot) -> Result<(), NotDone> {
        if !self.is_enabled(slot) {
            return Err(NotDone::Conflict(format!("{slot} is disabled already")));
        }
        self.event(Some(slot), "disabled", By::Operator, String::new());
        match self.config.policy(slot).map(|choice| choice.enabled) {
            // The slot exists only because of an upload.
            None => self.slots.remove(slot),
            Some(configured) => {
                self.slots.entry(slot).state.enabled = Some(Override::new(configured, false));
                self.slots.unload(slot);
            }
        }
        self.publish();
        self.keep(Vec::new());
        Ok(())
    }

    fn share(&mut self, slot: &Slot, percent: f64) -> Result<(), NotDone> {
        if slot.role != Role::Canary {
            return Err(NotDone::Conflict(format!("only a canary has a share; {slot} is not a canary")));
        }
        check_percent(percent).map_err(NotDone::Conflict)?;
        let configured = self.config.percent(slot);
        self.slots.entry(slot).state.percent = Some(Override::new(configured, percent));
        self.changed(slot, "share", By::Operator, format!("{percent} %"));
        Ok(())
    }

    /// Applies the result of a background load.
    pub(super) fn job_done(&mut self, done: JobDone) {
        let JobDone { job, slot, spec, outcome } = done;
        let (job, reply) = match job {
            Job::StepBack { reason } => {
                let job = Job::StepBack { reason: reason.clone() };
                return self.stepped_back(reason, JobDone { job, slot, spec, outcome });
            }
            Job::Upload { percent, reply } => (Purpose::Upload(percent), Some(reply)),
            Job::Promote { from, reply } => (Purpose::Promote(from), Some(reply)),
            Job::Rollback { reply } => (Purpose::Rollback, Some(reply)),
            Job::Restore { by, reply } => (Purpose::Restore(by), reply),
        };
        let answer = |done: Result<PolicyStatus, NotDone>| {
            if let Some(reply) = reply {
                let _ = reply.send(done);
            }
        };
        let Loaded { policy, bytes, .. } = match outcome {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(%slot, %error, "a command was refused; the last good version keeps serving");
                let message = format!("not {}: {}", error.stage.as_str(), error.reason);
                self.count(&slot, Reload::from(error.stage));
                self.rejected(&slot, By::Operator, About::of(&spec, error.policy.clone()), &error);
                self.keep(Vec::new());
                self.flush_counted();
                return answer(Err(NotDone::Refused(message)));
            }
        };
        if !self.is_enabled(&slot) {
            return answer(Err(disabled(&slot)));
        }
        // Checked again: other uploads may have taken the last slots while this one was loading.
        if matches!(job, Purpose::Upload(_))
            && let Some(message) = self.too_many_shadows(&slot)
        {
            return answer(Err(NotDone::Conflict(message)));
        }
        let version = self.version(policy, &spec);
        let revision = self.revision(&version, spec.clone());
        match job {
            Purpose::Upload(percent) => {
                let refusal = refusal("superseded", format!("an operator uploaded {}", version.label));
                let configured = self.config.percent(&slot);
                self.put_in_slot(&slot, version, By::Operator, |state| {
                    state.supersede(revision, refusal);
                    if let Some(percent) = percent {
                        state.percent = Some(Override::new(configured, percent));
                    }
                });
                self.count(&slot, Reload::Success);
                self.publish();
                self.keep(vec![(spec, bytes)]);
            }
            Purpose::Promote(from) => self.promoted(&from, &slot, version, revision),
            Purpose::Rollback => {
                let label = version.label.clone();
                let reason = format!("an operator rolled back to {label}");
                let refusal = refusal("rolled_back", reason);
                self.count(&slot, Reload::RolledBack);
                self.put_in_slot(&slot, version, By::Operator, |state| {
                    state.roll_back(revision, refusal, false);
                });
                self.changed(&slot, "rolled_back", By::Operator, format!("to {label}"));
            }
            Purpose::Restore(by) => {
                // Unless a reconciliation deployed another version meanwhile.
                if self.slots.version(&slot).is_none() {
                    self.put_in_slot(&slot, version, by, |state| state.serving = Some(revision));
                }
                self.changed(&slot, "enabled", by, String::new());
            }
        }
        answer(Ok(self.policy_status(&slot)));
    }
}

/// The purpose of a finished load.
enum Purpose {
    Upload(Option<f64>),
    Promote(Slot),
    Rollback,
    Restore(By),
}

fn disabled(slot: &Slot) -> NotDone {
    NotDone::Conflict(format!("{slot} is disabled; `enable` it first"))
}

fn check_percent(percent: f64) -> Result<(), String> {
    match (0.0..=100.0).contains(&percent) {
        true => Ok(()),
        false => Err(format!("the share is {percent} percent, expected 0 to 100")),
    }
}
