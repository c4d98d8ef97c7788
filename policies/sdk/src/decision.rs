//! Creates verdicts: decisions and denials within the contract's bounds.

use crate::{Decision, Denial, Reason, Tier, Verdict};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Maximum length of a reason in the contract, in bytes.
pub const REASON_BYTES: usize = 1024;

impl Decision {
    /// A decision of a policy that scores how demanding requests are. `complexity` is clamped to 0 to 1.
    pub fn scored(ranking: Vec<u32>, complexity: f64, tier: Tier, reason: impl Into<Reason>) -> Self {
        // NaN would fail the whole decision at the gateway, so it becomes no score.
        let complexity = (!complexity.is_nan()).then(|| complexity.clamp(0.0, 1.0));
        Self { ranking, complexity, tier: Some(tier), reason: reason.into() }
    }

    /// A decision of a policy that does not score requests.
    pub fn unscored(ranking: Vec<u32>, reason: impl Into<Reason>) -> Self {
        Self { ranking, complexity: None, tier: None, reason: reason.into() }
    }
}

impl Denial {
    /// A denial. `code` is for programs: lower-case letters, digits and `_`, 1 to 64 of them.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into() }
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        Self::Route(decision)
    }
}

impl From<Denial> for Verdict {
    fn from(denial: Denial) -> Self {
        Self::Deny(denial)
    }
}

impl Reason {
    /// One of the manifest's reasons, counted from 0, and the numbers in it.
    pub fn coded(number: u32, values: &[f64]) -> Self {
        Self::Code((number, values.to_vec()))
    }

    /// Its text; `None` if it is given by number.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Code(_) => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Code((number, values)) => write!(f, "reason {number} with {values:?}"),
        }
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, other: &&str) -> bool {
        self.text() == Some(other)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Tier {
    /// Its name in the contract and on dashboards.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Cuts a reason to the contract's length, between characters.
pub(crate) fn clip(reason: &mut String) {
    if reason.len() > REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn complexity_stays_in_its_range() {
        let kept =
            [(-1.0, Some(0.0)), (0.25, Some(0.25)), (7.0, Some(1.0)), (f64::NAN, None), (f64::INFINITY, Some(1.0))];
        for (given, kept) in kept {
            assert_eq!(Decision::scored(vec![0], given, Tier::Low, "").complexity, kept);
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let mut reason = "é".repeat(600) + "x";
        clip(&mut reason);
        assert_eq!(reason.len(), 1024);
        let mut reason = String::from("x") + &"é".repeat(600);
        clip(&mut reason);
        assert_eq!(reason.len(), 1023);
    }
}
