//! What all dialects share: which they are, and what an answer or an error says in each of them.

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
}

/// A backend's answer is not what its dialect says.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Malformed(pub String);

/// What an answer says beside the model's own words, known before the backend answers.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The request's id.
    pub request_id: String,
    /// The configured name of the model that answers.
    pub model: String,
    /// The configured name of its backend.
    pub backend: String,
    /// When the request came, in seconds since 1970.
    pub created: u64,
    /// Whether the client asked that its stream carry usage.
    pub include_usage: bool,
    /// The prompt's estimated tokens: Anthropic's first event names input tokens before the backend has.
    pub estimated_input_tokens: u64,
    /// How the decision came about.
    pub routing: Routing,
}

/// How a routing decision came about, as the native dialect tells it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Routing {
    /// 0 to 1; `None` where the gateway's own default decided.
    pub complexity: Option<f64>,
    /// `low`, `medium`, `high` or `unknown`.
    pub tier: &'static str,
    /// The policy's sentence.
    pub reasoning: String,
    /// What the cost policy expected, in US dollars; `None` where the model is unpriced.
    pub estimated_cost: Option<f64>,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub version: String,
}

/// What an answer came to, known when it ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Total {
    /// All input tokens, those of the prompt cache included: the backend's count, else our estimate.
    pub input_tokens: u64,
    /// Output tokens: the backend's count, else our estimate.
    pub output_tokens: u64,
    /// In US dollars; `None` where the model is unpriced.
    pub cost: Option<f64>,
    /// From the request to now.
    pub latency_seconds: f64,
}

/// An error as a client may see it.
#[derive(Debug, Clone)]
pub struct ErrorText {
    /// The HTTP status it has, or would have had before the answer began.
    pub status: u16,
    /// Stable, for programs: `unknown_model`, `backend_timeout`, …
    pub code: String,
    /// For people.
    pub message: String,
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
        }
    }
}
