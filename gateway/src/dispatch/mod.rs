//! Calls the ranked models in order, until one answers.
//!
//! Each model is retried as long as its failures allow (`error.rs` says which), then the next model of the ranking is
//! called. A model whose circuit breaker is open is skipped. This module must not know: how the ranking was made, HTTP
//! of clients.

mod attempt;
mod budgets;
mod client_error;
mod count;
mod deadlines;
mod failures;
mod hedge;
mod note;
mod progress;
pub(crate) mod relay;
mod reply;
mod writer;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;

use crate::backend::{self, Call, Script};
use crate::error::{Failure, Kind};
use crate::routing::Decision;
use crate::state::Snapshot;
use crate::telemetry::Record;
pub(crate) use attempt::{Attempt, Bounds, Target, with_retries};
pub use budgets::Budgets;
pub(crate) use budgets::stopping;
pub(crate) use client_error::error_text;
pub(crate) use count::count;
use deadlines::Deadlines;
use failures::{Failures, Next};
pub(crate) use progress::Progress;
use relay::{Begun, Relay};
use wasmgate_base::money::NanoDollars;
use wasmgate_base::timeout::{Elapsed, timeout};
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::{Dialect, Facts, Routing, Seal};
use writer::Client;

/// Largest answer, streamed or not: 32 MiB.
const MAX_REPLY_BYTES: usize = 32 << 20;

/// A model's answer, complete or as a stream.
pub(crate) enum Answer {
    /// Complete, in the client's dialect.
    Whole(Bytes),
    /// A stream that has begun, with the cost policy's estimate for the model that answers.
    Stream(Box<Relay>, Option<NanoDollars>),
}

/// A chat and the ranking of the models that may answer it.
pub(crate) struct ChatCall {
    /// The client's dialect.
    pub dialect: Dialect,
    /// The request.
    pub chat: Arc<Chat>,
    /// The ranking.
    pub decision: Decision,
    /// Headers that belong to the client's dialect.
    pub headers: HeaderMap,
    /// Whether a stream is held back until it is complete, so that another model can answer until then.
    pub guarded: bool,
    /// What a simulated model is to answer; boxed, because few requests have it.
    pub script: Option<Box<Script>>,
}

/// Calls the ranked models in order, until one answers. If none does, the client sees the first failure.
pub(crate) async fn dispatch(
    budgets: &Budgets,
    snapshot: &Snapshot,
    record: &mut Record,
    call: &ChatCall,
) -> Result<Answer, Failure> {
    Dispatch { budgets, snapshot, call }.ranked(record).await
}

/// A chat call, and everything needed to dispatch it.
struct Dispatch<'a> {
    budgets: &'a Budgets,
    snapshot: &'a Snapshot,
    call: &'a ChatCall,
}

impl Dispatch<'_> {
    async fn ranked(&self, record: &mut Record) -> Result<Answer, Failure> {
        let limits = &self.snapshot.limits;
        self.budgets.retries.deposit(limits.retry_budget_percent);
        let mut failures = Failures::default();
        let mut rest = &*self.call.decision.ranking;
        while let [index, others @ ..] = failures.able(self.snapshot, rest) {
            let (index, others) = (*index, failures.able(self.snapshot, others));
            rest = others;
            let left = limits.max_models_per_request.saturating_sub(failures.called());
            if left == 0 {
                break;
            }
            let answer = match self.pair(record, index, others).filter(|_| left > 1) {
                Some(pair) => {
                    // Boxed: the future holds two calls, which few requests need.
                    let answer =
                        Box::pin(self.hedged(record, pair, others.len() == 1 || left == 2, &mut failures)).await;
                    if record.hedge.is_some() {
                        rest = &others[1..];
                    }
                    answer
                }
                None => {
                    let answer = self.model(record, index, others.is_empty() || left == 1, &Progress::default()).await;
                    answer.map_err(|failure| failures.note(self.snapshot, index, failure))
                }
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Next::Model) => {}
                Err(Next::Client) => break,
            }
        }
        let (model, failure) = failures.into_failure();
        record.model = model;
        Err(failure)
    }

    /// Calls one model, with retries. `last`: no other model is left. `progress` shows how far the
    /// call has come.
    async fn model(
        &self,
        record: &mut Record,
        model: usize,
        last: bool,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let target = Target { budgets: self.budgets, snapshot: self.snapshot, model, last, progress };
        with_retries(target, record, self).await
    }

    fn facts(&self, record: &Record, index: usize) -> Facts {
        let (call, live) = (self.call, &self.snapshot.catalog.models()[index]);
        Facts {
            request_id: record.id.clone(),
            model: live.model.name.clone(),
            backend: live.backend.settings().name.clone(),
            created: record.created(),
            include_usage: call.chat.include_usage,
            estimated_input_tokens: u64::from(record.estimated_input_tokens),
            routing: Routing {
                complexity: record.score,
                tier: record.complexity.as_str(),
                reasoning: call.decision.reason.clone(),
                estimated_cost: call.decision.estimated_cost(index).map(NanoDollars::usd),
                policy: call.decision.policy.clone(),
                version: call.decision.version.clone(),
            },
            echo: call.chat.echo.clone(),
            tool_names: live.backend.dialect_for(call.dialect).tool_names(call.dialect, &call.chat),
            seal: self.seal(record, index),
        }
    }

    /// What binds the answer to the client's group if the backend stores it.
    fn seal(&self, record: &Record, index: usize) -> Option<Seal> {
        let group = self.snapshot.group(record.group).filter(|_| self.call.dialect == Dialect::Responses);
        self.snapshot.catalog.models()[index].backend.seal(group.map(|group| &*group.name))
    }
}

