//! What single servers do not take of their dialect, and how their refusals say so.

mod apply;
mod refusal;

use crate::fields::{Hint, Hints};
pub(crate) use apply::applied;
pub(crate) use refusal::refused;

/// How a server deviates from its dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// It takes the output limit as `max_completion_tokens` and not as `max_tokens`.
    pub max_completion_tokens: bool,
    /// It takes texts only as one string, not as an array of parts.
    pub string_content: bool,
    /// The hints that it refuses.
    pub leave_out: Hints,
}

impl Quirks {
    /// None.
    pub const NONE: Self = Self { max_completion_tokens: false, string_content: false, leave_out: Hints::NONE };

    /// The quirks of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_completion_tokens: self.max_completion_tokens || other.max_completion_tokens,
            string_content: self.string_content || other.string_content,
            leave_out: self.leave_out.or(other.leave_out),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the server takes this hint.
    pub(crate) fn takes(&self, hint: Hint) -> bool {
        !self.leave_out.has(hint)
    }

    /// The quirks that this one adds to `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            max_completion_tokens: self.max_completion_tokens && !other.max_completion_tokens,
            string_content: self.string_content && !other.string_content,
            leave_out: self.leave_out.without(other.leave_out),
        }
    }
}

/// The backend's model that a request is written for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its name at the backend.
    pub model: &'a str,
    /// Output tokens to ask for if the client set no limit and the dialect requires one.
    pub max_tokens: u32,
    /// How the server deviates from its dialect.
    pub quirks: Quirks,
}
