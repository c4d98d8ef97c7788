//! The facts of one request, noted by the steps as they happen and observed once, when the request ends, whichever
//! way it ends: metrics, the log line, the averages that policies see.
//!
//! `Open` is held by whatever the request's life hangs on: the handler at first, the response's body after. Dropping it
//! unclosed means that the client left.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::chat::Usage;
use crate::decision::DEFAULT_LABEL;
use crate::dialect::{Dialect, Total};
use crate::error::{Failure, Fault, Kind, Reason, Rejection};
use crate::money::NanoDollars;
use crate::policy::{FailureClass, Tier};
use crate::proxy::Gateway;
use crate::snapshot::Snapshot;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Turned away: the client's fault, or a policy's or operator's wish.
    Rejected(Rejection),
    /// Answered in whole.
    Finished,
    /// The gateway or a backend failed.
    Failed(Reason),
    /// The client left.
    Abandoned,
    /// The gateway stopped before the answer was whole.
    Shutdown,
}

impl Ending {
    /// The word in log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
            Self::Abandoned => "abandoned",
            Self::Shutdown => "shutdown",
        }
    }

    /// How a failure ends a request.
    #[must_use]
    pub fn of(kind: &Kind) -> Self {
        match (kind, kind.fault()) {
            (Kind::Stopping, _) => Self::Shutdown,
            (_, Fault::Rejected(rejection)) => Self::Rejected(rejection),
            (_, Fault::Error(reason)) => Self::Failed(reason),
        }
    }
}

/// How demanding a request is, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(usize)]
pub enum Complexity {
    /// A small model will do.
    Low,
    /// Between the two.
    Medium,
    /// It takes the most capable model.
    High,
    /// No policy said.
    #[default]
    Unknown,
}

impl Complexity {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Unknown];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Tier> for Complexity {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Low => Self::Low,
            Tier::Medium => Self::Medium,
            Tier::High => Self::High,
        }
    }
}

/// One call of one policy.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// How long it took, instantiation and checks included.
    pub took: Duration,
    /// What came of it.
    pub outcome: Result<Verdict, FailureClass>,
}

/// What a routing policy's call came to; a cost policy's is always `Route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It chose.
    Route,
    /// It refused the request.
    Deny,
    /// It had no opinion.
    Pass,
}

/// An attempt at a model that failed before another was tried.
#[derive(Debug, Clone, Copy)]
pub struct FellBack {
    /// The model that failed, by position in the catalog.
    pub model: usize,
    /// Why.
    pub reason: Reason,
}

/// The facts of one request.
#[derive(Debug)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// When it came.
    pub started: Instant,
    /// In which dialect; `None` for embeddings.
    pub dialect: Option<Dialect>,
    /// Whether its answer is streamed.
    pub stream: bool,
    /// Tokens of the prompt as estimated before routing.
    pub estimated_input_tokens: u32,
    /// The whole routing decision, host overhead included.
    pub routing_took: Option<Duration>,
    /// The cost policy's call.
    pub cost_evaluation: Option<Evaluation>,
    /// The routing policy's call.
    pub routing_evaluation: Option<Evaluation>,
    /// Whether the gateway's default decided.
    pub by_default: bool,
    /// How demanding it is.
    pub complexity: Complexity,
    /// The score behind it.
    pub score: Option<f64>,
    /// The first choice, by position in the catalog.
    pub chosen: Option<usize>,
    /// What the cost policy expects of the first choice.
    pub estimated_cost: Option<NanoDollars>,
    /// Attempts that failed, in order.
    pub fell_back: Vec<FellBack>,
    /// The model that answers, by position in the catalog.
    pub model: Option<usize>,
    /// When the call to it began.
    pub called: Option<Instant>,
    /// When its first token came (streams).
    pub first_token: Option<Instant>,
    /// What the backend reported.
    pub usage: Option<Usage>,
    /// Pieces of text and tool arguments that came in a stream.
    pub output_pieces: u64,
    /// Their bytes.
    pub output_bytes: u64,
    /// What the log is told of a failure.
    pub detail: String,
}

impl Record {
    fn new() -> Self {
        Self {
            id: uuid::Uuid::now_v7().simple().to_string(),
            started: Instant::now(),
            dialect: None,
            stream: false,
            estimated_input_tokens: 0,
            routing_took: None,
            cost_evaluation: None,
            routing_evaluation: None,
            by_default: false,
            complexity: Complexity::Unknown,
            score: None,
            chosen: None,
            estimated_cost: None,
            fell_back: Vec::new(),
            model: None,
            called: None,
            first_token: None,
            usage: None,
            output_pieces: 0,
            output_bytes: 0,
            detail: String::new(),
        }
    }

    /// When it came, in seconds since 1970.
    #[must_use]
    pub fn created(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(self.started.elapsed()).as_secs()
    }

    /// What to bill: the backend's count, else our estimate of what was seen.
    #[must_use]
    pub fn billable(&self) -> Usage {
        self.usage.unwrap_or_else(|| Usage {
            input: u64::from(self.estimated_input_tokens),
            // Most backends send a token a piece; those that send more are caught by the usual four bytes a token.
            output: self.output_pieces.max(self.output_bytes.div_ceil(4)),
            ..Usage::default()
        })
    }

