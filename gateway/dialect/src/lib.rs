//! The wire dialects of chat APIs: which exist, and one function for each direction.
//!
//! The gateway reads a client's dialect with `decode` and answers in it with `encode_reply`, `Encoder` and
//! `error_body`. It writes a backend's dialect with `encode` and reads the response with `decode_reply` and `Decoder`.
//! OpenAI, Anthropic and Ollama serve both directions; `Native` is a client dialect only, and so is `Responses` unless a
//! backend passes it through. This module must not know: HTTP, policies, backends, metrics.

pub mod chat;
pub mod echo;
pub mod embeddings;
pub mod fields;
pub mod frames;
pub mod json;

mod anthropic;
mod backend_error;
mod balance;
mod dropped;
mod effort;
mod finish;
mod image;
mod lenient;
mod names;
mod native;
mod ollama;
mod openai;
mod origin;
mod overflow;
mod quirks;
mod reading;
mod renaming;
mod responses;
mod sse;
mod types;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

pub use backend_error::BackendError;
use chat::{Chat, Delta, Deltas, Reply};
pub use dropped::Dropped;
use frames::Framing;
pub use json::BadRequest;
pub use names::ToolNames;
pub use origin::{Origin, Seal};
pub use overflow::OVERFLOW_CODE;
pub use quirks::{Quirks, Target};
pub use responses::Forwarded;
pub use types::{Bounds, Dialect, ErrorText, Facts, Malformed, NoReply, Passed, Reported, Routing, Total};

impl Dialect {
    /// Reads a request body. It refuses a body that is not UTF-8 or not JSON, is nested more than 64 deep, has a key
    /// twice, has a known field of a wrong type or a list longer than `bounds` allow. The refusal names the field, what
    /// was found and what was expected.
    ///
    /// # Errors
    /// If the body is refused: `BadRequest` with the sentence for the client.
    pub fn decode(self, body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
        let chat = match self {
            Self::Native => native::decode(body),
            Self::OpenAi => openai::decode(body, bounds),
            Self::Anthropic => anthropic::decode(body, bounds),
            Self::Ollama => ollama::decode(body, bounds),
            Self::Responses => responses::decode(body, bounds),
            Self::Completions => openai::completions::decode(body, bounds),
            Self::Generate => ollama::generate::decode(body, bounds),
        }?;
        Ok(Chat { body_bytes: body.len(), ..chat })
    }

