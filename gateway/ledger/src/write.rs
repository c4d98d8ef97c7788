//! Writes a ledger: entries go through a bounded queue to one thread, which writes what has come together (group commit).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::entry::Entry;
use crate::read::{Report, read};
use crate::{line, segment};

/// Entries that may wait for the thread.
const QUEUE: usize = 1 << 16;
/// Bytes after which a batch is written, although more waits.
const BATCH: usize = 1 << 20;

/// How a ledger is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes after which a new file begins.
    pub segment_bytes: u64,
    /// The longest time between a write and its sync to the disk.
    pub sync: Duration,
    /// Gets each error of the disk.
    pub report: fn(&io::Error),
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, sync: Duration::from_millis(100), report: |_| () }
    }
}

/// A ledger that this process writes to. When it is dropped, what waits is written and synced.
#[derive(Debug)]
pub struct Ledger {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    status: Arc<Status>,
}

/// What the thread gets.
#[derive(Debug)]
enum Message {
    /// An entry to write.
    Entry(Entry),
    /// All before it is to be written and synced, and then this to be dropped.
    Flush(SyncSender<()>),
}

/// What became of entries so far.
#[derive(Debug, Default)]
pub struct Status {
    written: AtomicU64,
    lost: AtomicU64,
}

impl Status {
    /// Entries handed to the kernel.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Entries lost: the queue was full, or the disk refused them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A ledger, and what was in it.
#[derive(Debug)]
pub struct Opened {
    /// The ledger; `None` if another process writes to the folder.
    pub ledger: Option<Ledger>,
    /// What was found. A torn end has been cut off, unless another process writes.
    pub report: Report,
}

impl Ledger {
    /// Opens the ledger in a folder, which is made if it does not exist. `each` gets the entries that are in it.
    ///
    /// # Errors
    /// If the folder or a file cannot be read or written.
    pub fn open(folder: &Path, options: Options, each: impl FnMut(Entry)) -> io::Result<Opened> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let Some(lock) = lock(folder)? else {
            return Ok(Opened { ledger: None, report: read(folder, each)? });
        };
        let report = read(folder, each)?;
        if let Some(torn) = &report.torn {
            let file = OpenOptions::new().write(true).open(&torn.path)?;
            file.set_len(torn.intact)?;
            file.sync_all()?;
        }
        let number = segment::numbers(folder)?.last().copied().unwrap_or(1);
        let status = Arc::new(Status::default());
        let writer = Writer {
            file: append(&segment::path(folder, number))?,
            length: fs::metadata(segment::path(folder, number))?.len(),
            number,
            folder: folder.to_owned(),
            options,
            status: Arc::clone(&status),
            _lock: lock,
        };
        let (queue, entries) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run(&entries))?;
        Ok(Opened { ledger: Some(Self { queue: Some(queue), thread: Some(thread), status }), report })
    }

    /// Hands an entry to the thread. It never waits: if the queue is full, the entry is lost and counted.
    pub fn append(&self, entry: Entry) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(Message::Entry(entry)) {
            self.status.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was appended is written and synced, or for this long.
    pub fn flush(&self, at_most: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.as_ref().is_some_and(|queue| queue.send(Message::Flush(done)).is_ok()) {
            // Either way it is over: the thread dropped its end, or the time passed.
            let _ = wait.recv_timeout(at_most);
        }
    }

    /// What became of entries so far.
    #[must_use]
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, there is nothing left to write with.
            let _ = thread.join();
        }
    }
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

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The thread that writes.
struct Writer {
    folder: PathBuf,
    number: u64,
    file: File,
    /// Bytes of the file that are intact.
    length: u64,
    options: Options,
    status: Arc<Status>,
    _lock: File,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut batch = Vec::new();
        // Since when something is written and not synced.
        let mut dirty: Option<Instant> = None;
        loop {
            let wait = dirty.map_or(Duration::MAX, |since| self.options.sync.saturating_sub(since.elapsed()));
            let mut next = match messages.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            batch.clear();
            let (mut count, mut flush) = (0, None);
            while let Some(message) = next {
                match message {
                    Message::Entry(entry) => {
                        line::write(&entry, &mut batch);
                        count += 1;
                    }
                    Message::Flush(done) => {
                        flush = Some(done);
                        break;
                    }
                }
                next = if batch.len() < BATCH { messages.try_recv().ok() } else { None };
            }
            if count > 0 {
                self.write(&batch, count);
                dirty.get_or_insert_with(Instant::now);
            }
            if flush.is_some() || dirty.is_some_and(|since| since.elapsed() >= self.options.sync) {
                self.sync();
                dirty = None;
            }
        }
        self.sync();
    }

    fn write(&mut self, batch: &[u8], count: u64) {
        match self.try_write(batch) {
            Ok(()) => {
                self.length += batch.len() as u64;
                self.status.written.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => {
                self.status.lost.fetch_add(count, Ordering::Relaxed);
                (self.options.report)(&error);
                // What was written of it is no line. If this fails too, the next batch begins behind a damaged one.
                let _ = self.file.set_len(self.length);
            }
        }
    }

    fn try_write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.length > 0 && self.length + batch.len() as u64 > self.options.segment_bytes {
            let next = append(&segment::path(&self.folder, self.number + 1))?;
            self.file.sync_data()?;
            (self.file, self.number, self.length) = (next, self.number + 1, 0);
            // The new name must survive a loss of power as the entries do.
            File::open(&self.folder)?.sync_all()?;
        }
        self.file.write_all(batch)
    }

    fn sync(&mut self) {
        if let Err(error) = self.file.sync_data() {
            (self.options.report)(&error);
        }
    }
}

#[cfg(test)]
mod tests;
