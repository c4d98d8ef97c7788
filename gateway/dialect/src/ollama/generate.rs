//! `POST /api/generate`: a prompt that the model answers, or continues where `raw`, `suffix` or `template` say how. Ollama's
//! servers get it as it is. For the others it becomes a chat, unless it says how the prompt is to be put.

use serde::Serialize;
use serde_json::value::RawValue;

use super::reply::{Ending, ending};
use crate::chat::{Chat, Delta, Finish, Reply};
use crate::json::{self, BadRequest, Path};
use crate::types::{Bounds, Facts, Total};
use crate::write;

/// Reads a request body: as the chat that means the same.
pub(crate) fn decode(body: &[u8], bounds: &Bounds) -> Result<Chat, BadRequest> {
    let fields = json::body(body)?;
    let (mut system, mut prompt, mut images) = (None, None, None);
    let mut unportable = None;
    let mut as_chat = b"{".to_vec();
    for (key, raw) in fields.iter() {
        let path = &Path::top(key);
        match key {
            // A chat's fields, which a prompt does not have.
            "messages" | "tools" => {}
            "prompt" | "system" | "suffix" | "template" if !json::is_null(raw) => {
                let text = json::string(path, raw)?;
                match key {
                    "prompt" => prompt = Some(raw).filter(|_| !text.is_empty()),
                    "system" => system = Some(raw).filter(|_| !text.is_empty()),
                    _ if text.is_empty() => {}
                    _ => unportable = unportable.or(Some(key)),
                }
            }
            "images" if !json::is_null(raw) => images = Some(raw).filter(|raw| raw.get() != "[]"),
            "raw" if !json::is_null(raw) => {
                if json::boolean(path, raw)? {
                    unportable = unportable.or(Some(key));
                }
            }
            // Of an answer before, in tokens that only its server knows.
            "context" if !json::is_null(raw) => {
                if json::length(path, raw)?.1 > 0 {
                    unportable = unportable.or(Some(key));
                }
            }
            "prompt" | "system" | "suffix" | "template" | "images" | "raw" | "context" => {}
            _ => member(key, raw.get(), &mut as_chat),
        }
    }
    let load = prompt.is_none() && images.is_none() && unportable.is_none();
    let mut messages = String::from("[");
    if let Some(system) = system.filter(|_| !load) {
        messages += &format!(r#"{{"role":"system","content":{}}},"#, system.get());
    }
    if !load {
        let images = images.map_or(String::new(), |images| format!(r#","images":{}"#, images.get()));
        messages += &format!(r#"{{"role":"user","content":{}{images}}}"#, prompt.map_or("\"\"", RawValue::get));
    }
    messages.push(']');
    member("messages", &messages, &mut as_chat);
    as_chat.pop();
    as_chat.push(b'}');
    let mut chat = super::decode(&as_chat, bounds)?;
    chat.raw = fields.iter().map(|(key, raw)| (key.to_owned(), raw.to_owned())).collect();
    if let Some(key) = unportable {
        chat.unportable = Some(key.to_owned());
    }
    Ok(chat)
}

fn member(key: &str, value: &str, out: &mut Vec<u8>) {
    write::append(&key, out);
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
    out.push(b',');
}

#[derive(Serialize)]
struct Written<'a> {
    model: &'a str,
    created_at: &'a str,
    response: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    done: bool,
    #[serde(flatten)]
    ending: Option<Ending>,
}

/// Writes a complete response.
pub(crate) fn encode_reply(reply: &Reply, facts: &Facts, total: &Total) -> Vec<u8> {
    write::to_vec(&Written {
        model: &facts.model,
        created_at: &write::rfc3339(facts.created),
        response: &reply.text,
        thinking: &reply.reasoning,
        done: true,
        ending: Some(ending(reply.finish, total)),
    })
}

/// Writes a stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    model: String,
    created_at: String,
    finish: Option<Finish>,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        let created_at = write::rfc3339(facts.created);
        Self { model: facts.model, created_at, finish: None }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.write(&text, "", None, out),
            Delta::Reasoning(text) => self.write("", &text, None, out),
            Delta::Finish(finish) => self.finish = Some(finish),
            // A prompt has no tools.
            Delta::ToolCallStart { .. } | Delta::ToolCallArguments { .. } => {}
            Delta::Start { .. } | Delta::Usage { .. } | Delta::Other(_) | Delta::End | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        self.write("", "", Some(ending(self.finish, total)), out);
    }

    fn write(&self, response: &str, thinking: &str, ending: Option<Ending>, out: &mut Vec<u8>) {
        let (model, created_at) = (self.model.as_str(), self.created_at.as_str());
        write::append(&Written { model, created_at, response, thinking, done: ending.is_some(), ending }, out);
        out.push(b'\n');
    }
}
