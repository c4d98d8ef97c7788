//! Observes files: presence, stability (debounce) and content digest. Watch events only trigger a check; they are never
//! trusted, because mounts, editors and deploy tools all bypass them.
//!
//! This module must not know: what the files mean. Its calls block.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmgate_base::digest::sha256;
use wasmgate_base::io_reason::io_reason;
use wasmgate_policy_host::MAX_COMPONENT_BYTES;

/// Age at which content is compared again even if size, times and inode are the same: some file systems misreport them.
const DISTRUST: Duration = Duration::from_secs(60);

/// The observed state of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observed {
    /// No file exists.
    Missing,
    /// The file changed less than the settle time ago: look again.
    Unsettled,
    /// The file cannot be read: the reason.
    Unreadable(String),
    /// The file is stable and has this digest; `touched` if it was rewritten with the same content since the last look.
    Settled { digest: String, touched: bool },
}

/// All files observed so far.
#[derive(Debug)]
pub(super) struct Files {
    seen: HashMap<PathBuf, Seen>,
    /// Since when files that must be there are missing or unreadable.
    away: HashMap<PathBuf, Instant>,
    settle: Duration,
}

#[derive(Debug)]
struct Seen {
    print: Print,
    /// When the file first had this print.
    since: Instant,
    /// Digest of the content last read, possibly under an earlier print.
    digest: Option<String>,
    /// When the content was read under this print.
    read: Option<Instant>,
}

/// Metadata that changes with the content, so that most checks need not read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Print {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Files {
    /// `settle`: how long a file must be unchanged before it is read.
    pub(super) fn new(settle: Duration) -> Self {
        Self { seen: HashMap::new(), away: HashMap::new(), settle }
    }

    /// Changes how long a file must be unchanged before it is read.
    pub(super) fn settle_for(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// Observes `path`. A new file has to settle too, unless `at_once`.
    pub(super) fn look(&mut self, path: &Path, at_once: bool) -> Observed {
        let print = match stat(path) {
            Ok(print) => print,
            Err(sight) => {
                self.seen.remove(path);
                return sight;
            }
        };
        let now = Instant::now();
        let first = Seen { print, since: now, digest: None, read: None };
        let seen = self.seen.entry(path.to_owned()).or_insert(first);
        if seen.print != print {
            *seen = Seen { print, since: now, digest: seen.digest.take(), read: None };
        }
        if let (Some(digest), Some(read)) = (&seen.digest, seen.read)
            && now.duration_since(read) < DISTRUST
        {
            return Observed::Settled { digest: digest.clone(), touched: false };
        }
        if !at_once && now.duration_since(seen.since) < self.settle {
            return Observed::Unsettled;
        }
        match content(path, print) {
            Ok(bytes) => {
                let digest = sha256(&bytes);
                let touched = seen.read.is_none() && seen.digest.as_ref() == Some(&digest);
                seen.digest = Some(digest.clone());
                seen.read = Some(now);
                Observed::Settled { digest, touched }
            }
            Err(sight) => sight,
        }
    }

    /// Observes a file that must be there. An editor that replaces a file may remove it for a moment, so only one that stays
    /// away for the settle time is missing.
    pub(super) fn look_for(&mut self, path: &Path) -> Observed {
        match self.look(path, false) {
            sight @ (Observed::Missing | Observed::Unreadable(_)) => {
                let since = *self.away.entry(path.to_owned()).or_insert_with(Instant::now);
                if since.elapsed() < self.settle { Observed::Unsettled } else { sight }
            }
            sight => {
                self.away.remove(path);
                sight
            }
        }
    }

    /// The content of an observed file; `Unsettled` if it no longer has this digest.
    pub(super) fn read(&self, path: &Path, digest: &str) -> Result<Arc<[u8]>, Observed> {
        let bytes = content(path, stat(path)?)?;
        if sha256(&bytes) == digest { Ok(bytes.into()) } else { Err(Observed::Unsettled) }
    }
}