impl Attempt for Dispatch<'_> {
    type Answer = Answer;

    async fn attempt(&self, record: &mut Record, index: usize, bounds: Bounds<'_>) -> Result<Answer, Failure> {
        // First, so that nothing begins after it.
        tokio::select! {
            biased;
            () = self.budgets.cutoff.cancelled() => Err(stopping()),
            answer = self.once(record, index, bounds) => answer,
        }
    }
}

impl Dispatch<'_> {
    /// Calls the model once.
    async fn once(&self, record: &mut Record, index: usize, bounds: Bounds<'_>) -> Result<Answer, Failure> {
        let (call, live) = (self.call, &self.snapshot.catalog.models()[index]);
        let timeouts = &live.model.timeouts;
        let total = record.started + timeouts.total;
        let permit = live.backend.permit(bounds.by.into()).await?;
        let called = Instant::now();
        record.begin_attempt(index, called);
        bounds.progress.call(called);
        let loading = if bounds.loads { timeouts.loading } else { Duration::ZERO };
        let within = |time: Duration| total.min(called + time + loading);
        let deadlines = Deadlines {
            first_token: within(timeouts.first_token),
            idle: timeouts.idle,
            total,
            leaves_time: !bounds.last,
        };
        // A whole answer is silent until its end: while another model could answer, it has the time that the operator gave
        // it, else its share; the last model may use all that is left.
        let whole_by = timeouts.answer.filter(|_| !bounds.last).map_or(bounds.by, within);
        // The head of a non-streamed answer arrives only when the whole answer is generated.
        let head_by = if call.chat.stream { bounds.by.min(within(timeouts.head)) } else { whole_by };
        let sent = Call {
            chat: &call.chat,
            from: call.dialect,
            model: &live.model.backend_name,
            max_tokens: live.model.max_output_tokens,
            strip_reasoning: self.snapshot.limits.strip_reasoning,
            quirks: &live.quirks,
            dialect_headers: &call.headers,
            script: call.script.as_deref(),
            head_by: head_by.into(),
            sent: record.sent.clone(),
        };
        let answer = live.backend.chat(permit, sent).await?;
        record.dropped.clone_from(&answer.dropped);
        let price = self.snapshot.price(Some(index));
        let (spoken, redaction) = (answer.dialect, answer.redaction.clone());
        if call.chat.stream {
            let guarded = call.guarded || live.model.guarded;
            let client = Client { dialect: call.dialect, facts: self.facts(record, index), price };
            let mut relay = Box::new(Relay::new(answer, client, deadlines, self.budgets.cutoff.clone()));
            let hold = guarded.then_some(self.snapshot.limits.guarded_max_bytes);
            if let Begun::Document(beginning) = relay.begin(record, hold, bounds.progress).await? {
                let due = |now| whole_by.max(deadlines.next(now, true));
                let body = rest(beginning, relay.take_body(), due).await?;
                let reply = reply::read(spoken, false, &body, &redaction, record).await?;
                record.note_whole(&reply);
                record.first_token = record.answered;
                let (facts, total) = (self.facts(record, index), record.total(price));
                relay.end_with(reply::write_stream(call.dialect, reply, facts, total, body.len()).await?);
            }
            relay.commit();
            return Ok(Answer::Stream(relay, self.call.decision.estimated_cost(index)));
        }
        // An answer that keeps arriving is not silent, so that it may take longer.
        let body = whole(answer.body, |now| whole_by.max(deadlines.next(now, true))).await?;
        let same = spoken == call.dialect;
        let reply = reply::read(spoken, same, &body, &redaction, record).await?;
        record.note_whole(&reply);
        if same {
            return Ok(Answer::Whole(match spoken {
                Dialect::Responses => {
                    reply::mark(body, live.backend.settings().name.clone(), self.seal(record, index)).await?
                }
                _ => body,
            }));
        }
        let (facts, total) = (self.facts(record, index), record.total(price));
        Ok(Answer::Whole(reply::write(call.dialect, reply, facts, total, body.len()).await?))
    }
}

/// Reads a complete body, bounded by `MAX_REPLY_BYTES`. `due`: when the next piece must have arrived if the last one arrived
/// at a given time.
pub(crate) async fn whole(body: backend::Body, due: impl Fn(Instant) -> Instant) -> Result<Bytes, Failure> {
    rest(Bytes::new(), Some(body), due).await
}

/// Reads the rest of a body, bounded by `MAX_REPLY_BYTES`, after its `beginning`. `due` as in [`whole`].
async fn rest(
    beginning: Bytes,
    mut rest: Option<backend::Body>,
    due: impl Fn(Instant) -> Instant,
) -> Result<Bytes, Failure> {
    let mut next = async || {
        let Some(rest) = &mut rest else { return Ok(None) };
        match timeout(pin!(rest.chunk()), || due(Instant::now()).into()).await {
            Ok(chunk) => chunk.transpose(),
            Err(Elapsed) => Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time")),
        }
    };
    // One piece is not copied.
    let mut first = beginning;
    while first.is_empty() {
        let Some(piece) = next().await? else { return Ok(first) };
        first = piece;
    }
    let Some(second) = next().await? else { return Ok(first) };
    let mut all = Vec::from(first);
    all.extend_from_slice(&second);
    while let Some(chunk) = next().await? {
        if all.len() + chunk.len() > MAX_REPLY_BYTES {
            let message = "the backend's answer is longer than 32 MiB";
            return Err(Failure::new(Kind::Protocol, message));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}
