//! What operators ask for, done. Nothing here waits for a look at files, and what is loaded is loaded beside the loop:
//! going back must work while something else goes wrong. (It waits for the compiler only where the cache has lost what
//! served before.)

use std::sync::Arc;

use bytes::Bytes as Body;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::auto_rollback::refusal;
use super::desired::{self, Bytes, Loaded};
use super::{By, Control};
use crate::metrics::Reload;
use crate::rollout::api::{NotDone, Operation, PolicyStatus, Question};
use crate::rollout::slot::{MAX_SHADOWS, Role, Slot};
use crate::rollout::slot_state::{Override, Revision, Spec, UPLOADED};
use wasmgate_base::digest::sha256;
use wasmgate_policy_host::LoadError;

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<PolicyStatus, NotDone>>;

/// Somebody who waits for what the next look makes of a place.
pub(super) struct Waiting {
    slot: Slot,
    reply: Reply,
}

/// Why a version is loaded beside the loop.
pub(super) enum Job {
    /// It was uploaded.
    Upload { percent: Option<f64>, reply: Reply },
    /// A shadow is to decide.
    Promote { from: Slot, reply: Reply },
    /// An operator goes back to it.
    Rollback { reply: Reply },
    /// What was in a disabled place is to work again.
    Restore { by: By, reply: Option<Reply> },
    /// The version after it failed too often.
    StepBack { reason: String },
}

/// A version that was loaded beside the loop.
pub(super) struct JobDone {
    pub(super) job: Job,
    pub(super) slot: Slot,
    pub(super) spec: Spec,
    pub(super) outcome: Result<Loaded, LoadError>,
}

