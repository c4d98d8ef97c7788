//! The decision log of the gateway: a request hands over what was decided and what came of it, as it is in memory; the log's
//! thread looks names up and makes the line.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Record;
use super::billing::Bill;
use super::exploration::Exploration;
use super::record::FailedAttempt;
use crate::config;
use crate::metrics::labels::{Ending, Evaluation};
use crate::state::{Decider, Deciders, Snapshot};
use wasmgate_base::log_limit::LogLimit;
use wasmgate_decisions::{
    Asked, Attempt, Call, Candidate, CostBasis, Decision, Feedback, Keep, Lines, Log, ModelTable, Moment, Options,
    Outcome, Request, Verdict, VerdictKind,
};
use wasmgate_dialect::Dialect;
use wasmgate_policy_host as host;

/// Bytes of texts that may wait for the log's thread together: a queue of long prompts must not become the gateway's memory.
const WAITING_BYTES: usize = 16 << 20;
/// How long a look-up waits for lines that are being written.
pub const FLUSH: Duration = Duration::from_secs(2);

/// The decision log.
#[derive(Debug)]
pub struct Decisions {
    log: Log<Entry>,
    folder: PathBuf,
    /// Bytes of texts that wait.
    waiting: Arc<AtomicUsize>,
    texts_dropped: AtomicU64,
}

/// What policies were asked about a request, and what they answered.
#[derive(Debug)]
pub struct Decided {
    /// The request, except for texts.
    pub request: Request,
    /// The models that may answer, with estimates.
    pub candidates: Vec<host::Candidate>,
    /// The routing policy's verdict, if it gave one.
    pub verdict: Option<host::Verdict>,
    /// The default's ranking, by position in the catalog; empty if it did not decide.
    pub by_default: Vec<usize>,
}

/// What the log's thread gets.
#[derive(Debug)]
enum Entry {
    Closed(Box<Closed>),
    Text { id: String, keep: Keep, messages: Vec<(host::Role, String)>, _held: Held },
    Feedback(Feedback),
}

/// A request that ended.
#[derive(Debug)]
struct Closed {
    snapshot: Arc<Snapshot>,
    decided: Arc<Decided>,
    id: String,
    group: Option<usize>,
    dialect: Option<Dialect>,
    routed_by: Option<Arc<Decider>>,
    costed_by: Option<Arc<Decider>>,
    routing_evaluation: Option<Evaluation>,
    cost_evaluation: Option<Evaluation>,
    chosen: Option<usize>,
    exploration: Option<Box<Exploration>>,
    ending: Ending,
    model: Option<usize>,
    failed_attempts: Vec<FailedAttempt>,
    hedged: bool,
    /// The last is that of the model that answered, if the request finished.
    bills: Vec<Bill>,
    first_token: Option<Duration>,
    model_took: Option<Duration>,
    took: Duration,
}

/// The place of waiting texts in the bound of bytes, given back when it is dropped.
#[derive(Debug)]
struct Held {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What became of entries so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Lines handed to the kernel.
    pub written: u64,
    /// Entries that found no room in the queue.
    pub queue_full: u64,
    /// Lines that the disk refused.
    pub disk: u64,
    /// Prompts whose texts found no room.
    pub texts_dropped: u64,
}

impl Decisions {
    /// Opens the log of a configuration; `None` if none is kept, or if it cannot be: then the gateway serves, and says so.
    /// `publish` gets each decision when its line is written, on the log's thread.
    #[must_use]
    pub fn open(config: &config::Decisions, mut publish: impl FnMut(&Decision) + Send + 'static) -> Option<Self> {
        let folder = config.dir.clone()?;
        let options = Options::new(config.decisions, config.content, report);
        let mut tables = Tables::default();
        let write = move |entry: Entry, lines: &mut Lines| match entry {
            Entry::Closed(closed) => {
                let table = tables.of(&closed.snapshot);
                let decision = closed.decision(table);
                lines.decision(&decision, table);
                publish(&decision);
            }
            Entry::Text { id, keep, messages, .. } => lines.content(&id, Moment::of_id(&id), keep, messages),
            Entry::Feedback(feedback) => lines.feedback(&feedback),
        };
        let shown = folder.display();
        let log = match Log::open(&folder, options, write) {
            Ok(Some(log)) => log,
            Ok(None) => {
                tracing::warn!(folder = %shown, "another gateway writes the decision log; this one keeps none");
                return None;
            }
            Err(error) => {
                tracing::error!(%error, folder = %shown, "the decision log cannot be opened; none is kept");
                return None;
            }
        };
        tracing::info!(folder = %shown, "decision log open");
        Some(Self { log, folder, waiting: Arc::default(), texts_dropped: AtomicU64::new(0) })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until all lines are written, at most `FLUSH`.
    pub fn flush(&self) {
        self.log.flush(FLUSH);
    }

    /// What became of entries so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let status = self.log.status();
        Totals {
            written: status.written(),
            queue_full: status.queue_full(),
            disk: status.disk(),
            texts_dropped: self.texts_dropped.load(Ordering::Relaxed),
        }
    }

