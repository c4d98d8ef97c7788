//! The decision log for operators: pages of decisions, one of them with the feedback on it, and what another loaded policy would
//! have decided. Texts of prompts are in none of these answers.
//!
//! This module must not know: how a decision was made, how the log is written.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Uri;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::input;
use super::reply::{Kind, Problem};
use crate::rollout::api::{Operator, Upload};
use crate::rollout::slot::Slot;
use wasmgate_base::json_text;
use wasmgate_decisions::{
    Content, Cursor, Decision, Input, ModelTable, Moment, Verdict, can_ask, find, find_content, find_feedback, page,
};
use wasmgate_policy_host::{self as host, Policy, PolicyFailure, Reads};

/// Look-ups at a time: each reads files.
const LOOK_UPS: usize = 2;
/// Decisions of a page if the request names no number, and at most.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

/// Finds the policy in a slot.
pub(crate) type FindPolicy = Box<dyn Fn(&Slot) -> Option<LoadedPolicy> + Send + Sync>;

/// The decision log, and the policies that can be asked about it.
pub struct DecisionLog {
    /// Its folder.
    pub folder: PathBuf,
    /// Waits until what was decided is written.
    pub flush: Box<dyn Fn() + Send + Sync>,
    /// Finds the policy in a slot.
    pub policy: FindPolicy,
    /// Bounds look-ups.
    look_ups: Semaphore,
}

/// A loaded routing policy.
pub struct LoadedPolicy {
    /// Its `name@version`.
    pub label: String,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// What it reads of requests.
    pub reads: Reads,
    /// Asks it.
    pub ask: Box<dyn FnOnce(Input, Arc<ModelTable>) -> Asking + Send>,
}

/// A policy's answer to come.
pub type Asking = Pin<Box<dyn Future<Output = Result<host::Verdict, PolicyFailure>> + Send>>;

/// What the log has of a request.
struct Found {
    decision: Decision,
    table: Arc<ModelTable>,
    content: Option<Content>,
}

impl DecisionLog {
    /// A log in a folder.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        flush: impl Fn() + Send + Sync + 'static,
        policy: impl Fn(&Slot) -> Option<LoadedPolicy> + Send + Sync + 'static,
    ) -> Self {
        Self { folder, flush: Box::new(flush), policy: Box::new(policy), look_ups: Semaphore::new(LOOK_UPS) }
    }

    /// Reads files without holding up the listener.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        // Nobody closes it.
        let _permit = self.look_ups.acquire().await.ok();
        let log = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            (log.flush)();
            read(&log)
        });
        let failed = |error: std::io::Error| Problem::new(Kind::Internal, format!("the decision log: {error}"));
        done.await.map_err(|_ended| Problem::stopping())?.map_err(failed)
    }

    async fn found(self: &Arc<Self>, id: &str) -> Result<Found, Problem> {
        let wanted = id.to_owned();
        let found = self.read(move |log| {
            let Some((decision, table)) = find(&log.folder, &wanted)? else { return Ok(None) };
            Ok(Some(Found { decision, table, content: find_content(&log.folder, &wanted)? }))
        });
        let message = "there is no decision on a request of this id; the log keeps chats that were routed and ended";
        found.await?.ok_or_else(|| Problem::new(Kind::UnknownRequest, message))
    }
}

/// `GET /decisions`: the newest first.
pub(super) async fn list(log: &Arc<DecisionLog>, uri: &Uri) -> Result<Bytes, Problem> {
    let known = ["group", "model", "policy", "outcome", "since", "limit", "cursor"];
    let parameters = input::query(uri, &known)?;
    let text = |key: &str| parameters.get(key).and_then(Value::as_str).map(str::to_owned);
    let bad = |key: &str, expected: &str| Problem::new(Kind::BadRequest, format!("`{key}`: expected {expected}"));
    let since = text("since")
        .map(|since| Moment::parse(&since).ok_or_else(|| bad("since", "a time as in 2026-11-29T12:00:00Z")));
    let before =
        text("cursor").map(|cursor| Cursor::parse(&cursor).ok_or_else(|| bad("cursor", "the `next` of a page")));
    let limit = text("limit").map(|limit| {
        let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| bad("limit", "1 to 1000"))
    });
    let (since, before, limit) = (since.transpose()?, before.transpose()?, limit.transpose()?.unwrap_or(LIMIT));
    let filters = [text("group"), text("model"), text("policy"), text("outcome")];
    let found =
        log.read(move |log| page(&log.folder, before, since, limit, |decision| fits(decision, &filters))).await?;
    let next = found.next.map(|next| next.to_string());
    Ok(json_text::json(&json!({"decisions": found.decisions, "next": next})).into())
}

