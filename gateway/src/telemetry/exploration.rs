//! The draw of a request that was open to exploration, also if it confirmed the policy's choice.

use wasmgate_accounts::Explore;
use wasmgate_base::money::NanoDollars;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exploration {
    /// How often the group is explored.
    pub explore: Explore,
    /// The models among which the gateway drew, by position in the catalog: first the one that the policy's ranking had first.
    pub models: Vec<usize>,
    /// Which of them was drawn.
    pub drawn: usize,
    /// The cost policy's estimate for the first of them.
    pub estimated_cost: Option<NanoDollars>,
}

impl Exploration {
    /// Whether another model was drawn than the policy's.
    #[must_use]
    pub fn explored(&self) -> bool {
        self.drawn > 0
    }
}
