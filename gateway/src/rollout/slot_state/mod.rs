//! The state machine of one slot: the serving revision, the earlier ones, the desired one and the blocked one. Pure: it
//! loads nothing, and it survives a restart.
//!
//! The central rule: **files state what is desired; a revision that was refused, rolled back, aborted or superseded is
//! blocked, and stays blocked until the files desire something else or an operator retries it.**

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::{Refusal, VersionStatus};
use wasmgate_base::digest::sha256;
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::{GivenLimits, script};

/// Maximum of earlier revisions kept for rollback.
const KEPT: usize = 4;

/// Digits of a revision that operators see.
const SHORT: usize = 12;

/// The origin of a component that came through the admin API.
pub const UPLOADED: &str = "uploaded";

/// What to run: everything that determines a version's decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// A path, `NAME (built in)` or `uploaded`.
    pub origin: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// The name of its script if the script states none; `None` if it is a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// SHA-256 of the operator's fixtures, if there are any.
    pub fixtures: Option<String>,
    /// Settings.
    pub settings: Map<String, Value>,
    /// Its limits.
    pub limits: GivenLimits,
}

impl Spec {
    /// A digest that tells two specs apart, regardless of their origin. Operators see it as the revision.
    #[must_use]
    pub fn identity(&self) -> String {
        let Self { origin: _, digest, script, fixtures, settings, limits } = self;
        // A component's is the same as before scripts had names: saved states hold it.
        let bytes = match script {
            None => serde_json::to_vec(&(digest, fixtures, settings, limits)),
            Some(name) => serde_json::to_vec(&(digest, name, fixtures, settings, limits)),
        };
        sha256(&bytes.unwrap_or_default())
    }

    /// The beginning of its identity, as labels of metrics and log lines have it.
    #[must_use]
    pub fn short_revision(&self) -> String {
        self.identity()[..SHORT].to_owned()
    }

    /// The digest of what its author wrote: of the script, else of the component.
    #[must_use]
    pub fn content(&self) -> String {
        match self.script.as_ref().and_then(|_| self.settings.get(script::SETTING)) {
            Some(Value::String(text)) => sha256(text.as_bytes()),
            _ => self.digest.clone(),
        }
    }

    /// Digests of the bytes that the spec needs to run.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.digest).chain(self.fixtures.as_deref())
    }
}

/// A version that passed all stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// What it runs.
    pub spec: Spec,
    /// The policy's name.
    pub policy: String,
    /// Its version, as in the label of its metrics.
    pub version: String,
    /// When it was put into its slot.
    pub since: UnixSeconds,
    /// Whether an operator rolled back from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back_from: bool,
}

impl Revision {
    /// Its `name@version`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.policy, self.version)
    }

    /// As a choice in a sentence: name, version, and the beginning of its revision.
    fn in_words(&self) -> String {
        format!("{} (revision {})", self.label(), self.spec.short_revision())
    }

    /// As operators see it.
    #[must_use]
    pub fn status(&self) -> VersionStatus {
        VersionStatus {
            policy: self.policy.clone(),
            version: self.version.clone(),
            digest: self.spec.content(),
            revision: self.spec.identity(),
            since: self.since,
            rolled_back_from: self.rolled_back_from,
        }
    }
}

/// A spec that must not be tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// Its identity; if its file could not be read, the error text.
    pub identity: String,
    /// The refusal, as operators see it.
    pub refusal: Refusal,
}

/// An operator's override of a configured value. It holds until the configured value changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Override<T> {
    over: T,
    value: T,
}

impl<T: Copy + PartialEq> Override<T> {
    /// Overrides the configured value `over` with `value`.
    pub fn new(over: T, value: T) -> Self {
        Self { over, value }
    }

