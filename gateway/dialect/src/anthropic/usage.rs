//! Token counts in Anthropic's dialect: `input_tokens` excludes tokens read from and written to the prompt cache.

use serde::{Deserialize, Serialize};

use crate::types::Total;
use wasmgate_base::usage::Usage;

#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Reply {
        usage: Option<WireUsage>,
    }
    serde_json::from_slice::<Reply>(body).ok()?.usage?.read()
}

impl WireUsage {
    /// Applies `later`, whose counts are totals and not increments.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
    }

    /// `None` while the input or the output count is unknown.
    pub(super) fn read(&self) -> Option<Usage> {
        Some(Usage {
            input: self.input_tokens?,
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: self.cache_creation_input_tokens.unwrap_or(0),
            output: self.output_tokens?,
        })
    }
}

#[derive(Serialize)]
pub(super) struct Written {
    pub(super) input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) output_tokens: u64,
}

/// The totals, split by the prompt cache if the backend reported the split.
pub(super) fn written(total: &Total, usage: Option<Usage>) -> Written {
    let (read, write) = usage.map_or((0, 0), |u| (u.cache_read, u.cache_write));
    Written {
        input_tokens: total.input_tokens.saturating_sub(read).saturating_sub(write),
        cache_creation_input_tokens: write,
        cache_read_input_tokens: read,
        output_tokens: total.output_tokens,
    }
}