    /// What it costs by its model's price; `None` where it reached no model or the model is unpriced.
    #[must_use]
    pub fn cost(&self, snapshot: &Snapshot) -> Option<NanoDollars> {
        let price = snapshot.catalog.models()[self.model?].model.price?;
        Some(price.of(&self.billable()))
    }

    /// What the answer came to by now.
    #[must_use]
    pub fn total(&self, snapshot: &Snapshot) -> Total {
        let usage = self.billable();
        Total {
            input_tokens: usage.input_total(),
            output_tokens: usage.output,
            cost: self.cost(snapshot).map(NanoDollars::usd),
            latency_seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// A record that must be closed, and the permit that the request holds.
pub struct Open {
    /// The facts.
    pub record: Box<Record>,
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    closed: bool,
}

impl Open {
    /// A request came.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        gateway.metrics.request_began();
        let (gateway, snapshot) = (Arc::clone(gateway), gateway.snapshot());
        Self { record: Box::new(Record::new()), gateway, snapshot, closed: false }
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The policies and models that serve this request from its beginning to its end.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What the answer came to by now.
    #[must_use]
    pub fn total(&self) -> Total {
        self.record.total(&self.snapshot)
    }

    /// It failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.record.detail.clone_from(if failure.detail.is_empty() { &failure.message } else { &failure.detail });
        self.close(Ending::of(&failure.kind));
    }

    /// It was explained, not answered: the decision counts, a request there was none.
    pub fn close_explained(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.gateway.metrics.observe_decision(&self.record, &self.snapshot);
        }
    }

    /// It ended. Only the first ending counts.
    pub fn close(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.closed, true) {
            self.gateway.metrics.observe(&self.record, &self.snapshot, ending);
            let chat = ending == Ending::Finished && self.record.dialect.is_some();
            if let (true, Some(model), Some(called)) = (chat, self.record.model, self.record.called) {
                let first = self.record.first_token.map(|first| first.duration_since(called));
                let recent = &self.snapshot.catalog.models()[model].recent;
                recent.note(called.elapsed(), first, self.record.billable().output);
            }
            if self.gateway.log_requests {
                log(&self.record, &self.snapshot, ending);
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(Ending::Abandoned);
        self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.gateway.metrics.request_ended();
    }
}

/// One line a request, with the same facts that the metrics count and never a word of the prompt.
fn log(record: &Record, snapshot: &Snapshot, ending: Ending) {
    let names = |index: usize| &*snapshot.catalog.models()[index].model.name;
    let usage = record.billable();
    let fell_back: Vec<String> = record
        .fell_back
        .iter()
        .map(|attempt| format!("{}: {}", names(attempt.model), attempt.reason.as_str()))
        .collect();
    let took = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.took.as_secs_f64());
    let class = |evaluation: Option<Evaluation>| {
        evaluation.and_then(|evaluation| evaluation.outcome.err()).map(FailureClass::as_str)
    };
    let policy = record.routing_evaluation.map(|_| match record.by_default {
        true => DEFAULT_LABEL,
        false => &*snapshot.routing.label,
    });
    let reason = match ending {
        Ending::Rejected(rejection) => Some(rejection.as_str()),
        Ending::Failed(reason) => Some(reason.as_str()),
        Ending::Finished | Ending::Abandoned | Ending::Shutdown => None,
    };
    tracing::info!(
        target: "request",
        request_id = record.id,
        ending = ending.as_str(),
        reason,
        detail = (!record.detail.is_empty()).then_some(&*record.detail),
        dialect = record.dialect.map(Dialect::as_str),
        stream = record.stream,
        model = record.model.map(names),
        backend = record.model.map(|index| &*snapshot.catalog.models()[index].backend.settings().name),
        location = record.model.map(|index| snapshot.catalog.models()[index].location()),
        chosen = record.chosen.map(names),
        fell_back = (!fell_back.is_empty()).then(|| fell_back.join(", ")),
        policy,
        by_default = record.by_default,
        complexity = record.score,
        tier = record.complexity.as_str(),
        routing_failure = class(record.routing_evaluation),
        cost_failure = class(record.cost_evaluation),
        routing_seconds = record.routing_took.map(|took| took.as_secs_f64()),
        routing_policy_seconds = took(record.routing_evaluation),
        cost_policy_seconds = took(record.cost_evaluation),
        estimated_cost_usd = record.estimated_cost.map(NanoDollars::usd),
        cost_usd = record.cost(snapshot).map(NanoDollars::usd),
        input_tokens = record.model.map(|_| usage.input_total()),
        output_tokens = record.model.map(|_| usage.output),
        usage_reported = record.model.map(|_| record.usage.is_some()),
        first_token_seconds = record.first_token.map(|first| first.duration_since(record.started).as_secs_f64()),
        seconds = record.started.elapsed().as_secs_f64(),
        "request"
    );
}
