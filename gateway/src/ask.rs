//! The second half of the spine: asks the ranked models in order, until one answers.
//!
//! One order: attempts at a model, as far as its failures may pass (`error.rs` says which), then the next of the ranking.
//! A model whose breaker is open is passed over. This module must not know: how the ranking came to be, how an answer
//! becomes a response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;

use crate::backend::{self, Admission, Call, Conduct};
use crate::chat::Chat;
use crate::decision::Decision;
use crate::dialect::{Dialect, Facts, Routing};
use crate::error::{Failure, Kind, Reason, Remedy};
use crate::money::NanoDollars;
use crate::open::Open;
use crate::record::FailedAttempt;
use crate::snapshot::Snapshot;
use crate::stream::{Deadlines, Relay};

/// Largest answer that is not a stream.
const MAX_REPLY_BYTES: usize = 32 << 20;

/// The model's answer, whole or on its way.
pub(crate) enum Answer {
    /// All of it, in the client's dialect.
    Whole(Bytes),
    /// It has begun.
    Stream(Box<Relay>),
}

/// What is asked, and of whom.
pub(crate) struct Asked {
    /// The client's dialect.
    pub dialect: Dialect,
    /// The request.
    pub chat: Chat,
    /// The ranking.
    pub decision: Decision,
    /// Headers that belong to the client's dialect.
    pub headers: HeaderMap,
    /// Whether a stream is held back until it is whole, so that another model can answer until then.
    pub guarded: bool,
}

/// Asks the ranked models in order, until one answers. When none does, the first failure is the one that tells.
pub(crate) async fn ask(open: &mut Open, asked: &Asked) -> Result<Answer, Failure> {
    let snapshot = Arc::clone(open.snapshot());
    open.gateway().retry_budget.deposit(snapshot.limits.retry_budget_percent);
    let ranking = &asked.decision.ranking;
    let (mut first_failure, mut held_back, mut longer_than) = (None, None, None);
    for (position, &index) in ranking.iter().enumerate() {
        let model = &snapshot.catalog.models()[index].model;
        if longer_than.is_some_and(|tried| model.context_window.is_some_and(|window| window <= tried)) {
            continue;
        }
        let failure = match ask_model(open, &snapshot, asked, index, position + 1 == ranking.len()).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let goes_on = match failure.kind.remedy() {
            Remedy::Nothing => false,
            Remedy::Again | Remedy::Next => true,
            Remedy::Larger => {
                longer_than = longer_than.max(model.context_window);
                true
            }
            Remedy::NextIfWanted => snapshot.limits.content_filter_falls_back,
        };
        // That one was not asked says less than how another failed.
        let first = if failure.kind == Kind::BreakerOpen { &mut held_back } else { &mut first_failure };
        first.get_or_insert(failure);
        if !goes_on {
            break;
        }
    }
    // The failure that is told is the first model's.
    open.record.forget_attempt();
    open.record.model = if first_failure.is_some() { ranking.first().copied() } else { None };
    Err(first_failure.or(held_back).unwrap_or_else(|| Failure::new(Kind::Internal, "no model was ranked")))
}

