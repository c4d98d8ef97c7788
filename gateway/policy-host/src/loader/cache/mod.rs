//! Caches compiled components in a private folder, so that a restart or a rollback to a known component compiles
//! nothing.
//!
//! The gateway executes an entry as machine code. So the folder must belong to the user and be closed to all others. An
//! entry is read completely before it is verified, so that replacing the file meanwhile does no harm. A checksum over
//! its key and its content detects torn writes and bad disks. Losing the folder costs one compilation for each
//! component, nothing else. This module must not know: components, the runtime.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::artefact::Artefact;

/// Maximum size of all entries together, in bytes: some 400 Rust policies, or a dozen with a language engine inside.
/// Beyond it the least recently used entries are evicted.
const MAX_BYTES: u64 = 512 << 20;
/// Length of the checksum at the end of an entry.
const CHECKSUM_BYTES: usize = 32;
/// Suffixes of entries and of unfinished entries. The cache touches nothing else in the folder.
const ENTRY: &str = ".artefact";
const UNFINISHED: &str = ".artefact-new";

/// An open cache folder.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    engine: String,
    max_bytes: u64,
}

impl Cache {
    /// Opens the folder for artefacts that depend on `engine`, and creates it if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be created, or others may enter it: what was found and what is expected.
    pub(super) fn open(folder: &Path, engine: &impl Hash) -> Result<Self, String> {
        let shown = folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| format!("{shown} cannot be created: {error}"))?;
        // Does not follow a link: whoever can replace the link chooses the folder.
        let found = fs::symlink_metadata(folder).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        if !found.is_dir() {
            return Err(format!("{shown} is not a folder"));
        }
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user {
            return Err(format!("{shown} belongs to user {}, expected {user}, the user of this process", found.uid()));
        }
        if found.mode() & 0o077 != 0 {
            return Err(format!("{shown} has mode {:04o}, expected 0700: no access for others", found.mode() & 0o7777));
        }
        let mut hasher = Sha(Sha256::new());
        engine.hash(&mut hasher);
        let engine = wasmgate_base::digest::hex(&hasher.0.finalize()[..8]);
        Ok(Self { folder: folder.to_owned(), engine, max_bytes: MAX_BYTES })
    }

    /// The artefact of the component with this digest. A damaged entry is removed.
    pub(super) fn get(&self, digest: &str) -> Option<Artefact> {
        let key = self.key(digest);
        let path = self.folder.join(&key);
        match self.read(&path, &key) {
            Ok(bytes) => Some(Artefact::returned(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(entry = %path.display(), %error, "unusable entry in the policy cache, recompiling");
                self.remove(digest);
                None
            }
        }
    }

    /// Stores an artefact for the component with this digest. A failure is logged; the next load then compiles.
    pub(super) fn put(&self, digest: &str, artefact: &Artefact) {
        let key = self.key(digest);
        if let Err(error) = self.write(&key, artefact.bytes()).and_then(|()| self.evict()) {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot store a compiled policy in the cache");
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&self, digest: &str) {
        let _ = fs::remove_file(self.folder.join(self.key(digest)));
    }

    fn key(&self, digest: &str) -> String {
        format!("{digest}-{}{ENTRY}", self.engine)
    }

    fn read(&self, path: &Path, key: &str) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        (&file).take(self.max_bytes).read_to_end(&mut bytes)?;
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let length = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or_else(|| damaged("it is too short"))?;
        if checksum(key, &bytes[..length]) != bytes[length..] {
            return Err(damaged("its checksum does not match"));
        }
        bytes.truncate(length);
        // Marks the entry as used, because the least recently used is evicted first. If the folder forbids it, age
        // decides.
        let _ = file.set_modified(SystemTime::now());
        Ok(bytes)
    }

    /// Writes atomically: to a temporary file, synced to the disk, then renamed.
    fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if bytes.len() as u64 + CHECKSUM_BYTES as u64 > self.max_bytes {
            return Err(io::Error::other(format!("it has {} bytes, expected at most {}", bytes.len(), self.max_bytes)));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!("{}-{number}{UNFINISHED}", std::process::id()));
        let write = || {
            // Somebody may have deleted it while the gateway served.
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(bytes)?;
            file.write_all(&checksum(key, bytes))?;
            file.sync_all()?;
            fs::rename(&unfinished, self.folder.join(key))
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// Removes the least recently used entries until the rest is within bounds. Unfinished entries that a crash left
    /// age like the others.
    fn evict(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.ends_with(ENTRY) && !name.ends_with(UNFINISHED) {
                continue;
            }
            // Another gateway that shares the folder may have removed it.
            if let Ok(found) = fs::symlink_metadata(&path) {
                entries.push((found.modified()?, found.len(), path));
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, length, path) in entries {
            if bytes <= self.max_bytes {
                break;
            }
            let _ = fs::remove_file(path);
            bytes -= length;
        }
        Ok(())
    }
}

fn checksum(key: &str, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    Sha256::new().chain_update(key).chain_update(bytes).finalize().into()
}

/// Hashes with SHA-256: the standard library's hasher may change with its version, and has only 64 bits.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_be_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]])
    }
}

#[cfg(test)]
mod tests;
