//! One call of a hook, as scripts see it.

use rhai::ImmutableString;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use wasmgate_policy::{Candidate, Request, Role};

/// A request and its candidates. Scripts hold handles to it, and copy what they read.
pub(crate) struct Call {
    /// The numbers of the request; its texts are below.
    pub(crate) request: Request<'static>,
    /// The model that the client asked for; `auto` if it named none.
    pub(crate) requested_model: ImmutableString,
    /// The messages that the script reads.
    pub(crate) messages: Vec<(Role, ImmutableString)>,
    pub(crate) candidates: Vec<Named>,
    /// The text of the newest user message: a script may read it often, and shares this copy.
    pub(crate) prompt: ImmutableString,
    /// The text of all messages, once a script has read it.
    conversation: OnceLock<ImmutableString>,
    /// How often the script has read a variable.
    pub(crate) reads: AtomicU32,
}

/// A candidate: its numbers, and its names.
pub(crate) struct Named {
    pub(crate) numbers: Candidate<'static>,
    pub(crate) model: ImmutableString,
    pub(crate) backend: ImmutableString,
    /// The operator's labels for it.
    pub(crate) labels: Vec<(String, String)>,
}

impl Call {
    /// Copies the request and its candidates, because a script's values may outlive the borrowed ones.
    pub(crate) fn new(request: &Request, candidates: &[Candidate]) -> Arc<Self> {
        let messages: Vec<(Role, ImmutableString)> =
            request.messages.iter().map(|message| (message.role, message.text.into())).collect();
        let newest = messages.iter().rfind(|(role, _)| *role == Role::User);
        Arc::new(Self {
            prompt: newest.map(|(_, text)| text.clone()).unwrap_or_default(),
            request: numbers(request),
            requested_model: request.requested_model.unwrap_or("auto").into(),
            messages,
            candidates: candidates.iter().map(Named::of).collect(),
            conversation: OnceLock::new(),
            reads: AtomicU32::new(0),
        })
    }

    /// The texts of all messages, each on a line of its own: one native search instead of a loop over messages.
    pub(crate) fn conversation(&self) -> ImmutableString {
        let joined = || {
            let bytes = self.messages.iter().map(|(_, text)| text.len() + 1).sum();
            let mut conversation = String::with_capacity(bytes);
            for (_, text) in &self.messages {
                conversation.push_str(text);
                conversation.push('\n');
            }
            conversation.into()
        };
        self.conversation.get_or_init(joined).clone()
    }
}

/// A request without its texts.
fn numbers(request: &Request) -> Request<'static> {
    Request {
        requested_model: None,
        answered_before: None,
        messages: Vec::new(),
        pinned: request.pinned,
        prompt_tokens: request.prompt_tokens,
        max_tokens: request.max_tokens,
        streaming: request.streaming,
        tools: request.tools,
        images: request.images,
        structured_output: request.structured_output,
        message_count: request.message_count,
        text_bytes: request.text_bytes,
        newest_bytes: request.newest_bytes,
        budget: request.budget,
        left_out: request.left_out,
        facts: request.facts.clone(),
    }
}

impl Named {
    fn of(candidate: &Candidate) -> Self {
        let numbers = Candidate {
            model: "",
            backend: "",
            location: candidate.location,
            price: candidate.price,
            context_window: candidate.context_window,
            capabilities: candidate.capabilities,
            labels: &[],
            health: candidate.health,
            breaker: candidate.breaker,
            in_flight: candidate.in_flight,
            time_left: candidate.time_left,
            observed: candidate.observed,
            estimate: candidate.estimate,
        };
        Self {
            numbers,
            model: candidate.model.into(),
            backend: candidate.backend.into(),
            labels: candidate.labels.to_vec(),
        }
    }
}
