//! The file that keeps keys and groups over a restart: `changes.log`, a change on each line, in the order in which they were made.
//! A line has its length and its checksum in front, so that a line that was not written completely is known. Behind them is the
//! mark of the change, unless it is that of a new one.
//!
//! A change counts when it is on the disk: it is written and synced before anybody learns of it. When the file has more lines than
//! needed, it is rewritten under a temporary name and replaced at once. So whenever the process or the machine stops,
//! the file has every change that was answered, and at most one that was not: the torn end, which the next start cuts off.
//!
//! One process at a time writes: it holds `lock`. Another one reads, and takes over when the lock is free.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::mark::Marked;

/// Length of what is in front of a change: two numbers, each with a space behind it.
const HEAD: usize = 18;
/// Lines that a file may have beyond twice those that it needs before it is written anew.
const SPARE_LINES: u64 = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// Held by the process that writes.
    lock: Option<File>,
    /// The file; `None` before the first change and after an error.
    file: Option<File>,
    /// Which file it is: its device and its number there; `None` before there is one.
    identity: Option<(u64, u64)>,
    /// How much of the file is intact, in bytes.
    length: u64,
    /// Lines of the file.
    lines: u64,
}

/// What was found in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Changes.
    pub(super) lines: u64,
    /// Bytes behind the last one that are no complete line.
    pub(super) torn: u64,
    length: u64,
}

/// A file that cannot be relied on.
#[derive(Debug)]
pub(super) enum LogError {
    /// Its folder cannot be made.
    NoFolder(io::Error),
    /// It cannot be read.
    Io(io::Error),
    /// The line of this number is damaged and intact ones are behind it, or it is of another version.
    Damaged(u64),
}

impl Log {
    /// Opens the log in a folder, which is made if it does not exist, and gives `each` its changes. If no other process does, this
    /// one writes to it from now on.
    pub(super) fn open(folder: &Path, each: impl FnMut(Marked)) -> Result<(Self, Found), LogError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(LogError::NoFolder)?;
        // What cannot be locked, such as a folder that is read-only, can still be read; the first change says why it fails.
        let lock = lock(folder).unwrap_or_default();
        let mut log = Self { folder: folder.to_owned(), lock, file: None, identity: None, length: 0, lines: 0 };
        let found = log.read(each)?;
        Ok((log, found))
    }

    /// Where it is, for messages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether this process writes.
    pub(super) fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes over if the process that wrote has ended: gives `each` all changes anew. Returns whether it did.
    pub(super) fn take_over(&mut self, each: impl FnMut(Marked)) -> Result<bool, LogError> {
        let Some(lock) = lock(&self.folder)? else { return Ok(false) };
        self.lock = Some(lock);
        if let Err(error) = self.read(each) {
            self.lock = None;
            return Err(error);
        }
        Ok(true)
    }

    fn read(&mut self, each: impl FnMut(Marked)) -> Result<Found, LogError> {
        let found = read(&self.path(), each)?;
        (self.length, self.lines) = (found.length, found.lines);
        self.identity = identity(fs::metadata(self.path()));
        Ok(found)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("changes.log")
    }

    /// Whether somebody removed or replaced the folder or the file while this process wrote to it, or cut the file.
    pub(super) fn is_gone(&self) -> bool {
        let is_cut = || match fs::metadata(self.path()) {
            Ok(there) => there.len() < self.length || identity(Ok(there)) != self.identity,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.is_folder_gone() || self.lock.is_some() && self.length > 0 && is_cut()
    }

    fn is_folder_gone(&self) -> bool {
        let there = identity(fs::metadata(self.folder.join("lock")));
        self.lock.as_ref().is_some_and(|lock| there.is_none() || there != identity(lock.metadata()))
    }

    /// Appends changes. They are on the disk when this returns; with `is_sure` they also survive a loss of power.
    ///
    /// # Errors
    /// If they are not; then it is as if it had not been tried.
    pub(super) fn append(&mut self, changes: &[Marked], is_sure: bool) -> io::Result<()> {
        let lines: Vec<u8> = changes.iter().flat_map(Marked::to_line).collect();
        let written = (|| {
            let file = match &mut self.file {
                Some(file) => file,
                None => {
                    let file = open(&self.folder.join("changes.log"), self.length)?;
                    self.identity = identity(file.metadata());
                    self.file.insert(file)
                }
            };
            file.write_all(&lines)?;
            if is_sure { file.sync_data() } else { Ok(()) }
        })();
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                self.lines += changes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // The next change opens the file and cuts off what may have been written of this one.
                if let Some(file) = self.file.take() {
                    let _ = file.set_len(self.length).and_then(|()| file.sync_data());
                }
                Err(error)
            }
        }
    }

    /// Whether most lines have been replaced by later ones, where `needed` say all.
    pub(super) fn is_long(&self, needed: usize) -> bool {
        self.lines > 2 * needed as u64 + SPARE_LINES
    }

    /// Writes the file anew: these changes and no others.
    ///
    /// # Errors
    /// If that is not possible; then the file is as it was.
    pub(super) fn rewrite(&mut self, changes: impl Iterator<Item = Marked>) -> io::Result<()> {
        let temporary = self.folder.join("changes.new");
        let written = (|| {
            let mut file = BufWriter::with_capacity(1 << 20, create(&temporary)?);
            let (mut length, mut lines) = (0, 0);
            for change in changes {
                let line = change.to_line();
                file.write_all(&line)?;
                length += line.len() as u64;
                lines += 1;
            }
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&temporary, self.path())?;
            File::open(&self.folder)?.sync_all()?;
            Ok((length, lines))
        })();
        self.file = None;
        match written {
            Ok((length, lines)) => {
                (self.length, self.lines) = (length, lines);
                self.identity = identity(fs::metadata(self.path()));
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// Makes what `is_gone` anew, with these changes.
    pub(super) fn restore(&mut self, changes: impl Iterator<Item = Marked>) -> io::Result<()> {
        if self.is_folder_gone() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let held = || io::Error::other("another gateway made the folder anew and writes to it");
            self.lock = Some(lock(&self.folder)?.ok_or_else(held)?);
        }
        self.rewrite(changes)
    }
}

