//! A loaded policy: calls it and validates each answer.
//!
//! This module must not know: where its bytes come from, how a failure is handled.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::candidates::{Candidate, CostEstimate, Models};
use super::contract::call::{Answer, Call, CodedReason, Question};
use super::pool::Pool;
use super::samples::canonical;
use super::sandbox::CallTime;
use super::validate;
use crate::contract::types::{Manifest, Reads};
use crate::declared::CanDeny;
use crate::failure::{FailureClass, PolicyFailure};
use crate::hook::Hook;
use crate::limits::{Limits, Profile};
use crate::models::{KnownModel, MadeTiers, Named, Naming};
use crate::pace::Pace;
use crate::reason;
use crate::request::Request;
use crate::settings::{self, Settings};
use crate::shown::Shown;
use crate::verdict::Verdict;

/// Time limit of calls that only happen at load (`describe`, the first `configure`): they touch the guest's code and
/// memory for the first time.
pub(crate) const LOAD_TIME: Duration = Duration::from_secs(5);

/// How often each canonical sample is decided: state that a policy keeps between calls may make a later call fail.
const ROUNDS: u32 = 3;

/// What a policy needed to decide the canonical samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// The number of decisions.
    pub calls: u32,
    /// The median duration of a decision.
    pub median: Duration,
    /// The longest duration of a decision.
    pub worst: Duration,
    /// The largest memory that an instance of this policy had after a call, tables included.
    pub memory_bytes: usize,
}

/// A policy that is ready to decide.
pub struct Policy {
    pub(crate) hook: Hook,
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    pub(crate) profile: Profile,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) probed: Probed,
    /// Whether its settings say that it can deny, or that it cannot; `None` if they say neither.
    pub(crate) declares: Option<bool>,
    /// Whether it was built against a version of the contract in which it must declare that it can deny.
    pub(crate) must_declare: bool,
    /// Whether it has denied a request or a sample, or an earlier version of it has.
    pub(crate) denied: AtomicBool,
    pub(crate) reads: Reads,
    /// Whether its manifest says that it reads tenants.
    pub(crate) reads_tenants: bool,
    /// The operator's settings.
    pub(crate) given: Settings,
    /// What its settings say of models.
    pub(crate) naming: Naming,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {}@{})", self.hook.as_str(), self.manifest.name, self.manifest.version)
    }
}

