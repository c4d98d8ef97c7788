//! The lines of a segment. Names of fields carry their units; money is in nano-dollars (10^-9 US dollars). A field that is
//! not known is `null`.

use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// The version of the lines. It rises when a field changes its meaning or goes; readers skip and count lines of a later one.
pub const SCHEMA: u32 = 1;

/// What every line begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct Head<'a> {
    /// See `SCHEMA`.
    pub(crate) schema: u32,
    /// Which line it is.
    #[serde(borrow)]
    pub(crate) kind: std::borrow::Cow<'a, str>,
}

/// A line with its head.
#[derive(Debug, Serialize)]
struct Headed<'a, T> {
    schema: u32,
    kind: &'static str,
    #[serde(flatten)]
    line: &'a T,
}

/// Appends a line and its line break.
pub(crate) fn append<T: Serialize>(kind: &'static str, line: &T, out: &mut Vec<u8>) {
    let start = out.len();
    // Lines have only texts and finite numbers, so that they can be written.
    if serde_json::to_writer(&mut *out, &Headed { schema: SCHEMA, kind, line }).is_err() {
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}

/// The kind of lines that are decisions.
pub(crate) const DECISION: &str = "decision";
/// The kind of lines that are feedback.
pub(crate) const FEEDBACK: &str = "feedback";
/// The kind of lines that are tables of models.
pub(crate) const MODELS: &str = "models";
/// The kind of lines that are texts.
pub(crate) const CONTENT: &str = "content";

/// One routed request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The request's id, as in the log and in the headers of its answer.
    pub id: String,
    /// When the request arrived.
    pub time: Moment,
    /// The group whose key it had: the tenant that policies see.
    pub group: Option<String>,
    /// The dialect that it came in.
    pub dialect: String,
    /// The table of models that the names below are of.
    pub models_id: String,
    /// What policies may know of the request, except for texts.
    pub request: Request,
    /// The models that may answer, at that moment.
    pub candidates: Vec<Candidate>,
    /// The routing policy that was asked; `null` if none is enabled.
    pub routing: Option<Asked>,
    /// The cost policy that was asked; `null` if none is enabled.
    pub cost: Option<Asked>,
    /// What the routing policy answered, or what the gateway's default decided.
    pub verdict: Verdict,
    /// The model that was to be called first: the client's, if it named one that the policy did not leave out, else the
    /// first of the ranking. `null` if the request was denied.
    pub chosen: Option<String>,
    /// Whether the host chose another model than the policy's first, to explore.
    #[serde(default)]
    pub explored: bool,
    /// The draw by which the host may have chosen another model; `null` if the request was not open to exploration.
    #[serde(default)]
    pub exploration: Option<Exploration>,
    /// The probability of this choice, above 0 to 1: the share of the deciding version, and of the exploration.
    pub propensity: f64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Decision {
    /// The probability with which a model is called first when the version that decided has ranked: by exploration, or 1 for the
    /// chosen model and 0 for others. The share of the version is not in it.
    #[must_use]
    pub fn probability_of(&self, model: &str) -> f64 {
        match &self.exploration {
            Some(exploration) => exploration.probability_of(model),
            None if self.chosen.as_deref() == Some(model) => 1.0,
            None => 0.0,
        }
    }
}

/// A draw among the models that could serve a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exploration {
    /// How often the host draws instead of following the policy, from 0 to 1.
    pub share: f64,
    /// The models that are drawn, each as likely as the others: first the policy's.
    pub models: Vec<String>,
}

impl Exploration {
    /// The probability with which a model is called first.
    #[must_use]
    pub fn probability_of(&self, model: &str) -> f64 {
        let drawn = self.share / self.models.len().max(1) as f64;
        match self.models.iter().position(|known| known == model) {
            Some(0) => 1.0 - self.share + drawn,
            Some(_) => drawn,
            None => 0.0,
        }
    }
}

/// What policies may know of a request, except for texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `auto`, or the model that the client named.
    pub requested: String,
    /// The estimated tokens of all messages.
    pub prompt_tokens: u32,
    /// Maximum output tokens, if the client named a limit.
    pub max_tokens: Option<u32>,
    /// Whether to stream the answer.
    pub streaming: bool,
    /// Whether the model may call tools.
    pub tools: bool,
    /// Whether there are images among the messages.
    pub images: bool,
    /// Whether the client wants the answer in a format.
    pub structured_output: bool,
    /// How many messages the conversation has.
    pub messages: u32,
    /// The length of all texts, in bytes.
    pub text_bytes: u64,
    /// The length of the user's newest message, in bytes; 0 if there is none.
    pub newest_bytes: u64,
    /// The tenant's budget.
    pub budget: Option<Budget>,
    /// The tenant's limits: of each measure, the one with the least left.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Request headers and labels of the group that policies may see.
    pub labels: Vec<Pair>,
    /// Further facts.
    pub hints: Vec<Pair>,
}

/// A dollar budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// All of it, in nano-dollars.
    pub limit: u64,
    /// What is left of it, in nano-dollars.
    pub left: u64,
}

