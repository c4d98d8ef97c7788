//! What a request is billed: the usage that its backend reported, else the gateway's estimate of what it saw. A stream that
//! breaks off, a client that disconnects and an attempt that is discarded are billed by the same rule.

use wasmgate_base::money::{NanoDollars, Price};
use wasmgate_base::usage::Usage;
use wasmgate_dialect::Total;

use super::record::Record;
use crate::metrics::labels::Ending;

/// Usage of a discarded attempt whose backend had reported usage or sent output.
#[derive(Debug, Clone, Copy)]
pub struct WastedUsage {
    /// The model, by position in the catalog.
    pub model: usize,
    /// What to bill.
    pub usage: Usage,
    /// Whether the backend reported it; otherwise it is the gateway's estimate.
    pub reported: bool,
}

impl Record {
    /// The usage to bill: the backend's count, else the gateway's estimate of what passed.
    #[must_use]
    pub fn billable(&self) -> Usage {
        self.usage.unwrap_or_else(|| Usage {
            input: u64::from(self.estimated_input_tokens),
            // Most backends send one token per piece; four bytes per token covers those that send more.
            output: self.output_pieces.max(self.output_bytes.div_ceil(4)),
            ..Usage::default()
        })
    }

    /// Whether the request is billed: it finished, or the backend reported usage or sent output before it failed.
    #[must_use]
    pub fn is_billed(&self, ending: Ending) -> bool {
        self.has_said_something() || ending == Ending::Finished
    }

    pub(super) fn has_said_something(&self) -> bool {
        self.usage.is_some() || self.output_pieces > 0
    }

    /// The cost at the model's price; `None` if the model is unpriced.
    #[must_use]
    pub fn cost(&self, price: Option<Price>) -> Option<NanoDollars> {
        Some(price?.of(&self.billable()))
    }

    /// Usage, cost and latency of the answer so far.
    #[must_use]
    pub fn total(&self, price: Option<Price>) -> Total {
        let usage = self.billable();
        Total {
            input_tokens: usage.input_total(),
            output_tokens: usage.output,
            cost: self.cost(price).map(NanoDollars::usd),
            latency_seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
