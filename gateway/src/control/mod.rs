//! The control task reconciles what serves with the files' desired state. It takes each change through all stages in
//! the background, then swaps in a whole new snapshot; if a stage fails, the last good version keeps serving.
//! Operators' commands and automatic rollback change the same slots. One task owns all of it; requests only load the
//! snapshot.
//!
//! This module must not know: HTTP, how a request is answered.

mod advice;
mod apply_config;
mod auto_rollback;
mod bootstrap;
mod checks;
mod compare;
mod denials;
mod desired;
mod error;
mod models;
mod observed;
mod operations;
mod persist;
mod prices;
mod publish;
mod reconcile;
mod revive;
mod slots;
mod status;
mod store;
mod uploads;
mod watch;

pub use bootstrap::Checked;
pub(crate) use bootstrap::check;
pub use error::StartError;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::accounts::ManagedAccounts;
use crate::backend::Backend;
use crate::backend::Catalog;
use crate::config::Config;
use crate::metrics::{Metrics, Reload};
use crate::rollout::api::{Event, Question, Refusal};
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::{Admission, Revision, SlotState, Spec};
use crate::state::{Serving, Version};
use crate::telemetry::gauges;
use checks::Checks;
use compare::Compared;
use desired::{Bytes, Desired, Loaded};
use observed::Files;
use operations::{Job, JobDone};
use persist::Persister;
use prices::Look;
use reconcile::{Admitted, Attempt, Load, Reconciled, Reconciliation, SlotView};
use slots::Slots;
use store::State;
use wasmgate_accounts::Meters;
use wasmgate_base::time::UnixSeconds;
use wasmgate_base::time::now;
use wasmgate_policy_host::{LoadError, Loader, Policy, PolicyFailure};
use watch::Watch;

/// Maximum of events in the history.
const HISTORY: usize = 50;
/// Interval of housekeeping: breaker and abort rules, release of old snapshots, retries of state writes, expiry of
/// series.
const TICK: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Control {
    serving: Arc<Serving>,
    metrics: Arc<Metrics>,
    /// What groups have used of their limits.
    meters: Arc<Meters>,
    /// The keys and groups that operators make while the gateway runs.
    accounts: Arc<ManagedAccounts>,
    loader: Arc<Loader>,
    persister: Persister,
    /// The configuration that the process started with. Some of its keys need a restart to change.
    started: Arc<Config>,
    /// The configuration that serves.
    config: Arc<Config>,
    config_since: UnixSeconds,
    /// The last refused configuration: its identity and the reason.
    config_refused: Option<(String, String)>,
    catalog: Arc<Catalog>,
    prices: prices::InForce,
    slots: Slots,
    /// The digest with which each policy and version was first seen.
    versions: HashMap<(String, String), String>,
    history: VecDeque<Event>,
    /// Names of policies that have denied a request without declaring that they can (`denials`).
    denied: BTreeSet<String>,
    generation: u64,
    since: UnixSeconds,
    /// Reload results not yet counted, with the policy's name. They are counted only after the new snapshot is
    /// published, so a metric never precedes the change it reports.
    counted: Vec<(Slot, Option<String>, Reload)>,
    jobs: JoinSet<Done>,
    checks: Checks,
    /// `None` while a reconciliation owns them.
    files: Option<Files>,
    /// Operators whose command waits for the next reconciliation.
    waiting: Vec<operations::Waiting>,
    /// Operators whom the running reconciliation answers.
    answering: Vec<operations::Waiting>,
    next_look: Instant,
    probes: Vec<(Arc<Backend>, JoinHandle<()>)>,
    /// What is begun when the first group serves. Blocks.
    at_first_group: Option<Box<dyn FnOnce() + Send>>,
}

/// The result of a background task.
enum Done {
    Reconciliation(Box<Reconciled>),
    Job(Box<JobDone>),
    /// The requests that a version failed were given to another one.
    Compared(Box<Compared>),
    /// A policy whose breaker is open was probed with its samples.
    Probed(Slot, Arc<Version>, Result<(), PolicyFailure>),
    /// A version was given tiers made from the changed models.
    Refitted(Slot, Arc<Version>, Box<Result<Policy, PolicyFailure>>),
    /// An upload was loaded for who asked for it.
    TriedOut,
}

