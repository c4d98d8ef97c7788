//! Token counts in OpenAI's dialect: `prompt_tokens` includes tokens read from the prompt cache.

use serde::{Deserialize, Serialize};

use crate::types::Total;
use wasmgate_base::usage::Usage;

#[derive(Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
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
        let (prompt, output) = (self.prompt_tokens?, self.completion_tokens?);
        let details = self.prompt_tokens_details.as_ref();
        // A server may report more cached tokens than the prompt has: the parts are capped at the total.
        let cache_read = details.and_then(|d| d.cached_tokens).unwrap_or(0).min(prompt);
        let cache_write = details.and_then(|d| d.cache_write_tokens).unwrap_or(0).min(prompt - cache_read);
        Some(Usage { input: prompt - cache_read - cache_write, cache_read, cache_write, output })
    }
}

#[derive(Serialize)]
pub(super) struct Written {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<WrittenDetails>,
}

#[derive(Serialize)]
struct WrittenDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

/// The totals, with the cache's share if the backend reported it.
pub(super) fn written(total: &Total, usage: Option<Usage>) -> Written {
    Written {
        prompt_tokens: total.input_tokens,
        completion_tokens: total.output_tokens,
        total_tokens: total.input_tokens.saturating_add(total.output_tokens),
        prompt_tokens_details: usage
            .map(|u| WrittenDetails { cached_tokens: u.cache_read, cache_write_tokens: u.cache_write }),
    }
}
