//! Data that people write in files of their own: TOML where a file's name says so, else JSON. The configuration, which has
//! places and lines for each key, is read by `config`.

use serde_json::Value as Json;

/// The text of a file as a value.
///
/// # Errors
/// Where it is not what its name says: file, line and what is wrong.
pub fn parse(origin: &str, text: &str) -> Result<Json, String> {
    if is_toml(origin) {
        return toml::from_str(text).map_err(|error| {
            let line = text[..error.span().map_or(0, |span| span.start)].lines().count().max(1);
            format!("{origin}:{line}: this is not TOML: {}", error.message())
        });
    }
    serde_json::from_str(text).map_err(|error| format!("{origin}:{}: this is not JSON: {error}", error.line()))
}

/// Whether a file of that name is TOML.
#[must_use]
pub fn is_toml(origin: &str) -> bool {
    origin.ends_with(".toml")
}
