//! Writes a log: entries go through a bounded queue to one thread, which makes lines of them and writes what has come together.
//!
//! The thread wakes for the first entry, gathers for a moment, and writes: under load a request that appends does not wake it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use wasmgate_policy_host::Role;

use crate::archive::{Archive, Closed};
use crate::content::{Content, HashKey, Keep};
use crate::models::ModelTable;
use crate::record::{self, Decision, Feedback};
use crate::segment::{self, Stream, UNFINISHED};
use crate::time::Moment;

/// Entries that may wait for the thread.
const QUEUE: usize = 1 << 14;
/// How long the thread gathers entries: what a `kill -9` may lose.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes after which a batch is written, although more waits.
const BATCH: usize = 1 << 20;
/// The longest time that the end of a log waits for its threads.
const END: Duration = Duration::from_secs(5);

/// How a log is written and kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes after which a new segment begins, before it is compressed.
    pub segment_bytes: u64,
    /// After this time a new segment begins.
    pub segment_age: Duration,
    /// Retention of decisions and of feedback.
    pub decisions: Retention,
    /// How texts are kept.
    pub content: Retention,
    /// Gets each error of the disk.
    pub report: fn(&io::Error),
}

/// How long lines are kept, and how much of the disk they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// No line is kept longer.
    pub max_age: Duration,
    /// The oldest segments go if all are larger than this together.
    pub max_bytes: u64,
}

/// Segments are at most this large before they are compressed.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Segments are at most this old.
const SEGMENT_AGE: Duration = Duration::from_secs(3600);
/// A stream has at least this many segments when it is full, so that what is deleted is a small part.
const PARTS: u32 = 16;

impl Options {
    /// Segments of a size and an age that fit what is kept.
    #[must_use]
    pub fn new(decisions: Retention, content: Retention, report: fn(&io::Error)) -> Self {
        let least_bytes = decisions.max_bytes.min(content.max_bytes) / u64::from(PARTS);
        let least_age = decisions.max_age.min(content.max_age) / PARTS;
        Self {
            segment_bytes: least_bytes.clamp(1 << 10, SEGMENT_BYTES),
            segment_age: least_age.clamp(Duration::from_millis(100), SEGMENT_AGE),
            decisions,
            content,
            report,
        }
    }

    pub(crate) fn retention(&self, stream: Stream) -> Retention {
        match stream {
            Stream::Decisions | Stream::Feedback => self.decisions,
            Stream::Content => self.content,
        }
    }
}

/// A log that this process writes to. When it is dropped, what waits is written and synced, unless the disk takes longer than five
/// seconds.
#[derive(Debug)]
pub struct Log<E> {
    queue: Option<SyncSender<Message<E>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    status: Arc<Status>,
}

/// What the thread gets.
#[derive(Debug)]
enum Message<E> {
    Entry(E),
    /// All before it is to be written, and then this to be dropped.
    Flush(SyncSender<()>),
}

/// What became of entries so far.
#[derive(Debug, Default)]
pub struct Status {
    written: AtomicU64,
    queue_full: AtomicU64,
    disk: AtomicU64,
}

impl Status {
    /// Lines handed to the kernel.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Entries dropped because the queue was full.
    #[must_use]
    pub fn queue_full(&self) -> u64 {
        self.queue_full.load(Ordering::Relaxed)
    }

    /// Lines dropped because the disk refused them.
    #[must_use]
    pub fn disk(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }
}

