//! What an answer in OpenAI's Responses dialect needs of its request: it repeats most of the request's settings, and names
//! tools as the request does. Other dialects need nothing of the kind.

use std::collections::HashMap;

/// What the answer needs of its request.
#[derive(Debug, Default)]
pub struct Echo {
    /// The members of the response object that repeat the request's, as JSON without braces.
    pub(crate) members: String,
    /// The tools that other dialects know under another name or as another kind, by the name that they know.
    pub(crate) tools: HashMap<String, EchoedTool>,
}

/// A tool as the request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EchoedTool {
    /// Its namespace.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Whether its input is free text. Other dialects know such a tool as a function with one argument.
    pub(crate) custom: bool,
}
