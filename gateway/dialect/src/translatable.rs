//! Names fields as the client does.

use crate::types::Dialect;

/// The name of a field of `Chat` in the client's dialect.
pub(super) fn name(from: Dialect, field: &str) -> String {
    match (from, field) {
        (Dialect::Ollama, "temperature" | "top_p" | "top_k" | "seed" | "stop") => format!("options.{field}"),
        (Dialect::Ollama, "max_tokens") => "options.num_predict".to_owned(),
        (Dialect::OpenAi, "format") => "response_format".to_owned(),
        (Dialect::Responses, "format") => "text.format".to_owned(),
        (Dialect::Responses, "max_tokens") => "max_output_tokens".to_owned(),
        (Dialect::Anthropic, "format") => "output_config.format".to_owned(),
        (Dialect::Anthropic, "stop") => "stop_sequences".to_owned(),
        (Dialect::Anthropic, "parallel_tool_calls") => "tool_choice.disable_parallel_tool_use".to_owned(),
        _ => field.to_owned(),
    }
}
