//! The metrics of reloads: changes of policies' files and of the configuration, by result.

use std::sync::PoisonError;
use std::time::Instant;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::register::Families;
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::{Hook, Stage};

/// The result of a change of a policy's files, as the label of `api_gateway_policy_reloads_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new version serves.
    Success,
    /// A file was touched, but its content is the same.
    Unchanged,
    /// The file could not be read, or is not a component.
    RejectedRead,
    /// The component imports more than it is granted, or does not export what the contract requires.
    RejectedAbi,
    /// The component or script could not be compiled.
    RejectedCompile,
    /// The policy refused its settings, or failed on a sample request.
    RejectedSelftest,
    /// The version served, failed too often, and was rolled back.
    RolledBack,
}

impl Reload {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Unchanged,
        Self::RejectedRead,
        Self::RejectedAbi,
        Self::RejectedCompile,
        Self::RejectedSelftest,
        Self::RolledBack,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unchanged => "unchanged",
            Self::RejectedRead => "rejected_read",
            Self::RejectedAbi => "rejected_abi",
            Self::RejectedCompile => "rejected_compile",
            Self::RejectedSelftest => "rejected_selftest",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl From<Stage> for Reload {
    /// The result of a change that did not reach the stage.
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Observed | Stage::Stable | Stage::Parsed => Self::RejectedRead,
            Stage::Admitted | Stage::Linked => Self::RejectedAbi,
            Stage::Compiled => Self::RejectedCompile,
            Stage::Configured | Stage::Probed | Stage::Placed => Self::RejectedSelftest,
        }
    }
}

/// The name of the policy of a slot in which none serves.
pub(super) const NO_POLICY: &str = "none";

/// The labels of a slot with the policy in it.
const SLOT: [&str; 3] = ["hook", "slot", "policy"];

/// A slot's last reload.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// What the slot's policy decides.
    pub hook: Hook,
    /// The slot's name, as in `routing.canary`.
    pub slot: String,
    /// The policy that serves.
    pub policy: String,
    /// The stage that the current state of its files did not reach, or what came of it; `None`: it serves.
    pub refused: Option<String>,
    /// When a new version last started to serve.
    pub at: UnixSeconds,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reloads {
    policies: IntCounterVec,
    policy_successful: IntGaugeVec,
    policy_stage: IntGaugeVec,
    policy_success: IntGaugeVec,
    config: IntCounterVec,
    config_successful: IntGauge,
    config_success: IntGauge,
}

impl Reloads {
    pub(super) fn new(families: &mut Families) -> Self {
        let config = families.counters(
            "api_gateway_config_reloads_total",
            "Changes of the configuration file, by result.",
            &["result"],
        );
        for result in ["success", "rejected"] {
            config.with_label_values(&[result]);
        }
        Self {
            policies: families.counters(
                "api_gateway_policy_reloads_total",
                "Changes of a policy's component, settings or limits, by result; a refused change counts for the \
                 policy that keeps serving.",
                &[&SLOT[..], &["result"]].concat(),
            ),
            policy_successful: families.gauges(
                "api_gateway_policy_last_reload_successful",
                "1: the version that a policy's files request serves. 0: the gateway refused it or rolled it back, or a file is missing.",
                &SLOT,
            ),
            policy_stage: families.gauges(
                "api_gateway_policy_last_reload_info",
                "1, with the stage that the version which a policy's files request did not reach, or what came of it; \
                 serves: it serves.",
                &[&SLOT[..], &["stage"]].concat(),
            ),
            policy_success: families.gauges(
                "api_gateway_policy_last_reload_success_timestamp_seconds",
                "Time at which a policy last started to serve, in seconds since 1970.",
                &SLOT,
            ),
            config,
            config_successful: families.gauge(
                "api_gateway_config_last_reload_successful",
                "1: the current configuration file serves. 0: the gateway refused it, and the last good one serves.",
            ),
            config_success: families.gauge(
                "api_gateway_config_last_reload_success_timestamp_seconds",
                "Time at which the serving configuration was loaded, in seconds since 1970.",
            ),
        }
    }

    /// Creates the series of a policy in a slot at 0.
    pub(super) fn create(&self, hook: Hook, slot: &str, policy: &str) {
        for result in Reload::ALL {
            self.policies.with_label_values(&[hook.as_str(), slot, policy, result.as_str()]);
        }
    }

    /// Updates the gauges. `last`: each slot's last reload. `config`: whether the configuration's last reload succeeded,
    /// and since when it serves.
    pub(super) fn set(&self, last: &[LastReload], config: (bool, UnixSeconds)) {
        self.policy_stage.reset();
        self.policy_successful.reset();
        self.policy_success.reset();
        for LastReload { hook, slot, policy, refused, at } in last {
            let labels = [hook.as_str(), slot, policy];
            let stage = refused.as_deref().unwrap_or("serves");
            self.policy_stage.with_label_values(&[&labels[..], &[stage]].concat()).set(1);
            self.policy_successful.with_label_values(&labels).set(i64::from(refused.is_none()));
            self.policy_success.with_label_values(&labels).set(i64::try_from(*at).unwrap_or(i64::MAX));
        }
        self.config_successful.set(i64::from(config.0));
        self.config_success.set(i64::try_from(config.1).unwrap_or(i64::MAX));
    }
}

impl super::Metrics {
    /// Counts a change of the files of a slot's policy by its result. `policy`: the one that serves after the change;
    /// `None` if none does.
    pub fn policy_reloaded(&self, hook: Hook, slot: &str, policy: Option<&str>, result: Reload) {
        if policy.is_none() {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.note_empty(slot, Instant::now());
        }
        let policy = policy.unwrap_or(NO_POLICY);
        self.reloads.policies.with_label_values(&[hook.as_str(), slot, policy, result.as_str()]).inc();
    }

    /// Counts a change of the configuration as applied or refused.
    pub fn config_reloaded(&self, successful: bool) {
        self.reloads.config.with_label_values(&[if successful { "success" } else { "rejected" }]).inc();
    }
}
