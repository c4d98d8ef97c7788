//! Token counts in OpenAI's dialect: `prompt_tokens` includes tokens read from the prompt cache.

use serde::Serialize;

use crate::lenient::{Count, object};
use crate::types::{Reported, Total};
use wasmgate_base::usage::Usage;

object! {
    pub(super) struct WireUsage {
        "prompt_tokens" prompt: Count,
        "completion_tokens" completion: Count,
        "total_tokens" total: Count,
        "prompt_tokens_details" prompt_details: PromptDetails,
        "completion_tokens_details" completion_details: CompletionDetails,
        // DeepSeek's names for the parts of the prompt.
        "prompt_cache_hit_tokens" cache_hit: Count,
    }
}

object! {
    struct PromptDetails {
        "cached_tokens" cached: Count,
        "cache_write_tokens" written: Count,
    }
}

object! {
    struct CompletionDetails {
        "reasoning_tokens" reasoning: Count,
    }
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Reported> {
    object! { struct Reply { "usage" usage: WireUsage, } }
    serde_json::from_slice::<Reply>(body).ok()?.usage.read()
}

impl WireUsage {
    /// `None` if nobody can tell the prompt's tokens. A count that is missing or impossible is derived from the total, if that
    /// allows it.
    pub(super) fn read(&self) -> Option<Reported> {
        let total = self.total.0;
        let without = |part: Option<u64>| total?.checked_sub(part?);
        let prompt = self.prompt.0.or_else(|| without(self.completion.0))?;
        let output = self.output(prompt);
        // A server may report more cached tokens than the prompt has: the parts are capped at the total.
        let details = &self.prompt_details;
        let cache_read = details.cached.0.or(self.cache_hit.0).unwrap_or(0).min(prompt);
        let cache_write = details.written.0.unwrap_or(0).min(prompt - cache_read);
        let input = prompt - cache_read - cache_write;
        let usage = Usage { input, cache_read, cache_write, output: output.unwrap_or(0) };
        Some(Reported { usage, has_output: output.is_some() })
    }

    /// xAI leaves reasoning out of `completion_tokens`, and Gemini its thoughts; both bill them as output, and both count them in
    /// the total.
    fn output(&self, prompt: u64) -> Option<u64> {
        let by_total = self.total.0.and_then(|total| total.checked_sub(prompt));
        let Some(completion) = self.completion.0 else { return by_total };
        let beside = by_total.and_then(|output| output.checked_sub(completion)).filter(|&beside| beside > 0);
        match (beside, self.completion_details.reasoning.0) {
            (None, _) => Some(completion),
            (Some(beside), Some(reasoning)) => Some(completion + beside.min(reasoning)),
            // Parts of the prompt that a server counts beside it are no output.
            (Some(beside), None) if Some(beside) == self.prompt_details.cached.0 => Some(completion),
            (Some(beside), None) => Some(completion + beside),
        }
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
