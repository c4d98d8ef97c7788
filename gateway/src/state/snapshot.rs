//! A snapshot: models, policies and their series as one immutable value. A request takes one snapshot and keeps it to
//! its end, so that no request sees half of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::backend::Catalog;
use crate::config::{Access, Auth, OnFailure, Server};
use crate::metrics::{GroupMetrics, ModelMetrics, PolicyLabels, PolicyMetrics, ShadowMetrics};
use crate::rollout::comparison::{Comparison, Outcome};
use crate::rollout::evidence::{self, Evidence, ORDINARY_BYTES, Size};
use crate::rollout::slot::Slot;
use crate::rollout::stats::Stats;
use wasmgate_accounts::{Chain, Group, Measure, Registry};
use wasmgate_base::log_limit::LogLimit;
use wasmgate_base::money::{NanoDollars, Price};
use wasmgate_base::time::UnixSeconds;
use wasmgate_policy_host::{Candidate, FailureClass, Hook, Models, Policy, Request};

/// The name of the gateway's own default in place of a policy's.
pub const DEFAULT_NAME: &str = "default";
/// The default's `name@version`; its version is the gateway's.
pub const DEFAULT_LABEL: &str = concat!("default@", env!("CARGO_PKG_VERSION"));

/// See the module.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number, from 1 at each start.
    pub generation: u64,
    /// Limits of requests.
    pub limits: Server,
    /// Whether each request gets a log line.
    pub log_requests: bool,
    /// The models and backends.
    pub catalog: Arc<Catalog>,
    /// The models as policies know them, by position in the catalog.
    pub policy_models: Models,
    /// The series of each model, by position in the catalog.
    pub models: Vec<ModelMetrics>,
    /// Who may use the gateway.
    pub access: Access,
    /// The keys that change while it serves.
    pub registry: Arc<Registry>,
    /// The series of each group, by position in the accounts.
    pub groups: Vec<GroupMetrics>,
    /// The meters of each group's limits, by position in the accounts.
    pub chains: Vec<Chain>,
    /// The routing policies.
    pub routing: Deciders,
    /// The cost policies.
    pub cost: Deciders,
}

/// The policies of one hook.
#[derive(Debug, Default)]
pub struct Deciders {
    /// The active policy; `None` if the hook is disabled.
    pub active: Option<Arc<Decider>>,
    /// The canary, which decides for a share of the requests.
    pub canary: Option<Canary>,
    /// The shadows, which are evaluated and compared but never decide.
    pub shadows: Vec<Shadow>,
}

/// A policy that decides for a share of the requests.
#[derive(Debug)]
pub struct Canary {
    /// The policy.
    pub decider: Arc<Decider>,
    /// Compares its requests with the active policy's; `None`: not both decide a share of a routing slot.
    pub comparison: Option<Arc<Comparison>>,
    /// Its share, in percent.
    pub percent: f64,
    /// The header whose value keeps a client with one version.
    pub sticky_header: Option<String>,
}

/// A policy that is evaluated and compared but never decides.
#[derive(Debug)]
pub struct Shadow {
    /// Its slot's name.
    pub name: String,
    /// The policy.
    pub decider: Arc<Decider>,
    /// The series of its comparisons.
    pub metrics: ShadowMetrics,
}

/// A version in a slot.
#[derive(Debug)]
pub struct Decider {
    /// The version.
    pub version: Arc<Version>,
    /// The operator's choice of what happens when it fails; `None`: it depends on the policy.
    pub on_failure: Option<OnFailure>,
    /// Its series.
    pub metrics: PolicyMetrics,
}

impl Decider {
    /// What happens when it fails: the operator's choice. Without one, a policy that can deny fails closed, because a client
    /// that makes it fail would otherwise bypass it; the default decides for any other.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        let usual = || match self.version.policy.can_deny().is_yes() {
            true => OnFailure::FailClosed,
            false => OnFailure::DefaultDecision,
        };
        self.on_failure.unwrap_or_else(usual)
    }
}

/// A loaded version of a policy. It lives as long as it is in a slot, across snapshots.
#[derive(Debug)]
pub struct Version {
    /// The policy.
    pub policy: Policy,
    /// Its version as a label: the manifest's, with the start of the digest if two components claim the same version.
    pub version: String,
    /// `name@version`.
    pub label: String,
    /// The beginning of its spec's digest, which changes with its component, settings and limits.
    pub revision: String,
    /// SHA-256 of the settings in force, in hex.
    pub settings_digest: String,
    /// Limits its log lines about failures.
    pub failure_lines: LogLimit,
    /// Recent outcomes, for the automatic rollback.
    pub stats: Stats,
    /// Requests that it failed, for the same.
    pub evidence: Evidence,
    /// Whether its circuit breaker is open: it failed too often and is not called.
    pub open: AtomicBool,
}

impl Version {
    /// A version with no outcomes yet and a closed breaker.
    #[must_use]
    pub fn new(policy: Policy, version: String, revision: String) -> Self {
        let label = format!("{}@{version}", policy.manifest().name);
        Self {
            settings_digest: policy.settings_digest(),
            policy,
            version,
            label,
            revision,
            failure_lines: LogLimit::default(),
            stats: Stats::default(),
            evidence: Evidence::default(),
            open: AtomicBool::new(false),
        }
    }

