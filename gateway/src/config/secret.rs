//! Secrets that are files: read once, bounded, without the white space around them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Longest file of a secret, in bytes: anything longer is another file.
const MAX_BYTES: u64 = 4096;

/// Who may read the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner alone.
    Owner,
    /// Anyone: where container engines mount secrets, the container is the boundary.
    Anyone,
}

/// The secret in that file; what is wrong with it otherwise, in words that begin with its path.
pub(super) fn read(path: &Path, readers: Readers) -> Result<String, String> {
    let refused = |message: String| format!("{}: {message}", path.display());
    let cannot = |error: io::Error| refused(format!("cannot be read: {error}"));
    let opened = File::open(path).map_err(cannot)?;
    // Of what was opened, not of what has the name by then.
    let mode = opened.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if readers == Readers::Owner && mode & 0o077 != 0 {
        return Err(refused(format!("others than its owner may use it (mode {mode:03o}), expected mode 600")));
    }
    let mut text = String::new();
    opened.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(refused(format!("longer than {MAX_BYTES} bytes, expected a secret alone")));
    }
    let text = text.trim();
    if text.is_empty() { Err(refused("empty, expected a secret".into())) } else { Ok(text.to_owned()) }
}
