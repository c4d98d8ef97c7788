//! The wire dialects of chat: which exist, and one function for each direction.
//!
//! A client dialect is read (`decode`), and answered (`encode_reply`, `Encoder`, `error_body`); a backend's is
//! written (`encode`, `forward`) and its answer read (`decode_reply`, `Decoder`). OpenAI, Anthropic and Ollama are
//! both; `Native` is a client dialect only. This module must not know: HTTP, policies, backends, metrics.

pub mod chat;
pub mod frames;
pub mod json;

mod anthropic;
mod image;
mod native;
mod ollama;
mod openai;
mod sse;
mod translatable;
mod types;
mod write;

#[cfg(test)]
mod tests;

use chat::{Chat, Delta, Deltas, Reply};
use frames::Framing;
pub use json::BadRequest;
pub use types::{Dialect, ErrorText, Facts, Malformed, Routing, Total};

impl Dialect {
    /// Reads a request body. Refuses what is not UTF-8, not JSON, nested more than 64 deep, has a key twice or
    /// a known field of a wrong type, naming the field, what was found and what was expected.
    ///
    /// # Errors
    /// `BadRequest` with the sentence for the client.
    pub fn decode(self, body: &[u8]) -> Result<Chat, BadRequest> {
        match self {
            Self::Native => native::decode(body),
            Self::OpenAi => openai::decode(body),
            Self::Anthropic => anthropic::decode(body),
            Self::Ollama => ollama::decode(body),
        }
    }

    /// What stands in the way of sending `chat`, which came in dialect `from`, to a backend of this dialect: the
    /// path of the first field that it cannot express. `None` when all of it can be said.
    #[must_use]
    pub fn obstacle(self, from: Self, chat: &Chat) -> Option<String> {
        if self == from {
            return None;
        }
        if let Some(field) = &chat.unportable {
            return Some(field.clone());
        }
        match self {
            Self::Native => None,
            Self::OpenAi => openai::obstacle(from, chat),
            Self::Anthropic => anthropic::obstacle(from, chat),
            Self::Ollama => ollama::obstacle(from, chat),
        }
    }

    /// The body for a backend of this dialect that knows the model as `model`. A request in the same dialect is
    /// forwarded as it was written, but for the model's name and, in OpenAI's dialect, the wish for usage in
    /// streams. `max_tokens` is what to send where the client said nothing and the dialect demands a number.
    /// `obstacle` must have returned `None`.
    #[must_use]
    pub fn encode(self, from: Self, chat: &Chat, model: &str, max_tokens: u32) -> Vec<u8> {
        match self {
            // Native is never a backend's dialect; OpenAI's is what the simulated backend speaks.
            Self::OpenAi | Self::Native if from == Self::OpenAi => openai::forward(chat, model),
            Self::OpenAi | Self::Native => openai::encode(chat, model),
            Self::Anthropic if from == self => anthropic::forward(chat, model),
            Self::Anthropic => anthropic::encode(chat, model, max_tokens),
            Self::Ollama if from == self => ollama::forward(chat, model),
            Self::Ollama => ollama::encode(chat, model),
        }
    }

    /// Reads a backend's whole answer.
    ///
    /// # Errors
    /// `Malformed` where it is not what the dialect says.
    pub fn decode_reply(self, body: &[u8]) -> Result<Reply, Malformed> {
        match self {
            Self::OpenAi | Self::Native => openai::decode_reply(body),
            Self::Anthropic => anthropic::decode_reply(body),
            Self::Ollama => ollama::decode_reply(body),
        }
    }

    /// Writes a whole answer for a client.
    #[must_use]
    pub fn encode_reply(self, reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
        match self {
            Self::Native => native::encode_reply(reply, facts, total),
            Self::OpenAi => openai::encode_reply(reply, facts, total),
            Self::Anthropic => anthropic::encode_reply(reply, facts, total),
            Self::Ollama => ollama::encode_reply(reply, facts, total),
        }
    }

