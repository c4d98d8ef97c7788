//! One routing decision: the cost policy estimates the candidates, the routing policy ranks them, and where a policy
//! fails or has no opinion the gateway's own default ranks them.
//!
//! This module must not know: HTTP, dialects' shapes, how a model is called.

use std::sync::Arc;
use std::time::Instant;

use super::shadow::Actual;
use crate::backend::Catalog;
use crate::base::money::NanoDollars;
use crate::config::OnFailure;
use crate::error::{Failure, Kind};
use crate::metrics::labels::{Complexity, DecisionOutcome, Evaluation};
use crate::policy_host::{Breaker, Candidate, CostEstimate, FailureClass, Health, PolicyFailure, Request, Verdict};
use crate::proxy::gateway::Gateway;
use crate::routing::candidate::candidate;
use crate::state::snapshot::{DEFAULT_NAME, Decider, Snapshot};
use crate::telemetry::Record;
use crate::telemetry::record;

/// Which models answer, in which order, and why.
#[derive(Debug)]
pub struct Decision {
    /// Positions in the catalog, first choice first; at least one.
    pub ranking: Vec<usize>,
    /// The candidates: positions in the catalog.
    pub permitted: Vec<usize>,
    /// What the cost policy expects of each candidate.
    pub estimates: Vec<Option<CostEstimate>>,
    /// Why.
    pub reason: String,
    /// The name of what decided.
    pub policy: String,
    /// Its version.
    pub version: String,
}

