//! The stages of a component on its way to serving, and the error of a refusal.

use std::fmt;

/// A stage of a component on its way to serving. The caller handles the first two stages and the last, loading handles
/// the others. A closed set, because it is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It was found and could be read.
    Observed,
    /// It stopped changing.
    Stable,
    /// Its bytes are a component without refused features.
    Parsed,
    /// It imports only what policies may, exports its hook, and its limits are in range.
    Admitted,
    /// It was compiled to machine code. A script: it compiles, and its top level ran.
    Compiled,
    /// Its imports are resolved and its exports are those of the contract.
    Linked,
    /// It returned its manifest and accepted its settings.
    Configured,
    /// It decided sample requests within its limits, and its operator's fixtures as expected.
    Probed,
    /// It was put into its slot.
    Placed,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Self; 9] = [
        Self::Observed,
        Self::Stable,
        Self::Parsed,
        Self::Admitted,
        Self::Compiled,
        Self::Linked,
        Self::Configured,
        Self::Probed,
        Self::Placed,
    ];

    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Stable => "stable",
            Self::Parsed => "parsed",
            Self::Admitted => "admitted",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Configured => "configured",
            Self::Probed => "probed",
            Self::Placed => "placed",
        }
    }
}

/// A component was refused.
#[derive(Debug)]
pub struct LoadError {
    /// Where it came from.
    pub origin: String,
    /// The stage it did not reach.
    pub stage: Stage,
    /// What was found and what is expected.
    pub reason: String,
    /// Its `name@version`, if it was refused after that was known.
    pub policy: Option<String>,
    /// The settings that are wrong, if it was refused for some.
    pub settings: Vec<String>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} was refused (not {}): {}", self.origin, self.stage.as_str(), self.reason)
    }
}

impl std::error::Error for LoadError {}
