//! The thread that writes: it takes what waits, writes it at once and syncs it a little later. What the disk refuses it keeps and
//! tries again. Between two batches it keeps house.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

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
const RETRY: Duration = Duration::from_millis(100);

/// The segment that is written to.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: File,
    /// Bytes of it that are intact.
    pub(super) length: u64,
    pub(super) began: SystemTime,
}

/// See the module.
pub(super) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) segment: Segment,
    pub(super) options: Options,
    pub(super) status: Arc<Status>,
    /// What all lines that are written say.
    pub(super) book: Book,
    pub(super) house: House,
    /// Lines that are not written, and what they say.
    batch: Vec<u8>,
    records: Vec<Line>,
    /// What to call when they are written.
    written: Vec<Written>,
    /// Whether half of a batch may be behind the intact bytes.
    is_torn: bool,
    /// Since when something is written and not synced.
    dirty: Option<Instant>,
    /// When the disk last refused something.
    failed: Option<Instant>,
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        folder: PathBuf,
        segment: Segment,
        book: Book,
        closed: VecDeque<u64>,
        lock: File,
        options: Options,
        status: Arc<Status>,
    ) -> Self {
        let house = House::new(closed, segment.length);
        Self {
            folder,
            segment,
            options,
            status,
            book,
            house,
            batch: Vec::new(),
            records: Vec::new(),
            written: Vec::new(),
            is_torn: false,
            dirty: None,
            failed: None,
            _lock: lock,
        }
    }

    /// Writes the entry of a request that the process before was ended with.
    pub(super) fn interrupted(&mut self, entry: Entry) {
        self.status.queued.fetch_add(1, Ordering::Relaxed);
        self.take(Message::Entry(entry));
    }

    /// Takes a snapshot as soon as it can.
    pub(super) fn snapshot_soon(&mut self) {
        self.house.snapshot_due = true;
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
            self.sync();
            self.keep_house();
        }
        self.end(messages);
    }

    fn wait(&self) -> Duration {
        match (self.failed, self.dirty) {
            (Some(_), _) => RETRY,
            (None, _) if self.house.has_work() => Duration::ZERO,
            (None, Some(since)) => self.options.sync.saturating_sub(since.elapsed()),
            (None, None) if !self.batch.is_empty() => Duration::ZERO,
            (None, None) => self.house.wait(),
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
            // Long enough ago.
            Message::Sync => self.dirty = Instant::now().checked_sub(self.options.sync).or(self.dirty),
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
        self.status.done.fetch_add(records, Ordering::Release);
        self.status.written.fetch_add(entries, Ordering::Release);
        self.dirty.get_or_insert_with(Instant::now);
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.segment.file.set_len(self.segment.length)?;
        }
        if self.is_full() {
            self.next_segment()?;
        }
        self.is_torn = true;
        self.segment.file.write_all(&self.batch)?;
        self.is_torn = false;
        Ok(())
    }

    fn is_full(&self) -> bool {
        let Segment { length, began, .. } = self.segment;
        let is_old = || began.elapsed().is_ok_and(|age| age >= self.options.segment_age);
        length > 0 && (length + self.batch.len() as u64 > self.options.segment_bytes || is_old())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        self.segment.file.sync_data()?;
        let number = self.segment.number + 1;
        let file = files::append(&segment::path(&self.folder, number))?;
        // The new name must survive a loss of power as the lines do.
        files::sync_folder(&self.folder)?;
        self.house.closed(self.segment.number);
        self.segment = Segment { number, file, length: 0, began: SystemTime::now() };
        Ok(())
    }

    fn sync(&mut self) {
        if self.dirty.is_some_and(|since| since.elapsed() >= self.options.sync) {
            self.sync_now();
        }
    }

    /// Syncs what is written. Returns whether it is on the disk.
    fn sync_now(&mut self) -> bool {
        match self.segment.file.sync_data() {
            Ok(()) => {
                self.dirty = None;
                if self.records.is_empty() {
                    self.recovered();
                }
                self.status.synced(self.status.done.load(Ordering::Relaxed));
                true
            }
            Err(error) => {
                self.refused(&error);
                false
            }
        }
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

    /// Whether all that came is written.
    pub(super) fn is_idle(&self) -> bool {
        self.records.is_empty() && self.failed.is_none()
    }

    /// Takes a snapshot of what is written. Nothing that is not written is in the book.
    pub(super) fn snapshot(&mut self) -> io::Result<()> {
        // It must not say more than the disk has after a loss of power.
        self.segment.file.sync_data()?;
        self.book.save(&self.folder, Position { segment: self.segment.number, offset: self.segment.length })
    }

    /// Writes what is left.
    fn end(&mut self, messages: &Receiver<Message>) {
        self.failed = None;
        self.write();
        let mut lost = self.records.iter().filter(|record| matches!(record, Line::Entry(_))).count() as u64;
        if self.records.is_empty() && self.sync_now() && self.house.is_worth_a_snapshot(&self.segment) {
            let _ = self.snapshot().inspect_err(|error| self.status.failed(error, self.options.notify));
        }
        // Some only if the disk refused to the end.
        lost += messages.try_iter().filter(|message| matches!(message, Message::Entry(_))).count() as u64;
        self.status.lose(lost, self.options.notify);
    }
}
