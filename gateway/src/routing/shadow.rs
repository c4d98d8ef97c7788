//! Shadow evaluation: after the active policy has decided, shadow policies decide the same request with the same view
//! of the candidates. Their decisions are counted and compared, and change nothing.
//!
//! Shadows run on one thread of the lowest priority with a bounded queue: the kernel gives them only the CPU time that
//! traffic leaves, and a request never waits for them. A request that finds the queue full, in number or in bytes, is counted
//! as skipped.
//!
//! This module must not know: HTTP, how the deciding policy is picked.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

use super::decision::{is_down, outcome_of};
use crate::metrics::Comparison;
use crate::metrics::labels::{DecisionOutcome, Evaluation};
use crate::state::{Shadow, Snapshot};
use wasmgate_base::money::NanoDollars;
use wasmgate_policy_host::{Candidate, CostEstimate, FailureClass, Hook, OwnedRequest, Request, Verdict};

/// Requests that may wait for the shadow thread.
const QUEUE: usize = 64;
/// Bytes that they may hold together: a queue of large copies must not become the gateway's memory.
const QUEUE_BYTES: usize = 16 << 20;
/// The kernel's lowest priority.
const NICE: i32 = 19;

/// The shadow thread, started for the first request that has a shadow.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    queue: OnceLock<Option<mpsc::Sender<Decided>>>,
    /// Bytes of the requests that wait or are being decided.
    waiting: Arc<AtomicUsize>,
}

/// The place of a waiting request in the bound of bytes, given back when it is dropped.
#[derive(Debug)]
struct Held {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// Takes `bytes`, if they fit in the bound.
    fn take(waiting: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let held = Self { waiting: Arc::clone(waiting), bytes };
        let before = waiting.fetch_add(bytes, Ordering::Relaxed);
        // If they do not fit, dropping `held` gives them back.
        (before.saturating_add(bytes) <= QUEUE_BYTES).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the deciding policies decided.
#[derive(Debug, Clone)]
pub(super) struct Actual {
    /// The first choice, by position in the catalog; `None` if the request was denied.
    pub model: Option<usize>,
    /// The model that the client named.
    pub named: Option<usize>,
    /// The deciding cost policy's estimate of each candidate; `None` if it failed or is disabled.
    pub estimates: Option<Vec<CostEstimate>>,
}

impl Shadows {
    /// Queues a decided request for the shadows of `snapshot`. Copies what they need; never waits.
    pub(super) fn ask(
        &self,
        snapshot: &Arc<Snapshot>,
        request: &Request<'_>,
        candidates: &[Candidate],
        actual: Actual,
    ) {
        if snapshot.routing.shadows.is_empty() && snapshot.cost.shadows.is_empty() {
            return;
        }
        let sent = match self.queue.get_or_init(start) {
            None => false,
            Some(queue) => {
                match (queue.try_reserve(), Held::take(&self.waiting, wasmgate_policy_host::size(request))) {
                    (Ok(place), Some(held)) => {
                        place.send(Decided::new(snapshot, request, candidates, actual, held));
                        true
                    }
                    (Err(_), _) | (_, None) => false,
                }
            }
        };
        if !sent {
            for hook in Hook::ALL {
                for shadow in &snapshot.hook(hook).shadows {
                    shadow.metrics.compared(Comparison::Skipped);
                }
            }
        }
    }
}

fn start() -> Option<mpsc::Sender<Decided>> {
    let (queue, asked) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let started = runtime.and_then(|runtime| {
        std::thread::Builder::new().name("shadows".into()).spawn(move || {
            // On Linux, priority is per thread.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "cannot lower the priority of the shadow thread; it competes with traffic");
            }
            runtime.block_on(work(asked));
        })
    });
    match started {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::error!(%error, "cannot start the shadow thread; no shadow is evaluated");
            None
        }
    }
}

async fn work(mut asked: mpsc::Receiver<Decided>) {
    while let Some(asked) = asked.recv().await {
        for shadow in &asked.snapshot.cost.shadows {
            asked.estimate(shadow).await;
        }
        for shadow in &asked.snapshot.routing.shadows {
            asked.route(shadow).await;
        }
    }
}

/// A decided request, with everything a shadow needs to decide it.
#[derive(Debug)]
struct Decided {
    snapshot: Arc<Snapshot>,
    request: OwnedRequest,
    candidates: Vec<Candidate>,
    actual: Actual,
    /// Dropped with this copy.
    _held: Held,
}

