//! What the ledger keeps of a request: who sent it, and what each call that it led to used. Nothing of prompts or answers.
//!
//! Lines are kept for years, so the format only grows. A new field has a default and is left out where it says nothing: older
//! lines lack it, and an older gateway passes over it. What is no entry has `kind` as its first field; a reader that does not
//! know the kind counts the line (`Report::unknown`). A field or a kind never gets another meaning.

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was admitted, in seconds since 1970.
    pub at: u64,
    /// Its id, as in the log and in the headers of its answer.
    pub request: String,
    /// The group whose key it had.
    pub group: String,
    /// The name of the key.
    pub key: String,
    /// How it ended: `finished`, `failed`, `rejected`, `abandoned` or `shutdown`.
    pub ending: String,
    /// The routing policy that chose the model, as `NAME@VERSION`, or `default@VERSION`; absent if nothing was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The calls that are billed: the one that answered, those that failed before it, and hedges.
    pub calls: Vec<Call>,
}

/// A call of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The model.
    pub model: String,
    /// Its backend.
    pub backend: String,
    /// Input tokens that no prompt cache served.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Input tokens written to a prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Output tokens.
    pub output: u64,
    /// Those of the output that were thinking, if the backend counts them apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// Whether the backend reported the whole usage. If not, the gateway estimated a part.
    pub reported: bool,
    /// The price by which it was billed, in nano-dollars for a million tokens of input, cache reads, cache writes and output;
    /// absent if the model has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<[u64; 4]>,
    /// The price of thinking, in the same unit, if it is not that of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_price: Option<u64>,
    /// The version of the catalogue that the price is from; absent if it is from the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// What it cost, in nano-dollars; absent if the model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Entry {
    /// Tokens of all calls, input and output.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let of = |call: &Call| [call.input, call.cache_read, call.cache_write, call.output].into_iter().fold(0, add);
        self.calls.iter().map(of).fold(0, add)
    }

    /// What all calls cost, in nano-dollars.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.calls.iter().filter_map(|call| call.cost).fold(0, add)
    }
}

fn add(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}
