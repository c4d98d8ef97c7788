//! A routing policy's answer, whatever the contract's version.

use super::contract::types::Tier;

/// A routing policy's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Send it, in this order of preference.
    Route(Decision),
    /// Refuse it.
    Deny(Denial),
    /// No opinion: the gateway's own default decides.
    Pass,
}

/// A choice among the candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Indexes into the candidates, best first.
    pub ranking: Vec<u32>,
    /// How demanding the request is, from 0 to 1; `None` from a policy that does not judge it.
    pub complexity: Option<f64>,
    /// The same in words.
    pub tier: Option<Tier>,
    /// Why, in a sentence.
    pub reason: String,
}

/// A request that must not be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// A short stable code for programs.
    pub code: String,
    /// Why, in a sentence, for the client.
    pub reason: String,
}
