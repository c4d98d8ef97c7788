//! Token counts in OpenAI's dialect: `prompt_tokens` includes tokens read from the prompt cache.

use serde::Serialize;

use crate::lenient::{Count, Many, object};
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
        // Anthropic's names, which gateways of its models pass on, and those of the Responses dialect.
        "input_tokens" input: Count,
        "output_tokens" output: Count,
        "cache_read_input_tokens" cache_read: Count,
        "cache_creation_input_tokens" cache_write: Count,
        "input_tokens_details" input_details: PromptDetails,
    }
}

object! {
    /// Groq's own member, which has the usage of its streams.
    pub(super) struct Groq {
        "usage" pub(super) usage: WireUsage,
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
    object! { struct Choice { "usage" usage: WireUsage, } }
    object! {
        struct Reply {
            "usage" usage: WireUsage,
            "x_groq" groq: Groq,
            "choices" choices: Many<Choice>,
        }
    }
    let reply = serde_json::from_slice::<Reply>(body).ok()?;
    let of_choices = reply.choices.0.iter().map(|choice| &choice.usage);
    [&reply.usage, &reply.groq.usage].into_iter().chain(of_choices).find_map(WireUsage::read)
}

impl WireUsage {
    /// `None` if nobody can tell the prompt's tokens, or all counts are 0. A count that is missing or impossible is derived from
    /// the total, if that allows it.
    pub(super) fn read(&self) -> Option<Reported> {
        let total = self.total.0;
        let without = |part: Option<u64>| total?.checked_sub(part?);
        let completion = said(self.completion, || self.output.0);
        let prompt = said(self.prompt, || self.anthropic_prompt()).or_else(|| without(completion))?;
        let output = self.output(prompt, completion);
        // A server may report more cached tokens than the prompt has: the parts are capped at the total.
        let details = [&self.prompt_details, &self.input_details];
        let cached = details.iter().find_map(|details| details.cached.0).or(self.cache_hit.0).or(self.cache_read.0);
        let written = details.iter().find_map(|details| details.written.0).or(self.cache_write.0);
        let cache_read = cached.unwrap_or(0).min(prompt);
        let cache_write = written.unwrap_or(0).min(prompt - cache_read);
        let input = prompt - cache_read - cache_write;
        let output_tokens = output.unwrap_or(0);
        let reasoning = self.completion_details.reasoning.0.unwrap_or(0).min(output_tokens);
        let usage = Usage { input, cache_read, cache_write, output: output_tokens, reasoning };
        (!usage.is_zero()).then_some(Reported { usage, has_output: output.is_some() })
    }

    /// The prompt's tokens by Anthropic's names: `input_tokens` excludes the cache's.
    fn anthropic_prompt(&self) -> Option<u64> {
        let cached = self.cache_read.0.unwrap_or(0) + self.cache_write.0.unwrap_or(0);
        Some(self.input.0? + cached)
    }

    /// xAI leaves reasoning out of `completion_tokens`, and Gemini its thoughts; both bill them as output, and both count them in
    /// the total.
    fn output(&self, prompt: u64, completion: Option<u64>) -> Option<u64> {
        let by_total = self.total.0.and_then(|total| total.checked_sub(prompt));
        let Some(completion) = completion else { return by_total };
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

/// A count, or the one under its other name if it is missing or 0.
fn said(count: Count, other: impl FnOnce() -> Option<u64>) -> Option<u64> {
    match count.0 {
        None | Some(0) => other().or(count.0),
        said => said,
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