fn stat(path: &Path) -> Result<Print, Observed> {
    use std::io::ErrorKind;
    match std::fs::metadata(path) {
        // Opening anything else, such as a FIFO, could block forever.
        Ok(metadata) if metadata.is_dir() => Err(Observed::Unreadable("a folder, expected a file".into())),
        Ok(metadata) if !metadata.is_file() => Err(Observed::Unreadable("not a regular file".into())),
        Ok(metadata) if metadata.size() > MAX_COMPONENT_BYTES as u64 => {
            Err(Observed::Unreadable(format!("{} bytes, expected at most {MAX_COMPONENT_BYTES}", metadata.size())))
        }
        Ok(metadata) => Ok(Print::of(&metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(Observed::Missing),
        Err(error) => Err(Observed::Unreadable(format!("cannot be read: {}", io_reason(&error)))),
    }
}

/// Reads a file; `Unsettled` if it does not match `print` after the read.
fn content(path: &Path, print: Print) -> Result<Vec<u8>, Observed> {
    let cannot = |error| Observed::Unreadable(format!("cannot be read: {}", io_reason(&error)));
    let bytes = std::fs::read(path).map_err(cannot)?;
    if stat(path)? == print && bytes.len() as u64 == print.bytes { Ok(bytes) } else { Err(Observed::Unsettled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(20);

    fn settled(files: &mut Files, path: &Path) -> Observed {
        loop {
            match files.look(path, false) {
                Observed::Unsettled => std::thread::yield_now(),
                sight => return sight,
            }
        }
    }

    fn digest(sight: &Observed) -> (String, bool) {
        match sight {
            Observed::Settled { digest, touched } => (digest.clone(), *touched),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_believed_when_it_holds_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.wasm");
        let mut files = Files::new(SETTLE);
        assert_eq!(files.look(&path, false), Observed::Missing);
        std::fs::write(&path, b"half").unwrap();
        assert_eq!(files.look(&path, false), Observed::Unsettled);
        std::fs::write(&path, b"half and the rest").unwrap();
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"half and the rest"), false));
        assert_eq!(&*files.read(&path, &sha256(b"half and the rest")).unwrap(), b"half and the rest");
        assert_eq!(files.read(&path, &sha256(b"another")), Err(Observed::Unsettled));
    }

    #[test]
    fn a_touch_is_told_from_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.wasm");
        std::fs::write(&path, b"one").unwrap();
        let mut files = Files::new(SETTLE);
        let first = digest(&files.look(&path, true));
        assert_eq!(first, (sha256(b"one"), false));
        // A rename replaces the inode; its times are the writer's choice.
        let other = folder.path().join("other");
        std::fs::write(&other, b"one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"one"), true));
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"one"), false), "reported once");
        std::fs::write(&path, b"two").unwrap();
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"two"), false));
    }

    #[test]
    fn a_file_that_comes_back_is_compared_with_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.wasm");
        std::fs::write(&path, b"one").unwrap();
        let mut files = Files::new(SETTLE);
        let _ = files.look(&path, true);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.look(&path, false), Observed::Missing);
        std::fs::write(&path, b"one").unwrap();
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"one"), false));
    }

    #[test]
    fn a_file_that_must_be_there_is_missing_once_it_stays_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wasmgate.toml");
        std::fs::write(&path, b"one").unwrap();
        let mut files = Files::new(SETTLE);
        while files.look_for(&path) == Observed::Unsettled {
            std::thread::yield_now();
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.look_for(&path), Observed::Unsettled, "it may come back");
        let sight = loop {
            match files.look_for(&path) {
                Observed::Unsettled => std::thread::yield_now(),
                sight => break sight,
            }
        };
        assert_eq!(sight, Observed::Missing);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(files.look_for(&path), Observed::Unreadable("a folder, expected a file".into()));
    }

    #[test]
    fn what_is_no_file_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(SETTLE);
        assert!(matches!(files.look(folder.path(), false), Observed::Unreadable(_)));
    }
}
