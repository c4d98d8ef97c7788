//! A request as policies may see it, and an owned copy of one: for samples, fixtures, and shadows, which decide later.

use super::contract::types::{Budget, Limit, Role};

/// The hint that names the model that answered the conversation before.
pub const LAST_MODEL: &str = "last-model";
/// The hint that says why only one backend can answer.
pub const PINNED: &str = "pinned";

/// The model that a request asks for if any may answer.
pub(crate) const AUTO: &str = "auto";
/// The dialect of requests that state none.
pub(crate) const NATIVE: &str = "native";

/// One message of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Who said it.
    pub role: Role,
    /// Its text parts, joined by a line break.
    pub text: &'a str,
}

/// What policies may know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The request's id.
    pub id: &'a str,
    /// The dialect that it came in.
    pub dialect: &'a str,
    /// `auto`, or the model that the client named.
    pub requested_model: &'a str,
    /// The conversation, oldest message first.
    pub messages: &'a [Message<'a>],
    /// The estimated tokens of all messages.
    pub prompt_tokens: u32,
    /// Maximum output tokens, if the client named a limit.
    pub max_tokens: Option<u32>,
    /// Whether to stream the answer.
    pub streaming: bool,
    /// Whether the model may call tools.
    pub tools: bool,
    /// Whether there are images among the messages.
    pub images: bool,
    /// Whether the client wants the answer in a format.
    pub structured_output: bool,
    /// The tenant that sent it.
    pub tenant: Option<&'a str>,
    /// The tenant's budget.
    pub budget: Option<Budget>,
    /// The tenant's limits: of each measure, the one with the least left.
    pub limits: &'a [Limit],
    /// Request headers that policies may see: name in lower case, value.
    pub labels: &'a [(&'a str, &'a str)],
    /// Further facts, by name.
    pub hints: &'a [(&'a str, &'a str)],
}

impl<'a> Request<'a> {
    /// The value of a hint.
    pub(crate) fn hint(&self, name: &str) -> Option<&'a str> {
        self.hints.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The newest message of the user.
    pub(crate) fn newest(&self) -> Option<&'a Message<'a>> {
        self.messages.iter().rfind(|message| message.role == Role::User)
    }
}

/// A request that owns its data.
#[derive(Debug, Clone)]
pub struct OwnedRequest {
    /// The request's id.
    pub id: String,
    /// The dialect that it came in.
    pub dialect: String,
    /// `auto`, or the model that the client named.
    pub requested_model: String,
    /// The conversation, oldest first.
    pub messages: Vec<(Role, String)>,
    /// The estimated tokens of all messages.
    pub prompt_tokens: u32,
    /// Maximum output tokens, if the client named a limit.
    pub max_tokens: Option<u32>,
    /// Whether to stream the answer.
    pub streaming: bool,
    /// Whether the model may call tools.
    pub tools: bool,
    /// Whether there are images among the messages.
    pub images: bool,
    /// Whether the client wants the answer in a format.
    pub structured_output: bool,
    /// The tenant that sent it.
    pub tenant: Option<String>,
    /// The tenant's budget.
    pub budget: Option<Budget>,
    /// The tenant's limits: of each measure, the one with the least left.
    pub limits: Vec<Limit>,
    /// Request headers that policies may see: name in lower case, value.
    pub labels: Vec<(String, String)>,
    /// Further facts, by name.
    pub hints: Vec<(String, String)>,
}

impl Default for OwnedRequest {
    fn default() -> Self {
        Self {
            id: String::new(),
            dialect: NATIVE.into(),
            requested_model: AUTO.into(),
            messages: Vec::new(),
            prompt_tokens: 1,
            max_tokens: None,
            streaming: false,
            tools: false,
            images: false,
            structured_output: false,
            tenant: None,
            budget: None,
            limits: Vec::new(),
            labels: Vec::new(),
            hints: Vec::new(),
        }
    }
}

impl From<&Request<'_>> for OwnedRequest {
    fn from(request: &Request<'_>) -> Self {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Self {
            id: request.id.to_owned(),
            dialect: request.dialect.to_owned(),
            requested_model: request.requested_model.to_owned(),
            messages: request.messages.iter().map(|message| (message.role, message.text.to_owned())).collect(),
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            streaming: request.streaming,
            tools: request.tools,
            images: request.images,
            structured_output: request.structured_output,
            tenant: request.tenant.map(str::to_owned),
            budget: request.budget,
            limits: request.limits.to_vec(),
            labels: owned(request.labels),
            hints: owned(request.hints),
        }
    }
}

/// The lists that a request borrows.
#[derive(Debug)]
pub struct Lists<'a> {
    messages: Vec<Message<'a>>,
    labels: Vec<(&'a str, &'a str)>,
    hints: Vec<(&'a str, &'a str)>,
}

impl OwnedRequest {
    /// Its lists, for `request`.
    #[must_use]
    pub fn lists(&self) -> Lists<'_> {
        fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
            pairs.iter().map(|(name, value)| (&**name, &**value)).collect()
        }
        Lists {
            messages: self.messages.iter().map(|(role, text)| Message { role: *role, text }).collect(),
            labels: borrowed(&self.labels),
            hints: borrowed(&self.hints),
        }
    }

    /// The request; `lists` must be its own.
    #[must_use]
    pub fn request<'a>(&'a self, lists: &'a Lists<'a>) -> Request<'a> {
        Request {
            id: &self.id,
            dialect: &self.dialect,
            requested_model: &self.requested_model,
            messages: &lists.messages,
            prompt_tokens: self.prompt_tokens,
            max_tokens: self.max_tokens,
            streaming: self.streaming,
            tools: self.tools,
            images: self.images,
            structured_output: self.structured_output,
            tenant: self.tenant.as_deref(),
            budget: self.budget,
            limits: &self.limits,
            labels: &lists.labels,
            hints: &lists.hints,
        }
    }
}
