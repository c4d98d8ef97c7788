//! Checks that several tables share.

use std::time::Duration;

use super::error::{Wrong, wrong};

/// A duration in seconds, above 0, at most one day.
pub(super) fn seconds(path: &[&str], value: f64) -> Result<Duration, Wrong> {
    if value > 0.0 && value <= 86_400.0 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(wrong(path, format!("{value}, expected a number of seconds above 0, at most 86400")))
    }
}

/// Checks a name, which becomes a label, a header value and part of log lines.
pub(super) fn check_name(path: &[&str], name: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return Err(wrong(path, "invalid name, expected 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`"));
    }
    Ok(())
}
