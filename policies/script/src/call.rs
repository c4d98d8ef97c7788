//! One call of a hook, as scripts see it.

use rhai::ImmutableString;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use wasmgate_policy::{Candidate, Request, Role};

/// A request and its candidates. Scripts hold handles to it, and copy what they read.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) candidates: Vec<Candidate>,
    /// The text of the newest user message: a script may read it often, and shares this copy.
    pub(crate) prompt: ImmutableString,
    /// The text of all messages, once a script has read it.
    conversation: OnceLock<ImmutableString>,
    /// How often the script has read a variable.
    pub(crate) reads: AtomicU32,
}

impl Call {
    /// Copies the request and its candidates, because a script's values may outlive the borrowed ones.
    pub(crate) fn new(request: &Request, candidates: &[Candidate]) -> Arc<Self> {
        let newest = request.messages.iter().rfind(|message| message.role == Role::User);
        let prompt = newest.map_or("", |message| &message.text).into();
        Arc::new(Self {
            request: request.clone(),
            candidates: candidates.to_vec(),
            prompt,
            conversation: OnceLock::new(),
            reads: AtomicU32::new(0),
        })
    }

    /// The texts of all messages, each on a line of its own: one native search instead of a loop over messages.
    pub(crate) fn conversation(&self) -> ImmutableString {
        let joined = || {
            let bytes = self.request.messages.iter().map(|message| message.text.len() + 1).sum();
            let mut text = String::with_capacity(bytes);
            for message in &self.request.messages {
                text.push_str(&message.text);
                text.push('\n');
            }
            text.into()
        };
        self.conversation.get_or_init(joined).clone()
    }
}