    /// Reads the body of a request that asks how long a prompt is, in Anthropic's dialect. It is a chat without a limit of
    /// output tokens.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_count(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
        Ok(Chat { body_bytes: body.len(), ..anthropic::decode_prompt(body, bounds)? })
    }

    /// Why `chat`, read in dialect `from`, cannot go to a backend of this dialect: the path of the first content that this
    /// dialect cannot express. `None` if it can express all of it.
    #[must_use]
    pub fn obstacle(self, from: Self, chat: &Chat) -> Option<String> {
        if self == from {
            return None;
        }
        if let Some(field) = &chat.unportable {
            return Some(field.clone());
        }
        let field = match self {
            // No backend is sent a request of another dialect in these.
            Self::Native | Self::Responses | Self::Completions | Self::Generate => None,
            Self::OpenAi => openai::obstacle(chat),
            Self::Anthropic => anthropic::obstacle(chat),
            Self::Ollama => ollama::obstacle(chat),
        };
        match from {
            Self::Responses => field.map(|field| field.replacen("messages", "input", 1)),
            _ => field,
        }
    }

    /// The first hint of `chat`, read in dialect `from`, that a backend of this dialect would not get, as the client names
    /// it. For operators who want such requests refused. Hints on which no answer depends do not count.
    #[must_use]
    pub fn lost_hint(self, from: Self, chat: &Chat) -> Option<String> {
        self.dropped(from, chat, &Quirks::default()).first_hint(from)
    }

    /// What a backend of this dialect, with these quirks, does not get of `chat`, read in dialect `from`.
    #[must_use]
    pub fn dropped(self, from: Self, chat: &Chat, quirks: &Quirks) -> Dropped {
        Dropped::of(self.spoken(), from, chat, quirks.leave_out)
    }

    /// The tools that a backend of this dialect must know by other names than the client, which speaks `from`.
    #[must_use]
    pub fn tool_names(self, from: Self, chat: &Chat) -> Option<Arc<ToolNames>> {
        if self == from { None } else { renaming::renamed(self.spoken(), chat).map(Arc::new) }
    }

    /// What a request must not have, after a backend of this dialect refused it with `status` and the body `error` because
    /// of a field that can be spared: a hint, or what the gateway added itself. `None`: nothing of it can be spared.
    #[must_use]
    pub fn quirks_in(self, from: Self, chat: &Chat, tried: &Quirks, status: u16, error: &[u8]) -> Option<Quirks> {
        quirks::refused(self, from, chat, tried, status, error)
    }

    /// Writes the body for a backend of this dialect. A request in the same dialect is forwarded as the client wrote it,
    /// except for the model's name, the request for usage in OpenAI's streams, unsigned thinking in Anthropic's messages,
    /// and the quirks. `obstacle` must have returned `None`.
    #[must_use]
    pub fn encode(self, from: Self, chat: &Chat, target: &Target<'_>) -> Vec<u8> {
        match self {
            // No backend speaks Native; the simulated backend speaks OpenAI's dialect.
            Self::OpenAi | Self::Native if from == Self::OpenAi => openai::forward(chat, target),
            Self::OpenAi | Self::Native => openai::encode(chat, target),
            Self::Anthropic if from == self => anthropic::forward(chat, target),
            Self::Anthropic => anthropic::encode(chat, target),
            Self::Ollama if from == self => ollama::forward(chat, target),
            Self::Ollama => ollama::encode(chat, target),
            Self::Responses => write::forward(&chat.raw, target.model, None),
            // Nothing is translated into these.
            Self::Completions => openai::forward(chat, target),
            Self::Generate => ollama::forward(chat, target),
        }
    }

    /// The dialect that a backend speaks.
    fn spoken(self) -> Self {
        if self == Self::Native { Self::OpenAi } else { self }
    }

    /// Reads a backend's complete response, as leniently as the official SDKs read it.
    ///
    /// # Errors
    /// If the body is an error (`Failed`), or holds no answer, or one that cannot be read (`Malformed`).
    pub fn decode_reply(self, body: &[u8]) -> Result<Reply, NoReply> {
        self.read_reply(body, false)
    }

    /// Reads a backend's complete response that goes to a client of the same dialect as it came. What it holds need not be
    /// understood.
    ///
    /// # Errors
    /// If the body is an error (`Failed`), or holds no answer (`Malformed`).
    pub fn decode_forwarded_reply(self, body: &[u8]) -> Result<Reply, NoReply> {
        self.read_reply(body, true)
    }

    fn read_reply(self, body: &[u8], forwarded: bool) -> Result<Reply, NoReply> {
        let read = match self {
            Self::OpenAi | Self::Native | Self::Completions => openai::decode_reply,
            Self::Anthropic => anthropic::decode_reply,
            Self::Ollama | Self::Generate => ollama::decode_reply,
            Self::Responses => responses::decode_reply,
        };
        match read(body, forwarded) {
            Err(NoReply::Malformed(error)) => match lenient::repaired(body) {
                Some(fixed) => read(&fixed, forwarded),
                None => Err(NoReply::Malformed(error)),
            },
            other => other,
        }
    }

    /// The usage that a backend's complete response reports, also if `decode_reply` refuses it: the backend has worked for
    /// it.
    #[must_use]
    pub fn usage_in(self, body: &[u8]) -> Option<Reported> {
        match self {
            Self::OpenAi | Self::Native | Self::Completions => openai::usage_in(body),
            Self::Anthropic => anthropic::usage_in(body),
            Self::Ollama | Self::Generate => ollama::usage_in(body),
            Self::Responses => responses::usage_in(body),
        }
    }

    /// Writes a complete response for a client.
    #[must_use]
    pub fn encode_reply(self, reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
        let renamed = facts.tool_names.as_ref().map(|names| renaming::reply_for_client(names, reply));
        let reply = renamed.as_ref().unwrap_or(reply);
        match self {
            Self::Native => native::encode_reply(reply, facts, total),
            Self::OpenAi => openai::encode_reply(reply, facts, total),
            Self::Anthropic => anthropic::encode_reply(reply, facts, total),
            Self::Ollama => ollama::encode_reply(reply, facts, total),
            Self::Responses => responses::encode_reply(reply, facts, total),
            Self::Completions => openai::completions::encode_reply(reply, facts, total),
            Self::Generate => ollama::generate::encode_reply(reply, facts, total),
        }
    }

    /// Writes an error for a client, as a response body.
    #[must_use]
    pub fn error_body(self, error: &ErrorText) -> Vec<u8> {
        match self {
            Self::Native => native::error_body(error),
            Self::OpenAi | Self::Completions => openai::error_body(error),
            Self::Anthropic => anthropic::error_body(error),
            Self::Ollama | Self::Generate => ollama::error_body(error),
            Self::Responses => responses::error_body(error),
        }
    }

    /// What ends a frame of a stream in this dialect.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::Ollama | Self::Generate => Framing::Ndjson,
            Self::Native | Self::OpenAi | Self::Anthropic | Self::Responses | Self::Completions => Framing::Sse,
        }
    }

    /// The content type of streams in this dialect.
    #[must_use]
    pub fn stream_content_type(self) -> &'static str {
        match self.framing() {
            Framing::Ndjson => "application/x-ndjson",
            Framing::Sse => "text/event-stream",
        }
    }
}

