//! Usage as Ollama reports it.

use wasmgate_base::usage::Usage;

/// `None` if a count is missing. Servers may omit the count of a prompt that they evaluated before.
pub(super) fn usage(prompt_eval_count: Option<u64>, eval_count: Option<u64>) -> Option<Usage> {
    Some(Usage { input: prompt_eval_count?, output: eval_count?, ..Usage::default() })
}