    /// The effective value if the configuration has `configured`.
    pub fn or(given: Option<Self>, configured: T) -> T {
        given.filter(|given| given.over == configured).map_or(configured, |given| given.value)
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotState {
    /// The revision that serves.
    pub serving: Option<Revision>,
    /// Earlier revisions, newest first.
    pub previous: Vec<Revision>,
    /// What the files last desired: an identity, as in `Blocked`.
    #[serde(default, rename = "asked")]
    pub desired: Option<String>,
    /// What the files desire but must not be tried.
    #[serde(rename = "aside")]
    pub blocked: Option<Blocked>,
    /// An operator's override of whether the slot is enabled.
    pub enabled: Option<Override<bool>>,
    /// An operator's override of a canary's share, in percent, 0 to 100.
    pub percent: Option<Override<f64>>,
    /// Counts the operator decisions on what serves here since the start. A version whose loading began before such a
    /// decision does not undo it.
    #[serde(skip)]
    pub operator_epoch: u64,
}

/// What to do with a version that passed all stages in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Deploy it.
    In,
    /// Block it: an operator changed the slot while it was loading.
    Late,
    /// Do nothing: it already serves or is blocked.
    Known,
}

/// What a slot starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The desired version, else the one that served before.
    Files,
    /// The version that served before: the desired one is blocked.
    Kept,
    /// Nothing: the slot was empty at the last stop.
    Empty,
}

impl SlotState {
    /// Whether the desired version must be tried; `loaded`: whether the serving revision is loaded.
    #[must_use]
    pub fn needs_attempt(&self, identity: &str, loaded: bool) -> bool {
        let settled = loaded && self.serves(identity) || self.is_blocked(identity);
        !settled
    }

    /// What to do with a version that passed all stages; `operator_epoch` is the slot's epoch when its loading began.
    #[must_use]
    pub fn admission(&self, identity: &str, loaded: bool, operator_epoch: u64) -> Admission {
        match self.needs_attempt(identity, loaded) {
            false => Admission::Known,
            true if operator_epoch == self.operator_epoch => Admission::In,
            true => Admission::Late,
        }
    }

    /// What to start with if the files desire `desired` (`None` if unknown). A slot that `must_decide` is never left
    /// empty.
    #[must_use]
    pub fn begin(&self, desired: Option<&str>, must_decide: bool) -> Begin {
        let blocked = desired.is_some_and(|desired| self.is_blocked(desired));
        match &self.serving {
            Some(_) if blocked => Begin::Kept,
            None if !must_decide && self.blocked.is_some() && (blocked || desired.is_none()) => Begin::Empty,
            _ => Begin::Files,
        }
    }

    /// Records what the files desire. If it serves, nothing stays blocked; returns whether something was blocked.
    pub fn desire(&mut self, identity: String) -> bool {
        let unblocked = self.serves(&identity) && self.blocked.take().is_some();
        self.desired = Some(identity);
        unblocked
    }

    /// Deploys a desired revision that passed all stages.
    pub fn deploy(&mut self, revision: Revision) {
        self.blocked = None;
        self.replace(revision);
    }

    /// Deploys a revision by an operator's decision. What the files desire is blocked.
    pub fn supersede(&mut self, revision: Revision, refusal: Refusal) {
        self.operator_epoch += 1;
        self.block(self.desired.clone(), refusal);
        self.replace(revision);
    }

    /// Blocks a desired version that did not pass a stage or must not serve for another reason. The serving revision
    /// stays.
    pub fn refuse(&mut self, identity: String, refusal: Refusal) {
        self.blocked = Some(Blocked { identity, refusal });
    }

    /// Rolls back to `to`, one of `previous`. The revision that served is blocked as long as the files desire it.
    /// Unless it is `broken`, it becomes an earlier revision.
    ///
    /// What an operator rolls back from, or passes over, is marked: a rollback that names no revision takes an older one
    /// and ends at the oldest. To return to a marked one, an operator names it, and the mark is gone.
    pub fn roll_back(&mut self, to: Revision, refusal: Refusal, broken: bool) {
        let identity = to.spec.identity();
        let desired = self.desired.clone().filter(|desired| self.serves(desired) && *desired != identity);
        self.block(desired, refusal);
        let at = self.previous.iter().position(|previous| previous.spec.identity() == identity);
        let forward = at.is_some_and(|at| self.previous[at].rolled_back_from);
        if let Some(at) = at.filter(|_| !forward && !broken) {
            self.previous[..at].iter_mut().for_each(|passed| passed.rolled_back_from = true);
        }
        self.unlist(&identity);
        let left = self.serving.replace(to).filter(|left| left.spec.identity() != identity);
        if broken {
            return;
        }
        self.operator_epoch += 1;
        let Some(mut left) = left else { return };
        if forward {
            self.previous.insert(0, left);
            self.previous.truncate(KEPT);
        } else {
            left.rolled_back_from = true;
            self.previous.truncate(KEPT - 1);
            self.previous.push(left);
        }
    }

