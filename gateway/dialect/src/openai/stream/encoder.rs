//! Writes OpenAI's stream.

use serde::Serialize;

use super::super::finish::finish_name;
use super::super::usage::{Written, written};
use crate::chat::{Delta, Finish};
use crate::types::{Facts, Total};
use crate::write;
use wasmgate_base::usage::Usage;

/// Writes OpenAI's stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    request_id: String,
    /// The bytes before and after the choices of each chunk, the same for the whole stream.
    head: Vec<u8>,
    tail: &'static [u8],
    include_usage: bool,
    begun: bool,
    calls: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Fragment<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Fragment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Head<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        let head = Head {
            id: write::id("chatcmpl-", &facts.request_id),
            object: "chat.completion.chunk",
            created: facts.created,
            model: &facts.model,
        };
        let mut bytes = b"data: ".to_vec();
        write::append(&head, &mut bytes);
        bytes.pop(); // reopens the object
        bytes.extend_from_slice(br#","choices":["#);
        // A client that asked for usage gets the member in each chunk, and its value in the last.
        let tail: &[u8] = if facts.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" };
        Self {
            request_id: facts.request_id,
            head: bytes,
            tail,
            include_usage: facts.include_usage,
            begun: false,
            calls: false,
            finish: None,
            usage: None,
        }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Text(text) => self.chunk(Fragment { content: Some(&text), ..Fragment::default() }, out),
            Delta::Reasoning(text) => {
                self.chunk(Fragment { reasoning_content: Some(&text), ..Fragment::default() }, out);
            }
            Delta::ToolCallStart { index, id, name } => {
                self.calls = true;
                let id = write::call_id(&id, &self.request_id, index);
                let function = Function { name: Some(&name), arguments: "" };
                self.call(Call { index, id: Some(&id), r#type: Some("function"), function }, out);
            }
            Delta::ToolCallArguments { index, fragment } => {
                let function = Function { name: None, arguments: &fragment };
                self.call(Call { index, id: None, r#type: None, function }, out);
            }
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Usage { usage, .. } => self.usage = Some(usage),
            Delta::Other(_) | Delta::End | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        self.begin(out);
        let finish_reason = Some(finish_name(self.finish, self.calls));
        self.choice(&Choice { index: 0, delta: Fragment::default(), logprobs: None, finish_reason }, out);
        if self.include_usage {
            let usage: Written = written(total, self.usage);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#"],"usage":"#);
            write::append(&usage, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            self.chunk(Fragment { role: Some("assistant"), content: Some(""), ..Fragment::default() }, out);
        }
    }

    fn call(&mut self, call: Call<'_>, out: &mut Vec<u8>) {
        self.chunk(Fragment { tool_calls: Some([call]), ..Fragment::default() }, out);
    }

    fn chunk(&mut self, delta: Fragment<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.choice(&Choice { index: 0, delta, logprobs: None, finish_reason: None }, out);
    }

    fn choice(&self, choice: &Choice<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        write::append(choice, out);
        out.extend_from_slice(self.tail);
    }
}
