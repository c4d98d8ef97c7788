//! The facts of one request, noted by each step as they happen. `proxy/in_flight.rs` owns the record and closes it when
//! the request ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::billing::Bill;
use super::decisions::Decided;
use super::exploration::Exploration;
use crate::backend::Sent;
use crate::error::Reason;
use crate::metrics::labels::{Complexity, DecisionOutcome, Evaluation, HedgeResult, Unaccounted};
use crate::state::DEFAULT_LABEL;
use crate::state::Decider;
use wasmgate_accounts::{Exceeded, Key};
use wasmgate_base::money::NanoDollars;
use wasmgate_base::usage::Usage;
use wasmgate_dialect::chat::{PinReason, Reply};
use wasmgate_dialect::{Dialect, Dropped};

/// Most failed attempts that logs and headers name.
const MAX_SHOWN_ATTEMPTS: usize = 16;

/// An attempt at a model that failed, or that an open breaker or a full backend prevented.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt {
    /// The model, by position in the catalog.
    pub model: usize,
    /// Why it failed.
    pub reason: Reason,
    /// Whether the attempt was retried at the same model.
    pub retried: bool,
}

/// A hedge: the second model was called because the first was slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// The slow model, by position in the catalog.
    pub model: usize,
    /// Whether the second model answered.
    pub result: HedgeResult,
}

