//! Parses the JSON and TOML files that operators write. A file whose name ends in `.toml` is TOML; any other is JSON.
//! `config` parses the configuration itself, because it tracks the place and line of each key.

use serde_json::Value as Json;

/// Parses a file's text. `origin` is the file's path and decides the format.
///
/// # Errors
/// If the text is not valid TOML or JSON: file, line and what is wrong.
pub fn parse(origin: &str, text: &str) -> Result<Json, String> {
    let text = text.trim_start_matches('\u{feff}');
    if is_toml(origin) {
        return toml::from_str(text).map_err(|error| {
            let line = text[..error.span().map_or(0, |span| span.start)].lines().count().max(1);
            format!("{origin}:{line}: this is not TOML: {}", error.message())
        });
    }
    serde_json::from_str(text).map_err(|error| format!("{origin}:{}: this is not JSON: {error}", error.line()))
}

/// The text of a table as TOML.
///
/// # Errors
/// If TOML cannot hold a value: a sentence.
pub fn as_toml(table: &serde_json::Map<String, Json>) -> Result<String, String> {
    toml::to_string(table).map_err(|error| format!("this cannot be written as TOML: {error}"))
}

/// Whether `origin` names a TOML file.
#[must_use]
pub fn is_toml(origin: &str) -> bool {
    origin.ends_with(".toml")
}
