//! `POST /v1/completions`: a raw prompt that the model continues, as editors send it for the text at the cursor. There is no
//! chat in it, so that only backends which serve the same route can answer.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::finish::finish_name;
use super::usage::{Written, written};
use crate::chat::{Chat, Delta, Finish, Message, Part, Reply, Role};
use crate::json::{self, BadRequest, Path};
use crate::reading::Reading;
use crate::types::{Bounds, Dialect, Facts, Total};
use crate::write;
use wasmgate_base::usage::Usage;

/// Reads a request body. Each prompt is a message of the user; one of tokens is shown as the list of their numbers.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let mut chat = Chat { raw: Vec::with_capacity(fields.len()), ..Chat::default() };
    let mut reading = Reading::new(Dialect::Completions, bounds);
    let mut model = None;
    let mut suffix = None;
    for (key, raw) in fields.iter() {
        chat.raw.push((key.to_owned(), raw.to_owned()));
        let path = &Path::top(key);
        match key {
            "model" => model = Some(json::string(path, raw)?.into_owned()),
            _ if json::is_null(raw) => {}
            "prompt" => chat.messages = prompts(path, raw, &reading)?,
            "suffix" => suffix = Some(json::string(path, raw)?.into_owned()),
            // No other dialect has such requests, so that only its server need understand these.
            "max_tokens" => {
                chat.max_tokens = reading.tolerate(json::count(path, raw, 0))?.filter(|&most| most > 0);
            }
            "stream" => chat.stream = json::boolean(path, raw)?,
            "stream_options" => {
                let options = json::object(path, raw)?;
                let include = options.get("include_usage");
                chat.include_usage = include.map_or(Ok(false), |raw| json::boolean(&path.key("include_usage"), raw))?;
            }
            "user" => chat.user = reading.tolerate(json::string(path, raw))?.map(Cow::into_owned),
            _ => {}
        }
    }
    chat.model = model.ok_or_else(|| BadRequest::missing(&Path::top("model"), "a string"))?;
    if chat.messages.is_empty() {
        return Err(BadRequest::missing(&Path::top("prompt"), "a string or a list"));
    }
    if let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) {
        chat.messages.push(message(suffix));
    }
    chat.unportable = Some("prompt".to_owned());
    Ok(chat)
}

fn prompts(path: &Path<'_>, raw: &RawValue, reading: &Reading<'_>) -> Result<Vec<Message>, BadRequest> {
    const EXPECTED: &str = "a string, a list of strings, a list of tokens or a list of such lists";
    if raw.get().starts_with('"') {
        return Ok(vec![message(json::string(path, raw)?.into_owned())]);
    }
    if !raw.get().starts_with('[') {
        return Err(BadRequest::wrong(path, json::kind(raw), EXPECTED));
    }
    if json::length(path, raw)?.0.is_some_and(|first| json::kind(first) == "a number") {
        return Ok(vec![message(raw.get().to_owned())]);
    }
    let mut messages = Vec::new();
    for (index, raw) in json::array(path, raw, reading.prompts())?.into_iter().enumerate() {
        let path = &path.index(index);
        messages.push(message(match json::kind(raw) {
            "a string" => json::string(path, raw)?.into_owned(),
            "an array" => raw.get().to_owned(),
            other => return Err(BadRequest::wrong(path, other, EXPECTED)),
        }));
    }
    Ok(messages)
}

fn message(text: String) -> Message {
    Message { role: Role::User, parts: vec![Part::Text(text)] }
}

#[derive(Serialize)]
struct WrittenCompletion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [WrittenChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Written>,
}

#[derive(Serialize)]
struct WrittenChoice<'a> {
    index: u32,
    text: &'a str,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    let finish_reason = Some(finish_name(reply.finish, false));
    write::to_vec(&WrittenCompletion {
        id: &write::id("cmpl-", &facts.request_id),
        object: "text_completion",
        created: facts.created,
        model: &facts.model,
        choices: &[WrittenChoice { index: 0, text: &reply.text, logprobs: None, finish_reason }],
        usage: Some(written(total, reply.usage)),
    })
}

/// Writes a stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        let id = write::id("cmpl-", &facts.request_id);
        let Facts { model, created, include_usage, .. } = facts;
        Self { id, created, model, include_usage, finish: None, usage: None }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => {
                let choice = WrittenChoice { index: 0, text: &text, logprobs: None, finish_reason: None };
                self.chunk(&[choice], None, out);
            }
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Usage { usage, .. } => self.usage = Some(usage),
            Delta::Start { .. }
            | Delta::Reasoning(_)
            | Delta::ToolCallStart { .. }
            | Delta::ToolCallArguments { .. }
            | Delta::Other(_)
            | Delta::End
            | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        let finish_reason = Some(finish_name(self.finish, false));
        self.chunk(&[WrittenChoice { index: 0, text: "", logprobs: None, finish_reason }], None, out);
        if self.include_usage {
            self.chunk(&[], Some(written(total, self.usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn chunk(&self, choices: &[WrittenChoice<'_>], usage: Option<Written>, out: &mut Vec<u8>) {
        let (id, object) = (self.id.as_str(), "text_completion");
        out.extend_from_slice(b"data: ");
        write::append(
            &WrittenCompletion { id, object, created: self.created, model: &self.model, choices, usage },
            out,
        );
        out.extend_from_slice(b"\n\n");
    }
}
