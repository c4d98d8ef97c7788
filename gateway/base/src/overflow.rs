//! By how much a prompt exceeds a limit.

/// What is known of a prompt that is too long. Agents read these numbers to shorten their history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflow {
    /// The length of the prompt.
    pub prompt: Option<u64>,
    /// The output that the request reserved, if prompt and output together are too long.
    pub output: Option<u64>,
    /// The limit.
    pub limit: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// The unit of an [`Overflow`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unit {
    /// Tokens, by a model's provider.
    #[default]
    Tokens,
    /// Characters, by the gateway's own limit.
    Characters,
}

impl Unit {
    /// The word in sentences.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Characters => "characters",
        }
    }
}