/// A limit of a tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What it counts: `requests`, `tokens`, `money` (in nano-dollars) or `concurrent` requests.
    pub measure: String,
    /// The most that it allows.
    pub most: u64,
    /// What is left of it.
    pub left: u64,
    /// When its window ends, in seconds; `null`: never.
    pub ends_in: Option<u64>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A model that may answer, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name in the table of models.
    pub model: String,
    /// `unknown`, `healthy`, `degraded` or `down`.
    pub health: String,
    /// The state of its breaker: `closed`, `half-open` or `open`.
    pub breaker: String,
    /// Requests in flight at its backend.
    pub in_flight: u32,
    /// How much of the time that its answer may take is left, in seconds.
    #[serde(default)]
    pub time_left_seconds: f64,
    /// What recent calls took, in seconds.
    pub latency_seconds: Option<f64>,
    /// What recent calls took to their first token, in seconds.
    pub first_token_seconds: Option<f64>,
    /// Output tokens a second of recent calls.
    pub tokens_per_second: Option<f64>,
    /// What the cost policy expects; `null` if it failed or none is enabled.
    pub estimate: Option<Estimate>,
}

/// What a cost policy expects of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Input tokens.
    pub input_tokens: u32,
    /// Output tokens.
    pub output_tokens: u32,
    /// In nano-dollars; `null` if the candidate is unpriced.
    pub cost: Option<u64>,
}

/// A policy that was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of the settings in force, in hex.
    pub settings: String,
    /// Changes with its component, settings and limits, as in `wasmgate policies show`.
    pub revision: String,
    /// The slot that it was in.
    pub slot: String,
    /// `active` or `canary`.
    pub mode: String,
    /// What the call took, in seconds.
    pub seconds: Option<f64>,
    /// The class of its failure; `null` if it answered.
    pub failure: Option<String>,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The policy ranked candidates.
    Route,
    /// The policy refused the request.
    Deny,
    /// The policy had no opinion: the default decided.
    Pass,
    /// The policy failed: the default decided, or the request failed if the policy is fail-closed.
    Failed,
    /// No policy is enabled: the default decided.
    Default,
}

/// A decision about the candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What decided.
    pub kind: VerdictKind,
    /// Models, best first: the policy's ranking, or the default's.
    pub ranking: Vec<String>,
    /// How demanding the request is, from 0 to 1, as the policy judged it.
    pub complexity: Option<f64>,
    /// The same in words: `low`, `medium` or `high`.
    pub tier: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// The code of a denial.
    pub code: Option<String>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `finished`, `failed`, `rejected`, `abandoned` or `shutdown`.
    pub ending: String,
    /// The class of the failure, or why it was rejected or abandoned; `null` if it finished.
    pub failure: Option<String>,
    /// The model that answered, or that was called last.
    pub model: Option<String>,
    /// The attempts that failed, in order.
    pub attempts: Vec<Attempt>,
    /// Whether a second model was called because the first was slow.
    pub hedged: bool,
    /// Every call that is billed: the one that answered, those that failed before it, and hedges.
    pub calls: Vec<Call>,
    /// What all calls cost, in nano-dollars, of those that have a price; `null` if none has, or none was billed.
    pub cost: Option<u64>,
    /// What that cost rests on; `null` if no call was billed.
    pub cost_basis: Option<CostBasis>,
    /// From arrival to the first token, in seconds (streams).
    pub first_token_seconds: Option<f64>,
    /// What the call to the answering model took, in seconds.
    pub model_seconds: Option<f64>,
    /// From arrival to the end, in seconds.
    pub seconds: f64,
}

impl Outcome {
    /// Whether the client got a whole answer.
    pub(crate) fn is_finished(&self) -> bool {
        self.ending == "finished"
    }
}

/// What a cost rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostBasis {
    /// The backends reported all tokens.
    Reported,
    /// The gateway estimated some tokens.
    Estimated,
    /// A call has no price: what it cost is not in the sum.
    Unpriced,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The model.
    pub model: String,
    /// The class of the failure.
    pub failure: String,
    /// Whether the same model was tried again.
    pub retried: bool,
}

/// A call that is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The model.
    pub model: String,
    /// Whether it answered the request.
    pub answered: bool,
    /// Input tokens that no prompt cache served.
    pub input_tokens: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to a prompt cache.
    pub cache_write_tokens: u64,
    /// Output tokens, thinking included.
    pub output_tokens: u64,
    /// Those of the output that were thinking, as far as the backend counts them apart.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Whether the backend reported all tokens. If not, the gateway estimated some.
    pub reported: bool,
    /// In nano-dollars; `null` if the model is unpriced.
    pub cost: Option<u64>,
}

/// What somebody says of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// The id of the request that was answered.
    pub id: String,
    /// When the gateway got it.
    pub time: Moment,
    /// The group whose key sent it.
    pub group: Option<String>,
    /// From 0 (useless) to 1 (right).
    pub score: f64,
    /// Who judged, in the client's words.
    pub source: String,
}