    /// Empties the slot after a promotion or an abort. Blocks what the files desire, or if that is unknown, what
    /// served. The override of the share ends.
    pub fn vacate(&mut self, refusal: Refusal) {
        self.percent = None;
        let left = self.serving.as_ref().map(|left| left.spec.identity());
        self.block(self.desired.clone().or(left), refusal);
        self.serving = None;
    }

    /// Removes an earlier revision that no longer loads.
    pub fn forget(&mut self, identity: &str) {
        self.previous.retain(|previous| previous.spec.identity() != identity);
    }

    /// Unblocks the desired version. Returns whether something was blocked.
    pub fn retry(&mut self) -> bool {
        self.blocked.take().is_some()
    }

    /// Drops overrides of values that the configuration has since changed.
    pub fn configured(&mut self, enabled: bool, percent: f64) {
        self.enabled.take_if(|given| given.over != enabled);
        self.percent.take_if(|given| given.over != percent);
    }

    /// The serving revision and the earlier ones.
    pub fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.serving.iter().chain(&self.previous)
    }

    /// The revision for a rollback: the last one that nobody rolled back from, or the one whose revision or digest begins so.
    ///
    /// # Errors
    /// If there is none, or more than one: the error text.
    pub fn earlier(&self, prefix: Option<&str>) -> Result<&Revision, String> {
        let listed = |revisions: &mut dyn Iterator<Item = &Revision>| {
            revisions.map(Revision::in_words).collect::<Vec<_>>().join(", ")
        };
        let Some(prefix) = prefix else {
            let next = self.previous.iter().find(|previous| !previous.rolled_back_from);
            return next.ok_or_else(|| match &self.previous[..] {
                [] => "there is no earlier version to roll back to".into(),
                left => format!(
                    "there is no earlier version to roll back to, only those that were rolled back from: {}; to return to one, \
                     name its revision in `to` (`--to`)",
                    listed(&mut left.iter())
                ),
            });
        };
        let begins = |revision: &&Revision| {
            revision.spec.identity().starts_with(prefix) || revision.spec.content().starts_with(prefix)
        };
        let found: Vec<&Revision> = self.previous.iter().filter(begins).collect();
        match &found[..] {
            [one] => Ok(one),
            [] if self.previous.is_empty() => Err("there is no earlier version to roll back to".into()),
            [] => Err(format!(
                "no earlier version has a revision or digest that begins with {prefix}, expected one of {}",
                listed(&mut self.previous.iter())
            )),
            several => Err(format!(
                "{} earlier versions have a revision or digest that begins with {prefix}: {}; expected the beginning of \
                 one revision",
                several.len(),
                listed(&mut several.iter().copied())
            )),
        }
    }

    /// Whether a revision is what the files last desired.
    #[must_use]
    pub fn is_desired(&self, revision: &Revision) -> bool {
        self.desired.as_ref() == Some(&revision.spec.identity())
    }

    fn serves(&self, identity: &str) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.spec.identity() == identity)
    }

    fn is_blocked(&self, identity: &str) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| blocked.identity == identity)
    }

    /// Blocks what the files desire, and adds to the refusal what is known of it.
    fn block(&mut self, identity: Option<String>, mut refusal: Refusal) {
        let Some(identity) = identity else { return };
        if let Some(known) = self.revisions().find(|revision| revision.spec.identity() == identity) {
            refusal.policy = Some(known.label());
            refusal.digest = Some(known.spec.content());
            refusal.revision = Some(identity.clone());
        } else if let Some(Blocked { refusal: before, .. }) =
            self.blocked.take_if(|blocked| blocked.identity == identity)
        {
            (refusal.policy, refusal.digest, refusal.revision) = (before.policy, before.digest, before.revision);
        }
        self.blocked = Some(Blocked { identity, refusal });
    }

    /// Unblocks a revision that is about to serve, and removes it from the earlier ones.
    fn unlist(&mut self, identity: &str) {
        self.blocked.take_if(|blocked| blocked.identity == identity);
        self.forget(identity);
    }

    fn replace(&mut self, revision: Revision) {
        let identity = revision.spec.identity();
        self.unlist(&identity);
        if let Some(left) = self.serving.replace(revision).filter(|left| left.spec.identity() != identity) {
            self.previous.insert(0, left);
            self.previous.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests;