/// Writes a request of the Responses dialect for the backend of `origin`, which speaks it too: as the client wrote it, except
/// for the model's name and the marks on what that backend made. `strip`: without thinking that another backend encrypted.
#[must_use]
pub fn forward_responses(chat: &Chat, model: &str, origin: &Origin, strip: bool) -> Vec<u8> {
    responses::forward(chat, model, origin, strip)
}

/// A complete response of the backend of this name, for a client of the Responses dialect as well: with marks on what only
/// that backend understands. `None` if there is nothing to mark. `seal`: that of the group that asked.
#[must_use]
pub fn mark_response(body: &[u8], backend: &str, seal: Option<&Seal>) -> Option<Vec<u8>> {
    responses::mark_reply(body, backend, seal)
}

/// The id of the stored answer that a request of the Responses dialect continues, as the client sent it.
#[must_use]
pub fn previous_response(chat: &Chat) -> Option<Cow<'_, str>> {
    origin::previous_response(&chat.raw)
}

/// Reads a backend's stream, frame by frame.
#[derive(Debug)]
pub enum Decoder {
    /// OpenAI's.
    OpenAi(openai::Decoder),
    /// Anthropic's.
    Anthropic(anthropic::Decoder),
    /// Ollama's.
    Ollama(ollama::Decoder),
    /// OpenAI's Responses.
    Responses(responses::Decoder),
}

impl Decoder {
    /// A decoder for one stream whose deltas are translated for a client of another dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self::of(dialect, false)
    }

    /// A decoder for one stream whose frames go to a client of the same dialect. What they hold need not be understood: the
    /// deltas say only what the gateway itself needs, which is the end, the usage, errors, and how much output there is.
    #[must_use]
    pub fn forwarding(dialect: Dialect) -> Self {
        Self::of(dialect, true)
    }

    fn of(dialect: Dialect, forwarded: bool) -> Self {
        match dialect {
            Dialect::OpenAi | Dialect::Native => Self::OpenAi(openai::Decoder::new(forwarded)),
            // Only a backend's own answers are read: others answer in the dialect of chats.
            Dialect::Completions => Self::OpenAi(openai::Decoder::new(true)),
            Dialect::Anthropic => Self::Anthropic(anthropic::Decoder::new(forwarded)),
            Dialect::Ollama | Dialect::Generate => Self::Ollama(ollama::Decoder::new(forwarded)),
            Dialect::Responses => Self::Responses(responses::Decoder::default()),
        }
    }

    /// Reads one complete frame (a server-sent event with its blank line, or a line of JSON) and appends its deltas to
    /// `out`. Comments and unknown events append nothing.
    ///
    /// # Errors
    /// If a frame is not JSON, or holds a piece of the answer that cannot be read: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<Passed, Malformed> {
        match self {
            Self::OpenAi(d) => d.frame(frame, out),
            Self::Anthropic(d) => d.frame(frame, out),
            Self::Ollama(d) => d.frame(frame, out),
            Self::Responses(d) => d.frame(frame, out),
        }
    }
}

/// Writes a client's stream, delta by delta; `end` or `fail` comes last.
#[derive(Debug)]
pub struct Encoder {
    tool_names: Option<Arc<ToolNames>>,
    dialect: DialectEncoder,
}

#[derive(Debug)]
enum DialectEncoder {
    Native(native::Encoder),
    OpenAi(openai::Encoder),
    Anthropic(anthropic::Encoder),
    Ollama(ollama::Encoder),
    /// OpenAI's Responses.
    Responses(responses::Encoder),
    /// OpenAI's completions.
    Completions(openai::completions::Encoder),
    /// Ollama's prompts.
    Generate(ollama::generate::Encoder),
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub fn new(dialect: Dialect, facts: Facts) -> Self {
        let tool_names = facts.tool_names.clone();
        let dialect = match dialect {
            Dialect::Native => DialectEncoder::Native(native::Encoder::new(facts)),
            Dialect::OpenAi => DialectEncoder::OpenAi(openai::Encoder::new(facts)),
            Dialect::Anthropic => DialectEncoder::Anthropic(anthropic::Encoder::new(facts)),
            Dialect::Ollama => DialectEncoder::Ollama(ollama::Encoder::new(facts)),
            Dialect::Responses => DialectEncoder::Responses(responses::Encoder::new(facts)),
            Dialect::Completions => DialectEncoder::Completions(openai::completions::Encoder::new(facts)),
            Dialect::Generate => DialectEncoder::Generate(ollama::generate::Encoder::new(facts)),
        };
        Self { tool_names, dialect }
    }

