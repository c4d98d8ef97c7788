//! Token counts in the Responses dialect: `input_tokens` includes tokens read from the prompt cache and written to it.

use serde::Serialize;

use crate::lenient::{Count, object};
use crate::types::{Reported, Total};
use wasmgate_base::usage::Usage;

object! {
    pub(super) struct WireUsage {
        "input_tokens" input: Count,
        "output_tokens" output: Count,
        "total_tokens" total: Count,
        "input_tokens_details" details: InputDetails,
        "output_tokens_details" output_details: OutputDetails,
    }
}

object! {
    struct InputDetails {
        "cached_tokens" cached: Count,
        "cache_write_tokens" written: Count,
    }
}

object! {
    struct OutputDetails {
        "reasoning_tokens" reasoning: Count,
    }
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Reported> {
    object! { struct Reply { "usage" usage: WireUsage, } }
    serde_json::from_slice::<Reply>(body).ok()?.usage.read()
}

impl WireUsage {
    /// `None` if nobody can tell the prompt's tokens, or all counts are 0.
    pub(super) fn read(&self) -> Option<Reported> {
        let without = |part: Count| self.total.0?.checked_sub(part.0?);
        let input = self.input.0.or_else(|| without(self.output))?;
        let output = self.output.0.or_else(|| self.total.0?.checked_sub(input));
        // The parts are capped at the total, as in the chat dialect.
        let cache_read = self.details.cached.0.unwrap_or(0).min(input);
        let cache_write = self.details.written.0.unwrap_or(0).min(input - cache_read);
        let (input, has_output) = (input - cache_read - cache_write, output.is_some());
        let output = output.unwrap_or(0);
        let reasoning = self.output_details.reasoning.0.unwrap_or(0).min(output);
        let usage = Usage { input, cache_read, cache_write, output, reasoning };
        (!usage.is_zero()).then_some(Reported { usage, has_output })
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
    // 0 if the backend's dialect counts thinking as output and does not report its share.
    reasoning_tokens: u64,
}

/// The totals, with the cache's share if the backend reported it. The official SDKs require the details.
pub(super) fn written(total: &Total, usage: Option<Usage>) -> Written {
    let usage = usage.unwrap_or_default();
    Written {
        input_tokens: total.input_tokens,
        input_tokens_details: WrittenInput { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write },
        output_tokens: total.output_tokens,
        output_tokens_details: WrittenOutput { reasoning_tokens: usage.reasoning },
        total_tokens: total.input_tokens.saturating_add(total.output_tokens),
    }
}