    /// Writes an error for a client, as the whole body of a response.
    #[must_use]
    pub fn error_body(self, error: &ErrorText) -> Vec<u8> {
        match self {
            Self::Native => native::error_body(error),
            Self::OpenAi => openai::error_body(error),
            Self::Anthropic => anthropic::error_body(error),
            Self::Ollama => ollama::error_body(error),
        }
    }

    /// What ends a frame of a stream in this dialect.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::Ollama => Framing::Ndjson,
            Self::Native | Self::OpenAi | Self::Anthropic => Framing::Sse,
        }
    }

    /// The content type of streams in this dialect.
    #[must_use]
    pub fn stream_content_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            Self::Native | Self::OpenAi | Self::Anthropic => "text/event-stream",
        }
    }
}

/// Reads a backend's stream, a frame at a time.
#[derive(Debug)]
pub enum Decoder {
    /// OpenAI's.
    OpenAi(openai::Decoder),
    /// Anthropic's.
    Anthropic(anthropic::Decoder),
    /// Ollama's.
    Ollama(ollama::Decoder),
}

impl Decoder {
    /// A decoder for one stream.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi | Dialect::Native => Self::OpenAi(openai::Decoder::default()),
            Dialect::Anthropic => Self::Anthropic(anthropic::Decoder::default()),
            Dialect::Ollama => Self::Ollama(ollama::Decoder::default()),
        }
    }

    /// Reads one whole frame (an event of an event stream with its blank line, or a line of JSON) and appends
    /// what it says. Comments and events we do not know say nothing.
    ///
    /// # Errors
    /// `Malformed` where a frame that must be JSON is not, or lacks what the dialect demands.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<(), Malformed> {
        match self {
            Self::OpenAi(d) => d.frame(frame, out),
            Self::Anthropic(d) => d.frame(frame, out),
            Self::Ollama(d) => d.frame(frame, out),
        }
    }
}

/// Writes a client's stream, a step at a time; `end` or `stream_error` comes last.
#[derive(Debug)]
pub enum Encoder {
    /// Ours.
    Native(native::Encoder),
    /// OpenAI's.
    OpenAi(openai::Encoder),
    /// Anthropic's.
    Anthropic(anthropic::Encoder),
    /// Ollama's.
    Ollama(ollama::Encoder),
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub fn new(dialect: Dialect, facts: Facts) -> Self {
        match dialect {
            Dialect::Native => Self::Native(native::Encoder::new(facts)),
            Dialect::OpenAi => Self::OpenAi(openai::Encoder::new(facts)),
            Dialect::Anthropic => Self::Anthropic(anthropic::Encoder::new(facts)),
            Dialect::Ollama => Self::Ollama(ollama::Encoder::new(facts)),
        }
    }

    /// Writes one step. `Delta::End` and `Delta::Failed` write nothing: `end` or `stream_error` follows.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match self {
            Self::Native(e) => e.delta(delta, out),
            Self::OpenAi(e) => e.delta(delta, out),
            Self::Anthropic(e) => e.delta(delta, out),
            Self::Ollama(e) => e.delta(delta, out),
        }
    }

    /// Writes the normal end.
    pub fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        match self {
            Self::Native(e) => e.end(total, out),
            Self::OpenAi(e) => e.end(total, out),
            Self::Anthropic(e) => e.end(total, out),
            Self::Ollama(e) => e.end(total, out),
        }
    }
}

/// The in-band error that ends a stream which had begun: whoever reads it cannot take the answer for complete.
#[must_use]
pub fn stream_error(dialect: Dialect, error: &ErrorText) -> Vec<u8> {
    match dialect {
        Dialect::Native => native::stream_error(error),
        Dialect::OpenAi => openai::stream_error(error),
        Dialect::Anthropic => anthropic::stream_error(error),
        Dialect::Ollama => ollama::stream_error(error),
    }
}
