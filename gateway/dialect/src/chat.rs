//! A chat request and its reply, independent of any wire dialect.
//!
//! The dialects read their own wire formats into these types and write them from these types, so that four dialects
//! need four modules and not sixteen. If the backend speaks the client's dialect, the gateway forwards the request's
//! own bytes (`Chat::raw`) instead, so that no unknown field is lost. This module must not know: HTTP, policies,
//! backends, JSON beyond the raw fields that it stores.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::backend_error::BackendError;
use crate::echo::Echo;
pub use crate::effort::{Effort, Thinking};
use crate::fields::Hints;
use crate::json::BadRequest;
use crate::origin::Origin;
use wasmgate_base::usage::Usage;

/// A client's request.
#[derive(Debug, Default)]
pub struct Chat {
    /// The model asked for: `auto` or a name.
    pub model: String,
    /// The conversation, oldest message first, system messages in place.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model must, may or must not call a tool.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once; `None` leaves it to the backend.
    pub parallel_tool_calls: Option<bool>,
    /// Maximum output tokens, at least 1.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 or more. Dialects end at 1, at 2 or nowhere.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Sampling among the k likeliest tokens.
    pub top_k: Option<u32>,
    /// Penalty on tokens by how often they occurred, -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that occurred, -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Stop sequences: texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for repeatable sampling.
    pub seed: Option<i64>,
    /// How much the model may think, as a word.
    pub effort: Option<Effort>,
    /// Whether the model may think, or how much, in another form than a word.
    pub thinking: Option<Thinking>,
    /// The required format of the answer.
    pub format: Option<Format>,
    /// Whether to stream the answer.
    pub stream: bool,
    /// Whether the stream reports usage (OpenAI's `stream_options.include_usage`; always so in the dialects without
    /// such an option).
    pub include_usage: bool,
    /// The client's id for its user, passed on for abuse tracking.
    pub user: Option<String>,
    /// The path of the first content without a counterpart in the other dialects. Such a request can only go to backends
    /// of its own dialect.
    pub unportable: Option<String>,
    /// What is wrong with the first value that the reader did not understand. A server of the request's own dialect may take it;
    /// `unportable` keeps it out of the others.
    pub misread: Option<BadRequest>,
    /// What an answer in the Responses dialect needs of the request; `None` in the others.
    pub echo: Option<Arc<Echo>>,
    /// What ties the request to the backend that made a part of it.
    pub pins: Vec<Pin>,
    /// Whether it has no prompt, and only asks the server to load or unload the model (Ollama).
    pub load: bool,
    /// Hints of the request that this type has no field for. They reach backends of its own dialect only.
    pub unread: Hints,
    /// Names of the first such fields, where the hint has several, and of the first fields that the gateway does not know.
    pub unread_names: Vec<Cow<'static, str>>,
    /// The length of the body that it was read from.
    pub body_bytes: usize,
    /// The top-level fields as the client wrote them, in order: name and value, for forwarding.
    pub raw: Vec<(String, Box<RawValue>)>,
}

impl Chat {
    /// All texts that the model reads: of messages, tool calls, tool results and tools, and the schema of the answer. Not
    /// earlier thinking, which most providers leave out themselves.
    pub fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        let messages = self.messages.iter().flat_map(|message| &message.parts).flat_map(Part::texts);
        let tools = self.tools.iter().flat_map(Tool::texts);
        let schema = match &self.format {
            Some(Format::Schema { schema, .. }) => Some(schema.get()),
            Some(Format::Json) | None => None,
        };
        messages.chain(tools).chain(schema)
    }

    /// The number of images.
    #[must_use]
    pub fn images(&self) -> usize {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let images = parts.map(|part| match part {
            Part::Image(_) => 1,
            Part::ToolResult { images, .. } => images.len(),
            Part::Text(_) | Part::Reasoning(_) | Part::ToolCall(_) => 0,
        });
        images.sum()
    }

    /// How much the model may think, as a word: the client's, else the one nearest to its budget.
    #[must_use]
    pub fn effort(&self) -> Option<Effort> {
        self.effort.or(match self.thinking {
            Some(Thinking::Budget(..=4096)) => Some(Effort::Low),
            Some(Thinking::Budget(..=16_384)) => Some(Effort::Medium),
            Some(Thinking::Budget(_)) => Some(Effort::High),
            Some(Thinking::Off | Thinking::On | Thinking::Adaptive) | None => None,
        })
    }
}

/// A part of a request that only the backend which made it understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What it is.
    pub reason: PinReason,
    /// The backend.
    pub origin: Origin,
    /// Its path in the request.
    pub field: String,
}

/// Why only one backend can answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum PinReason {
    /// The request continues an answer that the backend has stored.
    PreviousResponse,
    /// The conversation holds thinking that the backend encrypted.
    Reasoning,
    /// The conversation holds something else that the backend encrypted, such as a summary of it.
    EncryptedContent,
}

impl PinReason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::PreviousResponse, Self::Reasoning, Self::EncryptedContent];

    /// The word in labels and hints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreviousResponse => "previous_response",
            Self::Reasoning => "reasoning",
            Self::EncryptedContent => "encrypted_content",
        }
    }
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Its author.
    pub role: Role,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The person or program that sends the request.
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
    /// A model's earlier thinking, which the client sends back.
    Reasoning(String),
    /// A tool call by the model.
    ToolCall(ToolCall),
    /// A tool's result.
    ToolResult {
        /// The id of the call that it answers; empty if the dialect has no ids.
        call_id: String,
        /// The tool's name, if the dialect gives it.
        name: Option<String>,
        /// The result as text.
        text: String,
        /// The images of the result.
        images: Vec<Image>,
        /// Whether the tool failed.
        is_error: bool,
    },
}