/// The text of a line without its line break; `None` if it is not complete and intact.
fn intact(line: &[u8]) -> Option<&[u8]> {
    let (head, text) = line.split_at_checked(HEAD)?;
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let (length, checksum) = (number(&head[..8])?, number(&head[9..17])?);
    (length as usize == text.len() && checksum == crc32fast::hash(text)).then_some(text)
}

/// Reads a file to its end. One that does not exist is empty.
fn read(path: &Path, mut each: impl FnMut(Marked)) -> Result<Found, LogError> {
    let mut file = match File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 18, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Found::default();
    let (mut at, mut number, mut damaged) = (0, 0, None);
    let mut text = Vec::new();
    loop {
        text.clear();
        let length = file.read_until(b'\n', &mut text)?;
        if length == 0 {
            break;
        }
        at += length as u64;
        number += 1;
        match text.strip_suffix(b"\n").and_then(intact) {
            Some(text) => {
                // A key that is blocked in a line that nobody can read must not be valid again.
                if let Some(number) = damaged {
                    return Err(LogError::Damaged(number));
                }
                each(Marked::from_text(text).ok_or(LogError::Damaged(number))?);
                (found.length, found.lines) = (at, found.lines + 1);
            }
            None => damaged = damaged.or(Some(number)),
        }
    }
    found.torn = at - found.length;
    Ok(found)
}

/// Opens a file to append to it, and cuts off what is behind `length` bytes.
fn open(path: &Path, length: u64) -> io::Result<File> {
    let is_new = !path.exists();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let found = file.metadata()?.len();
    if found < length {
        // Made longer it would have zeros where changes were.
        return Err(io::Error::other(format!("{} has {found} bytes of {length}", path.display())));
    }
    if found > length {
        file.set_len(length)?;
    }
    if is_new && let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

fn identity(of: io::Result<fs::Metadata>) -> Option<(u64, u64)> {
    of.ok().map(|of| (of.dev(), of.ino()))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}

/// The right to write to a folder, until it is dropped; `None` if another process has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests;
