//! Notes the first field of a request without a counterpart in other dialects, and names fields as the client does.

use serde_json::value::RawValue;

use super::json::{Path, is_null};
use crate::types::Dialect;

/// Notes the first field that has no counterpart in the other dialects.
#[derive(Debug, Default)]
pub(super) struct Unportable(pub(super) Option<String>);

impl Unportable {
    /// Notes a field without a counterpart. Anthropic's `cache_control` is ignored at every level: it changes the cost
    /// of an answer and not its content, and some clients set it on every request.
    pub(super) fn note(&mut self, path: &Path<'_>) {
        if matches!(path, Path::Key(_, "cache_control")) {
            return;
        }
        self.0.get_or_insert_with(|| path.to_string());
    }

    /// Notes a field without a counterpart, unless it is `null`.
    pub(super) fn note_unless_null(&mut self, path: &Path<'_>, raw: &RawValue) {
        if !is_null(raw) {
            self.note(path);
        }
    }
}

/// The name of a field of `Chat` in the client's dialect.
pub(super) fn name(from: Dialect, field: &str) -> String {
    match (from, field) {
        (Dialect::Ollama, "temperature" | "top_p" | "top_k" | "seed" | "stop") => format!("options.{field}"),
        (Dialect::Ollama, "max_tokens") => "options.num_predict".to_owned(),
        (Dialect::OpenAi, "format") => "response_format".to_owned(),
        (Dialect::Anthropic, "format") => "output_config.format".to_owned(),
        (Dialect::Anthropic, "stop") => "stop_sequences".to_owned(),
        (Dialect::Anthropic, "parallel_tool_calls") => "tool_choice.disable_parallel_tool_use".to_owned(),
        _ => field.to_owned(),
    }
}
