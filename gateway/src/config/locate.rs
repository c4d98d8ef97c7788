//! Maps keys of a TOML text to lines, and byte offsets to keys, so that each error names line and key.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, of a byte offset.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// The line of the key at `path`, or of its nearest parent in the text.
pub(super) fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut table = table.get_ref();
    let mut line = None;
    for name in path {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { return line };
        line = Some(line_at(text, key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return line,
        }
    }
    line
}

/// The path of the key or value that spans a byte offset, as in `models.phi2.backend`.
pub(super) fn key_at(text: &str, offset: usize) -> String {
    fn walk(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            let found = within(key.span(), offset)
                || match value.get_ref() {
                    DeValue::Table(inner) => walk(inner, offset, path),
                    _ => within(value.span(), offset),
                };
            if found {
                return true;
            }
            path.pop();
        }
        false
    }
    fn within(span: std::ops::Range<usize>, offset: usize) -> bool {
        span.start <= offset && offset < span.end.max(span.start + 1)
    }
    let mut path = Vec::new();
    if let Ok(table) = DeTable::parse(text).as_ref().map(Spanned::get_ref) {
        walk(table, offset, &mut path);
    }
    path.join(".")
}
