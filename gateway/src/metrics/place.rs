//! The labels of a version in a slot. No two versions in slots have the same labels: a slot holds one version at a time,
//! and its revision changes with its component, its script, its settings and its limits.

use wasmgate_policy_host::Hook;

/// The names of the labels, in the order of `PolicyLabels::values`.
pub(super) const PLACE: [&str; 6] = ["hook", "slot", "policy", "version", "revision", "mode"];

/// The labels of a version in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyLabels {
    /// What it decides.
    pub hook: Hook,
    /// The slot's name, as in `routing.canary`.
    pub slot: String,
    /// The policy's name.
    pub policy: String,
    /// Its version, as a label.
    pub version: String,
    /// The beginning of its revision.
    pub revision: String,
    /// `active`, `canary` or `shadow`.
    pub mode: &'static str,
}

/// The names of the labels and `more`.
pub(super) fn place<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PLACE, more].concat()
}

impl PolicyLabels {
    /// The values, in the order of `PLACE`.
    pub(super) fn values(&self) -> [&str; 6] {
        [self.hook.as_str(), &self.slot, &self.policy, &self.version, &self.revision, self.mode]
    }

    /// The values and `more`.
    pub(super) fn and<'a, const MORE: usize>(&'a self, more: [&'a str; MORE]) -> Vec<&'a str> {
        [&self.values()[..], &more].concat()
    }
}
