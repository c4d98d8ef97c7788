//! Checks that several tables share.

use super::problem::{Code, Wrong, wrong};

/// Checks a name, which becomes a label, a header value and part of log lines.
pub(super) fn check_name(path: &[&str], name: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        let expected = "1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`";
        return Err(wrong(path, Code::InvalidValue, "invalid name", expected));
    }
    Ok(())
}
