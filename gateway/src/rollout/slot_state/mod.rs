//! One place for a policy, as a state machine: what serves there, what served before, what was asked for and is not to
//! serve. Pure: it loads nothing, and is what is kept over a restart.
//!
//! The rule that holds everything together: **files say what is wanted; what was refused, rolled back, aborted or
//! superseded is set aside, and stays so until the files ask for something else or an operator asks to try again.**

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::{Refusal, VersionStatus};
use wasmgate_base::digest::sha256;
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::GivenLimits;

/// Earlier versions that are kept to go back to.
const KEPT: usize = 4;

/// The origin of a component that came through the admin API.
pub const UPLOADED: &str = "uploaded";

/// What to run: all that makes a version decide as it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// A path, `NAME (built in)` or `uploaded`.
    pub origin: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// SHA-256 of the operator's fixtures beside it.
    pub fixtures: Option<String>,
    /// Settings.
    pub settings: Map<String, Value>,
    /// What it may use.
    pub limits: GivenLimits,
}

impl Spec {
    /// Tells two apart. Where they came from makes no difference.
    #[must_use]
    pub fn identity(&self) -> String {
        let Self { origin: _, digest, fixtures, settings, limits } = self;
        sha256(&serde_json::to_vec(&(digest, fixtures, settings, limits)).unwrap_or_default())
    }

    /// Digests of the bytes that it takes to run it.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.digest).chain(self.fixtures.as_deref())
    }
}

/// A version that passed all stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// What it is.
    pub spec: Spec,
    /// The policy's name.
    pub policy: String,
    /// Its version as a label.
    pub version: String,
    /// Since when it is in place.
    pub since: UnixSeconds,
}

impl Revision {
    /// As operators are told.
    #[must_use]
    pub fn status(&self) -> VersionStatus {
        VersionStatus {
            policy: self.policy.clone(),
            version: self.version.clone(),
            digest: self.spec.digest.clone(),
            since: self.since,
        }
    }
}

/// Something that is not to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// Its identity; of a file that could not be read, what was the matter.
    pub identity: String,
    /// As operators are told.
    pub refusal: Refusal,
}

/// A wish of an operator. It holds until the configuration says something else than it did then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Override<T> {
    over: T,
    value: T,
}

impl<T: Copy + PartialEq> Override<T> {
    /// `value` in place of what the configuration says.
    pub fn new(over: T, value: T) -> Self {
        Self { over, value }
    }

    /// What holds where the configuration says `configured`.
    pub fn or(wish: Option<Self>, configured: T) -> T {
        wish.filter(|wish| wish.over == configured).map_or(configured, |wish| wish.value)
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotState {
    /// What serves.
    pub serving: Option<Revision>,
    /// What served before, newest first.
    pub previous: Vec<Revision>,
    /// What files asked for when that was last known: an identity, as in `Blocked`.
    #[serde(default, rename = "asked")]
    pub desired: Option<String>,
    /// What is asked for and not to serve.
    #[serde(rename = "aside")]
    pub blocked: Option<Blocked>,
    /// Whether it is to work, by an operator's wish.
    pub enabled: Option<Override<bool>>,
    /// A canary's share in percent, by an operator's wish.
    pub percent: Option<Override<f64>>,
    /// How often an operator decided what serves here since the start. What began to be admitted before an operator
    /// decided does not undo it.
    #[serde(skip)]
    pub operator_epoch: u64,
}

/// What becomes of a version that was admitted beside the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It goes in.
    In,
    /// An operator decided otherwise while it was admitted: it is set aside.
    Late,
    /// It serves by now, or is set aside: nothing changes.
    Known,
}

/// What a place is begun with at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// What files ask for, else what served before.
    Files,
    /// What served before: what files ask for is set aside.
    Kept,
    /// Nothing: it was left empty.
    Empty,
}

impl SlotState {
    /// Whether what files ask for is to be tried; `loaded`: whether what serves here does work.
    #[must_use]
    pub fn needs_attempt(&self, identity: &str, loaded: bool) -> bool {
        let settled = loaded && self.serves(identity) || self.is_blocked(identity);
        !settled
    }

    /// What becomes of a version that passed all stages, whose admission began after so many `operator_epoch`.
    #[must_use]
    pub fn admission(&self, identity: &str, loaded: bool, operator_epoch: u64) -> Admission {
        match self.needs_attempt(identity, loaded) {
            false => Admission::Known,
            true if operator_epoch == self.operator_epoch => Admission::In,
            true => Admission::Late,
        }
    }