impl<E: Send + 'static> Log<E> {
    /// Opens the log in a folder, which is made if it does not exist. `write` makes lines of each entry, on the thread. `None` if
    /// another process writes to the folder.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn open(
        folder: &Path,
        options: Options,
        write: impl FnMut(E, &mut Lines) + Send + 'static,
    ) -> io::Result<Option<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let Some(lock) = lock(folder)?.map(Arc::new) else { return Ok(None) };
        remove_unfinished(folder)?;
        let status = Arc::new(Status::default());
        let (archive, closed) = channel();
        let active: Arc<[AtomicU64; 3]> = Arc::default();
        let lines = Lines {
            streams: Stream::ALL.map(|stream| Writer { stream, open: None, batch: Vec::new(), count: 0 }),
            shared: Shared {
                folder: folder.to_owned(),
                options,
                status: Arc::clone(&status),
                archive,
                active: Arc::clone(&active),
            },
            key: None,
            tables: Vec::new(),
            _lock: Arc::clone(&lock),
        };
        let (queue, entries) = sync_channel(QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let keeper = Archive { folder: folder.to_owned(), options, stop: Arc::clone(&stop), _lock: lock };
        let archiver = std::thread::Builder::new().name("decisions-zstd".to_owned()).spawn(move || {
            let active = |stream: Stream| match active[stream as usize].load(Ordering::Acquire) {
                0 => None,
                begun => Some(Moment(begun)),
            };
            // What the process before left.
            keeper.tidy(Moment::now(), active);
            keeper.run(&closed, active);
        })?;
        let writer =
            std::thread::Builder::new().name("decisions".to_owned()).spawn(move || lines.run(&entries, write))?;
        Ok(Some(Self { queue: Some(queue), threads: vec![writer, archiver], stop, status }))
    }

    /// Hands an entry to the thread. It never waits: if the queue is full, the entry is dropped and counted. Returns whether it
    /// was handed over.
    pub fn append(&self, entry: E) -> bool {
        let taken = self.queue.as_ref().is_some_and(|queue| queue.try_send(Message::Entry(entry)).is_ok());
        if !taken {
            self.status.queue_full.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Waits until all that was appended is written, or for this long.
    pub fn flush(&self, at_most: Duration) {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + at_most;
        let Some(queue) = &self.queue else { return };
        let mut message = Message::Flush(done);
        while let Err(mpsc::TrySendError::Full(back)) = queue.try_send(message) {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
            message = back;
        }
        // Either way it is over: the thread dropped its end, or the time passed.
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// What became of entries so far.
    #[must_use]
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

impl<E> Drop for Log<E> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        let until = Instant::now() + END;
        // One that a disk holds up ends with the process. They panic nowhere; if one did, there is nothing left to write with.
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
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

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|name| name.ends_with(UNFINISHED)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Where an entry writes its lines.
#[derive(Debug)]
pub struct Lines {
    streams: [Writer; 3],
    shared: Shared,
    /// The key to hash texts with, once a text was hashed.
    key: Option<HashKey>,
    /// The tables that the open segment has, by their ids.
    tables: Vec<String>,
    _lock: Arc<File>,
}

/// What the writers of all streams have in common.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    options: Options,
    status: Arc<Status>,
    archive: mpsc::Sender<Closed>,
    /// The segments that are written to, by stream; 0 if none is.
    active: Arc<[AtomicU64; 3]>,
}

/// The writer of a stream.
#[derive(Debug)]
struct Writer {
    stream: Stream,
    open: Option<Open>,
    batch: Vec<u8>,
    /// Lines in the batch.
    count: u64,
}

/// A segment that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    since: Instant,
    /// Bytes of the file that are intact.
    length: u64,
}

impl Lines {
    /// Writes a decision, and first the table that it names, if the segment does not have it.
    pub fn decision(&mut self, decision: &Decision, table: &ModelTable) {
        self.renew(Stream::Decisions);
        let writer = &mut self.streams[Stream::Decisions as usize];
        if !self.tables.iter().any(|id| id == table.id()) {
            self.tables.push(table.id().to_owned());
            record::append(record::MODELS, &table.line(), &mut writer.batch);
        }
        record::append(record::DECISION, decision, &mut writer.batch);
        self.added(Stream::Decisions);
    }

    /// Writes feedback.
    pub fn feedback(&mut self, feedback: &Feedback) {
        self.renew(Stream::Feedback);
        record::append(record::FEEDBACK, feedback, &mut self.streams[Stream::Feedback as usize].batch);
        self.added(Stream::Feedback);
    }

    /// Writes what is to be kept of a prompt's texts. Without a key to hash them with, they are dropped and counted.
    pub fn content(&mut self, id: &str, time: Moment, keep: Keep, messages: Vec<(Role, String)>) {
        if keep == Keep::Hash && self.key.is_none() {
            match HashKey::of(&self.shared.folder) {
                Ok(key) => self.key = Some(key),
                Err(error) => {
                    self.shared.status.disk.fetch_add(1, Ordering::Relaxed);
                    return (self.shared.options.report)(&error);
                }
            }
        }
        if let Some(content) = Content::of(id, time, keep, messages, self.key.as_ref()) {
            self.renew(Stream::Content);
            record::append(record::CONTENT, &content, &mut self.streams[Stream::Content as usize].batch);
            self.added(Stream::Content);
        }
    }

    /// Closes the segment of a stream if it is full or old.
    fn renew(&mut self, stream: Stream) {
        let writer = &mut self.streams[stream as usize];
        if writer.is_over(&self.shared.options) {
            writer.close(&self.shared);
            if stream == Stream::Decisions {
                self.tables.clear();
            }
        }
    }

    fn added(&mut self, stream: Stream) {
        let writer = &mut self.streams[stream as usize];
        writer.count += 1;
        if writer.batch.len() >= BATCH && writer.write(&self.shared).is_err() && stream == Stream::Decisions {
            self.tables.clear();
        }
    }

    fn run<E>(mut self, messages: &Receiver<Message<E>>, mut write: impl FnMut(E, &mut Self)) {
        let mut is_behind = false;
        loop {
            let mut next = match messages.recv_timeout(self.shared.options.segment_age) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if matches!(next, Some(Message::Entry(_))) && !is_behind {
                std::thread::sleep(GATHER);
            }
            let (mut flushed, since) = (None, Instant::now());
            is_behind = false;
            while let Some(message) = next {
                match message {
                    Message::Entry(entry) => write(entry, &mut self),
                    Message::Flush(done) => {
                        flushed = Some(done);
                        break;
                    }
                }
                // What is in a batch is lost if the process is killed.
                is_behind = since.elapsed() >= GATHER;
                if is_behind {
                    break;
                }
                next = messages.try_recv().ok();
            }
            self.write_all();
            drop(flushed);
            for stream in Stream::ALL {
                self.renew(stream);
            }
        }
        self.write_all();
        for writer in &mut self.streams {
            writer.close(&self.shared);
        }
    }

    fn write_all(&mut self) {
        for writer in &mut self.streams {
            if writer.write(&self.shared).is_err() && writer.stream == Stream::Decisions {
                self.tables.clear();
            }
        }
    }
}

impl Writer {
    fn is_over(&self, options: &Options) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.length + self.batch.len() as u64 >= options.segment_bytes
                || open.since.elapsed() >= options.segment_age
        })
    }

    /// Hands the batch to the kernel. If the disk refuses it, it is dropped and counted.
    fn write(&mut self, shared: &Shared) -> Result<(), ()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let written = self.try_write(shared);
        match &written {
            Ok(()) => {
                shared.status.written.fetch_add(self.count, Ordering::Relaxed);
            }
            Err(error) => {
                shared.status.disk.fetch_add(self.count, Ordering::Relaxed);
                (shared.options.report)(error);
                // What was written of it is no line. The next batch begins a new segment.
                if let Some(open) = &self.open {
                    let _ = open.file.set_len(open.length);
                }
                self.open = None;
            }
        }
        self.batch.clear();
        self.count = 0;
        written.map_err(drop)
    }

    fn try_write(&mut self, shared: &Shared) -> io::Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let announce = |begun: Moment| shared.active[self.stream as usize].store(begun.0, Ordering::Release);
                let file = segment::create(&shared.folder, self.stream, Moment::now(), announce)?;
                none.insert(Open { file, since: Instant::now(), length: 0 })
            }
        };
        open.file.write_all(&self.batch)?;
        open.length += self.batch.len() as u64;
        Ok(())
    }

    /// Writes what waits and closes the segment.
    fn close(&mut self, shared: &Shared) {
        // Counted and reported there.
        let _ = self.write(shared);
        if let Some(open) = self.open.take() {
            if let Err(error) = open.file.sync_all() {
                (shared.options.report)(&error);
            }
            shared.active[self.stream as usize].store(0, Ordering::Release);
            // At the end of the process nobody acts on it: the next one does that work.
            let _ = shared.archive.send(Closed);
        }
    }
}

#[cfg(test)]
#[path = "tests/write.rs"]
mod tests;
