//! Usage as Ollama reports it.

use serde::Deserialize;

use wasmgate_base::usage::Usage;

/// `None` if a count is missing. Servers may omit the count of a prompt that they evaluated before.
pub(super) fn usage(prompt_eval_count: Option<u64>, eval_count: Option<u64>) -> Option<Usage> {
    Some(Usage { input: prompt_eval_count?, output: eval_count?, ..Usage::default() })
}

/// The usage of a complete response that may otherwise be invalid.
pub(crate) fn usage_in(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Reply {
        prompt_eval_count: Option<u64>,
        eval_count: Option<u64>,
    }
    let reply: Reply = serde_json::from_slice(body).ok()?;
    usage(reply.prompt_eval_count, reply.eval_count)
}