impl Part {
    /// The text of a text or tool result.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::ToolResult { text, .. } => Some(text),
            Self::Image(_) | Self::Reasoning(_) | Self::ToolCall(_) => None,
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        let (first, second) = match self {
            Self::Text(text) | Self::ToolResult { text, .. } => (Some(text), None),
            Self::ToolCall(call) => (Some(&call.name), Some(&call.arguments)),
            Self::Image(_) | Self::Reasoning(_) => (None, None),
        };
        first.into_iter().chain(second).map(String::as_str)
    }
}

/// The result of a tool, from the parts of its content: texts are joined, images follow them.
pub(crate) fn tool_result(call_id: String, name: Option<String>, parts: Vec<Part>, is_error: bool) -> Part {
    let (mut text, mut images) = (String::new(), Vec::new());
    let mut texts = 0;
    for part in parts {
        match part {
            Part::Text(more) => {
                if texts > 0 {
                    text.push('\n');
                }
                texts += 1;
                text.push_str(&more);
            }
            Part::Image(image) => images.push(image),
            Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult { .. } => {}
        }
    }
    Part::ToolResult { call_id, name, text, images, is_error }
}

/// An image in a message.
#[derive(Debug, PartialEq)]
pub enum Image {
    /// By URL; the gateway never fetches it.
    Url(String),
    /// Inline.
    Base64 {
        /// For example `image/png`; `None` if the dialect does not give it (Ollama).
        media_type: Option<String>,
        /// The bytes, base64.
        data: String,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Its id; empty in a reply whose dialect has none. An encoder that needs an id derives one from the request's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: the text of a JSON object, but possibly not valid.
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

impl Tool {
    fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        let described = [self.description.as_deref(), self.parameters.as_deref().map(RawValue::get)];
        std::iter::once(self.name.as_str()).chain(described.into_iter().flatten())
    }
}

/// Whether a model must call a tool.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// At least one, of the model's choice.
    Required,
    /// This tool.
    Named(String),
}

/// The required format of an answer.
#[derive(Debug)]
pub enum Format {
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// The schema's name, if given.
        name: Option<String>,
        /// Whether the backend must enforce the schema strictly.
        strict: Option<bool>,
        /// The JSON schema.
        schema: Box<RawValue>,
    },
}

/// A complete response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The backend's id of the response, if it has one.
    pub id: Option<String>,
    /// The model's name as the backend gives it.
    pub model: Option<String>,
    /// The model's thinking, if the backend reports it; otherwise empty.
    pub reasoning: String,
    /// The text.
    pub text: String,
    /// The tools called.
    pub tool_calls: Vec<ToolCall>,
    /// Why the answer ended, if known.
    pub finish: Option<Finish>,
    /// Token usage, if the backend reported it.
    pub usage: Option<Usage>,
    /// Whether that counts the output too.
    pub usage_is_whole: bool,
}

impl Reply {
    /// The deltas of a stream that says the same, except for its end.
    pub fn into_deltas(self) -> impl Iterator<Item = Delta> {
        let text = |text: String, delta: fn(String) -> Delta| (!text.is_empty()).then(|| delta(text));
        let finish = self.finish.unwrap_or(if self.tool_calls.is_empty() { Finish::Stop } else { Finish::ToolCalls });
        let calls = self.tool_calls.into_iter().enumerate().flat_map(|(index, call)| {
            let ToolCall { id, name, arguments } = call;
            [Delta::ToolCallStart { index, id, name }, Delta::ToolCallArguments { index, fragment: arguments }]
        });
        std::iter::once(Delta::Start { id: self.id, model: self.model })
            .chain(text(self.reasoning, Delta::Reasoning))
            .chain(text(self.text, Delta::Text))
            .chain(calls)
            .chain(std::iter::once(Delta::Finish(finish)))
            .chain(self.usage.map(|usage| Delta::Usage { usage, is_final: self.usage_is_whole }))
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model finished.
    Stop,
    /// The model wrote a stop sequence of the request.
    StopSequence,
    /// The answer reached the limit of output tokens.
    Length,
    /// The model called tools.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
}

/// One delta of a streamed answer.
#[derive(Debug, PartialEq)]
pub enum Delta {
    /// The stream started, with the backend's id and model name if given.
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
        /// Its id; empty if the backend's dialect has none.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments.
    ToolCallArguments {
        /// Its number.
        index: usize,
        /// The next piece of the JSON text.
        fragment: String,
    },
    /// Why the answer ended. The stream is not complete before `End`.
    Finish(Finish),
    /// Tokens so far or in total; a later value replaces an earlier one.
    Usage {
        /// The counts.
        usage: Usage,
        /// Whether these are the totals of the answer. If not, more output may follow: Anthropic's stream begins with the
        /// prompt's count and one output token.
        is_final: bool,
    },
    /// Output of a kind that only the backend's own dialect can express, such as a picture: its length in bytes.
    Other(usize),
    /// The backend's own end marker: the answer is complete.
    End,
    /// The backend reported a failure in band.
    Failed(Box<BackendError>),
}

/// Deltas decoded from a stream and not yet consumed.
pub type Deltas = VecDeque<Delta>;
