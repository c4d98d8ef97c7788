//! The metrics of changes: of policies' files and of the configuration, and what became of them.

use std::collections::BTreeMap;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::register::Families;
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::Stage;

/// What became of a change of a policy's files, as the label of `api_gateway_policy_reloads_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It serves.
    Success,
    /// A file was touched, its content is the same.
    Unchanged,
    /// It could not be read, or is no component.
    RejectedRead,
    /// It asks for more than it is granted, or does not offer what the contract says.
    RejectedAbi,
    /// It could not be compiled.
    RejectedCompile,
    /// It did not take its settings, or failed on a sample.
    RejectedSelftest,
    /// It served, failed too often, and was taken out.
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
    /// What a change is that did not reach a stage.
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Observed | Stage::Stable | Stage::Parsed => Self::RejectedRead,
            Stage::Admitted | Stage::Linked => Self::RejectedAbi,
            Stage::Compiled => Self::RejectedCompile,
            Stage::Configured | Stage::Probed | Stage::Placed => Self::RejectedSelftest,
        }
    }
}

/// How a policy's last change went.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// The policy that serves.
    pub policy: String,
    /// Whether its files' last state is what serves.
    pub successful: bool,
    /// When a change last came to serve.
    pub at: UnixSeconds,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reloads {
    policies: IntCounterVec,
    policy_successful: IntGaugeVec,
    policy_success: IntGaugeVec,
    config: IntCounterVec,
    config_successful: IntGauge,
    config_success: IntGauge,
}

impl Reloads {
    pub(super) fn new(families: &mut Families) -> Self {
        let config = families.counters(
            "api_gateway_config_reloads_total",
            "Changes of the configuration file, by what became of them.",
            &["result"],
        );
        for result in ["success", "rejected"] {
            config.with_label_values(&[result]);
        }
        Self {
            policies: families.counters(
                "api_gateway_policy_reloads_total",
                "Changes of a policy's component, settings or limits, by what became of them; a refused change counts \
                 for the policy that goes on serving.",
                &["policy", "result"],
            ),
            policy_successful: families.gauges(
                "api_gateway_policy_last_reload_successful",
                "1: what a policy's files ask for is what serves. 0: it was refused or taken out.",
                &["policy"],
            ),
            policy_success: families.gauges(
                "api_gateway_policy_last_reload_success_timestamp_seconds",
                "When a policy last came to serve, in seconds since 1970.",
                &["policy"],
            ),
            config,
            config_successful: families.gauge(
                "api_gateway_config_last_reload_successful",
                "1: the configuration file as it stands serves. 0: it was refused, the last good one serves.",
            ),
            config_success: families.gauge(
                "api_gateway_config_last_reload_success_timestamp_seconds",
                "When the configuration that serves was taken in, in seconds since 1970.",
            ),
        }
    }

    /// Creates the series of a policy at 0.
    pub(super) fn create(&self, policy: &str) {
        for result in Reload::ALL {
            self.policies.with_label_values(&[policy, result.as_str()]);
        }
    }

    /// Sets the gauges: `last` is how each policy's last change went, `config` whether the configuration's succeeded and
    /// since when it serves.
    pub(super) fn set(&self, last: &[LastReload], config: (bool, UnixSeconds)) {
        let mut policies: BTreeMap<&str, (bool, UnixSeconds)> = BTreeMap::new();
        for LastReload { policy, successful, at } in last {
            let entry = policies.entry(policy).or_insert((true, 0));
            *entry = (entry.0 && *successful, entry.1.max(*at));
        }
        self.policy_successful.reset();
        self.policy_success.reset();
        for (policy, (successful, at)) in policies {
            self.policy_successful.with_label_values(&[policy]).set(i64::from(successful));
            self.policy_success.with_label_values(&[policy]).set(i64::try_from(at).unwrap_or(i64::MAX));
        }
        self.config_successful.set(i64::from(config.0));
        self.config_success.set(i64::try_from(config.1).unwrap_or(i64::MAX));
    }
}

impl super::Metrics {
    /// A change of a policy's files serves or was refused; `policy` is the one that serves after it.
    pub fn policy_reloaded(&self, policy: &str, result: Reload) {
        self.reloads.policies.with_label_values(&[policy, result.as_str()]).inc();
    }

    /// A change of the configuration serves or was refused.
    pub fn config_reloaded(&self, successful: bool) {
        self.reloads.config.with_label_values(&[if successful { "success" } else { "rejected" }]).inc();
    }
}
