//! Usage as Ollama reports it.

use wasmgate_base::usage::Usage;

/// Servers may leave out the count of a prompt that they had evaluated before: half a count is no count.
pub(super) fn usage(prompt_eval_count: Option<u64>, eval_count: Option<u64>) -> Option<Usage> {
    Some(Usage { input: prompt_eval_count?, output: eval_count?, ..Usage::default() })
}