    /// Logs a request that ended, if it was decided.
    pub fn closed(&self, record: &Record, snapshot: &Arc<Snapshot>, ending: Ending) {
        let Some(decided) = &record.decided else { return };
        let since = |moment: std::time::Instant| moment.duration_since(record.started);
        self.log.append(Entry::Closed(Box::new(Closed {
            snapshot: Arc::clone(snapshot),
            decided: Arc::clone(decided),
            id: record.id.clone(),
            group: record.group,
            dialect: record.dialect,
            routed_by: record.routed_by.clone(),
            costed_by: record.costed_by.clone(),
            routing_evaluation: record.routing_evaluation,
            cost_evaluation: record.cost_evaluation,
            chosen: record.chosen,
            exploration: record.exploration.clone(),
            ending,
            model: record.model,
            failed_attempts: record.failed_attempts.clone(),
            hedged: record.hedge.is_some(),
            bills: record.bills(ending).collect(),
            first_token: record.first_token.map(since),
            model_took: record.model_took(),
            took: record.started.elapsed(),
        })));
    }

    /// Keeps a request's texts as the operator chose; `messages` makes a copy of them, which has so many bytes.
    pub fn text(
        &self,
        id: &str,
        keep: Keep,
        bytes: impl FnOnce() -> usize,
        messages: impl FnOnce() -> Vec<(host::Role, String)>,
    ) {
        if keep == Keep::None {
            return;
        }
        let bytes = bytes();
        let held = Held { waiting: Arc::clone(&self.waiting), bytes };
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // If they do not fit, dropping `held` gives them back.
        if before.saturating_add(bytes) > WAITING_BYTES {
            self.texts_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.log.append(Entry::Text { id: id.to_owned(), keep, messages: messages(), _held: held });
    }

    /// Logs feedback. Returns whether there was room for it.
    pub fn feedback(&self, feedback: Feedback) -> bool {
        self.log.append(Entry::Feedback(feedback))
    }
}

/// Logs an error of the disk, not more often than other lines of that kind.
fn report(error: &io::Error) {
    static LINES: std::sync::LazyLock<LogLimit> = std::sync::LazyLock::new(LogLimit::default);
    if let Some(suppressed) = LINES.admit() {
        tracing::error!(%error, suppressed, "the decision log cannot be written; its lines are dropped");
    }
}

/// The table of models of the snapshot that was seen last.
#[derive(Default)]
struct Tables(Option<(u64, ModelTable)>);

impl Tables {
    fn of(&mut self, snapshot: &Snapshot) -> &ModelTable {
        let known = self.0.take().filter(|(generation, _)| *generation == snapshot.generation);
        let made = || {
            let further = |at| {
                let rates = snapshot.price(Some(at))?.rates;
                Some([rates.cache_read, rates.cache_write, rates.reasoning].map(|rate| rate.0))
            };
            (snapshot.generation, ModelTable::of(&snapshot.policy_models, further))
        };
        &self.0.insert(known.unwrap_or_else(made)).1
    }
}

impl Closed {
    fn decision(&self, table: &ModelTable) -> Decision {
        let (snapshot, decided) = (&self.snapshot, &self.decided);
        let models = &snapshot.policy_models;
        let share = share(&snapshot.routing, self.routed_by.as_ref()) * share(&snapshot.cost, self.costed_by.as_ref());
        let mut decision = Decision {
            id: self.id.clone(),
            time: Moment::of_id(&self.id),
            group: snapshot.group(self.group).map(|group| group.name.to_string()),
            dialect: self.dialect.map_or_else(String::new, |dialect| dialect.as_str().to_owned()),
            models_id: table.id().to_owned(),
            request: decided.request.clone(),
            candidates: decided.candidates.iter().map(|candidate| Candidate::of(candidate, models)).collect(),
            routing: self.routed_by.as_ref().map(|by| asked(by, self.routing_evaluation)),
            cost: self.costed_by.as_ref().map(|by| asked(by, self.cost_evaluation)),
            verdict: self.verdict(),
            chosen: self.chosen.map(|chosen| self.name(chosen)),
            explored: self.exploration.as_ref().is_some_and(|exploration| exploration.explored()),
            exploration: self.exploration.as_deref().map(|exploration| self.exploration(exploration)),
            propensity: share,
            outcome: self.outcome(),
        };
        decision.propensity *= decision.chosen.as_deref().map_or(1.0, |chosen| decision.probability_of(chosen));
        decision
    }

