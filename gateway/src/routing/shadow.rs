//! Shadows: policies that are asked what they would decide, after the one that decides has, with the same request and the
//! same view of the candidates. Their answers are counted and compared, and change nothing.
//!
//! They run on one thread of the lowest priority with a bounded queue: the kernel gives them what traffic leaves, and a
//! request never waits for them. What the queue has no room for is counted as skipped.
//!
//! This module must not know: HTTP, how a choice is made.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

use tokio::sync::mpsc;

use super::candidate::candidate;
use super::decision::outcome_of;
use crate::base::money::NanoDollars;
use crate::metrics::Comparison;
use crate::metrics::labels::{DecisionOutcome, Evaluation};
use crate::policy_host::{
    Breaker, Candidate, CostEstimate, Dialect, FailureClass, Health, Hook, Message, Observed, Request, Role, Verdict,
};
use crate::state::{Shadow, Snapshot};

/// Requests that may wait for the shadows' thread.
const QUEUE: usize = 64;
/// The lowest priority that the kernel has.
const NICE: i32 = 19;

/// The shadows' thread, started when the first shadow is there.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    queue: OnceLock<Option<mpsc::Sender<Asked>>>,
}

/// What the policies that decide came to.
#[derive(Debug, Clone)]
pub(super) struct Actual {
    /// The first choice, by position in the catalog; `None` where the request was denied.
    pub model: Option<usize>,
    /// What the cost policy that decides expects of each candidate; `None` where it failed or is disabled.
    pub estimates: Option<Vec<CostEstimate>>,
}

impl Shadows {
    /// Lets the shadows of `snapshot` see a request that was decided. Copies what they need; never waits.
    pub(super) fn ask(&self, snapshot: &Arc<Snapshot>, request: &Request<'_>, seen: &[Candidate<'_>], actual: Actual) {
        if snapshot.routing.shadows.is_empty() && snapshot.cost.shadows.is_empty() {
            return;
        }
        let sent = match self.queue.get_or_init(start) {
            None => false,
            Some(queue) => match queue.try_reserve() {
                Err(_full) => false,
                Ok(place) => {
                    place.send(Asked::new(snapshot, request, seen, actual));
                    true
                }
            },
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

fn start() -> Option<mpsc::Sender<Asked>> {
    let (queue, asked) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let started = runtime.and_then(|runtime| {
        std::thread::Builder::new().name("shadows".into()).spawn(move || {
            // On Linux a priority is a thread's own.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "the shadows' thread keeps the priority of all others");
            }
            runtime.block_on(work(asked));
        })
    });
    match started {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::error!(%error, "shadows cannot run: their thread does not start");
            None
        }
    }
}

async fn work(mut asked: mpsc::Receiver<Asked>) {
    while let Some(asked) = asked.recv().await {
        for shadow in &asked.snapshot.cost.shadows {
            asked.estimate(shadow).await;
        }
        for shadow in &asked.snapshot.routing.shadows {
            asked.route(shadow).await;
        }
    }
}

/// A decided request, with all that it takes to decide it again.
#[derive(Debug)]
struct Asked {
    snapshot: Arc<Snapshot>,
    id: String,
    dialect: Dialect,
    requested_model: String,
    messages: Vec<(Role, String)>,
    prompt_tokens: u32,
    max_tokens: Option<u32>,
    streaming: bool,
    tools: bool,
    images: bool,
    labels: Vec<(String, String)>,
    seen: Vec<Seen>,
    actual: Actual,
}

/// A candidate, and what of it was so at that moment only.
#[derive(Debug)]
struct Seen {
    // By position in the catalog.
    model: usize,
    health: Health,
    breaker: Breaker,
    in_flight: u32,
    observed: Option<Observed>,
    estimate: Option<CostEstimate>,
}

impl Asked {
    fn new(snapshot: &Arc<Snapshot>, request: &Request<'_>, seen: &[Candidate<'_>], actual: Actual) -> Self {
        let seen = seen.iter().filter_map(|candidate| {
            Some(Seen {
                model: snapshot.catalog.find(candidate.model)?,
                health: candidate.health,
                breaker: candidate.breaker,
                in_flight: candidate.in_flight,
                observed: candidate.observed,
                estimate: candidate.estimate,
            })
        });
        Self {
            snapshot: Arc::clone(snapshot),
            id: request.id.to_owned(),
            dialect: request.dialect,
            requested_model: request.requested_model.to_owned(),
            messages: request.messages.iter().map(|message| (message.role, message.text.to_owned())).collect(),
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            streaming: request.streaming,
            tools: request.tools,
            images: request.images,
            labels: request.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            seen: seen.collect(),
            actual,
        }
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let rebuilt = |seen: &Seen| Candidate {
            health: seen.health,
            breaker: seen.breaker,
            in_flight: seen.in_flight,
            observed: seen.observed,
            ..candidate(&self.snapshot.catalog.models()[seen.model], seen.estimate)
        };
        self.seen.iter().map(rebuilt).collect()
    }

    fn request<'a>(&'a self, messages: &'a [Message<'a>], labels: &'a [(&'a str, &'a str)]) -> Request<'a> {
        Request {
            id: &self.id,
            dialect: self.dialect,
            requested_model: &self.requested_model,
            messages,
            prompt_tokens: self.prompt_tokens,
            max_tokens: self.max_tokens,
            streaming: self.streaming,
            tools: self.tools,
            images: self.images,
            tenant: None,
            budget: None,
            labels,
            hints: &[],
        }
    }

    fn messages(&self) -> Vec<Message<'_>> {
        self.messages.iter().map(|(role, text)| Message { role: *role, text }).collect()
    }

    fn labels(&self) -> Vec<(&str, &str)> {
        self.labels.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    async fn route(&self, shadow: &Shadow) {
        let (messages, labels, candidates) = (self.messages(), self.labels(), self.candidates());
        let began = Instant::now();
        let verdict = shadow.decider.version.policy.route(self.request(&messages, &labels), &candidates).await;
        let outcome = outcome_of(&verdict);
        shadow.decider.metrics.observe(Some(Evaluation { took: began.elapsed(), outcome }));
        let first = match &verdict {
            Ok(Verdict::Route(decision)) => decision.ranking.first().and_then(|&index| self.seen.get(index as usize)),
            // The gateway's own order stands in for a policy without an opinion, as it would if this one decided.
            Ok(Verdict::Pass) => self.seen.iter().find(|seen| seen.health != Health::Down).or(self.seen.first()),
            Ok(Verdict::Deny(_)) | Err(_) => None,
        };
        let model = first.map(|seen| seen.model);
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

    async fn estimate(&self, shadow: &Shadow) {
        let (messages, labels) = (self.messages(), self.labels());
        let mut candidates = self.candidates();
        for candidate in &mut candidates {
            candidate.estimate = None;
        }
        let began = Instant::now();
        let estimates = shadow.decider.version.policy.estimate(self.request(&messages, &labels), &candidates).await;
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
