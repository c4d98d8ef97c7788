//! Token counts in the Responses dialect: `input_tokens` includes tokens read from the prompt cache and written to it.

use serde::{Deserialize, Serialize};

use crate::types::Total;
use wasmgate_base::usage::Usage;

#[derive(Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
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
    /// `None` if the server omitted either count.
    pub(super) fn read(&self) -> Option<Usage> {
        let (input, output) = (self.input_tokens?, self.output_tokens?);
        let details = self.input_tokens_details.as_ref();
        // The parts are capped at the total, as in the chat dialect.
        let cache_read = details.and_then(|d| d.cached_tokens).unwrap_or(0).min(input);
        let cache_write = details.and_then(|d| d.cache_write_tokens).unwrap_or(0).min(input - cache_read);
        Some(Usage { input: input - cache_read - cache_write, cache_read, cache_write, output })
    }
}

#[derive(Serialize)]
pub(super) struct Written {
    input_tokens: u64,
    input_tokens_details: WrittenInput,
    output_tokens: u64,
    output_tokens_details: WrittenOutput,
    total_tokens: u64,
}

#[derive(Serialize)]
struct WrittenInput {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct WrittenOutput {
    // The other dialects count thinking as output and do not report its share.
    reasoning_tokens: u64,
}

/// The totals, with the cache's share if the backend reported it. The official SDKs require the details.
pub(super) fn written(total: &Total, usage: Option<Usage>) -> Written {
    let usage = usage.unwrap_or_default();
    Written {
        input_tokens: total.input_tokens,
        input_tokens_details: WrittenInput { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write },
        output_tokens: total.output_tokens,
        output_tokens_details: WrittenOutput { reasoning_tokens: 0 },
        total_tokens: total.input_tokens.saturating_add(total.output_tokens),
    }
}
