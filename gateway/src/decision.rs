//! One routing decision: the cost policy estimates the candidates, the routing policy ranks them, and where a policy
//! fails or has no opinion the gateway's own default ranks them.
//!
//! This module must not know: HTTP, dialects' shapes, how a model is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::config::OnFailure;
use crate::error::{Failure, Kind};
use crate::money::NanoDollars;
use crate::policy::{Candidate, CostEstimate, Health, PolicyFailure, Request, Verdict};
use crate::record::{self, Complexity, Evaluation, Record};
use crate::snapshot::{Active, Snapshot};

/// The name under which the gateway's own default decides.
const DEFAULT_NAME: &str = "default";
/// The same with its version, which is the gateway's.
pub const DEFAULT_LABEL: &str = concat!("default@", env!("CARGO_PKG_VERSION"));

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

/// Decides among `permitted` (positions in the catalog; at least one), noting the facts on the record.
///
/// # Errors
/// Where the routing policy denies the request, or a policy failed that the operator wants closed.
pub async fn decide(
    record: &mut Record,
    snapshot: &Snapshot,
    request: Request<'_>,
    permitted: &[usize],
) -> Result<Decision, Failure> {
    let began = Instant::now();
    let decided = steps(record, snapshot, request, permitted).await;
    record.routing_took = Some(began.elapsed());
    let decision = decided?;
    record.chosen = decision.ranking.first().copied();
    let first = permitted.iter().position(|index| Some(*index) == record.chosen);
    record.estimated_cost = first.and_then(|first| decision.estimates[first]?.cost).map(NanoDollars);
    Ok(decision)
}

async fn steps(
    record: &mut Record,
    snapshot: &Snapshot,
    request: Request<'_>,
    permitted: &[usize],
) -> Result<Decision, Failure> {
    let mut candidates: Vec<Candidate<'_>> =
        permitted.iter().map(|&index| snapshot.catalog.models()[index].candidate(None)).collect();

    let began = Instant::now();
    let estimated = snapshot.cost.policy.estimate(request.clone(), &candidates).await;
    let outcome = estimated.as_ref().map(|_| record::Verdict::Route).map_err(|failure| failure.class);
    record.cost_evaluation = Some(Evaluation { took: began.elapsed(), outcome });
    match estimated {
        Ok(estimates) => {
            for (candidate, estimate) in candidates.iter_mut().zip(estimates) {
                candidate.estimate = Some(estimate);
            }
        }
        Err(failure) => failed(&snapshot.cost, &failure)?,
    }
    let estimates = candidates.iter().map(|candidate| candidate.estimate).collect();

    let began = Instant::now();
    let routed = snapshot.routing.policy.route(request, &candidates).await;
    let outcome = match &routed {
        Ok(Verdict::Route(_)) => Ok(record::Verdict::Route),
        Ok(Verdict::Deny(_)) => Ok(record::Verdict::Deny),
        Ok(Verdict::Pass) => Ok(record::Verdict::Pass),
        Err(failure) => Err(failure.class),
    };
    record.routing_evaluation = Some(Evaluation { took: began.elapsed(), outcome });
    let reason = match routed {
        Ok(Verdict::Route(decision)) => {
            record.score = decision.complexity;
            record.complexity = decision.tier.map_or(Complexity::Unknown, Complexity::from);
            let manifest = snapshot.routing.policy.manifest();
            return Ok(Decision {
                ranking: decision.ranking.iter().map(|&index| permitted[index as usize]).collect(),
                permitted: permitted.to_vec(),
                estimates,
                reason: decision.reason,
                policy: manifest.name.clone(),
                version: manifest.version.clone(),
            });
        }
        Ok(Verdict::Deny(denial)) => return Err(Failure::new(Kind::Denied(denial.code), denial.reason)),
        Ok(Verdict::Pass) => "the policy has no opinion: the first usable model in the configured order",
        Err(failure) => {
            failed(&snapshot.routing, &failure)?;
            "the policy failed: the first usable model in the configured order"
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

/// The configured order, models whose backend is down last.
fn default_ranking(catalog: &Catalog, permitted: &[usize]) -> Vec<usize> {
    let down = |index: &usize| catalog.models()[*index].candidate(None).health == Health::Down;
    let (last, first): (Vec<usize>, Vec<usize>) = permitted.iter().partition(|index| down(index));
    [first, last].concat()
}

/// What the operator wants done about a failing policy: go on without it, or refuse the request.
fn failed(active: &Active, failure: &PolicyFailure) -> Result<(), Failure> {
    if let Some(suppressed) = active.failure_lines.admit() {
        tracing::warn!(
            policy = active.label,
            hook = active.policy.hook().as_str(),
            class = failure.class.as_str(),
            detail = failure.detail,
            suppressed,
            "policy failed"
        );
    }
    match active.on_failure {
        OnFailure::DefaultDecision => Ok(()),
        OnFailure::FailClosed => Err(Failure::new(Kind::PolicyFailed, "a policy that must decide failed")
            .with_detail(format_args!("{}: {failure}", active.label))),
    }
}

/// Lets one line a second through: a policy that always fails must not fill the log.
#[derive(Debug)]
pub struct LineLimit {
    started: Instant,
    next_second: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for LineLimit {
    fn default() -> Self {
        Self { started: Instant::now(), next_second: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }
}

impl LineLimit {
    /// Whether a line may be written, and how many were not since the last.
    fn admit(&self) -> Option<u64> {
        let now = self.started.elapsed().as_secs();
        let next = self.next_second.load(Ordering::Relaxed);
        let mine = now >= next
            && self.next_second.compare_exchange(next, now + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}