    /// What to begin with where files ask for `desired`, `None` where that is not known. A place that `must_decide` is
    /// never left empty.
    #[must_use]
    pub fn begin(&self, desired: Option<&str>, must_decide: bool) -> Begin {
        let aside = desired.is_some_and(|desired| self.is_blocked(desired));
        match &self.serving {
            Some(_) if aside => Begin::Kept,
            None if !must_decide && self.blocked.is_some() && (aside || desired.is_none()) => Begin::Empty,
            _ => Begin::Files,
        }
    }

    /// Files were looked at and ask for this. Where it serves, nothing is set aside any more; whether anything was.
    pub fn desire(&mut self, identity: String) -> bool {
        let settled = self.serves(&identity) && self.blocked.take().is_some();
        self.desired = Some(identity);
        settled
    }

    /// A version passed all stages and serves from now on, because files ask for it.
    pub fn deploy(&mut self, revision: Revision) {
        self.blocked = None;
        self.replace(revision);
    }

    /// A version serves by an operator's decision, whatever files ask for: that is set aside.
    pub fn supersede(&mut self, revision: Revision, refusal: Refusal) {
        self.operator_epoch += 1;
        self.block(self.desired.clone(), refusal);
        self.replace(revision);
    }

    /// What files ask for did not pass a stage, or is not to serve for another reason. What serves goes on.
    pub fn refuse(&mut self, identity: String, refusal: Refusal) {
        self.blocked = Some(Blocked { identity, refusal });
    }

    /// Goes back to `to`, one of `previous`. What served is not tried again for as long as files ask for it; it can be
    /// gone back to itself unless it is `broken`.
    pub fn roll_back(&mut self, to: Revision, refusal: Refusal, broken: bool) {
        let identity = to.spec.identity();
        let asked = self.desired.clone().filter(|asked| self.serves(asked) && *asked != identity);
        self.block(asked, refusal);
        self.settled(&identity);
        let left = self.serving.replace(to).filter(|left| left.spec.identity() != identity);
        if broken {
            return;
        }
        self.operator_epoch += 1;
        // Last, so that going back once more goes further back.
        if let Some(left) = left {
            self.previous.truncate(KEPT - 1);
            self.previous.push(left);
        }
    }

    /// Nothing serves here any more: it was promoted, or aborted. What files ask for is set aside, and where that is not
    /// known, what served. The share that it had was its own.
    pub fn vacate(&mut self, refusal: Refusal) {
        self.percent = None;
        let left = self.serving.take().map(|left| left.spec.identity());
        self.block(self.desired.clone().or(left), refusal);
    }

    /// A version that turned out not to load any more can no longer be gone back to.
    pub fn forget(&mut self, identity: &str) {
        self.previous.retain(|previous| previous.spec.identity() != identity);
    }

    /// Whether anything was set aside; it is tried again from now on.
    pub fn retry(&mut self) -> bool {
        self.blocked.take().is_some()
    }

    /// The configuration says this now: wishes over something else are no more.
    pub fn configured(&mut self, enabled: bool, percent: f64) {
        self.enabled.take_if(|wish| wish.over != enabled);
        self.percent.take_if(|wish| wish.over != percent);
    }

    /// All versions that it knows of.
    pub fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.serving.iter().chain(&self.previous)
    }

    /// The version to go back to: the last one, or the one whose digest begins so.
    ///
    /// # Errors
    /// Where there is none, or more than one, in a sentence.
    pub fn earlier(&self, digest: Option<&str>) -> Result<&Revision, String> {
        let Some(prefix) = digest else {
            return self.previous.first().ok_or_else(|| "there is no earlier version to go back to".into());
        };
        let mut found = self.previous.iter().filter(|previous| previous.spec.digest.starts_with(prefix));
        match (found.next(), found.next()) {
            (None, _) => {
                Err(format!("none of its {} earlier versions has a digest like {prefix}", self.previous.len()))
            }
            (Some(_), Some(_)) if prefix.len() < 64 => {
                Err(format!("more than one of its earlier versions has a digest like {prefix}"))
            }
            (Some(one), _) => Ok(one),
        }
    }

    fn serves(&self, identity: &str) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.spec.identity() == identity)
    }

    fn is_blocked(&self, identity: &str) -> bool {
        self.blocked.as_ref().is_some_and(|aside| aside.identity == identity)
    }

    fn block(&mut self, identity: Option<String>, refusal: Refusal) {
        if let Some(identity) = identity {
            self.blocked = Some(Blocked { identity, refusal });
        }
    }

    /// This is about to serve: it is no earlier version and not set aside, whoever brings it.
    fn settled(&mut self, identity: &str) {
        self.blocked.take_if(|aside| aside.identity == identity);
        self.forget(identity);
    }

    fn replace(&mut self, revision: Revision) {
        let identity = revision.spec.identity();
        self.settled(&identity);
        if let Some(left) = self.serving.replace(revision).filter(|left| left.spec.identity() != identity) {
            self.previous.insert(0, left);
            self.previous.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests;
