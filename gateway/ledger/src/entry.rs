//! What the ledger keeps of a request: who sent it, what it may cost while it is in flight, and what each call that it led to
//! used. Nothing of prompts or answers.
//!
//! Lines are kept for years, so the format only grows. A new field has a default and is left out where it says nothing: older
//! lines lack it, and an older gateway passes over it. What is no entry has `kind` as its first field; a reader that does not
//! know the kind counts the line (`Report::unknown`). A field or a kind never gets another meaning.

use serde::{Deserialize, Serialize};
use wasmgate_base::history::Used;

/// One request that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was admitted, in seconds since 1970.
    pub at: u64,
    /// Its id, as in the log and in the headers of its answer.
    pub request: String,
    /// The group whose key it had.
    pub group: String,
    /// The groups above it, the nearest first, as they were when the request was admitted: it counts in them too, whatever
    /// becomes of the group. Absent in lines of before: then it counts in those that are above the group when the line is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Vec<String>>,
    /// The key's id: `key-…`, or its name if it is in the configuration.
    pub key: String,
    /// How it ended: `finished`, `failed`, `rejected`, `abandoned`, `shutdown`, or `interrupted` if its gateway ended first.
    pub ending: String,
    /// The routing policy that chose the model, as `NAME@VERSION`, or `default@VERSION`; absent if nothing was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The calls that are billed: the one that answered, those that failed before it, and hedges.
    pub calls: Vec<Call>,
    /// If its gateway ended first: what it had reserved. Nobody knows what it used, so this counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Amount>,
}

/// [`Entry::ending`] of a request whose gateway ended first.
pub const INTERRUPTED: &str = "interrupted";

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

/// Tokens and money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Input and output tokens.
    pub tokens: u64,
    /// Nano-dollars.
    pub money: u64,
}

/// A request that was admitted and has not ended: what it reserved. Its entry takes this record's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "reserved")]
pub struct Reserved {
    /// When it was admitted, in seconds since 1970.
    pub at: u64,
    /// Its id.
    pub request: String,
    /// The group whose key it has.
    pub group: String,
    /// As in its entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Vec<String>>,
    /// The key's id: `key-…`, or its name if it is in the configuration.
    pub key: String,
    /// What it reserved.
    #[serde(flatten)]
    pub amount: Amount,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Entry {
    /// Tokens of all calls, input and output, and what was reserved of a request that was interrupted.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let of = |call: &Call| [call.input, call.cache_read, call.cache_write, call.output].into_iter().fold(0, add);
        let reserved = self.reserved.unwrap_or_default().tokens;
        self.calls.iter().map(of).fold(reserved, add)
    }

    /// What all calls cost, in nano-dollars, and what was reserved of a request that was interrupted.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let reserved = self.reserved.unwrap_or_default().money;
        self.calls.iter().filter_map(|call| call.cost).fold(reserved, add)
    }

    /// The groups in which it counts, its own first; `None`: its line does not say those above it.
    pub fn groups(&self) -> Option<impl Iterator<Item = &str>> {
        let above = self.above.as_ref()?;
        Some(std::iter::once(&self.group).chain(above).map(String::as_str))
    }

    /// What it adds to the history of a group in which it counts.
    #[must_use]
    pub fn used(&self) -> Used {
        Used { requests: 1, tokens: self.tokens(), money: self.cost() }
    }
}

impl Reserved {
    /// The entry of the request if its gateway ended before it.
    pub(crate) fn interrupted(self) -> Entry {
        let Self { at, request, group, above, key, amount } = self;
        let ending = INTERRUPTED.to_owned();
        Entry { at, request, group, above, key, ending, policy: None, calls: Vec::new(), reserved: Some(amount) }
    }
}

fn add(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}
