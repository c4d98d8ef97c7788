//! Looking at files: what is there, whether it holds still, whether its content is another. What the system tells of
//! changes is a hint when to look, never what to believe: mounts, editors and deploy tools all have ways past it.
//!
//! This module must not know: what the files mean. It blocks.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmgate_base::digest::sha256;
use wasmgate_policy_host::MAX_COMPONENT_BYTES;

/// How often content is compared even where size, times and identity say that nothing changed: some file systems lie.
const DISTRUST: Duration = Duration::from_secs(60);

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observed {
    /// Nothing.
    Missing,
    /// Something that changed a moment ago: look again.
    Unsettled,
    /// Something that cannot be read, and why.
    Unreadable(String),
    /// A file with this digest; whether it was written since the last look without becoming another.
    Settled { digest: String, touched: bool },
}

/// All files ever looked at.
#[derive(Debug)]
pub(super) struct Files {
    seen: HashMap<PathBuf, Seen>,
    settle: Duration,
}

#[derive(Debug)]
struct Seen {
    print: Print,
    /// Since when the print is this one.
    since: Instant,
    /// Of the content that was last read, whatever the print was then.
    digest: Option<String>,
    /// When it was read in the state of this print.
    read: Option<Instant>,
}

/// What tells one state of a file from another without reading it.
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
    /// `settle`: how long a file must hold still.
    pub(super) fn new(settle: Duration) -> Self {
        Self { seen: HashMap::new(), settle }
    }

    /// Changes how long a file must hold still.
    pub(super) fn settle_for(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// What is at `path`. A file that was never seen before has to settle too, unless `at_once`.
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

    /// The content of a file that was looked at, if it still is what it was then.
    pub(super) fn read(&self, path: &Path, digest: &str) -> Result<Arc<[u8]>, Observed> {
        let bytes = content(path, stat(path)?)?;
        if sha256(&bytes) == digest { Ok(bytes.into()) } else { Err(Observed::Unsettled) }
    }
}

fn stat(path: &Path) -> Result<Print, Observed> {
    use std::io::ErrorKind;
    match std::fs::metadata(path) {
        // OpenBreaker anything else could wait for ever.
        Ok(metadata) if !metadata.is_file() => Err(Observed::Unreadable("it is no regular file".into())),
        Ok(metadata) if metadata.size() > MAX_COMPONENT_BYTES as u64 => Err(Observed::Unreadable(format!(
            "it has {} bytes, expected at most {MAX_COMPONENT_BYTES}",
            metadata.size()
        ))),
        Ok(metadata) => Ok(Print::of(&metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(Observed::Missing),
        Err(error) => Err(Observed::Unreadable(format!("cannot be read: {error}"))),
    }
}

/// The bytes of a file in that state: `Unsettled` where it changed while it was read.
fn content(path: &Path, print: Print) -> Result<Vec<u8>, Observed> {
    let bytes = std::fs::read(path).map_err(|error| Observed::Unreadable(format!("cannot be read: {error}")))?;
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
        // Renaming over gives another inode, with whatever times the writer likes.
        let other = folder.path().join("other");
        std::fs::write(&other, b"one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"one"), true));
        assert_eq!(digest(&settled(&mut files, &path)), (sha256(b"one"), false), "told once");
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
    fn what_is_no_file_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(SETTLE);
        assert!(matches!(files.look(folder.path(), false), Observed::Unreadable(_)));
    }
}
