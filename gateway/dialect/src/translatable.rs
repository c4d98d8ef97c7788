//! What can be said in which dialect: the first field without a counterpart, and what a field is called.

use serde_json::value::RawValue;

use super::json::{Path, is_null};
use crate::types::Dialect;

/// Notes the first field that has no counterpart in the other dialects.
#[derive(Debug, Default)]
pub(super) struct Unportable(pub(super) Option<String>);

impl Unportable {
    /// This field has none. Anthropic's marks of what to cache are passed over wherever they stand: they change what
    /// an answer costs and not what it says, and some clients set them on every request.
    pub(super) fn note(&mut self, path: &Path<'_>) {
        if matches!(path, Path::Key(_, "cache_control")) {
            return;
        }
        self.0.get_or_insert_with(|| path.to_string());
    }

    /// This field has none, unless it says nothing.
    pub(super) fn note_unless_null(&mut self, path: &Path<'_>, raw: &RawValue) {
        if !is_null(raw) {
            self.note(path);
        }
    }
}

/// What the client's dialect calls a field of `Chat`.
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
