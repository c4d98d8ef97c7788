//! Checks that several tables share.

use std::time::Duration;

use super::error::{Wrong, wrong};
use crate::backend;

/// A duration in seconds, at least one millisecond, at most one day.
pub(super) fn seconds(path: &[&str], value: f64) -> Result<Duration, Wrong> {
    backend::seconds(value).map_err(|message| wrong(path, message))
}

/// Checks a name, which becomes a label, a header value and part of log lines.
pub(super) fn check_name(path: &[&str], name: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return Err(wrong(path, "invalid name, expected 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`"));
    }
    Ok(())
}
