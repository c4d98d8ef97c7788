//! Types that all dialects share: the dialects, and the facts of a response or an error.

use std::sync::Arc;

use crate::backend_error::BackendError;
use crate::echo::Echo;
use crate::names::ToolNames;
use crate::origin::Seal;
use wasmgate_base::overflow::Overflow;
use wasmgate_base::usage::Usage;

/// A wire dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /api/v1/chat`: Wasmgate's own.
    Native,
    /// `POST /v1/chat/completions`.
    OpenAi,
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /api/chat`.
    Ollama,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /api/generate`.
    Generate,
}

/// Limits of the lists in a request. `Dialect::decode` refuses a request at the first element above one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages. In Anthropic's dialect, each tool result counts as a message.
    pub messages: usize,
    /// Parts of all messages together: texts, images, tool calls and tool results.
    pub parts: usize,
    /// Tools.
    pub tools: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: 8192, parts: 16_384, tools: 1024 }
    }
}

/// A backend's response does not follow its dialect.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text}")]
pub struct Malformed {
    text: String,
    part_of_answer: bool,
}

/// Maximum of tool calls in one answer. Providers allow some hundred tools in a request, and a model calls few of them at
/// once.
const MAX_CALLS: usize = 1024;

impl Malformed {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), part_of_answer: false }
    }

    /// The same for a piece without which the answer is not complete.
    pub(crate) fn part_of_answer(text: impl Into<String>) -> Self {
        Self { text: text.into(), part_of_answer: true }
    }

    /// Checks the number of tool calls in an answer.
    pub(crate) fn unless_few(calls: usize) -> Result<(), Self> {
        if calls > MAX_CALLS {
            let text = format!("the answer has more than {MAX_CALLS} tool calls; at most {MAX_CALLS} are expected");
            return Err(Self::part_of_answer(text));
        }
        Ok(())
    }

    /// Whether the answer is not complete without what is malformed: it is a piece of the answer that the decoder cannot
    /// read, or the answer is larger than the decoder can take.
    #[must_use]
    pub fn is_part_of_answer(&self) -> bool {
        self.part_of_answer
    }
}

/// Usage as a backend reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The counts.
    pub usage: Usage,
    /// Whether the count of output tokens is among them. If not, it is 0.
    pub has_output: bool,
}

impl Reported {
    /// These counts, which came after `earlier` ones of the same answer.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self { usage: self.usage.after(earlier.usage), has_output: self.has_output || earlier.has_output }
    }
}

/// Why a backend's complete response is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// It does not follow its dialect.
    #[error("{0}")]
    Malformed(Malformed),
    /// It is an error, although its status says otherwise.
    #[error("the answer is an error")]
    Failed(Box<BackendError>),
}

impl From<Box<BackendError>> for NoReply {
    fn from(error: Box<BackendError>) -> Self {
        Self::Failed(error)
    }
}

impl From<Malformed> for NoReply {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// What becomes of a frame of a stream if the client speaks the backend's dialect. If it does not, what its deltas say is
/// translated.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// It goes to the client as it came.
    AsIs,
    /// It goes to the client in this form: it says the same, and the client's SDK can read it.
    Rewritten(Vec<u8>),
    /// It holds nothing of the answer, and an SDK might fail on it: it is skipped and counted. Why, for the log.
    Skipped(&'static str),
}

/// Facts that a response reports in addition to the model's text, known before the backend answers.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The request's id.
    pub request_id: String,
    /// The configured name of the model that answers.
    pub model: String,
    /// The configured name of its backend.
    pub backend: String,
    /// When the request arrived, in seconds since 1970.
    pub created: u64,
    /// Whether the client asked for usage in its stream.
    pub include_usage: bool,
    /// The prompt's estimated tokens: Anthropic's first event reports input tokens before the backend does.
    pub estimated_input_tokens: u64,
    /// How the routing decision was made.
    pub routing: Routing,
    /// What an answer in the Responses dialect needs of its request.
    pub echo: Option<Arc<Echo>>,
    /// The tools that the backend knows by other names than the client.
    pub tool_names: Option<Arc<ToolNames>>,
    /// What binds an answer that the backend stores to the client's group.
    pub seal: Option<Seal>,
}

/// How a routing decision was made, as the native dialect reports it.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Routing {
    /// 0 to 1; `None` if the policy gave no score or the gateway's default decided.
    pub complexity: Option<f64>,
    /// `low`, `medium`, `high` or `unknown`.
    pub tier: &'static str,
    /// The policy's reason.
    pub reasoning: String,
    /// The cost policy's estimate, in US dollars; `None` if the cost is unknown.
    pub estimated_cost: Option<f64>,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub version: String,
}

/// The totals of a response, known when it ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Total {
    /// All input tokens, including those of the prompt cache: the backend's count, else the gateway's estimate.
    pub input_tokens: u64,
    /// Output tokens: the backend's count, else the gateway's estimate.
    pub output_tokens: u64,
    /// In US dollars; `None` if the model is unpriced.
    pub cost: Option<f64>,
    /// Seconds since the request arrived.
    pub latency_seconds: f64,
}

/// An error as a client may see it.
#[derive(Debug, Clone, Default)]
pub struct ErrorText {
    /// The HTTP status it has, or would have had before the answer began.
    pub status: u16,
    /// Stable, for programs: `unknown_model`, `backend_timeout`, …
    pub code: String,
    /// The sentence for people.
    pub message: String,
    /// The parameter of the request that is wrong, if the model's provider named one. Only OpenAI's errors have a place for
    /// it.
    pub param: Option<String>,
    /// The error's type in the words of the model's provider, if it named one. Dialects whose types are a closed set use it only
    /// if it is one of them.
    pub kind: Option<String>,
    /// By how much the prompt exceeds a context window, if that is the error. Each dialect says it in the words at which agents
    /// compact their history.
    pub overflow: Option<Overflow>,
    /// The request's id.
    pub request_id: String,
}

impl Dialect {
    /// The word in log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Generate => "generate",
        }
    }
}
