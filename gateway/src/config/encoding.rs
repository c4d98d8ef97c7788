//! What a file is if it is no TOML text: another encoding, another format, no text at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use wasmgate_base::io_reason::io_reason;

use super::problem::{Code, Wrong, wrong};

/// Largest configuration, in bytes: thousands of models fit.
const MAX_BYTES: u64 = 8 << 20;

/// The bytes of a configuration file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    let unreadable = |found: String, expected: &str| wrong(&[], Code::Unreadable, found, expected);
    let cannot = |error: std::io::Error| unreadable(format!("cannot be read: {}", io_reason(&error)), "");
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err(unreadable("a folder".into(), "a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("more than {MAX_BYTES} bytes"), "a configuration"));
    }
    Ok(bytes)
}

/// The text of a file; else what it is, and in which line that shows.
pub(super) fn text(bytes: &[u8]) -> Result<&str, (Option<usize>, Wrong)> {
    if bytes.starts_with(b"\0asm") {
        let expected = "a TOML file that names the component, as in file = \"policy.wasm\"";
        return Err((None, wrong(&[], Code::Encoding, "a WebAssembly component", expected)));
    }
    // The digest of a configuration is that of its whole text, so a byte order mark stays; TOML allows one.
    wasmgate_base::text::utf8(bytes).map_err(|not| {
        let expected = if not.expected == "a text" { "a TOML text" } else { not.expected };
        (not.line, wrong(&[], Code::Encoding, not.found, expected))
    })
}

/// The other format of a text that is no TOML, by how it begins.
pub(super) fn other_format(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.clone().any(|line| line.starts_with(';')) {
        return Some("INI");
    }
    let first = lines.find(|line| !line.starts_with('#'))?;
    if first.starts_with('{') || first.starts_with("[{") {
        return Some("JSON");
    }
    if first.starts_with('<') {
        return Some("XML");
    }
    let key = first.split_once(':').filter(|(key, rest)| {
        let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "-_\"'".contains(c));
        plain && !key.is_empty() && (rest.is_empty() || rest.starts_with(' '))
    });
    (first == "---" || key.is_some()).then_some("YAML")
}
