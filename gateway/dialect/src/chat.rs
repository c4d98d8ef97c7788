//! A chat request and its reply, free of any wire dialect.
//!
//! The dialects (`dialect/`) read their own shapes into these types and write their own shapes from them,
//! so that four dialects need four modules and not sixteen. A request whose backend speaks the client's own
//! dialect is not written from here: its bytes are forwarded (`Chat::raw`) and nothing that we do not know
//! is lost. This module must not know: HTTP, policies, backends, JSON beyond the raw fields kept aside.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use wasmgate_base::usage::Usage;

/// A request as its client meant it.
#[derive(Debug, Default)]
pub struct Chat {
    /// The model asked for: `auto` or a name.
    pub model: String,
    /// The conversation, oldest first, system messages in their places.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model must, may or must not call one.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once; `None` leaves it to the backend.
    pub parallel_tool_calls: Option<bool>,
    /// Most output tokens, at least 1.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Sampling among the k likeliest tokens.
    pub top_k: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for repeatable sampling.
    pub seed: Option<i64>,
    /// The form the answer must have.
    pub format: Option<Format>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the stream is to carry usage (OpenAI's `stream_options.include_usage`; always so in the
    /// dialects that have no such switch).
    pub include_usage: bool,
    /// The client's own name for its user, passed on for abuse tracking.
    pub user: Option<String>,
    /// The first field, by path, that has no counterpart in the other dialects. Such a request can go to
    /// backends of its own dialect only.
    pub unportable: Option<String>,
    /// The top-level fields as the client wrote them, in order: name and value, for forwarding.
    pub raw: Vec<(String, Box<RawValue>)>,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What it holds, in order.
    pub parts: Vec<Part>,
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The person or program that asks.
    User,
    /// An earlier answer of a model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// One part of a message.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image.
    Image(Image),
    /// The model called a tool.
    ToolCall(ToolCall),
    /// A tool's result.
    ToolResult {
        /// The call it answers; empty where the dialect has no ids.
        call_id: String,
        /// The tool's name where the dialect gives it.
        name: Option<String>,
        /// The result as text.
        text: String,
        /// Whether the tool failed.
        is_error: bool,
    },
}

impl Part {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::ToolResult { text, .. } => Some(text),
            Self::Image(_) | Self::ToolCall(_) => None,
        }
    }
}

/// An image in a message.
#[derive(Debug, PartialEq)]
pub enum Image {
    /// By address; the gateway never fetches it.
    Url(String),
    /// Inline.
    Base64 {
        /// As in `image/png`; `None` where the dialect does not say (Ollama).
        media_type: Option<String>,
        /// The bytes, base64.
        data: String,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Its id. Empty in a reply whose dialect has none: who writes the answer makes one up from the request's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: the text of a JSON object, as the model wrote it, which may be none.
    pub arguments: String,
}

/// A tool that the model may call.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    pub parameters: Option<Box<RawValue>>,
    /// Whether calls must fit the schema.
    pub strict: Option<bool>,
}

/// Whether a model must call a tool.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Named(String),
}

/// The form an answer must have.
#[derive(Debug)]
pub enum Format {
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// The schema's name, where given.
        name: Option<String>,
        /// Whether the backend must hold to it strictly.
        strict: Option<bool>,
        /// The JSON schema.
        schema: Box<RawValue>,
    },
}

/// A whole answer.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    /// The backend's id for it, where it has one.
    pub id: Option<String>,
    /// The model's name as the backend gives it.
    pub model: Option<String>,
    /// The model's thinking, where it shows it; empty otherwise.
    pub reasoning: String,
    /// The text.
    pub text: String,
    /// The tools called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// Tokens, where the backend reported them.
    pub usage: Option<Usage>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// A stop text of the request came.
    StopSequence,
    /// The limit of output tokens came.
    Length,
    /// The model called tools.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
}

/// One step of a streamed answer.
#[derive(Debug, PartialEq)]
pub enum Delta {
    /// The stream began: the backend's id and name for the model, where given.
    Start {
        /// The backend's id.
        id: Option<String>,
        /// The backend's name for the model.
        model: Option<String>,
    },
    /// More thinking.
    Reasoning(String),
    /// More text.
    Text(String),
    /// A tool call begins. Calls are numbered from 0 in the order they begin.
    ToolCallStart {
        /// Its number.
        index: usize,
        /// Its id; empty where the backend's dialect has none.
        id: String,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolCallArguments {
        /// Its number.
        index: usize,
        /// The next piece of the JSON text.
        fragment: String,
    },
    /// Why it ended. The stream is not complete before `End`.
    Finish(Finish),
    /// Tokens so far, or in all: later values replace earlier ones.
    Usage(Usage),
    /// The backend's own end marker: the answer is complete.
    End,
    /// The backend said in band that it failed; its text, for the log only.
    Failed(String),
}

/// Steps decoded from a stream and not yet taken.
pub type Deltas = VecDeque<Delta>;