    fn exploration(&self, exploration: &Exploration) -> wasmgate_decisions::Exploration {
        wasmgate_decisions::Exploration {
            share: exploration.explore.share(),
            models: exploration.models.iter().map(|&model| self.name(model)).collect(),
        }
    }

    fn name(&self, model: usize) -> String {
        self.snapshot.catalog.models()[model].model.name.clone()
    }

    fn verdict(&self) -> Verdict {
        let decided = &self.decided;
        if let Some(verdict) = &decided.verdict
            && decided.by_default.is_empty()
        {
            return Verdict::of(verdict, &decided.candidates, &self.snapshot.policy_models);
        }
        let failed = |evaluation: Option<Evaluation>| evaluation.is_some_and(|evaluation| evaluation.outcome.is_err());
        let kind = match &decided.verdict {
            Some(_) => VerdictKind::Pass,
            None if failed(self.routing_evaluation) => VerdictKind::Failed,
            // A cost policy that failed closed: no routing policy was asked.
            None if decided.by_default.is_empty() => VerdictKind::Failed,
            None => VerdictKind::Default,
        };
        let ranking = decided.by_default.iter().map(|&model| self.name(model)).collect();
        Verdict { kind, ranking, complexity: None, tier: None, reason: String::new(), code: None }
    }

    fn outcome(&self) -> Outcome {
        let seconds = |took: Duration| took.as_secs_f64();
        let priced = |bill: &Bill| self.snapshot.price(Some(bill.model)).map(|price| price.of(&bill.usage).0);
        let is_finished = self.ending == Ending::Finished;
        let call = |(at, bill): (usize, &Bill)| Call {
            model: self.name(bill.model),
            answered: is_finished && at + 1 == self.bills.len(),
            input_tokens: bill.usage.input,
            cache_read_tokens: bill.usage.cache_read,
            cache_write_tokens: bill.usage.cache_write,
            output_tokens: bill.usage.output,
            reasoning_tokens: bill.usage.reasoning,
            reported: bill.reported == [true; 2],
            cost: priced(bill),
        };
        let calls: Vec<Call> = self.bills.iter().enumerate().map(call).collect();
        let basis = if calls.iter().any(|call| call.cost.is_none()) {
            CostBasis::Unpriced
        } else if calls.iter().all(|call| call.reported) {
            CostBasis::Reported
        } else {
            CostBasis::Estimated
        };
        let attempt = |attempt: &FailedAttempt| Attempt {
            model: self.name(attempt.model),
            failure: attempt.reason.as_str().to_owned(),
            retried: attempt.retried,
        };
        Outcome {
            ending: self.ending.as_str().to_owned(),
            failure: match self.ending {
                Ending::Rejected(rejection) => Some(rejection.as_str().to_owned()),
                Ending::Failed(reason) => Some(reason.as_str().to_owned()),
                Ending::Abandoned(why) => Some(why.as_str().to_owned()),
                Ending::Finished | Ending::Shutdown => None,
            },
            model: self.model.map(|model| self.name(model)),
            attempts: self.failed_attempts.iter().map(attempt).collect(),
            hedged: self.hedged,
            cost: calls.iter().filter_map(|call| call.cost).reduce(u64::saturating_add),
            cost_basis: (!calls.is_empty()).then_some(basis),
            calls,
            first_token_seconds: self.first_token.map(seconds),
            model_seconds: self.model_took.map(seconds),
            seconds: seconds(self.took),
        }
    }
}

/// The share of requests that the policy of a hook decides that decided this one, from 0 to 1.
fn share(deciders: &Deciders, by: Option<&Arc<Decider>>) -> f64 {
    let Some((canary, by)) = deciders.canary.as_ref().zip(by) else { return 1.0 };
    let percent = canary.percent / 100.0;
    if Arc::ptr_eq(by, &canary.decider) { percent } else { 1.0 - percent }
}

fn asked(by: &Decider, evaluation: Option<Evaluation>) -> Asked {
    let (version, policy) = (&by.version, &by.version.policy);
    Asked {
        policy: policy.manifest().name.clone(),
        version: version.version.clone(),
        digest: policy.digest().to_owned(),
        settings: version.settings_digest.clone(),
        revision: version.revision.clone(),
        slot: by.metrics.labels.slot.clone(),
        mode: by.metrics.labels.mode.to_owned(),
        seconds: evaluation.map(|evaluation| evaluation.took.as_secs_f64()),
        failure: evaluation.and_then(|evaluation| evaluation.outcome.err()).map(|class| class.as_str().to_owned()),
    }
}
