//! One routing decision: the cost policy estimates the candidates, the routing policy ranks them. If the routing policy
//! fails or has no opinion, the gateway's own default ranks them.
//!
//! This module must not know: HTTP, the wire form of dialects, how a model is called.

use std::sync::Arc;
use std::time::Instant;

use super::candidate::{candidate, observe};
use super::shadow::{Actual, Shadows};
use crate::backend::Catalog;
use crate::config::OnFailure;
use crate::error::{Failure, Kind};
use crate::metrics::labels::{Complexity, DecisionOutcome, Evaluation};
use crate::state::{DEFAULT_NAME, Decider, Serving, Snapshot};
use crate::telemetry::Record;
use crate::telemetry::decisions::Decided;
use wasmgate_base::money::NanoDollars;
use wasmgate_policy_host::{
    Breaker, Candidate, CostEstimate, FailureClass, Health, Models, Observation, PolicyFailure, Request, Verdict,
};

/// Which models answer, in which order, and why.
#[derive(Debug)]
pub struct Decision {
    /// Positions in the catalog, first choice first; at least one.
    pub ranking: Vec<usize>,
    /// The candidates: positions in the catalog.
    pub permitted: Vec<usize>,
    /// The cost policy's estimate of each candidate.
    pub estimates: Vec<Option<CostEstimate>>,
    /// Why, as the client may read it.
    pub reason: String,
    /// The name of the policy that decided, or of the default.
    pub policy: String,
    /// Its version.
    pub version: String,
}

impl Decision {
    /// The cost policy's estimate for the model at `index` of the catalog; `None` if there is none, or if the model is
    /// unpriced.
    #[must_use]
    pub fn estimated_cost(&self, index: usize) -> Option<NanoDollars> {
        let position = self.permitted.iter().position(|permitted| *permitted == index)?;
        self.estimates[position]?.cost.map(NanoDollars)
    }
}

/// Gives the value of a request's header.
pub(super) type Header<'a> = &'a (dyn Fn(&str) -> Option<&'a str> + Sync);

/// A request to be routed, and everything needed to decide it.
pub(super) struct Routing<'a> {
    pub(super) serving: &'a Serving,
    pub(super) shadows: &'a Shadows,
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) request: Request<'a>,
    /// The model that the client named.
    pub(super) named: Option<usize>,
    /// The candidates: positions in the catalog; at least one.
    pub(super) permitted: &'a [usize],
    pub(super) header: Header<'a>,
    /// What tells the request's conversation from others.
    pub(super) session: Option<&'a str>,
}

