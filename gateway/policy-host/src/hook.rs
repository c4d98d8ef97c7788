//! The hooks: what a policy can decide.

/// What a policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Which model answers.
    Routing,
    /// What each candidate is expected to cost.
    Cost,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Routing, Self::Cost];

    /// The word in configuration, logs and the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Cost => "cost",
        }
    }
}
