//! The thread that writes: it takes what waits and hands it to the kernel at once. What the disk refuses it keeps and tries again.
//! It never syncs: the second thread does (`house`).

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::desk::Snapshot;
use super::house::House;
use super::{Message, Notice, Options, Written};
use crate::book::Book;
use crate::entry::Entry;
use crate::files;
use crate::line::{self, Line};
use crate::segment::{self, Position};
use crate::status::Status;

/// Bytes after which a batch is written, although more waits.
const BATCH: usize = 1 << 20;
/// How long the thread waits before it tries again what the disk refused.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// How long the thread waits for a record if it has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// The segment that is written to.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Arc<File>,
    /// Bytes of it that are intact.
    pub(super) length: u64,
    pub(super) began: SystemTime,
}

/// See the module.
pub(super) struct Writer {
    folder: PathBuf,
    segment: Segment,
    options: Options,
    status: Arc<Status>,
    /// What all lines that are written say.
    book: Book,
    /// Who syncs what is written.
    house: House,
    /// How much of the segment was written when the process began.
    began_with: u64,
    /// Lines that are not written, and what they say.
    batch: Vec<u8>,
    records: Vec<Line>,
    /// What to call when they are written.
    written: Vec<Written>,
    /// Whether half of a batch may be behind the intact bytes.
    is_torn: bool,
    /// Whether what is written is to be synced at once.
    is_urgent: bool,
    /// When the disk last refused something.
    failed: Option<Instant>,
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        folder: PathBuf,
        segment: Segment,
        book: Book,
        house: House,
        lock: File,
        options: Options,
        status: Arc<Status>,
    ) -> Self {
        Self {
            folder,
            began_with: segment.length,
            segment,
            options,
            status,
            book,
            house,
            batch: Vec::new(),
            records: Vec::new(),
            written: Vec::new(),
            is_torn: false,
            is_urgent: false,
            failed: None,
            _lock: lock,
        }
    }

    /// Writes the entry of a request that the process before was ended with.
    pub(super) fn interrupted(&mut self, entry: Entry) {
        self.status.queued.fetch_add(1, Ordering::Relaxed);
        self.take(Message::Entry(entry));
    }

    /// Has a snapshot taken of what was read.
    pub(super) fn snapshot_soon(&mut self) {
        self.house.desk().snapshot(self.snapshot());
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.status.is_prompt.store(true, Ordering::Relaxed);
        loop {
            if self.batch.len() < BATCH {
                match messages.recv_timeout(self.wait()) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                while self.batch.len() < BATCH
                    && let Ok(message) = messages.try_recv()
                {
                    self.take(message);
                }
            } else if self.status.stopping.load(Ordering::Relaxed) {
                break;
            } else {
                // The disk refuses a whole batch; what comes stays in the queue.
                std::thread::sleep(RETRY);
            }
            self.write();
            if std::mem::take(&mut self.is_urgent) {
                self.house.desk().sync();
            }
        }
        self.end(messages);
    }

    fn wait(&self) -> Duration {
        match self.failed {
            Some(_) => RETRY,
            None if !self.batch.is_empty() => Duration::ZERO,
            None => IDLE,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Entry(entry) => {
                line::write(&entry, &mut self.batch);
                self.records.push(Line::Entry(entry));
            }
            Message::Reserved(reserved, written) => {
                self.written.extend(written);
                line::write(&reserved, &mut self.batch);
                self.records.push(Line::Reserved(reserved));
            }
            Message::Sync => self.is_urgent = true,
        }
    }

    fn write(&mut self) {
        if self.records.is_empty() || self.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return;
        }
        if let Err(error) = self.try_write() {
            self.status.is_prompt.store(false, Ordering::Relaxed);
            self.written.clear();
            self.refused(&error);
            // So that no reader finds it.
            self.is_torn &= self.segment.file.set_len(self.segment.length).is_err();
            return;
        }
        self.recovered();
        self.written.drain(..).for_each(|written| written());
        self.status.is_prompt.store(true, Ordering::Relaxed);
        self.segment.length += self.batch.len() as u64;
        let records = self.records.len() as u64;
        let entries = self.records.iter().filter(|record| matches!(record, Line::Entry(_))).count() as u64;
        self.records.drain(..).for_each(|record| self.book.take(record));
        self.batch.clear();
        let done = self.status.done.fetch_add(records, Ordering::Release) + records;
        self.status.written.fetch_add(entries, Ordering::Release);
        self.house.desk().wrote(done);
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.segment.file.set_len(self.segment.length)?;
        }
        if self.is_full() {
            self.next_segment()?;
        }
        self.is_torn = true;
        (&*self.segment.file).write_all(&self.batch)?;
        self.is_torn = false;
        Ok(())
    }

    fn is_full(&self) -> bool {
        let Segment { length, began, .. } = self.segment;
        let is_old = || began.elapsed().is_ok_and(|age| age >= self.options.segment_age);
        length > 0 && (length + self.batch.len() as u64 > self.options.segment_bytes || is_old())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let number = self.segment.number + 1;
        let file = Arc::new(files::append(&segment::path(&self.folder, number))?);
        let at = Position { segment: number, offset: 0 };
        let snapshot = Snapshot { book: self.book.clone(), at, file: Arc::clone(&file) };
        self.house.desk().next_segment(number, Arc::clone(&file), snapshot);
        self.segment = Segment { number, file, length: 0, began: SystemTime::now() };
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let at = Position { segment: self.segment.number, offset: self.segment.length };
        Snapshot { book: self.book.clone(), at, file: Arc::clone(&self.segment.file) }
    }

    fn recovered(&mut self) {
        if self.failed.take().is_some() {
            (self.options.notify)(&Notice::Recovered);
        }
    }

    fn refused(&mut self, error: &io::Error) {
        self.failed = Some(Instant::now());
        self.status.failed(error, self.options.notify);
    }

    /// Writes what is left.
    fn end(&mut self, messages: &Receiver<Message>) {
        self.failed = None;
        self.write();
        let mut lost = self.records.iter().filter(|record| matches!(record, Line::Entry(_))).count() as u64;
        // The next start reads less for a snapshot of the end.
        let is_worth_it = self.records.is_empty() && self.segment.length != self.began_with;
        let last = is_worth_it.then(|| self.snapshot());
        self.house.end(last);
        // Some only if the disk refused to the end.
        lost += messages.try_iter().filter(|message| matches!(message, Message::Entry(_))).count() as u64;
        self.status.lose(lost, self.options.notify);
    }
}
