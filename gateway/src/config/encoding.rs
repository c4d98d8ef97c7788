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
    let is = |line, found: String, expected: &str| Err((line, wrong(&[], Code::Encoding, found, expected)));
    if bytes.starts_with(b"\0asm") {
        return is(
            None,
            "a WebAssembly component".into(),
            "a TOML file that names the component, as in file = \"policy.wasm\"",
        );
    }
    let odd_zeros = bytes.iter().take(64).filter(|&&byte| byte == 0).count() * 3 > bytes.len().min(64);
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || odd_zeros {
        return is(None, "text in UTF-16".into(), "UTF-8; save the file in this encoding");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let line = bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let byte = bytes.get(at).copied().unwrap_or_default();
            let found =
                format!("the byte 0x{byte:02x}, which is not UTF-8 (the file may be in Latin-1 or Windows-1252)");
            return is(Some(line), found, "UTF-8; save the file in this encoding");
        }
    };
    if text.contains('\0') {
        return is(None, "a binary file".into(), "a TOML text");
    }
    Ok(text)
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