/// What identifies a version for operators.
#[derive(Debug, Clone, Default)]
struct About {
    /// Its `name@version`, if it is known.
    policy: Option<String>,
    /// Digest of its component or script.
    digest: Option<String>,
    revision: Option<String>,
}

impl About {
    fn of(spec: &Spec, policy: Option<String>) -> Self {
        Self { policy, digest: Some(spec.content()), revision: Some(spec.identity()) }
    }

    fn refused(self, stage: &str, reason: String) -> Refusal {
        let Self { policy, digest, revision } = self;
        Refusal { policy, digest, revision, stage: stage.to_owned(), reason, since: now() }
    }
}

/// The actor that caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Start,
    Files,
    Operator,
    Breaker,
    CanaryRules,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Files => "files",
            Self::Operator => "operator",
            Self::Breaker => "breaker",
            Self::CanaryRules => "canary rules",
        }
    }
}

impl Control {
    /// The snapshot that serves, shared with all requests.
    pub(crate) fn serving(&self) -> &Arc<Serving> {
        &self.serving
    }

    /// All metrics, shared with all requests.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Has something begun when the first group serves, before whoever made the group gets an answer. It may block on the disk.
    pub(crate) fn at_first_group(&mut self, begin: impl FnOnce() + Send + 'static) {
        self.at_first_group = Some(Box::new(begin));
    }