    /// The labels of its metrics in a slot.
    #[must_use]
    pub fn labels(&self, slot: &Slot) -> PolicyLabels {
        PolicyLabels {
            hook: slot.hook,
            slot: slot.to_string(),
            policy: self.policy.manifest().name.clone(),
            version: self.version.clone(),
            revision: self.revision.clone(),
            mode: slot.role.mode(),
        }
    }

    /// Notes a call, as far as it is evidence about the version. Returns whether it may be evidence against it.
    pub fn note_call(
        &self,
        took: Duration,
        failed: Option<FailureClass>,
        request: &Request<'_>,
        models: &Models,
        candidates: &[Candidate],
    ) -> bool {
        let bytes = wasmgate_policy_host::size(request);
        let Some(of) = evidence::weight(failed, bytes) else { return false };
        // Failures have a rule of their own: the time of one, such as a timeout, must not count a second time.
        let timed = failed.is_none() && bytes <= ORDINARY_BYTES;
        if of == Size::Ordinary {
            self.stats.note_call(timed.then_some(took), failed.is_some());
        }
        if bytes > ORDINARY_BYTES {
            self.stats.note_large(failed.is_some() && of == Size::Large);
        }
        if failed.is_some() {
            self.evidence.note(of, bytes, request, models, candidates);
        }
        failed.is_some()
    }

    /// Whether its circuit breaker is open: it failed too often and is not called.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

impl Snapshot {
    /// A model's price; `None` if `model` is `None` or the model is unpriced.
    #[must_use]
    pub fn price(&self, model: Option<usize>) -> Option<Price> {
        self.catalog.models()[model?].model.price
    }

    /// The group at a position of the accounts.
    #[must_use]
    pub fn group(&self, position: Option<usize>) -> Option<&Group> {
        self.access.accounts.groups().get(position?)
    }

    /// The meters of the group at a position.
    #[must_use]
    pub fn chain(&self, group: Option<usize>) -> Option<&Chain> {
        self.chains.get(group?)
    }

    /// Whether clients may read the pages that name models and groups, and need no key.
    #[must_use]
    pub fn shows_operators_pages(&self) -> bool {
        self.limits.metrics_for_clients.unwrap_or(self.access.auth != Auth::Required)
    }

    /// What is left at a time of the tightest budget of a group and those above it; `None`: they have none.
    #[must_use]
    pub fn budget_left(&self, group: Option<usize>, now: UnixSeconds) -> Option<NanoDollars> {
        let standing = self.chain(group)?.tightest(Measure::Money, now)?;
        Some(NanoDollars(standing.left))
    }

    /// All policies in slots.
    pub fn deciders(&self) -> impl Iterator<Item = &Arc<Decider>> {
        self.routing.all().chain(self.cost.all())
    }

    /// The policies of a hook.
    #[must_use]
    pub fn hook(&self, hook: Hook) -> &Deciders {
        match hook {
            Hook::Routing => &self.routing,
            Hook::Cost => &self.cost,
        }
    }
}

impl Deciders {
    /// Picks the policy that decides a request: the canary for its share, else the active policy. `header` returns a
    /// header's value; `key` is what counts if the request does not have the canary's header.
    #[must_use]
    pub fn pick<'a>(&self, header: &dyn Fn(&str) -> Option<&'a str>, key: &str) -> Option<&Arc<Decider>> {
        if let Some(canary) = &self.canary {
            let key = canary.sticky_header.as_deref().and_then(header).unwrap_or(key);
            if lot(key) < canary.percent {
                return Some(&canary.decider);
            }
        }
        self.active.as_ref()
    }

    /// Counts what became of a request that the lot gave to this policy, for the comparison of canary and active policy.
    pub fn compare(&self, by: &Arc<Decider>, outcome: Outcome) {
        if let Some(canary) = &self.canary
            && let Some(comparison) = &canary.comparison
        {
            comparison.note(Arc::ptr_eq(by, &canary.decider), outcome);
        }
    }

    /// All policies: active and canary, then shadows.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Decider>> {
        let canary = self.canary.iter().map(|canary| &canary.decider);
        self.active.iter().chain(canary).chain(self.shadows.iter().map(|shadow| &shadow.decider))
    }
}

/// Hashes a key to a number from 0 to below 100. It is the same at each gateway and after each restart, so that a
/// raised share keeps the clients that the canary already had.
fn lot(key: &str) -> f64 {
    let digest = Sha256::digest(key.as_bytes());
    let head = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(head) / (f64::from(u32::MAX) + 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_it_says_and_grows_by_keeping_whom_it_had() {
        let keys: Vec<String> = (0..10_000).map(|i| format!("client-{i}")).collect();
        let at = |percent: f64| keys.iter().filter(|key| lot(key) < percent).collect::<Vec<_>>();
        for percent in [0.0, 1.0, 10.0, 50.0, 100.0] {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let share = at(percent).len() as f64 / 100.0;
            assert!((share - percent).abs() < 1.5, "{share} % of {percent} %");
        }
        let (few, many) = (at(10.0), at(20.0));
        assert!(few.iter().all(|key| many.contains(key)));
    }
}
