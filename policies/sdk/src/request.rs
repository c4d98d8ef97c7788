//! A request as a policy sees it.

use crate::bindings::routing::wasmgate::policy::types;
use crate::{Budget, Facts, LeftOut, Limit, Model, Role};
use alloc::string::String;
use alloc::vec::Vec;

/// One message of the conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// Who said it.
    pub role: Role,
    /// Its text parts, joined by a line break. Images and tool calls are not in it; a message that has no text is the
    /// empty string.
    pub text: &'a str,
}

/// What a policy may know of one request. What the manifest does not read is not here: no messages, no budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// The model that the client asked for; `None` for `auto`. See `request.requested` in the contract.
    pub requested_model: Option<&'a str>,
    /// The model that answered this conversation before, if the gateway remembers it.
    pub answered_before: Option<&'a str>,
    /// Whether only one backend can answer.
    pub pinned: bool,
    /// The messages that the policy reads, oldest first.
    pub messages: Vec<Message<'a>>,
    /// Tokens of the whole prompt as the gateway estimates them.
    pub prompt_tokens: u32,
    /// The most output tokens the client will accept, where it said so; at least 1.
    pub max_tokens: Option<u32>,
    /// Whether the client wants the answer as a stream.
    pub streaming: bool,
    /// Whether the request offers tools to the model.
    pub tools: bool,
    /// Whether a message holds an image.
    pub images: bool,
    /// Whether the client wants the answer in a format.
    pub structured_output: bool,
    /// How many messages the conversation has, read or not.
    pub message_count: u32,
    /// The length of all texts of the conversation in bytes, read or not.
    pub text_bytes: u64,
    /// The length of the user's newest message in bytes, read or not.
    pub newest_bytes: u64,
    /// The tenant's budget, where it has one.
    pub budget: Option<Budget>,
    /// What the policy is not shown of what it reads.
    pub left_out: LeftOut,
    /// What the policy asks the gateway for.
    pub facts: Facts,
}

impl<'a> Request<'a> {
    /// The text of the user's newest message; empty if there is none, or the policy does not read it.
    pub fn newest(&self) -> &'a str {
        self.messages.iter().rfind(|message| message.role == Role::User).map_or("", |message| message.text)
    }

    /// The request's id. No two requests share one: it is fit for log lines and, hashed, for choosing a share of requests.
    pub fn id(&self) -> String {
        self.facts.id()
    }

    /// The wire dialect in which the client spoke, such as `openai`.
    pub fn dialect(&self) -> String {
        self.facts.dialect()
    }

    /// The configured name of the tenant whose key the request carried, for a policy that reads tenants.
    pub fn tenant(&self) -> Option<String> {
        self.facts.tenant()
    }

    /// The tenant's limits: of each measure, the one with the least left; for a policy that reads tenants.
    pub fn limits(&self) -> Vec<Limit> {
        self.facts.limits()
    }

    /// The value of a label that the policy reads.
    pub fn label(&self, name: &str) -> Option<String> {
        self.facts.label(name)
    }

    /// The request from what the gateway passes.
    pub(crate) fn lifted(request: &types::Request, prompt: &'a types::Prompt, models: &'a [Model]) -> Self {
        let name = |place: u32| models.get(place as usize).map(|model| &*model.name);
        Self {
            requested_model: request.requested.and_then(name),
            answered_before: request.answered_before.and_then(name),
            pinned: request.pinned,
            messages: messages(prompt, request.newest_bytes),
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            streaming: request.streaming,
            tools: request.tools,
            images: request.images,
            structured_output: request.structured_output,
            message_count: request.messages,
            text_bytes: request.text_bytes,
            newest_bytes: request.newest_bytes,
            budget: request.budget,
            left_out: request.left_out,
            facts: Facts::default(),
        }
    }
}

/// The messages that the gateway passes; `newest` is the length of the newest message of the user.
fn messages(prompt: &types::Prompt, newest: u64) -> Vec<Message<'_>> {
    match prompt {
        types::Prompt::Newest(text) if newest > 0 => Vec::from([Message { role: Role::User, text }]),
        types::Prompt::None | types::Prompt::Newest(_) => Vec::new(),
        types::Prompt::Conversation(conversation) => {
            let text = |message: &types::Message| {
                let start = message.start as usize;
                conversation.text.get(start..start.saturating_add(message.length as usize)).unwrap_or_default()
            };
            let message = |message: &types::Message| Message { role: role(message.role), text: text(message) };
            conversation.messages.iter().map(message).collect()
        }
    }
}

/// The roles by their numbers.
fn role(number: u32) -> Role {
    match number {
        0 => Role::System,
        2 => Role::Assistant,
        3 => Role::Tool,
        _ => Role::User,
    }
}
