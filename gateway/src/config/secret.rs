//! Reads secrets and certificates from files: once, bounded in size, without surrounding white space.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wasmgate_base::io_reason::io_reason;

/// Longest secret file, in bytes. A longer file is not a secret.
const MAX_BYTES: u64 = 4096;
/// Longest file of certificates, in bytes: several times what operating systems have.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Which users may have access to the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Only its owner.
    Owner,
    /// Anyone: container engines mount secrets so, and the container is the boundary.
    Anyone,
}

/// The secret in the file. An error begins with the file's path.
pub(super) fn read(path: &Path, readers: Readers) -> Result<String, String> {
    read_up_to(path, readers, MAX_BYTES)
}

/// The certificates or the private key in the file, as text.
pub(super) fn read_pem(path: &Path) -> Result<String, String> {
    read_up_to(path, Readers::Anyone, MAX_PEM_BYTES)
}

fn read_up_to(path: &Path, readers: Readers, most: u64) -> Result<String, String> {
    let refused = |message: String| format!("{}: {message}", path.display());
    let cannot = |error: io::Error| refused(format!("cannot be read: {}", io_reason(&error)));
    let opened = File::open(path).map_err(cannot)?;
    // The mode of the open file: its path may name another file by now.
    let mode = opened.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(refused(format!("users other than its owner have access (mode {mode:03o}), expected mode 600")));
    }
    let mut text = String::new();
    opened.take(most + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > most {
        return Err(refused(format!("longer than {most} bytes, expected only what the setting names")));
    }
    let text = text.trim();
    if text.is_empty() { Err(refused("empty, expected a secret".into())) } else { Ok(text.to_owned()) }
}

/// What a text is that no API key can be: a line of a file of variables, or a text in quotes. `None` if it may be a key.
pub(super) fn no_key(text: &str) -> Option<&'static str> {
    let in_quotes = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    let is_name = |name: &str| {
        let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        name.contains('_') && name.trim_start_matches("export ").chars().all(word)
    };
    match text.split_once('=') {
        _ if in_quotes('"') || in_quotes('\'') => Some("a key in quotes"),
        Some((name, _)) if is_name(name) => Some("a line as in NAME=KEY"),
        _ if text.contains(char::is_whitespace) => Some("more than one word"),
        _ => None,
    }
}
