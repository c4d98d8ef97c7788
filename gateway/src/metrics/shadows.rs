//! The metrics of shadows: how often each agrees with the policy that decides, and what it would have chosen.

use prometheus::{IntCounter, IntCounterVec};

use super::policies::PolicyLabels;
use super::register::Families;
use crate::backend::Catalog;

/// How a shadow's answer compares with what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Comparison {
    /// It is the same.
    Agree,
    /// It is another.
    Disagree,
    /// It failed.
    Failed,
    /// There was no spare capacity to ask it.
    Skipped,
}

impl Comparison {
    /// All, in the order of their numbers.
    const ALL: [(Self, &'static str); 4] = [
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
    choices: IntCounterVec,
}

/// The series of one shadow's comparisons.
#[derive(Debug)]
pub struct ShadowMetrics {
    labels: PolicyLabels,
    compared: Vec<IntCounter>,
    choices: IntCounterVec,
}

impl Shadows {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            comparisons: families.counters(
                "api_gateway_policy_shadow_comparisons_total",
                "Requests that a shadow was to decide beside the active policy: the same choice, another, a failure, or \
                 no spare capacity to ask.",
                &["policy", "shadow_policy", "shadow_version", "result"],
            ),
            choices: families.counters(
                "api_gateway_policy_shadow_choices_total",
                "What the active policy chose and what a shadow would have (none: denied).",
                &["shadow_policy", "shadow_version", "active_model", "shadow_model"],
            ),
        }
    }

    /// The series of a shadow that is compared with the policy named `active`, all at 0.
    pub(super) fn of(&self, active: Option<&str>, labels: PolicyLabels) -> ShadowMetrics {
        let (active, PolicyLabels { policy, version, .. }) = (active.unwrap_or("none"), &labels);
        let compared = Comparison::ALL.iter();
        let compared =
            compared.map(|(_, result)| self.comparisons.with_label_values(&[active, policy, version, result]));
        ShadowMetrics { compared: compared.collect(), choices: self.choices.clone(), labels }
    }
}

impl ShadowMetrics {
    /// It was compared, or could not be.
    pub fn compared(&self, comparison: Comparison) {
        self.compared[comparison as usize].inc();
    }

    /// What was chosen and what it would have: positions in the catalog.
    pub fn chose(&self, catalog: &Catalog, actual: Option<usize>, shadow: Option<usize>) {
        let name = |model: Option<usize>| model.map_or("none", |model| &*catalog.models()[model].model.name);
        let labels = [&*self.labels.policy, &*self.labels.version, name(actual), name(shadow)];
        self.choices.with_label_values(&labels).inc();
    }
}