/// The facts of one request.
#[derive(Debug, Clone)]
pub struct Record {
    /// The request's id.
    pub id: String,
    /// When the request arrived.
    pub started: Instant,
    /// The client's dialect; `None` for embeddings.
    pub dialect: Option<Dialect>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The client's key.
    pub key: Option<Arc<Key>>,
    /// The group that the key belongs to, by position in the snapshot's accounts.
    pub group: Option<usize>,
    /// The limit that had no room for it.
    pub refused_by: Option<Box<Exceeded>>,
    /// What is left of the tightest budget of the group and those above it, when the request has ended.
    pub budget_left: Option<NanoDollars>,
    /// The hash of the conversation that the request belongs to, if that is known.
    pub session: Option<u64>,
    /// Tokens of the prompt as estimated before routing.
    pub estimated_input_tokens: u32,
    /// The whole routing decision, host overhead included.
    pub routing_took: Option<Duration>,
    /// The cost policy that was picked.
    pub costed_by: Option<Arc<Decider>>,
    /// The routing policy that was picked.
    pub routed_by: Option<Arc<Decider>>,
    /// Whether the decision log wants to know what is decided.
    pub wants_decided: bool,
    /// What was decided, for the decision log.
    pub decided: Option<Arc<Decided>>,
    /// Why only one backend could answer.
    pub pinned: Option<PinReason>,
    /// How many models the policies could choose from.
    pub choices: usize,
    /// The cost policy's call.
    pub cost_evaluation: Option<Evaluation>,
    /// The routing policy's call.
    pub routing_evaluation: Option<Evaluation>,
    /// Whether the gateway's default decided.
    pub by_default: bool,
    /// How demanding the request is.
    pub complexity: Complexity,
    /// The policy's complexity score.
    pub score: Option<f64>,
    /// The first choice, by position in the catalog.
    pub chosen: Option<usize>,
    /// The cost policy's estimate for the first choice.
    pub estimated_cost: Option<NanoDollars>,
    /// The draw that made it the first choice; `None` if there was none.
    pub exploration: Option<Box<Exploration>>,
    /// Attempts that failed, in order.
    pub failed_attempts: Vec<FailedAttempt>,
    /// The hedge, if a second model was called.
    pub hedge: Option<Hedge>,
    /// What calls that did not answer are billed.
    pub failed_calls: Vec<Bill>,
    /// The model that answers, by position in the catalog.
    pub model: Option<usize>,
    /// When the call to it began.
    pub called: Option<Instant>,
    /// Whether the request of this call was written to the backend.
    pub sent: Sent,
    /// When its first token arrived (streams).
    pub first_token: Option<Instant>,
    /// When the end of its answer arrived.
    pub answered: Option<Instant>,
    /// How long its stream waited until the client took more. The model is not to blame for that time.
    pub client_held: Duration,
    /// The usage that the backend reported.
    pub usage: Option<Usage>,
    /// Whether that is the usage of the whole answer.
    pub usage_is_final: bool,
    /// Pieces of text and tool arguments received in a stream.
    pub output_pieces: u64,
    /// Bytes of the output.
    pub output_bytes: u64,
    /// What the answering backend did not get of the request.
    pub dropped: Dropped,
    /// Frames of streams that the relay skipped because they are not of the backend's dialect: by model (its position in
    /// the catalog), of all attempts.
    pub skipped_frames: Vec<(usize, u64)>,
    /// The code with which the policy denied the request.
    pub denial_code: Option<String>,
    /// The text of a failure for the log.
    pub detail: String,
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

impl Record {
    /// The record of a request that arrives now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            id: uuid::Uuid::now_v7().simple().to_string(),
            started: Instant::now(),
            dialect: None,
            stream: false,
            key: None,
            group: None,
            refused_by: None,
            budget_left: None,
            session: None,
            estimated_input_tokens: 0,
            routing_took: None,
            costed_by: None,
            routed_by: None,
            wants_decided: false,
            decided: None,
            pinned: None,
            choices: 0,
            cost_evaluation: None,
            routing_evaluation: None,
            by_default: false,
            complexity: Complexity::Unknown,
            score: None,
            chosen: None,
            estimated_cost: None,
            exploration: None,
            failed_attempts: Vec::new(),
            hedge: None,
            failed_calls: Vec::new(),
            model: None,
            called: None,
            sent: Sent::default(),
            first_token: None,
            answered: None,
            client_held: Duration::ZERO,
            usage: None,
            usage_is_final: false,
            output_pieces: 0,
            output_bytes: 0,
            dropped: Dropped::default(),
            skipped_frames: Vec::new(),
            denial_code: None,
            detail: String::new(),
        }
    }

    /// Begins an attempt at a model. The attempt before it has been ended.
    pub fn begin_attempt(&mut self, model: usize, now: Instant) {
        self.clear_attempt();
        self.model = Some(model);
        self.called = Some(now);
    }

    /// Forgets what was seen of the current call.
    pub(super) fn clear_attempt(&mut self) {
        // A new flag: the call before may still be about to set its own.
        self.sent = Sent::default();
        self.first_token = None;
        self.answered = None;
        self.client_held = Duration::ZERO;
        self.usage = None;
        self.usage_is_final = false;
        self.output_pieces = 0;
        self.output_bytes = 0;
        self.dropped = Dropped::default();
    }

    /// Notes usage that the backend reported. `is_final`: it is that of the whole answer.
    pub fn note_usage(&mut self, usage: Option<Usage>, is_final: bool) {
        self.usage = usage;
        self.usage_is_final = is_final && usage.is_some();
    }

    /// Notes a whole answer, which has just arrived.
    pub fn note_whole(&mut self, reply: &Reply) {
        self.answered = Some(Instant::now());
        let calls = reply.tool_calls.iter().map(|call| call.arguments.len() + call.name.len()).sum::<usize>();
        self.output_bytes = (reply.text.len() + reply.reasoning.len() + calls) as u64;
    }

    /// Counts a skipped frame of the current attempt's stream.
    pub fn skip_frame(&mut self) {
        let Some(model) = self.model else { return };
        match self.skipped_frames.last_mut() {
            Some((last, count)) if *last == model => *count += 1,
            _ => self.skipped_frames.push((model, 1)),
        }
    }

    /// A record of the same request, for the second model of a hedge. Nothing that was called so far is in it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut fork =
            Self { failed_attempts: Vec::new(), failed_calls: Vec::new(), skipped_frames: Vec::new(), ..self.clone() };
        fork.clear_attempt();
        fork
    }

    /// Becomes the record of the second model, which won the hedge. `second` becomes that of the loser.
    pub fn swap_with(&mut self, second: &mut Self) {
        std::mem::swap(self, second);
        std::mem::swap(&mut self.failed_attempts, &mut second.failed_attempts);
        std::mem::swap(&mut self.failed_calls, &mut second.failed_calls);
        std::mem::swap(&mut self.skipped_frames, &mut second.skipped_frames);
    }

    /// Merges what the other record of a hedge holds. Its call ends now, if it has not yet. The other record is empty then,
    /// so that merging it again adds nothing.
    pub fn absorb(&mut self, loser: &mut Self, why: Unaccounted) {
        loser.end_attempt(Some(why));
        self.failed_attempts.append(&mut loser.failed_attempts);
        self.failed_calls.append(&mut loser.failed_calls);
        self.skipped_frames.append(&mut loser.skipped_frames);
    }

    /// How long the call to the model took, or has taken so far: to the end of its answer, without the time that the
    /// stream waited for the client.
    #[must_use]
    pub fn model_took(&self) -> Option<Duration> {
        let ended = self.answered.unwrap_or_else(Instant::now);
        self.called.map(|called| ended.duration_since(called).saturating_sub(self.client_held))
    }

    /// When the request arrived, in seconds since 1970.
    #[must_use]
    pub fn created(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(self.started.elapsed()).as_secs()
    }

    /// The label of the policy that decided, or of the default; `None` if nothing was routed.
    #[must_use]
    pub fn policy_label(&self) -> Option<&str> {
        match (self.by_default, &self.routed_by) {
            (true, _) => Some(DEFAULT_LABEL),
            (false, Some(by)) => Some(&by.version.label),
            (false, None) => None,
        }
    }

    /// Whether the gateway chose another model than the policy's first, to explore.
    #[must_use]
    pub fn explored(&self) -> bool {
        self.exploration.as_ref().is_some_and(|exploration| exploration.explored())
    }

    /// The routing policy whose choice this request follows.
    #[must_use]
    pub fn follows(&self) -> Option<&Decider> {
        let chose = matches!(self.routing_evaluation, Some(Evaluation { outcome: Ok(DecisionOutcome::Route), .. }));
        self.routed_by.as_deref().filter(|_| chose && !self.explored())
    }

    /// The failed attempts that logs and headers name, and how many more there are.
    #[must_use]
    pub fn first_failed_attempts(&self) -> (&[FailedAttempt], usize) {
        let shown = self.failed_attempts.len().min(MAX_SHOWN_ATTEMPTS);
        (&self.failed_attempts[..shown], self.failed_attempts.len() - shown)
    }

    /// The failed attempt at the chosen model that led to a fallback.
    #[must_use]
    pub fn fell_back(&self) -> Option<&FailedAttempt> {
        let chosen = self.chosen.filter(|_| self.model != self.chosen)?;
        self.failed_attempts.iter().find(|attempt| attempt.model == chosen)
    }
}