impl Decided {
    fn new(
        snapshot: &Arc<Snapshot>,
        request: &Request<'_>,
        candidates: &[Candidate],
        actual: Actual,
        held: Held,
    ) -> Self {
        let candidates = candidates.to_vec();
        Self { snapshot: Arc::clone(snapshot), request: request.into(), candidates, actual, _held: held }
    }

    async fn route(&self, shadow: &Shadow) {
        let lists = self.request.lists();
        let (request, models) = (self.request.request(&lists), &self.snapshot.policy_models);
        let began = Instant::now();
        let verdict = shadow.decider.version.policy.route(&request, models, &self.candidates).await;
        let outcome = outcome_of(&verdict);
        shadow.decider.metrics.observe(Some(Evaluation { took: began.elapsed(), outcome }));
        let first = verdict.as_ref().ok().and_then(|verdict| self.first_choice(verdict));
        let model = first.map(|seen| seen.model as usize);
        let cost = first.and_then(|seen| seen.estimate?.cost).map(NanoDollars);
        shadow.decider.metrics.observe_decision(Some(outcome), model, cost);
        match verdict {
            Err(failure) => self.failed(shadow, &failure.class, &failure.detail),
            Ok(_) => {
                shadow.metrics.chose(&self.snapshot.catalog, self.actual.model, model);
                let same = model == self.actual.model;
                shadow.metrics.compared(if same { Comparison::Agree } else { Comparison::Disagree });
            }
        }
    }

    /// The model that would be called first if the shadow were active.
    fn first_choice(&self, verdict: &Verdict) -> Option<&Candidate> {
        let is_named = |seen: &&Candidate| Some(seen.model as usize) == self.actual.named;
        match verdict {
            Verdict::Route(decision) => {
                let mut ranking = decision.ranking.iter().filter_map(|&index| self.candidates.get(index as usize));
                ranking.clone().find(is_named).or_else(|| ranking.next())
            }
            Verdict::Pass => {
                let is_usable = |seen: &&Candidate| !is_down(&seen.now);
                let mut all = self.candidates.iter();
                all.clone().find(is_named).or_else(|| all.clone().find(is_usable)).or_else(|| all.next())
            }
            Verdict::Deny(_) => None,
        }
    }

    async fn estimate(&self, shadow: &Shadow) {
        let lists = self.request.lists();
        let candidates: Vec<_> = self.candidates.iter().map(|seen| Candidate { estimate: None, ..*seen }).collect();
        let (request, models) = (self.request.request(&lists), &self.snapshot.policy_models);
        let began = Instant::now();
        let estimates = shadow.decider.version.policy.estimate(&request, models, &candidates).await;
        let outcome = estimates.as_ref().map(|_| DecisionOutcome::Route).map_err(|failure| failure.class);
        shadow.decider.metrics.observe(Some(Evaluation { took: began.elapsed(), outcome }));
        match (estimates, &self.actual.estimates) {
            (Err(failure), _) => self.failed(shadow, &failure.class, &failure.detail),
            (Ok(_), None) => shadow.metrics.compared(Comparison::Disagree),
            (Ok(ours), Some(theirs)) => {
                let same = ours.iter().map(|e| e.cost).eq(theirs.iter().map(|e| e.cost));
                shadow.metrics.compared(if same { Comparison::Agree } else { Comparison::Disagree });
            }
        }
    }

    fn failed(&self, shadow: &Shadow, class: &FailureClass, detail: &str) {
        shadow.metrics.compared(Comparison::Failed);
        let version = &shadow.decider.version;
        if let Some(suppressed) = version.failure_lines.admit() {
            tracing::warn!(
                policy = version.label,
                hook = version.policy.hook().as_str(),
                mode = "shadow",
                class = class.as_str(),
                detail,
                suppressed,
                "policy failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_bytes_and_given_back() {
        let waiting = Arc::default();
        let large = Held::take(&waiting, QUEUE_BYTES - 10);
        assert!(large.is_some());
        assert!(Held::take(&waiting, 11).is_none());
        assert!(Held::take(&waiting, 10).is_some());
        drop(large);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        assert!(Held::take(&waiting, usize::MAX).is_none() && Held::take(&waiting, QUEUE_BYTES).is_some());
    }
}
