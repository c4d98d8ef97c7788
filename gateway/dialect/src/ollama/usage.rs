//! Usage as Ollama reports it.

use crate::lenient::{Count, object};
use crate::types::Reported;
use wasmgate_base::usage::Usage;

/// `None` if all counts are 0, or the prompt's count is missing: servers may omit that of a prompt that they evaluated before.
pub(super) fn usage(prompt_eval_count: Count, eval_count: Count) -> Option<Reported> {
    let (input, output) = (prompt_eval_count.0?, eval_count.0);
    let usage = Usage { input, output: output.unwrap_or(0), ..Usage::default() };
    (!usage.is_zero()).then_some(Reported { usage, has_output: output.is_some() })
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Reported> {
    object! {
        struct Reply {
            "prompt_eval_count" prompt_eval_count: Count,
            "eval_count" eval_count: Count,
        }
    }
    let reply: Reply = serde_json::from_slice(body).ok()?;
    usage(reply.prompt_eval_count, reply.eval_count)
}