impl Control {
    /// Answers an operator, at once or when what they asked for is done.
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Question::Operation(operation, reply) => self.operate(operation, reply),
        }
    }

    fn operate(&mut self, operation: Operation, reply: Reply) {
        let slot = operation.slot().clone();
        let known = self.config.policy(&slot).is_some() || self.slots.get(&slot).is_some();
        if !known && !matches!(operation, Operation::Upload { .. }) {
            let names = self.status().policies.into_iter().map(|policy| policy.slot.to_string()).collect::<Vec<_>>();
            let message = format!("there is no policy in {slot}; there is {}", names.join(", "));
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
            Operation::Upload { component, settings, percent, .. } => {
                return self.upload(slot, component, settings, percent, reply);
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
        component: Body,
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
                return refuse(reply, format!("only a canary has a share, {slot} is none"));
            }
            if let Err(message) = check_percent(percent) {
                return refuse(reply, message);
            }
        }
        if slot.role == Role::Canary && configured.is_none() && percent.is_none() {
            return refuse(reply, "no canary is configured: say its share in percent".into());
        }
        let shadows = self
            .slots
            .iter()
            .filter(|(other, _)| other.hook == slot.hook && **other != slot && matches!(other.role, Role::Shadow(_)));
        let shadows = shadows.count();
        if matches!(slot.role, Role::Shadow(_)) && shadows >= MAX_SHADOWS {
            return refuse(reply, format!("there are {MAX_SHADOWS} shadows already, the most there may be"));
        }
        let like = configured.unwrap_or(&self.config.hook(slot.hook).active);
        let like_settings = || {
            let from = if configured.is_some() { slot.clone() } else { Slot::active(slot.hook) };
            let serving = self.slots.serving(&from);
            let mut settings = like.settings.clone();
            // Those that come from files are known of what serves.
            for name in like.setting_files.keys() {
                if let Some(text) = serving.and_then(|placed| placed.spec.settings.get(name)) {
                    settings.insert(name.clone(), text.clone());
                }
            }
            settings
        };
        let mut spec = Spec {
            origin: UPLOADED.to_owned(),
            digest: String::new(),
            fixtures: None,
            settings: settings.unwrap_or_else(like_settings),
            limits: like.limits.clone(),
        };
        let loader = Arc::clone(&self.loader);
        self.spawn(async move {
            let read = tokio::task::spawn_blocking(move || (sha256(&component), Arc::from(&component[..]))).await;
            let outcome = match read {
                Ok((digest, component)) => {
                    spec.digest = digest;
                    let bytes = Bytes { component, fixtures: None };
                    desired::load(&loader, &slot, spec.clone(), bytes).await
                }
                Err(error) => Err(desired::unreadable(UPLOADED, error.to_string())),
            };
            JobDone { job: Job::Upload { percent, reply }, slot, spec, outcome }
        });
    }

    fn promote(&mut self, from: Slot, reply: Reply) {
        let to = Slot::active(from.hook);
        let serving = self.slots.serving(&from).cloned();
        let refused = match (&from.role, &serving) {
            (Role::Active, _) => Some(format!("{from} decides already; a canary or a shadow can be promoted")),
            (_, None) => Some(format!("nothing serves in {from}")),
            (_, Some(_)) if self.slots.version(&from).is_none() => Some(format!("{from} is disabled")),
            _ => None,
        };
        if let Some(message) = refused {
            let _ = reply.send(Err(NotDone::Conflict(message)));
            return;
        }
        match (&from.role, serving, self.slots.version(&from).cloned()) {
            (Role::Canary, Some(serving), Some(version)) => {
                let placed = self.placed(&version, serving.spec);
                self.promoted(&from, &to, version, placed);
                let _ = reply.send(Ok(self.policy_status(&to)));
            }
            // A shadow has the patience of one; to decide it is loaded as one that does.
            (_, Some(serving), _) => {
                let job = self.stored(Job::Promote { from, reply }, to, serving);
                self.spawn(job);
            }
            _ => {}
        }
    }

    /// A version moves from its place to where it decides.
    fn promoted(&mut self, from: &Slot, to: &Slot, version: Arc<crate::state::Version>, placed: Revision) {
        let because = |label: &str| format!("an operator promoted {label} from {from}");
        let refusal_there = refusal(self.slots.version(to), "superseded", because(&version.label));
        let refusal_here = refusal(Some(&version), "superseded", because(&version.label));
        self.slots.unload(from);
        if let Some(entry) = self.slots.get_mut(from) {
            entry.state.vacate(refusal_here);
        }
        if self.config.policy(from).is_none() {
            self.slots.remove(from);
        }
        let detail = format!("{} from {from}", version.label);
        self.settle(to, version, By::Operator, |place| place.supersede(placed, refusal_there));
        self.count(to, Reload::Success);
        self.changed(to, "promoted", By::Operator, detail);
    }

    fn roll_back(&mut self, slot: Slot, digest: Option<&str>, reply: Reply) {
        let place = self.slots.state(&slot);
        let earlier = place.map_or(Err(format!("{slot} has no earlier version")), |place| place.earlier(digest));
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
        let aside = self.slots.get_mut(&slot).is_some_and(|entry| entry.state.retry());
        if !aside && self.config_refused.take().is_none() {
            let message = format!("nothing was refused in {slot}");
            let _ = reply.send(Err(NotDone::Conflict(message)));
            return;
        }
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.desired = None;
        }
        self.waiting.push(Waiting { slot, reply });
        self.next_look = tokio::time::Instant::now();
    }

    /// A look ended: those who waited for it are told, unless something was changing, which may be theirs.
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
        let place = &mut self.slots.entry(&slot).state;
        place.enabled = Some(Override::new(configured, true));
        match place.serving.clone() {
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

    /// Loads what was in a place before it was disabled.
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
            // Nothing but the upload put it there.
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
            return Err(NotDone::Conflict(format!("only a canary has a share, {slot} is none")));
        }
        check_percent(percent).map_err(NotDone::Conflict)?;
        let configured = self.config.percent(slot);
        self.slots.entry(slot).state.percent = Some(Override::new(configured, percent));
        self.changed(slot, "share", By::Operator, format!("{percent} %"));
        Ok(())
    }

    /// A version was loaded, or refused, beside the loop.
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
                tracing::warn!(%slot, %error, "what an operator asked for was refused; what serves goes on");
                let message = format!("not {}: {}", error.stage.as_str(), error.reason);
                self.count(&slot, Reload::from(error.stage));
                self.event(Some(&slot), "rejected", By::Operator, message.clone());
                self.keep(Vec::new());
                self.tell_counted();
                return answer(Err(NotDone::Refused(message)));
            }
        };
        if !self.is_enabled(&slot) {
            return answer(Err(disabled(&slot)));
        }
        let version = self.version(policy);
        let placed = self.placed(&version, spec.clone());
        match job {
            Purpose::Upload(percent) => {
                let refusal =
                    refusal(self.slots.version(&slot), "superseded", "an operator uploaded another component".into());
                let configured = self.config.percent(&slot);
                self.settle(&slot, version, By::Operator, |place| {
                    place.supersede(placed, refusal);
                    if let Some(percent) = percent {
                        place.percent = Some(Override::new(configured, percent));
                    }
                });
                self.count(&slot, Reload::Success);
                self.publish();
                self.keep(vec![(spec, bytes)]);
            }
            Purpose::Promote(from) => self.promoted(&from, &slot, version, placed),
            Purpose::Rollback => {
                let label = version.label.clone();
                let reason = format!("an operator went back to {label}");
                let refusal = refusal(self.slots.version(&slot), "rolled_back", reason);
                self.count(&slot, Reload::RolledBack);
                self.settle(&slot, version, By::Operator, |place| {
                    place.roll_back(placed, refusal, false);
                });
                self.changed(&slot, "rolled_back", By::Operator, format!("back to {label}"));
            }
            Purpose::Restore(by) => {
                // Unless files brought something else meanwhile.
                if self.slots.version(&slot).is_none() {
                    self.settle(&slot, version, by, |place| place.serving = Some(placed));
                }
                self.changed(&slot, "enabled", by, String::new());
            }
        }
        answer(Ok(self.policy_status(&slot)));
    }
}

/// What a version was loaded for.
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
        false => Err(format!("{percent} percent, expected 0 to 100")),
    }
}