/// Whether a decision is of this group, answered by this model, of this policy (by name or `name@version`), and ended so.
fn fits(decision: &Decision, [group, model, policy, outcome]: &[Option<String>; 4]) -> bool {
    let is = |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
    let by = decision.routing.as_ref();
    let label = by.map(|by| format!("{}@{}", by.policy, by.version));
    is(group, decision.group.as_deref())
        && is(model, decision.outcome.model.as_deref())
        && (is(policy, by.map(|by| &*by.policy)) || is(policy, label.as_deref()))
        && is(outcome, Some(&decision.outcome.ending))
}

/// `GET /decisions/{id}`.
pub(super) async fn one(log: &Arc<DecisionLog>, id: &str) -> Result<Bytes, Problem> {
    let Found { decision, table, content } = log.found(id).await?;
    let wanted = id.to_owned();
    let feedback = log.read(move |log| find_feedback(&log.folder, &wanted)).await?;
    let content = content.map(|content| content.keep);
    let answer = json!({"decision": decision, "models": table.rows(), "feedback": feedback, "content": content});
    Ok(json_text::json(&answer).into())
}

/// `POST /decisions/{id}/ask`: what a loaded policy would have decided.
pub(super) async fn ask(log: &Arc<DecisionLog>, id: &str, fields: &Map<String, Value>) -> Result<Bytes, Problem> {
    let expected =
        || Problem::new(Kind::BadRequest, "`slot`: expected a slot's name, as in {\"slot\": \"routing.canary\"}");
    let slot = fields.get("slot").and_then(Value::as_str).ok_or_else(expected)?;
    let slot: Slot = slot.parse().map_err(|message: String| Problem::new(Kind::UnknownSlot, message))?;
    let none = || Problem::new(Kind::UnknownSlot, format!("{slot} has no loaded routing policy"));
    let policy = (log.policy)(&slot).ok_or_else(none)?;
    answer(log.found(id).await?, Some(&slot), policy).await
}

/// The same, asked of a policy that the request carries. It serves nobody and is not kept.
pub(super) async fn ask_uploaded(
    log: &Arc<DecisionLog>,
    operator: &Operator,
    id: &str,
    upload: Upload,
) -> Result<Bytes, Problem> {
    // First, because loading takes seconds for a policy with a language engine inside.
    let found = log.found(id).await?;
    let policy = operator.load(upload).await?;
    let loaded = LoadedPolicy {
        label: policy.label(),
        digest: policy.digest().to_owned(),
        reads: policy.reads().clone(),
        ask: Box::new(move |input, table| Box::pin(async move { route(&policy, &input, &table).await })),
    };
    answer(found, None, loaded).await
}

/// Asks a policy about a request of the log.
///
/// # Errors
/// If the policy fails.
pub async fn route(policy: &Policy, input: &Input, table: &ModelTable) -> Result<host::Verdict, PolicyFailure> {
    let lists = input.request.lists();
    policy.route(&input.request.request(&lists), table.models(), &input.candidates).await
}

async fn answer(found: Found, slot: Option<&Slot>, policy: LoadedPolicy) -> Result<Bytes, Problem> {
    let Found { decision, table, content } = found;
    if !can_ask(&policy.reads, content.as_ref()) {
        let message = format!(
            "{} reads text, and the whole text of this request was not kept (`decisions.content = \"full\"` keeps it)",
            policy.label
        );
        return Err(Problem::new(Kind::Conflict, message));
    }
    let input = decision.input(&table, content.as_ref());
    let input =
        input.map_err(|error| Problem::new(Kind::Conflict, format!("the decision cannot be rebuilt: {error}")))?;
    let candidates = input.candidates.clone();
    let answered = (policy.ask)(input, Arc::clone(&table)).await;
    let failure = answered.as_ref().err().map(|failure| failure.class.as_str());
    let verdict = answered.ok().map(|verdict| Verdict::of(&verdict, &candidates, table.models()));
    let first = verdict.as_ref().and_then(|verdict| verdict.ranking.first());
    let same = first.map(|first| Some(first) == decision.verdict.ranking.first());
    let answer = json!({
        "slot": slot,
        "policy": policy.label,
        "digest": policy.digest,
        "verdict": verdict,
        "failure": failure,
        "same_first_choice": same,
        "decided": decision.verdict,
    });
    Ok(json_text::json(&answer).into())
}
