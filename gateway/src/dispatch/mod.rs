//! The second half of the spine: asks the ranked models in order, until one answers.
//!
//! One order: attempts at a model, as far as its failures may pass (`error.rs` says which), then the next of the ranking.
//! A model whose breaker is open is passed over. This module must not know: how the ranking came to be, how an answer
//! becomes a response.

mod attempt;
mod hedge;
pub mod relay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;

use crate::backend::{self, Call};
use crate::base::money::NanoDollars;
use crate::dialect::chat::Chat;
use crate::dialect::{Dialect, Facts, Routing};
use crate::error::{Failure, Kind, Remedy};
use crate::proxy::gateway::Gateway;
use crate::proxy::in_flight::Open;
use crate::routing::decision::Decision;
use crate::state::snapshot::Snapshot;
use crate::telemetry::Record;
pub(crate) use attempt::{Attempt, ask_again, stopping};
use relay::{Deadlines, Relay};

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
    let (gateway, snapshot) = (Arc::clone(open.gateway()), Arc::clone(open.snapshot()));
    Asking { gateway: &gateway, snapshot: &snapshot, asked }.ranked(&mut open.record).await
}

/// A request, and all that asking takes.
struct Asking<'a> {
    gateway: &'a Gateway,
    snapshot: &'a Snapshot,
    asked: &'a Asked,
}

impl Asking<'_> {
    async fn ranked(&self, record: &mut Record) -> Result<Answer, Failure> {
        let limits = &self.snapshot.limits;
        self.gateway.retry_budget.deposit(limits.retry_budget_percent);
        let mut failures = Failures::default();
        let mut rest = &*self.asked.decision.ranking;
        while let [index, others @ ..] = failures.able(self.snapshot, rest) {
            let (index, others) = (*index, failures.able(self.snapshot, others));
            rest = others;
            let answer = match self.pair(record, index, others) {
                Some(pair) => {
                    // Boxed: it has room for two calls, which few requests need.
                    let answer = Box::pin(self.hedged(record, pair, others.len() == 1, &mut failures)).await;
                    if record.hedge.is_some() {
                        rest = &others[1..];
                    }
                    answer
                }
                None => {
                    let answer = self.model(record, index, others.is_empty()).await;
                    answer.map_err(|failure| failures.note(self.snapshot, index, failure))
                }
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Next::Model) => {}
                Err(Next::Client) => break,
            }
        }
        record.forget_attempt();
        let (model, failure) = failures.told();
        record.model = model;
        Err(failure)
    }

    /// Asks one model, and again where that may help. `last`: no other is left.
    async fn model(&self, record: &mut Record, index: usize, last: bool) -> Result<Answer, Failure> {
        ask_again(self.gateway, self.snapshot, record, index, last, self).await
    }

    fn facts(&self, record: &Record, index: usize) -> Facts {
        let (asked, live) = (self.asked, &self.snapshot.catalog.models()[index]);
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
}

impl Attempt for Asking<'_> {
    type Answer = Answer;

    async fn attempt(&self, record: &mut Record, index: usize, loads: bool) -> Result<Answer, Failure> {
        let (asked, live) = (self.asked, &self.snapshot.catalog.models()[index]);
        let timeouts = &live.model.timeouts;
        let total = record.started + timeouts.total;
        let cut = &self.gateway.cut;
        let turn = tokio::select! {
            biased;
            () = cut.cancelled() => Err(stopping()),
            turn = live.backend.turn(total.into()) => turn,
        }?;
        let called = Instant::now();
        record.begin_attempt(index, called);
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
        let answer = tokio::select! {
            biased;
            () = cut.cancelled() => Err(stopping()),
            answer = live.backend.chat(turn, call) => answer,
        }?;
        let price = self.snapshot.price(Some(index));
        if asked.chat.stream {
            let first_token = called + timeouts.first_token + loading;
            let deadlines = Deadlines { first_token, idle: timeouts.idle, total };
            let facts = self.facts(record, index);
            let mut relay = Box::new(Relay::new(answer, asked.dialect, facts, price, deadlines, cut.clone()));
            relay.begin(record, asked.guarded.then_some(self.snapshot.limits.guarded_max_bytes)).await?;
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
        record.usage = reply.usage;
        let calls = reply.tool_calls.iter().map(|call| call.arguments.len() + call.name.len()).sum::<usize>();
        record.output_bytes = (reply.text.len() + reply.reasoning.len() + calls) as u64;
        let same = spoken == asked.dialect;
        Ok(Answer::Whole(if same {
            body
        } else {
            asked.dialect.encode_reply(&reply, &self.facts(record, index), &record.total(price)).into()
        }))
    }
}

/// Whose turn it is after a failure.
enum Next {
    /// The next model's.
    Model,
    /// The client's: it is told.
    Client,
}

/// What failed, as far as it says who is asked next and what the client is told: the first failure, by the model's
/// position.
#[derive(Default)]
struct Failures {
    first: Option<(usize, Failure)>,
    // That a model was not asked says less than how another failed; the least wait says most.
    held_back: Option<Failure>,
    longer_than: Option<u32>,
}

impl Failures {
    /// What is left of a ranking without the models at its head that take no longer prompts than one for which this prompt
    /// was too long.
    fn able<'a>(&self, snapshot: &Snapshot, ranking: &'a [usize]) -> &'a [usize] {
        let too_small = |index: &&usize| {
            let window = snapshot.catalog.models()[**index].model.context_window;
            self.longer_than.is_some_and(|tried| window.is_some_and(|window| window <= tried))
        };
        &ranking[ranking.iter().take_while(too_small).count()..]
    }

    /// The model at `index` failed.
    fn note(&mut self, snapshot: &Snapshot, index: usize, failure: Failure) -> Next {
        let next = match failure.kind.remedy() {
            Remedy::Nothing => Next::Client,
            Remedy::Again | Remedy::Next => Next::Model,
            Remedy::Larger => {
                self.longer_than = self.longer_than.max(snapshot.catalog.models()[index].model.context_window);
                Next::Model
            }
            Remedy::NextIfWanted if snapshot.limits.content_filter_falls_back => Next::Model,
            Remedy::NextIfWanted => Next::Client,
        };
        if failure.kind != Kind::BreakerOpen {
            self.first.get_or_insert((index, failure));
        } else if self.held_back.as_ref().is_none_or(|least| failure.retry_after < least.retry_after) {
            self.held_back = Some(failure);
        }
        next
    }

    /// What the client is told, and the model whose failure it is; none where none was asked.
    fn told(self) -> (Option<usize>, Failure) {
        match (self.first, self.held_back) {
            (Some((index, failure)), _) => (Some(index), failure),
            (None, Some(failure)) => (None, failure),
            (None, None) => (None, Failure::new(Kind::Internal, "no model was ranked")),
        }
    }
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
