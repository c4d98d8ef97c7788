//! How far a component came on its way to serving, and the sentence that says why it came no further.

use std::fmt;

/// How far a component came. Whoever looks for components sees to the first two stages and to the last, loading to those
/// between. A closed set: it is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It was seen and could be read.
    Observed,
    /// It stopped changing.
    Stable,
    /// Its bytes are read as a component.
    Parsed,
    /// It needs nothing that it is not granted, and uses no refused feature.
    Admitted,
    /// It became machine code.
    Compiled,
    /// Its imports were met and its exports are those of the contract.
    Linked,
    /// It described itself and took its settings.
    Configured,
    /// It decided sample requests within its limits, and its operator's fixtures as expected.
    Probed,
    /// It took its place among those that serve.
    Placed,
}

impl Stage {
    /// All, in the order in which they are reached.
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
    /// What was found and what would be right.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} was refused (not {}): {}", self.origin, self.stage.as_str(), self.reason)
    }
}

impl std::error::Error for LoadError {}