    /// Runs the control loop until `stop`. Keeps what policies need until `ended`, because draining requests may still
    /// call one.
    pub(crate) async fn run(
        mut self,
        mut questions: mpsc::Receiver<Question>,
        stop: CancellationToken,
        ended: CancellationToken,
    ) {
        let mut watch = Watch::new();
        self.follow(&mut watch);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (serving, metrics) = (Arc::clone(&self.serving), Arc::clone(&self.metrics));
        let mut groups = self.accounts.group_changes();
        loop {
            let may_look = self.files.is_some() && (self.config.reload.enabled || !self.waiting.is_empty());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(question) = questions.recv() => self.answer(question),
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => match done {
                    Ok(Done::Reconciliation(reconciled)) => {
                        self.reconciled(*reconciled);
                        self.follow(&mut watch);
                    }
                    Ok(Done::Job(job)) => self.job_done(*job),
                    Ok(Done::Compared(compared)) => self.compared(*compared),
                    Ok(Done::Probed(slot, version, outcome)) => self.probed(slot, version, outcome),
                    Ok(Done::Refitted(slot, version, outcome)) => self.refitted(&slot, &version, *outcome),
                    Ok(Done::TriedOut) => {}
                    Err(error) => {
                        tracing::error!(%error, "a background task of the control task failed");
                        self.files.get_or_insert_with(|| Files::new(self.config.reload.settle));
                        self.waiting.append(&mut self.answering);
                        // If it was a comparison, the rules may begin another; a refit is repeated with the next snapshot.
                        self.slots.iter_mut().for_each(|(_, entry)| {
                            entry.comparison = None;
                            entry.reported.refitting = false;
                        });
                        // The next attempt may fail too: wait for a whole rescan interval.
                        self.next_look = Instant::now() + self.config.reload.rescan;
                    }
                },
                Ok(()) = groups.changed() => self.publish(),
                () = self.persister.written() => {}
                () = serving.policy_failed.notified() => self.judge(),
                () = watch.hint(), if may_look => {
                    self.next_look = self.next_look.min(Instant::now() + self.config.reload.settle / 4);
                }
                () = tokio::time::sleep_until(self.next_look), if may_look => self.reconcile(),
                _ = tick.tick() => {
                    self.judge();
                    if self.learn_denials() {
                        self.keep(Vec::new());
                    }
                    if self.prices_due() {
                        self.publish();
                    }
                    serving.release(self.config.reload.drain);
                    self.persister.begin();
                    self.follow_accounts();
                    gauges::sweep(&metrics, &serving.snapshot(), self.config.reload.keep_series);
                }
            }
        }
        self.accounts.published_last();
        // Abort background work. Dropping the replies tells waiting operators that the gateway is stopping.
        self.jobs.shutdown().await;
        self.waiting.clear();
        self.answering.clear();
        questions.close();
        drop(questions);
        self.persister.finish().await;
        ended.cancelled().await;
        for (_, probe) in self.probes {
            probe.abort();
        }
    }

    /// Takes the keys and groups over if another process with this configuration kept them and has ended.
    fn follow_accounts(&self) {
        if self.accounts.is_follower() {
            let accounts = Arc::clone(&self.accounts);
            // Nobody waits for it.
            drop(tokio::task::spawn_blocking(move || accounts.take_over()));
        }
    }

    fn follow(&self, watch: &mut Watch) {
        let policies = self.config.policies().flat_map(|(_, choice)| choice.files());
        let prices = self.config.prices.file.as_deref();
        watch.follow(self.config.file.as_deref().into_iter().chain(policies).chain(prices));
    }

    /// Starts a reconciliation in the background, unless one is running.
    fn reconcile(&mut self) {
        let Some(files) = self.files.take() else { return };
        self.answering = std::mem::take(&mut self.waiting);
        let reconciliation = Reconciliation {
            loader: Arc::clone(&self.loader),
            checks: self.checks.clone(),
            files,
            config: Arc::clone(&self.config),
            catalog: Arc::clone(&self.catalog),
            prices: self.prices.prices.clone(),
            slots: self.slots.iter().map(|(slot, entry)| (slot.clone(), SlotView::of(entry))).collect(),
            refused: self.config_refused.as_ref().map(|(identity, _)| identity.clone()),
        };
        self.jobs.spawn(async move { Done::Reconciliation(Box::new(reconciliation.run().await)) });
    }

    /// Applies the result of a reconciliation.
    fn reconciled(&mut self, reconciled: Reconciled) {
        let Reconciled { files, unsettled, config_serves, config, prices, desires, touched, loads } = reconciled;
        self.files = Some(files);
        let reload = self.config.reload;
        self.next_look = Instant::now() + if unsettled { reload.settle / 2 } else { reload.rescan };
        let mut changed = config_serves && self.config_refused.take().is_some();
        if changed {
            tracing::info!("the configuration file has the content that serves again");
            self.event(None, "config_applied", By::Files, "the file has the content that serves again".into());
        }
        let mut kept = Vec::new();
        match config {
            None => {}
            Some(Attempt { identity, outcome: Err(reason) }) => {
                changed |= self.refuse_config(identity, reason);
            }
            Some(Attempt { outcome: Ok(applicable), .. }) => {
                self.apply_config(*applicable, &mut kept);
                changed = true;
            }
        }
        match prices {
            None | Some(Look::Changing) => {}
            Some(Look::Same) => changed |= self.prices_stay(),
            Some(Look::New(prices)) => {
                self.set_prices(*prices);
                self.reprice();
                changed = true;
            }
            Some(Look::Wrong { identity, reason }) => changed |= self.refuse_prices(identity, reason),
        }
        for (slot, desire) in desires {
            changed |= self.desired(slot, desire);
        }
        for slot in touched {
            self.count(&slot, Reload::Unchanged);
            tracing::debug!(%slot, "a policy's file was rewritten with the same content");
        }
        for Load { slot, spec, operator_epoch, outcome } in loads {
            match outcome {
                Ok(loaded) => changed |= self.admitted(Admitted { slot, operator_epoch, loaded }, &mut kept),
                Err(error) => {
                    let entry = self.slots.entry(&slot);
                    if entry.state.needs_attempt(&spec.identity(), entry.version.is_some()) {
                        let about = About::of(&spec, error.policy.clone());
                        self.refuse(&slot, spec.identity(), about, &error);
                        changed = true;
                    }
                }
            }
        }
        if changed {
            self.publish();
            self.keep(kept);
        }
        // A touch publishes no snapshot, so its count is still queued.
        self.flush_counted();
        self.answer_waiting(unsettled);
    }

    /// Records what the files desire in a slot, and reports a missing or unreadable file. Returns whether the status
    /// changed.
    fn desired(&mut self, slot: Slot, desire: Desired) -> bool {
        let before = self.slots.entry(&slot).desired.replace(desire.clone());
        match &desire {
            Desired::Missing(path) if !matches!(before, Some(Desired::Missing(_))) => {
                tracing::warn!(%slot, path, "a policy's file is missing; the last good version keeps serving");
                let detail = format!("{path} is missing; the last good version keeps serving");
                self.event(Some(&slot), "source_missing", By::Files, detail);
                self.count(&slot, Reload::RejectedRead);
                true
            }
            Desired::Unreadable(why) => {
                let state = &mut self.slots.entry(&slot).state;
                state.desire(why.clone());
                // No loaded version has this identity.
                if !state.needs_attempt(why, false) {
                    return false;
                }
                let error = desired::unreadable(&slot.to_string(), why.clone());
                self.refuse(&slot, why.clone(), About::default(), &error);
                true
            }
            Desired::Spec(spec) => {
                let back = matches!(before, Some(Desired::Missing(_)));
                if back {
                    let detail = format!("{} exists again", spec.origin);
                    self.event(Some(&slot), "source_back", By::Files, detail);
                }
                let served = self.slots.entry(&slot).state.desire(spec.identity());
                if served {
                    tracing::info!(%slot, "the policy's files request the serving version; the block ends");
                }
                back || served
            }
            Desired::Missing(_) | Desired::Unsettled => false,
        }
    }

    /// Deploys a desired version that passed all stages, unless an operator changed the slot meanwhile.
    fn admitted(&mut self, admitted: Admitted, kept: &mut Vec<(Spec, Bytes)>) -> bool {
        let Admitted { slot, operator_epoch, loaded: Loaded { spec, policy, bytes } } = admitted;
        let enabled = self.is_enabled(&slot);
        let entry = self.slots.entry(&slot);
        match entry.state.admission(&spec.identity(), entry.version.is_some(), operator_epoch) {
            Admission::In if enabled => {
                kept.push((spec.clone(), bytes));
                self.deploy(&slot, spec, policy, By::Files);
                true
            }
            Admission::Late => {
                let reason = "an operator changed the slot while the version was loading".to_owned();
                tracing::warn!(%slot, policy = policy.label(), digest = spec.content(), reason, "policy blocked");
                let about = About::of(&spec, Some(policy.label()));
                entry.state.refuse(spec.identity(), about.refused("superseded", reason));
                true
            }
            // The desired version of a disabled slot is tried once the slot is enabled.
            Admission::In | Admission::Known => false,
        }
    }

    /// Puts a version that passed all stages into its slot. It serves from the next snapshot on.
    fn deploy(&mut self, slot: &Slot, spec: Spec, policy: Policy, by: By) {
        let version = self.version(policy, &spec);
        let revision = self.revision(&version, spec);
        self.put_in_slot(slot, version, by, |state| state.deploy(revision));
        self.count(slot, Reload::Success);
    }

    /// Puts a loaded version into a slot; `change` updates the slot's state.
    fn put_in_slot(&mut self, slot: &Slot, version: Arc<Version>, by: By, change: impl FnOnce(&mut SlotState)) {
        change(&mut self.slots.entry(slot).state);
        let probed = version.policy.probed();
        tracing::info!(
            %slot,
            policy = version.label,
            digest = version.policy.digest(),
            revision = self.slots.serving(slot).map(|serving| serving.spec.identity()),
            by = by.as_str(),
            probe_seconds = probed.median.as_secs_f64(),
            probe_worst_seconds = probed.worst.as_secs_f64(),
            memory_bytes = probed.memory_bytes,
            reads = %crate::rollout::api::ReadsStatus::from(version.policy.reads()),
            "policy placed"
        );
        let entry = self.slots.entry(slot);
        (entry.version, entry.breaker, entry.comparison) = (Some(version), None, None);
        self.event(Some(slot), "placed", by, String::new());
    }

    /// Blocks a desired version that did not pass a stage. The last good version keeps serving.
    fn refuse(&mut self, slot: &Slot, identity: String, about: About, error: &LoadError) {
        let refusal = about.clone().refused(error.stage.as_str(), error.reason.clone());
        self.slots.entry(slot).state.refuse(identity, refusal);
        self.count(slot, Reload::from(error.stage));
        let serving = self.slots.version(slot).map(|version| version.label.clone());
        tracing::warn!(
            %slot,
            origin = error.origin,
            policy = about.policy,
            digest = about.digest,
            revision = about.revision,
            stage = error.stage.as_str(),
            reason = error.reason,
            serving,
            "policy refused; the last good version keeps serving"
        );
        self.rejected(slot, By::Files, about, error);
    }

    /// Adds the metric labels to a loaded policy.
    fn version(&mut self, policy: Policy, spec: &Spec) -> Arc<Version> {
        let manifest = policy.manifest();
        let known = self.versions.entry((manifest.name.clone(), manifest.version.clone()));
        let first = known.or_insert_with(|| policy.digest().to_owned());
        // Two builds with the same name and version must not share their series.
        let number = match first == policy.digest() {
            true => manifest.version.clone(),
            false => format!("{}+{}", manifest.version, &policy.digest()[..8]),
        };
        Arc::new(Version::new(policy, number, spec.short_revision()))
    }

    fn revision(&self, version: &Version, spec: Spec) -> Revision {
        let (policy, number) = (version.policy.manifest().name.clone(), version.version.clone());
        Revision { spec, policy, version: number, since: now(), rolled_back_from: false }
    }

    /// Queues a reload result for the policy that serves after it. It is counted after the next snapshot is published.
    fn count(&mut self, slot: &Slot, result: Reload) {
        let policy = self.slots.version(slot).map(|version| version.policy.manifest().name.clone());
        self.counted.push((slot.clone(), policy, result));
    }

    fn flush_counted(&mut self) {
        for (slot, policy, result) in self.counted.drain(..) {
            self.metrics.policy_reloaded(slot.hook, &slot.to_string(), policy.as_deref(), result);
        }
    }

    fn event(&mut self, slot: Option<&Slot>, event: &str, by: By, detail: String) {
        let about = slot.map_or_else(About::default, |slot| About {
            policy: self.slots.version(slot).map(|version| version.label.clone()),
            digest: self.slots.version(slot).map(|version| version.policy.digest().to_owned()),
            revision: self.slots.serving(slot).map(|serving| serving.spec.identity()),
        });
        self.event_about(slot, event, by, about, detail);
    }

    /// Records that a version was refused, and what it was.
    fn rejected(&mut self, slot: &Slot, by: By, about: About, error: &LoadError) {
        // The origin identifies a version without a name.
        let origin = if about.policy.is_none() { format!("{}: ", error.origin) } else { String::new() };
        let detail = format!("{origin}not {}: {}", error.stage.as_str(), error.reason);
        self.event_about(Some(slot), "rejected", by, about, detail);
    }

    fn event_about(&mut self, slot: Option<&Slot>, event: &str, by: By, about: About, detail: String) {
        let About { policy, digest, revision } = about;
        let (event, by) = (event.to_owned(), by.as_str().to_owned());
        self.history.push_back(Event { at: now(), slot: slot.cloned(), event, by, policy, digest, revision, detail });
        while self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// Saves what a restart needs.
    fn keep(&mut self, new: Vec<(Spec, Bytes)>) {
        let history = self.history.iter().cloned().collect();
        let state = State::new(self.slots.states(), history, self.denied.clone());
        self.persister.keep(state.with_prices(self.prices.prices.kept().cloned()), new);
    }

    /// Runs a job in the background.
    fn spawn(&mut self, job: impl Future<Output = JobDone> + Send + 'static) {
        self.jobs.spawn(async move { Done::Job(Box::new(job.await)) });
    }

    /// Loads a revision: from memory if it may not be on the disk yet, else from the store.
    fn stored(&self, job: Job, slot: Slot, revision: Revision) -> impl Future<Output = JobDone> + Send + 'static {
        let (loader, checks) = (Arc::clone(&self.loader), self.checks.clone());
        let store = self.persister.store().cloned();
        let fresh = self.persister.fresh(&revision.spec);
        let models = models::known(&self.catalog);
        async move {
            let outcome = match fresh {
                Some(bytes) => {
                    desired::load(&loader, &checks, Some(&models), &slot, revision.spec.clone(), bytes).await
                }
                None => {
                    revive::from_store(&loader, &checks, Some(&models), store.as_ref(), &slot, &revision.spec).await
                }
            };
            JobDone { job, slot, spec: revision.spec, outcome }
        }
    }
}