impl Policy {
    /// What it decides.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its `name@version`, as its manifest says.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.manifest.name, self.manifest.version)
    }

    /// SHA-256 of the component, in hex; of a script: of its text.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The kind of component.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Its resource limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The settings in force, defaults included; of a text above 1 KiB only its length.
    #[must_use]
    pub fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        settings::in_force(&self.manifest, self.pool.settings())
    }

    /// SHA-256 of the settings in force, defaults and made tiers included, in hex.
    #[must_use]
    pub fn settings_digest(&self) -> String {
        settings::digest(&self.manifest, self.pool.settings())
    }

    /// The measurements of the samples at load.
    #[must_use]
    pub fn probed(&self) -> Probed {
        self.probed
    }

    /// Whether it can deny requests: its settings say so (the module `declared`), or it has denied one. A component that says
    /// nothing cannot be told from one that cannot deny, until it denies.
    #[must_use]
    pub fn can_deny(&self) -> CanDeny {
        match self.declares {
            Some(true) => CanDeny::Declared,
            _ if self.denied.load(Ordering::Relaxed) => CanDeny::HasDenied,
            Some(false) => CanDeny::No,
            None => CanDeny::Unknown,
        }
    }

    /// Notes that an earlier version of it has denied a request.
    pub fn note_denied(&self) {
        self.denied.store(true, Ordering::Relaxed);
    }

    /// Whether it says that it reads tenants: their names, budgets and limits.
    #[must_use]
    pub fn reads_tenants(&self) -> bool {
        self.reads_tenants
    }

    /// The operator's settings, without what the gateway added.
    pub(crate) fn given(&self) -> &Settings {
        &self.given
    }

    /// The tiers that the gateway made from the configured models; `None` if the operator set all, or it has none.
    #[must_use]
    pub fn made_tiers(&self) -> Option<&MadeTiers> {
        self.naming.made.as_ref()
    }

    /// Whether the tiers that the gateway made are those that these models give.
    #[must_use]
    pub fn fits(&self, models: &[KnownModel]) -> bool {
        self.naming.fits(models)
    }

    /// The names of models in its settings that are not configured, by setting.
    pub fn unknown_models(&self, is_known: impl Fn(&str) -> bool) -> Named {
        self.naming.unknown(is_known)
    }

    /// Why the gateway would refuse its settings with these models: the operator named models, and none is configured.
    #[must_use]
    pub fn names_none_of(&self, models: &[KnownModel]) -> Option<String> {
        self.naming.refusal(models)
    }

    /// Its instances at this moment.
    #[must_use]
    pub fn pool_state(&self) -> crate::pool::PoolState {
        self.pool.state()
    }

    /// What it reads of requests.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Decides which model answers; `candidates` are of `models`. Of a request beyond the input limit the policy is shown a
    /// part, with what was left out.
    ///
    /// # Errors
    /// If the policy gives no valid verdict within its limits.
    pub async fn route(
        &self,
        request: &Request<'_>,
        models: &Models,
        candidates: &[Candidate],
    ) -> Result<Verdict, PolicyFailure> {
        let shown = Shown::of(request, &self.reads, self.limits.input_bytes);
        let question = Question { request, shown: &shown, models, candidates };
        match self.pool.call(Call::Route(question)).await? {
            Answer::Verdict(mut verdict, coded) => {
                self.write_reason(&mut verdict, coded, models, candidates)?;
                validate::check_verdict(&verdict, candidates.len()).map_err(invalid)?;
                if matches!(verdict, Verdict::Deny(_)) {
                    if self.must_declare && self.declares != Some(true) {
                        return Err(invalid("it denied the request, but its manifest says that it denies none".into()));
                    }
                    self.note_denied();
                }
                Ok(verdict)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a reason that the policy gave by its number.
    fn write_reason(
        &self,
        verdict: &mut Verdict,
        coded: Option<CodedReason>,
        models: &Models,
        candidates: &[Candidate],
    ) -> Result<(), PolicyFailure> {
        if let (Verdict::Route(decision), Some((number, values))) = (verdict, coded) {
            let text = self.manifest.reasons.get(number as usize).ok_or_else(|| {
                invalid(format!("its reason is number {number} of {}, counted from 0", self.manifest.reasons.len()))
            })?;
            // A first choice that is none is refused next.
            let first = decision.ranking.first().and_then(|&first| candidates.get(first as usize));
            let model = first.map_or("", |first| models.of(first).name.as_str());
            decision.reason = reason::write(text, &values, model).map_err(invalid)?;
        }
        Ok(())
    }

    /// Estimates what the request costs on each candidate, in their order; `candidates` are of `models`.
    ///
    /// # Errors
    /// If the policy gives no valid estimates within its limits.
    pub async fn estimate(
        &self,
        request: &Request<'_>,
        models: &Models,
        candidates: &[Candidate],
    ) -> Result<Vec<CostEstimate>, PolicyFailure> {
        let shown = Shown::of(request, &self.reads, self.limits.input_bytes);
        let question = Question { request, shown: &shown, models, candidates };
        match self.pool.call(Call::Estimate(question)).await? {
            Answer::Estimates(estimates) => {
                validate::check_estimates(&estimates, candidates.len()).map_err(invalid)?;
                Ok(estimates)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Decides the canonical samples several times each, like traffic and under the policy's limits: at load, and to
    /// test whether a failed policy has recovered. Samples have the id `probe`.
    ///
    /// # Errors
    /// If the policy fails a sample: the failure, with the sample's name.
    pub async fn probe(&self) -> Result<Probed, PolicyFailure> {
        let samples = canonical();
        let mut took = Vec::with_capacity(samples.len() * ROUNDS as usize);
        for round in 1..=ROUNDS {
            for (name, sample) in &samples {
                let began = Instant::now();
                sample.ask(self, "probe").await.map_err(|failure| PolicyFailure {
                    detail: format!("the sample of {name}, round {round}: {}", failure.detail),
                    ..failure
                })?;
                took.push(began.elapsed());
            }
        }
        took.sort_unstable();
        Ok(Probed {
            calls: u32::try_from(took.len()).unwrap_or(u32::MAX),
            median: took.get(took.len() / 2).copied().unwrap_or_default(),
            worst: took.last().copied().unwrap_or_default(),
            memory_bytes: self.pool.most_memory(),
        })
    }

    /// Replaces all idle instances with a fresh one.
    ///
    /// # Errors
    /// If no instance can be created.
    pub(super) async fn renew(&self) -> Result<(), PolicyFailure> {
        self.pool.renew(CallTime::new(LOAD_TIME, Pace::Background)).await
    }

    /// The instructions that the next idle instance has run so far, in an engine that counts them.
    pub(super) fn instructions(&self) -> u64 {
        self.pool.instructions()
    }

    /// Frees the policy's instances and machine code: those of in-flight calls when the calls end, all else at once.
    /// Later calls fail. For a replaced policy that a long response still holds. Returns whether there was anything to
    /// free.
    pub fn release(&self) -> bool {
        self.pool.release()
    }
}

/// An answer that does not match the call: only a bug in the host can cause it.
fn unexpected(_: &Answer) -> PolicyFailure {
    let detail = "the host called a hook that the policy was not loaded for".into();
    PolicyFailure { class: FailureClass::Host, detail }
}

fn invalid(detail: String) -> PolicyFailure {
    PolicyFailure { class: FailureClass::InvalidDecision, detail }
}

#[cfg(test)]
#[path = "tests/component.rs"]
mod tests;

#[cfg(test)]
#[path = "tests/largest.rs"]
mod largest;