impl Routing<'_> {
    /// Decides, noting the facts on the record.
    ///
    /// # Errors
    /// If the routing policy denies the request, or a fail-closed policy fails.
    pub(super) async fn decide(&self, record: &mut Record) -> Result<Decision, Failure> {
        let began = Instant::now();
        let decided = self.steps(record).await;
        record.routing_took = Some(began.elapsed());
        let decision = decided?;
        record.chosen = decision.ranking.first().copied();
        record.estimated_cost = record.chosen.and_then(|chosen| decision.estimated_cost(chosen));
        Ok(decision)
    }

    async fn steps(&self, record: &mut Record) -> Result<Decision, Failure> {
        let models = self.snapshot.catalog.models();
        record.choices = self.permitted.len();
        let passed = record.started.elapsed();
        let mut candidates: Vec<Candidate> =
            self.permitted.iter().map(|&index| candidate(index, &models[index], passed)).collect();
        let estimated = match self.estimate(record, &candidates).await {
            Ok(estimated) => estimated,
            Err(failure) => {
                self.note_decided(record, candidates, None, None);
                return Err(failure);
            }
        };
        for (candidate, estimate) in candidates.iter_mut().zip(estimated.iter().flatten()) {
            candidate.estimate = Some(*estimate);
        }
        let mut verdict = None;
        let decided = self.route(record, &candidates, &mut verdict).await;
        let by_default = decided.as_ref().ok().filter(|_| record.by_default).map(|decision| decision.ranking.clone());
        let decided = decided.map(|decision| self.with_named_first(decision));
        // Shadows are compared with the active policy, not with its canary.
        let by_active = match (&record.routed_by, &self.snapshot.routing.active) {
            (Some(by), Some(active)) => Arc::ptr_eq(by, active),
            (by, _) => by.is_none(),
        };
        let answered = matches!(&decided, Ok(_) | Err(Failure { kind: Kind::Denied(_), .. }));
        if by_active && answered {
            let model = decided.as_ref().ok().and_then(|decision| decision.ranking.first().copied());
            self.shadows.ask(
                self.snapshot,
                &self.request,
                &candidates,
                Actual { model, named: self.named, estimates: estimated },
            );
        }
        self.note_decided(record, candidates, verdict, by_default);
        decided
    }

    /// Notes what was asked and answered, if the decision log wants to know it.
    fn note_decided(
        &self,
        record: &mut Record,
        candidates: Vec<Candidate>,
        verdict: Option<Verdict>,
        by_default: Option<Vec<usize>>,
    ) {
        if record.wants_decided {
            let request = wasmgate_decisions::Request::of(&self.request);
            let by_default = by_default.unwrap_or_default();
            record.decided = Some(Arc::new(Decided { request, candidates, verdict, by_default }));
        }
    }

    /// The cost policy's estimate of each candidate; `None` if it is disabled, or failed and is not fail-closed.
    async fn estimate(
        &self,
        record: &mut Record,
        candidates: &[Candidate],
    ) -> Result<Option<Vec<CostEstimate>>, Failure> {
        let Some(decider) = self.snapshot.cost.pick(self.header, self.sticks()) else { return Ok(None) };
        record.costed_by = Some(Arc::clone(decider));
        let began = Instant::now();
        let estimated = match decider.version.is_open() {
            true => Err(breaker_open()),
            false => decider.version.policy.estimate(&self.request, self.models(), candidates).await,
        };
        let outcome = estimated.as_ref().map(|_| DecisionOutcome::Route).map_err(|failure| failure.class);
        record.cost_evaluation = Some(self.note(decider, began, outcome, candidates));
        match estimated {
            Ok(estimates) => Ok(Some(estimates)),
            Err(failure) => failed(decider, &failure).map(|()| None),
        }
    }

    /// The models as policies know them.
    fn models(&self) -> &Models {
        &self.snapshot.policy_models
    }

    /// What keeps a request with one version of a policy: its conversation, else nothing.
    fn sticks(&self) -> &str {
        self.session.unwrap_or(self.request.id)
    }

    /// The decision with the model first that the client named, unless the policy left it out: the others are fallbacks.
    fn with_named_first(&self, mut decision: Decision) -> Decision {
        if let Some(place) = decision.ranking.iter().position(|&index| Some(index) == self.named) {
            decision.ranking[..=place].rotate_right(1);
        }
        decision
    }

    /// `verdict` gets what the policy answered, if the decision log wants to know it.
    async fn route(
        &self,
        record: &mut Record,
        candidates: &[Candidate],
        verdict: &mut Option<Verdict>,
    ) -> Result<Decision, Failure> {
        let estimates = candidates.iter().map(|candidate| candidate.estimate).collect();
        let reason = match self.snapshot.routing.pick(self.header, self.sticks()) {
            None => "no routing policy is enabled: the first usable model in the configured order",
            Some(decider) => {
                record.routed_by = Some(Arc::clone(decider));
                let answer = self.ask(record, decider, candidates).await;
                if record.wants_decided {
                    *verdict = answer.as_ref().ok().cloned();
                }
                match answer {
                    Ok(Verdict::Route(decision)) => {
                        record.score = decision.complexity.map(rounded);
                        record.complexity = decision.tier.map_or(Complexity::Unknown, Complexity::from);
                        let ranking = decision.ranking.iter().map(|&index| self.permitted[index as usize]);
                        return Ok(Decision {
                            ranking: ranking.collect(),
                            permitted: self.permitted.to_vec(),
                            estimates,
                            reason: decision.reason,
                            policy: decider.version.policy.manifest().name.clone(),
                            version: decider.version.version.clone(),
                        });
                    }
                    Ok(Verdict::Deny(denial)) => return Err(Failure::new(Kind::Denied(denial.code), denial.reason)),
                    Ok(Verdict::Pass) => "the policy has no opinion: the first usable model in the configured order",
                    Err(failure) => {
                        failed(decider, &failure)?;
                        "the policy failed: the first usable model in the configured order"
                    }
                }
            }
        };
        record.by_default = true;
        Ok(Decision {
            ranking: default_ranking(&self.snapshot.catalog, self.permitted),
            permitted: self.permitted.to_vec(),
            estimates,
            reason: reason.into(),
            policy: DEFAULT_NAME.into(),
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }

    /// One call of the routing policy, noted on the record.
    async fn ask(
        &self,
        record: &mut Record,
        decider: &Decider,
        candidates: &[Candidate],
    ) -> Result<Verdict, PolicyFailure> {
        let began = Instant::now();
        let routed = match decider.version.is_open() {
            true => Err(breaker_open()),
            false => decider.version.policy.route(&self.request, self.models(), candidates).await,
        };
        let outcome = outcome_of(&routed);
        record.routing_evaluation = Some(self.note(decider, began, outcome, candidates));
        routed
    }

    /// Notes a call's outcome for the automatic rollback.
    fn note(
        &self,
        decider: &Decider,
        began: Instant,
        outcome: Result<DecisionOutcome, FailureClass>,
        candidates: &[Candidate],
    ) -> Evaluation {
        let took = began.elapsed();
        if decider.version.note_call(took, outcome.err(), &self.request, self.models(), candidates) {
            self.serving.policy_failed.notify_one();
        }
        Evaluation { took, outcome }
    }
}

/// The outcome of a routing policy's call, as a label.
pub(super) fn outcome_of(routed: &Result<Verdict, PolicyFailure>) -> Result<DecisionOutcome, FailureClass> {
    match routed {
        Ok(Verdict::Route(_)) => Ok(DecisionOutcome::Route),
        Ok(Verdict::Deny(_)) => Ok(DecisionOutcome::Deny),
        Ok(Verdict::Pass) => Ok(DecisionOutcome::Pass),
        Err(failure) => Err(failure.class),
    }
}

/// Whether calls to the model would fail now.
pub(super) fn is_down(now: &Observation) -> bool {
    now.health == Health::Down || now.breaker == Breaker::Open
}

/// The configured order, with models last if their backend is down or their breaker is open.
fn default_ranking(catalog: &Catalog, permitted: &[usize]) -> Vec<usize> {
    let down = |index: &usize| is_down(&observe(&catalog.models()[*index]));
    let (last, first): (Vec<usize>, Vec<usize>) = permitted.iter().partition(|index| down(index));
    [first, last].concat()
}

fn breaker_open() -> PolicyFailure {
    let detail =
        "its circuit breaker is open after repeated failures; it is not called until it decides the samples again"
            .into();
    PolicyFailure { class: FailureClass::BreakerOpen, detail }
}

/// Logs a policy failure, and applies the operator's choice: continue without the policy, or fail the request.
fn failed(decider: &Decider, failure: &PolicyFailure) -> Result<(), Failure> {
    if let Some(suppressed) = decider.version.failure_lines.admit() {
        tracing::warn!(
            policy = decider.version.label,
            hook = decider.version.policy.hook().as_str(),
            slot = decider.metrics.labels.slot,
            mode = decider.metrics.labels.mode,
            revision = decider.version.revision,
            class = failure.class.as_str(),
            detail = failure.detail,
            suppressed,
            "policy failed"
        );
    }
    match decider.on_failure() {
        OnFailure::DefaultDecision => Ok(()),
        OnFailure::FailClosed => {
            Err(Failure::new(Kind::PolicyFailed, "a policy failed, and the operator configured it to fail closed")
                .with_detail(format_args!("{}: {failure}", decider.version.label)))
        }
    }
}

/// A score without the noise of binary fractions: 0.9, not 0.8999999999999999.
fn rounded(score: f64) -> f64 {
    (score * 1e6).round() / 1e6
}
