//! The metrics of shadows: how often each agrees with the active policy, and what it would have chosen.

use prometheus::{IntCounter, IntCounterVec};

use super::pairs::PairCounters;
use super::place::PolicyLabels;
use super::register::Families;
use super::reloads::NO_POLICY;
use crate::backend::Catalog;

/// How a shadow's decision compares with the active policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Comparison {
    /// The shadow made the same decision.
    Agree,
    /// The shadow made another decision.
    Disagree,
    /// The shadow failed.
    Failed,
    /// The shadow was not called, for lack of spare capacity.
    Skipped,
}

impl Comparison {
    /// All, in the order of their numbers.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Agree, "agree"),
        (Self::Disagree, "disagree"),
        (Self::Failed, "shadow_failed"),
        (Self::Skipped, "skipped"),
    ];
}

/// The families of shadows.
#[derive(Debug)]
pub(super) struct Shadows {
    comparisons: IntCounterVec,
    choices: PairCounters,
}

/// The series of one shadow's comparisons.
#[derive(Debug)]
pub struct ShadowMetrics {
    labels: PolicyLabels,
    compared: Vec<IntCounter>,
    choices: PairCounters,
}

impl Shadows {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            comparisons: families.counters(
                "api_gateway_policy_shadow_comparisons_total",
                "Requests that a shadow should decide in addition to the active policy: the same choice, another \
                 choice, a failure, or skipped for lack of spare capacity.",
                &["hook", "slot", "policy", "shadow_policy", "shadow_version", "shadow_revision", "result"],
            ),
            choices: PairCounters::new(
                families,
                "api_gateway_policy_shadow_choices_total",
                "Model that the active policy chose, and model that a shadow would have chosen (none: denied; other: \
                 another pair than the first 50 of different models).",
                &["hook", "slot", "shadow_policy", "shadow_version", "shadow_revision"],
                ["active_model", "shadow_model"],
            ),
        }
    }

    /// Frees the places of pairs whose series were removed.
    pub(super) fn follow_removals(&self) {
        self.choices.follow_removals();
    }

    /// The series of a shadow that is compared with the policy named `active`, all at 0.
    pub(super) fn of(&self, active: Option<&str>, labels: PolicyLabels) -> ShadowMetrics {
        let [hook, slot, policy, version, revision, _shadow] = labels.values();
        let active = active.unwrap_or(NO_POLICY);
        let compared = Comparison::ALL.iter().map(|(_, result)| {
            self.comparisons.with_label_values(&[hook, slot, active, policy, version, revision, result])
        });
        ShadowMetrics { compared: compared.collect(), choices: self.choices.clone(), labels }
    }
}

impl ShadowMetrics {
    /// Counts a comparison.
    pub fn compared(&self, comparison: Comparison) {
        self.compared[comparison as usize].inc();
    }

    /// The comparisons since the start, in the order of `Comparison`.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        Comparison::ALL.map(|(comparison, _)| self.compared[comparison as usize].get())
    }

    /// Counts the active policy's choice and the shadow's, as positions in the catalog.
    pub fn chose(&self, catalog: &Catalog, actual: Option<usize>, shadow: Option<usize>) {
        let name = |model: Option<usize>| model.map_or("none", |model| &*catalog.models()[model].model.name);
        let [hook, slot, policy, version, revision, _shadow] = self.labels.values();
        self.choices.inc(&[hook, slot, policy, version, revision], [name(actual), name(shadow)]);
    }
}
