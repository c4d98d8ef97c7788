//! Serializes JSON for people to read.

use serde::Serialize;

/// Serializes a value with a trailing newline, because people read it with curl.
#[must_use]
pub fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}