    /// Writes one delta. `Delta::End` and `Delta::Failed` write nothing: `end` or `fail` follows.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let delta = match (&self.tool_names, delta) {
            (Some(names), Delta::ToolCallStart { index, id, name }) => {
                Delta::ToolCallStart { index, id, name: names.for_client(name) }
            }
            (_, delta) => delta,
        };
        match &mut self.dialect {
            DialectEncoder::Native(e) => e.delta(delta, out),
            DialectEncoder::OpenAi(e) => e.delta(delta, out),
            DialectEncoder::Anthropic(e) => e.delta(delta, out),
            DialectEncoder::Ollama(e) => e.delta(delta, out),
            DialectEncoder::Responses(e) => e.delta(delta, out),
            DialectEncoder::Completions(e) => e.delta(delta, out),
            DialectEncoder::Generate(e) => e.delta(delta, out),
        }
    }

    /// Writes the end of a complete stream.
    pub fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        match &mut self.dialect {
            DialectEncoder::Native(e) => e.end(total, out),
            DialectEncoder::OpenAi(e) => e.end(total, out),
            DialectEncoder::Anthropic(e) => e.end(total, out),
            DialectEncoder::Ollama(e) => e.end(total, out),
            DialectEncoder::Responses(e) => e.end(total, out),
            DialectEncoder::Completions(e) => e.end(total, out),
            DialectEncoder::Generate(e) => e.end(total, out),
        }
    }

    /// Writes the in-band error that ends a stream which broke off.
    pub fn fail(&mut self, error: &ErrorText, out: &mut Vec<u8>) {
        match &mut self.dialect {
            DialectEncoder::Native(_) => out.extend(native::stream_error(error)),
            DialectEncoder::OpenAi(_) | DialectEncoder::Completions(_) => out.extend(openai::stream_error(error)),
            DialectEncoder::Anthropic(_) => out.extend(anthropic::stream_error(error)),
            DialectEncoder::Ollama(_) | DialectEncoder::Generate(_) => out.extend(ollama::stream_error(error)),
            DialectEncoder::Responses(e) => e.fail(error, out),
        }
    }
}

/// The end marker of a complete stream, for one that a backend of the same dialect closed without it. In Ollama's
/// and the Responses dialect the end marker has the finish reason, so that it cannot be missing.
#[must_use]
pub fn stream_end(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::OpenAi | Dialect::Completions => b"data: [DONE]\n\n",
        Dialect::Anthropic => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        Dialect::Native | Dialect::Ollama | Dialect::Generate | Dialect::Responses => b"",
    }
}

/// The in-band error that ends a stream of which the client has seen nothing, or that was forwarded, so that no client takes
/// the answer for complete.
#[must_use]
pub fn stream_error(dialect: Dialect, error: &ErrorText) -> Vec<u8> {
    match dialect {
        Dialect::Native => native::stream_error(error),
        Dialect::OpenAi | Dialect::Completions => openai::stream_error(error),
        Dialect::Anthropic => anthropic::stream_error(error),
        Dialect::Ollama | Dialect::Generate => ollama::stream_error(error),
        Dialect::Responses => responses::stream_error(error),
    }
}

/// The body that asks an Anthropic backend how long the prompt of `chat` is. Such a request has no field that says how the
/// answer is to be made.
#[must_use]
pub fn count_request(mut chat: Chat, model: &str) -> Vec<u8> {
    const OF_ANSWERS: [&str; 9] = [
        "max_tokens",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "service_tier",
        "container",
    ];
    chat.raw.retain(|(key, _)| !OF_ANSWERS.contains(&key.as_str()));
    anthropic::forward(&chat, &Target { model, max_tokens: 1, quirks: Quirks::NONE })
}

/// The answer to a request of one of Ollama's dialects that only loads or unloads the model (`Chat::load`), of a gateway whose
/// backend does neither. `created`: the time now, in seconds since 1970.
#[must_use]
pub fn loaded(dialect: Dialect, chat: &Chat, created: u64) -> Vec<u8> {
    ollama::loaded(dialect, chat, created)
}