/// Gives the value of a request's header.
pub type Header<'a> = &'a (dyn Fn(&str) -> Option<&'a str> + Sync);

/// Decides among `permitted` (positions in the catalog; at least one), noting the facts on the record.
///
/// # Errors
/// Where the routing policy denies the request, or a policy failed that the operator wants closed.
pub async fn decide(
    gateway: &Gateway,
    record: &mut Record,
    snapshot: &Arc<Snapshot>,
    request: Request<'_>,
    permitted: &[usize],
    header: Header<'_>,
) -> Result<Decision, Failure> {
    let began = Instant::now();
    let decided = steps(gateway, record, snapshot, request, permitted, header).await;
    record.routing_took = Some(began.elapsed());
    let decision = decided?;
    record.chosen = decision.ranking.first().copied();
    let first = permitted.iter().position(|index| Some(*index) == record.chosen);
    record.estimated_cost = first.and_then(|first| decision.estimates[first]?.cost).map(NanoDollars);
    Ok(decision)
}

async fn steps(
    gateway: &Gateway,
    record: &mut Record,
    snapshot: &Arc<Snapshot>,
    request: Request<'_>,
    permitted: &[usize],
    header: Header<'_>,
) -> Result<Decision, Failure> {
    let mut candidates: Vec<Candidate<'_>> =
        permitted.iter().map(|&index| candidate(&snapshot.catalog.models()[index], None)).collect();
    let estimated = estimate(gateway, record, snapshot, &request, &candidates, header).await?;
    for (candidate, estimate) in candidates.iter_mut().zip(estimated.iter().flatten()) {
        candidate.estimate = Some(*estimate);
    }
    let decided = route(gateway, record, snapshot, request.clone(), &candidates, permitted, header).await;
    // Shadows are compared with the policy that decides for most, not with its canary.
    let by_active = match (&record.routed_by, &snapshot.routing.active) {
        (Some(by), Some(active)) => Arc::ptr_eq(by, active),
        (by, _) => by.is_none(),
    };
    let answered = matches!(&decided, Ok(_) | Err(Failure { kind: Kind::Denied(_), .. }));
    if by_active && answered {
        let model = decided.as_ref().ok().and_then(|decision| decision.ranking.first().copied());
        gateway.shadows.ask(snapshot, &request, &candidates, Actual { model, estimates: estimated });
    }
    decided
}

/// What the cost policy expects of each candidate; `None` where it is disabled, or failed and need not decide.
async fn estimate(
    gateway: &Gateway,
    record: &mut Record,
    snapshot: &Snapshot,
    request: &Request<'_>,
    candidates: &[Candidate<'_>],
    header: Header<'_>,
) -> Result<Option<Vec<CostEstimate>>, Failure> {
    let Some(decider) = snapshot.cost.pick(header, request.id) else { return Ok(None) };
    record.costed_by = Some(Arc::clone(decider));
    let began = Instant::now();
    let estimated = match decider.version.is_open() {
        true => Err(breaker_open()),
        false => decider.version.policy.estimate(request.clone(), candidates).await,
    };
    let outcome = estimated.as_ref().map(|_| DecisionOutcome::Route).map_err(|failure| failure.class);
    record.cost_evaluation = Some(note(gateway, decider, began, outcome));
    match estimated {
        Ok(estimates) => Ok(Some(estimates)),
        Err(failure) => failed(decider, &failure).map(|()| None),
    }
}

async fn route(
    gateway: &Gateway,
    record: &mut Record,
    snapshot: &Snapshot,
    request: Request<'_>,
    candidates: &[Candidate<'_>],
    permitted: &[usize],
    header: Header<'_>,
) -> Result<Decision, Failure> {
    let estimates = candidates.iter().map(|candidate| candidate.estimate).collect();
    let reason = match snapshot.routing.pick(header, request.id) {
        None => "no routing policy is enabled: the first usable model in the configured order",
        Some(decider) => {
            record.routed_by = Some(Arc::clone(decider));
            let began = Instant::now();
            let routed = match decider.version.is_open() {
                true => Err(breaker_open()),
                false => decider.version.policy.route(request, candidates).await,
            };
            let outcome = match &routed {
                Ok(Verdict::Route(_)) => Ok(DecisionOutcome::Route),
                Ok(Verdict::Deny(_)) => Ok(DecisionOutcome::Deny),
                Ok(Verdict::Pass) => Ok(DecisionOutcome::Pass),
                Err(failure) => Err(failure.class),
            };
            record.routing_evaluation = Some(note(gateway, decider, began, outcome));
            match routed {
                Ok(Verdict::Route(decision)) => {
                    record.score = decision.complexity;
                    record.complexity = decision.tier.map_or(Complexity::Unknown, Complexity::from);
                    return Ok(Decision {
                        ranking: decision.ranking.iter().map(|&index| permitted[index as usize]).collect(),
                        permitted: permitted.to_vec(),
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
        ranking: default_ranking(&snapshot.catalog, permitted),
        permitted: permitted.to_vec(),
        estimates,
        reason: reason.into(),
        policy: DEFAULT_NAME.into(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

/// The configured order, models last whose backend is down or whose breaker is open.
fn default_ranking(catalog: &Catalog, permitted: &[usize]) -> Vec<usize> {
    let down = |index: &usize| {
        let candidate = candidate(&catalog.models()[*index], None);
        candidate.health == Health::Down || candidate.breaker == Breaker::Open
    };
    let (last, first): (Vec<usize>, Vec<usize>) = permitted.iter().partition(|index| down(index));
    [first, last].concat()
}

fn breaker_open() -> PolicyFailure {
    let detail = "it failed too often lately and is not called until it decides the samples again".into();
    PolicyFailure { class: FailureClass::BreakerOpen, detail }
}

/// Notes what a call came to where the rules look that take a version out. A lack of room is no fault of the version's.
fn note(
    gateway: &Gateway,
    decider: &Decider,
    began: Instant,
    outcome: Result<DecisionOutcome, FailureClass>,
) -> Evaluation {
    let took = began.elapsed();
    if !matches!(outcome, Err(FailureClass::Saturated | FailureClass::BreakerOpen)) {
        decider.version.tally.note_call(took, outcome.is_err());
        if outcome.is_err() {
            gateway.policy_failed.notify_one();
        }
    }
    Evaluation { took, outcome }
}

/// What the operator wants done about a failing policy: go on without it, or refuse the request.
fn failed(decider: &Decider, failure: &PolicyFailure) -> Result<(), Failure> {
    if let Some(suppressed) = decider.version.failure_lines.admit() {
        tracing::warn!(
            policy = decider.version.label,
            hook = decider.version.policy.hook().as_str(),
            mode = decider.metrics.labels.mode,
            class = failure.class.as_str(),
            detail = failure.detail,
            suppressed,
            "policy failed"
        );
    }
    match decider.on_failure {
        OnFailure::DefaultDecision => Ok(()),
        OnFailure::FailClosed => Err(Failure::new(Kind::PolicyFailed, "a policy that must decide failed")
            .with_detail(format_args!("{}: {failure}", decider.version.label))),
    }
}
