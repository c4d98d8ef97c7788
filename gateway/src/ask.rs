//! The second half of the spine: asks the ranked models in order, until one answers.
//!
//! This module must not know: how the ranking came to be, how an answer becomes a response.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::HeaderMap;

use crate::backend::{self, Call, Timeouts};
use crate::chat::Chat;
use crate::decision::Decision;
use crate::dialect::{Dialect, Facts, Routing};
use crate::error::{Failure, Fault, Kind};
use crate::money::NanoDollars;
use crate::open::Open;
use crate::record::FellBack;
use crate::snapshot::Snapshot;

/// Largest answer that is not a stream.
const MAX_REPLY_BYTES: usize = 32 << 20;

/// The model's answer, whole or on its way.
pub(crate) enum Answer {
    /// All of it, in the client's dialect.
    Whole(Bytes),
    /// What the relay needs.
    Stream { answer: backend::Answer, facts: Box<Facts>, timeouts: Timeouts },
}

/// Asks the ranked models in order, until one answers. When none does, the first failure is the one that tells.
pub(crate) async fn ask(
    open: &mut Open,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    decision: &Decision,
    dialect_headers: &HeaderMap,
) -> Result<Answer, Failure> {
    let mut first_failure = None;
    for &index in &decision.ranking {
        match attempt(open, snapshot, dialect, chat, decision, dialect_headers, index).await {
            Ok(answer) => return Ok(answer),
            Err(failure) if failure.kind == Kind::Stopping => return Err(failure),
            Err(failure) => {
                tracing::debug!(request_id = open.record.id, %failure, detail = failure.detail, "attempt failed");
                let falls_back = failure.kind.falls_back();
                if let Fault::Error(reason) = failure.kind.fault() {
                    open.record.fell_back.push(FellBack { model: index, reason });
                }
                first_failure.get_or_insert(failure);
                if !falls_back {
                    break;
                }
            }
        }
    }
    // The failure that is told is the first model's.
    open.record.model = decision.ranking.first().copied();
    Err(first_failure.unwrap_or_else(|| Failure::new(Kind::Internal, "no model was ranked")))
}

/// Asks one model.
async fn attempt(
    open: &mut Open,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    decision: &Decision,
    dialect_headers: &HeaderMap,
    index: usize,
) -> Result<Answer, Failure> {
    let live = &snapshot.catalog.models()[index];
    open.record.model = Some(index);
    let called = Instant::now();
    open.record.called = Some(called);
    let call = Call {
        chat,
        from: dialect,
        model: &live.model.backend_name,
        max_tokens: live.model.max_output_tokens,
        dialect_headers,
    };
    let facts = facts(open, snapshot, chat, decision, index);
    let cut = open.gateway().cut.clone();
    let answer = tokio::select! {
        biased;
        () = cut.cancelled() => Err(Failure::new(Kind::Stopping, "the gateway is stopping")),
        answer = live.backend.chat(call) => answer,
    }?;
    if chat.stream {
        let timeouts = live.backend.settings().timeouts;
        return Ok(Answer::Stream { answer, facts: Box::new(facts), timeouts });
    }
    let spoken = answer.dialect;
    let until = called + live.backend.settings().timeouts.total;
    let body = tokio::select! {
        biased;
        () = cut.cancelled() => Err(Failure::new(Kind::Stopping, "the gateway is stopping")),
        body = tokio::time::timeout_at(until.into(), whole(answer.body)) => body.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
        }),
    }?;
    let reply = spoken.decode_reply(&body).map_err(|error| {
        Failure::new(Kind::Protocol, "the backend's answer is not what its dialect says").with_detail(error)
    })?;
    open.record.usage = reply.usage;
    let calls = reply.tool_calls.iter().map(|call| call.arguments.len() + call.name.len()).sum::<usize>();
    open.record.output_bytes = (reply.text.len() + reply.reasoning.len() + calls) as u64;
    Ok(Answer::Whole(if spoken == dialect { body } else { dialect.encode_reply(&reply, &facts, &open.total()).into() }))
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

fn facts(open: &Open, snapshot: &Snapshot, chat: &Chat, decision: &Decision, index: usize) -> Facts {
    let live = &snapshot.catalog.models()[index];
    let record = &open.record;
    Facts {
        request_id: record.id.clone(),
        model: live.model.name.clone(),
        backend: live.backend.settings().name.clone(),
        created: record.created(),
        include_usage: chat.include_usage,
        estimated_input_tokens: u64::from(record.estimated_input_tokens),
        routing: Routing {
            complexity: record.score,
            tier: record.complexity.as_str(),
            reasoning: decision.reason.clone(),
            estimated_cost: record.estimated_cost.map(NanoDollars::usd),
            policy: decision.policy.clone(),
            version: decision.version.clone(),
        },
    }
}
