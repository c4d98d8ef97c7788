//! Token counts in Anthropic's dialect: `input_tokens` excludes tokens read from and written to the prompt cache.

use serde::Serialize;

use crate::lenient::{Count, object};
use crate::types::{Reported, Total};
use wasmgate_base::usage::Usage;

object! {
    #[derive(Clone, Copy)]
    pub(super) struct WireUsage {
        "input_tokens" input: Count,
        "cache_creation_input_tokens" cache_write: Count,
        "cache_read_input_tokens" cache_read: Count,
        "output_tokens" output: Count,
        // OpenAI's names, which gateways of other models pass on. The prompt's count includes the cache's.
        "prompt_tokens" prompt: Count,
        "completion_tokens" completion: Count,
    }
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Reported> {
    object! { struct Reply { "usage" usage: WireUsage, } }
    serde_json::from_slice::<Reply>(body).ok()?.usage.read()
}

impl WireUsage {
    /// Applies `later`, whose counts are totals and not increments. Compatible servers may know the prompt's count only in one
    /// of the two and say 0 in the other.
    pub(super) fn update(&mut self, later: Self) {
        let latest = |earlier: Count, later: Count| match later.0 {
            None | Some(0) if earlier.0.is_some() => earlier,
            _ => later,
        };
        self.input = latest(self.input, later.input);
        self.cache_write = latest(self.cache_write, later.cache_write);
        self.cache_read = latest(self.cache_read, later.cache_read);
        self.output = latest(self.output, later.output);
        self.prompt = latest(self.prompt, later.prompt);
        self.completion = latest(self.completion, later.completion);
    }

    /// Whether it counts output.
    pub(super) fn has_output(&self) -> bool {
        self.output.0.or(self.completion.0).is_some()
    }

    /// `None` while the input is unknown, or all counts are 0.
    pub(super) fn read(&self) -> Option<Reported> {
        let said = |count: Count| count.0.filter(|&count| count > 0);
        let (cache_read, cache_write) = (self.cache_read.0.unwrap_or(0), self.cache_write.0.unwrap_or(0));
        let prompt = || Some(said(self.prompt)?.saturating_sub(cache_read + cache_write));
        let input = said(self.input).or_else(prompt).or(self.input.0)?;
        let output = said(self.output).or(self.completion.0).unwrap_or(0);
        let usage = Usage { input, cache_read, cache_write, output, ..Usage::default() };
        (!usage.is_zero()).then_some(Reported { usage, has_output: self.has_output() })
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
