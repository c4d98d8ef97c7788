//! Checks that several tables share.

use indexmap::IndexMap;

use super::problem::{Code, Problems, Wrong, wrong};

/// Most labels of a table, and the longest name of one, in bytes: policies are given all of them with each request.
const MAX_LABELS: usize = 64;
const MAX_LABEL_BYTES: usize = 128;

/// Checks a name, which becomes a label, a header value and part of log lines.
pub(super) fn check_name(path: &[&str], name: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        let expected = "1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`";
        return Err(wrong(path, Code::InvalidValue, "invalid name", expected));
    }
    Ok(())
}

/// Whether this is the name of a header, as policies see it.
pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Checks the `labels` of a table.
pub(super) fn check_labels(table: &[&str], labels: &IndexMap<String, String>, problems: &mut Problems) {
    if labels.len() > MAX_LABELS {
        let (found, expected) = (format!("{} labels", labels.len()), format!("at most {MAX_LABELS}"));
        problems.add(wrong(&[table, &["labels"]].concat(), Code::InvalidValue, found, expected));
        return;
    }
    for (label, value) in labels {
        let path = [table, &["labels", label.as_str()]].concat();
        if label.len() > MAX_LABEL_BYTES {
            let (found, expected) = (format!("a name of {} bytes", label.len()), format!("at most {MAX_LABEL_BYTES}"));
            problems.add(wrong(&path, Code::InvalidValue, found, expected));
        } else if !is_header_name(label) {
            let (found, expected) = (format!("{label:?} is not a label"), "lower-case letters, digits and `-`");
            problems.add(wrong(&path, Code::InvalidValue, found, expected));
        } else if value.len() > 256 || value.chars().any(char::is_control) {
            let expected = "up to 256 bytes without control characters";
            problems.add(wrong(&path, Code::InvalidValue, "too long a value", expected));
        }
    }
}