/// Asks one model, and again where that may help. Each attempt that failed is on the record.
async fn ask_model(
    open: &mut Open,
    snapshot: &Snapshot,
    asked: &Asked,
    index: usize,
    last: bool,
) -> Result<Answer, Failure> {
    let live = &snapshot.catalog.models()[index];
    let until = open.record.started + live.model.timeouts.total;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let pass = match live.breaker.admit(Instant::now(), last) {
            Admission::Pass(pass) => pass,
            Admission::Wait(wait) => {
                let mut failure =
                    Failure::new(Kind::BreakerOpen, "the models that could answer failed too often lately");
                failure.retry_after = Some(wait);
                open.record.failed_attempts.push(FailedAttempt {
                    model: index,
                    reason: Reason::BreakerOpen,
                    repeated: false,
                });
                return Err(failure);
            }
        };
        let loads = live.backend.may_load(&live.model.backend_name);
        let called = Instant::now();
        let failure = match attempt(open, snapshot, asked, index, loads).await {
            Ok(answer) => {
                // A model that was loaded first is not slow.
                let took = if loads { Duration::ZERO } else { called.elapsed() };
                pass.note(Instant::now(), Conduct::Answered(took));
                return Ok(answer);
            }
            Err(failure) if failure.kind == Kind::Stopping => return Err(failure),
            Err(failure) => failure,
        };
        match failure.kind {
            // It was not called.
            Kind::BackendFull => drop(pass),
            ref kind if kind.blames_backend() => pass.note(Instant::now(), Conduct::Failed),
            _ => pass.note(Instant::now(), Conduct::Answered(Duration::ZERO)),
        }
        tracing::debug!(request_id = open.record.id, %failure, detail = failure.detail, "attempt failed");
        let pause = match failure.kind.remedy() {
            Remedy::Again => live.backend.settings().retries.pause(attempts, failure.retry_after),
            Remedy::Nothing | Remedy::Next | Remedy::Larger | Remedy::NextIfWanted => None,
        };
        let pause =
            pause.filter(|&pause| Instant::now() + pause < until).filter(|_| open.gateway().retry_budget.withdraw());
        let (reason, repeated) = (failure.kind.reason(), pause.is_some());
        open.record.failed_attempts.push(FailedAttempt { model: index, reason, repeated });
        let Some(pause) = pause else { return Err(failure) };
        let cut = open.gateway().cut.clone();
        tokio::select! {
            biased;
            () = cut.cancelled() => return Err(stopping()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Asks one model once.
async fn attempt(
    open: &mut Open,
    snapshot: &Snapshot,
    asked: &Asked,
    index: usize,
    loads: bool,
) -> Result<Answer, Failure> {
    let live = &snapshot.catalog.models()[index];
    let timeouts = &live.model.timeouts;
    let total = open.record.started + timeouts.total;
    let cut = open.gateway().cut.clone();
    let turn = tokio::select! {
        biased;
        () = cut.cancelled() => Err(stopping()),
        turn = live.backend.turn(total.into()) => turn,
    }?;
    let called = Instant::now();
    open.record.begin_attempt(index, called);
    let loading = if loads { timeouts.loading } else { Duration::ZERO };
    // The head of an answer that is no stream comes when all of it was generated.
    let head_by = if asked.chat.stream { total.min(called + timeouts.head + loading) } else { total };
    let call = Call {
        chat: &asked.chat,
        from: asked.dialect,
        model: &live.model.backend_name,
        max_tokens: live.model.max_output_tokens,
        dialect_headers: &asked.headers,
        head_by: head_by.into(),
    };
    let facts = facts(open, snapshot, asked, index);
    let answer = tokio::select! {
        biased;
        () = cut.cancelled() => Err(stopping()),
        answer = live.backend.chat(turn, call) => answer,
    }?;
    if asked.chat.stream {
        let deadlines = Deadlines { first_token: called + timeouts.first_token + loading, idle: timeouts.idle, total };
        let price = snapshot.price(Some(index));
        let mut relay = Box::new(Relay::new(answer, asked.dialect, facts, price, deadlines, cut));
        let hold = asked.guarded.then_some(snapshot.limits.guarded_max_bytes);
        relay.begin(&mut open.record, hold).await?;
        return Ok(Answer::Stream(relay));
    }
    let spoken = answer.dialect;
    let body = tokio::select! {
        biased;
        () = cut.cancelled() => Err(stopping()),
        body = tokio::time::timeout_at(total.into(), whole(answer.body)) => body.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
        }),
    }?;
    let reply = spoken.decode_reply(&body).map_err(|error| {
        Failure::new(Kind::Protocol, "the backend's answer is not what its dialect says").with_detail(error)
    })?;
    open.record.usage = reply.usage;
    let calls = reply.tool_calls.iter().map(|call| call.arguments.len() + call.name.len()).sum::<usize>();
    open.record.output_bytes = (reply.text.len() + reply.reasoning.len() + calls) as u64;
    let same = spoken == asked.dialect;
    Ok(Answer::Whole(if same { body } else { asked.dialect.encode_reply(&reply, &facts, &open.total()).into() }))
}

fn stopping() -> Failure {
    Failure::new(Kind::Stopping, "the gateway is stopping")
}

/// A whole body, bounded.
pub(crate) async fn whole(mut body: backend::Body) -> Result<Bytes, Failure> {
    let Some(first) = body.chunk().await.transpose()? else { return Ok(Bytes::new()) };
    let Some(second) = body.chunk().await.transpose()? else { return Ok(first) };
    let mut all = Vec::from(first);
    all.extend_from_slice(&second);
    while let Some(chunk) = body.chunk().await.transpose()? {
        if all.len() + chunk.len() > MAX_REPLY_BYTES {
            let message = "the backend's answer is longer than the gateway takes";
            return Err(Failure::new(Kind::Protocol, message));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn facts(open: &Open, snapshot: &Snapshot, asked: &Asked, index: usize) -> Facts {
    let live = &snapshot.catalog.models()[index];
    let record = &open.record;
    Facts {
        request_id: record.id.clone(),
        model: live.model.name.clone(),
        backend: live.backend.settings().name.clone(),
        created: record.created(),
        include_usage: asked.chat.include_usage,
        estimated_input_tokens: u64::from(record.estimated_input_tokens),
        routing: Routing {
            complexity: record.score,
            tier: record.complexity.as_str(),
            reasoning: asked.decision.reason.clone(),
            estimated_cost: record.estimated_cost.map(NanoDollars::usd),
            policy: asked.decision.policy.clone(),
            version: asked.decision.version.clone(),
        },
    }
}
