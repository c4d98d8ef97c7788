//! The output items of an answer: thinking, text, calls of tools. A complete answer and a stream build the same items.

use serde::Serialize;

use super::tools::unwrap_input;
use crate::echo::{Echo, EchoedTool};
use crate::write;

/// One item of the answer, and how far it is.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its id within the answer.
    pub(super) id: String,
    /// What it is.
    pub(super) kind: Kind,
    /// Its text, or the arguments of its call, so far.
    pub(super) text: String,
    /// Whether it is complete.
    pub(super) done: bool,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    /// The model's thinking.
    Reasoning,
    /// Text.
    Message,
    /// A call of a tool.
    Call {
        /// The id by which the result will name it.
        call_id: String,
        /// The tool as the request has it.
        tool: EchoedTool,
    },
}

impl Entry {
    /// Item `number` of the answer to `request_id`.
    pub(super) fn new(kind: Kind, request_id: &str, number: usize) -> Self {
        let prefix = match &kind {
            Kind::Reasoning => "rs_",
            Kind::Message => "msg_",
            Kind::Call { tool, .. } if tool.custom => "ctc_",
            Kind::Call { .. } => "fc_",
        };
        let id = format!("{}_{number}", write::id(prefix, request_id));
        Self { id, kind, text: String::new(), done: false }
    }

    /// The call of the tool that the backend calls `name`. `own`: the backend's id of the call; `index`: its number.
    pub(super) fn call(echo: &Echo, own: &str, request_id: &str, index: usize, name: String) -> Kind {
        let tool = echo.tools.get(&name).cloned();
        let tool = tool.unwrap_or(EchoedTool { namespace: None, name, custom: false });
        Kind::Call { call_id: write::call_id(own, request_id, index), tool }
    }

    /// Whether it is a call whose input is free text.
    pub(super) fn is_custom(&self) -> bool {
        matches!(&self.kind, Kind::Call { tool, .. } if tool.custom)
    }

    /// The item as JSON. `status`: `in_progress`, `completed` or `incomplete`; an item in progress is empty.
    pub(super) fn written(&self, status: &'static str) -> Item<'_> {
        let empty = status == "in_progress";
        let id = &self.id;
        match &self.kind {
            Kind::Reasoning => {
                let summary = if empty { Vec::new() } else { vec![Summary::new(&self.text)] };
                Item::Reasoning { id, summary }
            }
            Kind::Message => {
                let content = if empty { Vec::new() } else { vec![Content::new(&self.text)] };
                Item::Message { id, status, role: "assistant", content }
            }
            Kind::Call { call_id, tool } => {
                let (name, namespace) = (&*tool.name, tool.namespace.as_deref());
                if tool.custom {
                    let input = if empty { "".into() } else { unwrap_input(&self.text) };
                    Item::CustomToolCall { id, status, call_id, name, namespace, input }
                } else {
                    let arguments = if empty { "" } else { &self.text };
                    Item::FunctionCall { id, status, call_id, name, namespace, arguments }
                }
            }
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Reasoning {
        id: &'a str,
        summary: Vec<Summary<'a>>,
    },
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: Vec<Content<'a>>,
    },
    FunctionCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        arguments: &'a str,
    },
    CustomToolCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        input: std::borrow::Cow<'a, str>,
    },
}

/// A part of a message.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    r#type: &'static str,
    text: &'a str,
    annotations: [(); 0],
    logprobs: [(); 0],
}

impl<'a> Content<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { r#type: "output_text", text, annotations: [], logprobs: [] }
    }
}

/// A part of the model's thinking.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> Summary<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { r#type: "summary_text", text }
    }
}
