//! The ledger of this process: records go through a bounded queue to one thread, which hands what has come together to the kernel
//! (group commit). A second thread syncs it to the disk and keeps house, so that no record waits for a sync. Nothing here waits
//! for the disk but `flush`, and that no longer than its caller allows.
//!
//! One process at a time writes to a folder: it holds the lock `lock` in it, which the kernel frees when the process ends. A
//! second one, as in a rolling restart, reads along what the first one writes, keeps its own records in the queue and takes the
//! ledger over when the lock is free.

mod desk;
mod house;
mod tail;
mod writer;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use wasmgate_base::history::History;

use crate::entry::{Entry, Reserved};
use crate::files;
use crate::read::Report;
use crate::status::Status;
use tail::Tail;
use writer::Writer;

/// How often a process that waits for the end of another one looks.
const LOOK: Duration = Duration::from_millis(50);
/// The longest time that the end of a ledger waits for its thread.
const END: Duration = Duration::from_secs(5);

/// How a ledger is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes after which a new segment begins. A start reads one segment and a snapshot of those before it.
    pub segment_bytes: u64,
    /// Time after which a new segment begins.
    pub segment_age: Duration,
    /// The longest time between a write and its sync to the disk.
    pub sync: Duration,
    /// Records that may wait for the thread. The last half is for the entries of requests that were admitted.
    pub queue: usize,
    /// Closed segments are deleted after this time; `None`: never. What they say of sums stays in the snapshots.
    pub max_age: Option<Duration>,
    /// The oldest closed segments are deleted when all files together have more bytes.
    pub max_bytes: Option<u64>,
    /// How a file is synced to the disk. Tests hold it up.
    pub sync_file: fn(&File) -> io::Result<()>,
    /// Gets what the thread has to say.
    pub notify: fn(&Notice<'_>),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_age: Duration::from_secs(86_400),
            sync: Duration::from_millis(100),
            queue: 1 << 16,
            max_age: None,
            max_bytes: None,
            sync_file: File::sync_data,
            notify: |_| (),
        }
    }
}

/// What the thread has to say.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The disk refused something. Records wait and are written again.
    Error(&'a io::Error),
    /// The disk takes records again.
    Recovered,
    /// The process that wrote the ledger has ended, and this one writes it from now on. What it read since the start.
    TookOver(&'a Report),
    /// The process ends, and the disk did not take so many entries.
    Lost(u64),
}

/// What a ledger has, as it is read: first the past, then entries in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// Requests of a group's own keys, by its name: all that a snapshot has of those of which nobody knows which groups were above
    /// it.
    Past(&'a str, &'a History),
    /// What counted in a group, by its name, also of requests of groups that were below it: all else that a snapshot has.
    Counted(&'a str, &'a History),
    /// An entry behind the snapshot.
    Entry(&'a Entry),
}

/// A ledger that this process writes to, or will. When it is dropped, what waits is written and synced, within bounds.
#[derive(Debug)]
pub struct Ledger {
    queue: Option<SyncSender<Message>>,
    room: u64,
    status: Arc<Status>,
}

/// What the thread calls when the kernel has a record: from then on it survives the end of the process.
pub type Written = Box<dyn FnOnce() + Send>;

/// What the thread gets.
enum Message {
    Entry(Entry),
    Reserved(Reserved, Option<Written>),
    /// All before it is to be synced at once.
    Sync,
}

impl Ledger {
    /// Opens the ledger in a folder, which is made if it does not exist. `each` gets what is in it, and what another process
    /// writes to it until this one takes it over. Returns what was found.
    ///
    /// # Errors
    /// If the folder or a file cannot be read or written.
    pub fn open(
        folder: &Path,
        options: Options,
        each: impl FnMut(Event<'_>) + Send + 'static,
    ) -> io::Result<(Self, Report)> {
        files::make_folder(folder)?;
        let lock = files::lock(folder)?;
        let status = Arc::new(Status::default());
        let mut report = Report::default();
        let mut tail = Tail::open(folder, Box::new(each), &mut report)?;
        let (sender, messages) = sync_channel(options.queue);
        let shared = (options, Arc::clone(&status));
        let writer = match lock {
            // A disk that is full now may have room later.
            Some(lock) => tail.become_writer(lock, &mut report, shared.clone()).inspect_err(|error| {
                status.failed(error, options.notify);
            }),
            None => Err(io::ErrorKind::WouldBlock.into()),
        };
        status.note_found(&report);
        let found = report.clone();
        let ended = Arc::clone(&status);
        std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            match writer {
                Ok(writer) => writer.run(&messages),
                Err(_) => wait_and_run(tail, found, &shared, &messages),
            }
            ended.ended();
        })?;
        Ok((Self { queue: Some(sender), room: options.queue as u64 / 2, status }, report))
    }

    /// Whether there is room for a request that must not be forgotten if the process ends. If not, the disk is behind by half of
    /// the queue; the rest is for entries of requests that were admitted.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.status.waiting() < self.room
    }

    /// Whether a record is with the kernel in a moment: this process writes, and the disk refused and delayed nothing of late.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.status.is_prompt.load(Ordering::Relaxed)
    }

    /// Somebody waited too long for the kernel to have a record: nobody waits any more until it takes records again.
    pub fn is_late(&self) {
        self.status.is_prompt.store(false, Ordering::Relaxed);
    }

    /// Notes that a request was admitted. It never waits: if there is no room, nothing is noted, and the request is forgotten if
    /// the process ends before it. The thread calls `written` when the kernel has the record, or drops it.
    pub fn reserve(&self, reserved: Reserved, written: Option<Written>) {
        if self.has_room() {
            let _ = self.send(Message::Reserved(reserved, written));
        }
    }

    /// Hands the entry of a request that ended to the thread. It never waits: if the queue is full, the entry is lost and counted,
    /// and what the request had reserved counts in its place after the next start.
    pub fn append(&self, entry: Entry) {
        if !self.send(Message::Entry(entry)) {
            self.status.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, message: Message) -> bool {
        let Some(queue) = &self.queue else { return false };
        // Before it is sent: the thread must never have done more than was queued.
        self.status.queued.fetch_add(1, Ordering::Relaxed);
        let sent = queue.try_send(message).is_ok();
        if !sent {
            self.status.queued.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }

    /// Waits until all that was appended is written and synced, or for this long. Returns whether it is.
    pub fn flush(&self, at_most: Duration) -> bool {
        if let Some(queue) = &self.queue
            && let Err(TrySendError::Disconnected(_)) = queue.try_send(Message::Sync)
        {
            return false;
        }
        self.status.wait_synced(at_most)
    }

    /// What became of records so far.
    #[must_use]
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.status.stopping.store(true, Ordering::Relaxed);
        self.queue = None;
        // A thread that a disk holds up ends with the process.
        self.status.wait_ended(END);
    }
}

/// Reads along until the other process ends, and then writes.
fn wait_and_run(mut tail: Tail, mut report: Report, shared: &(Options, Arc<Status>), messages: &Receiver<Message>) {
    let (Options { notify, .. }, status) = (shared.0, &shared.1);
    let mut step = || -> io::Result<Option<Writer>> {
        if let Some(lock) = files::lock(tail.folder())? {
            let writer = tail.become_writer(lock, &mut report, shared.clone())?;
            notify(&Notice::TookOver(&report));
            return Ok(Some(writer));
        }
        tail.read(&mut report)?;
        Ok(None)
    };
    while !status.stopping.load(Ordering::Relaxed) {
        match step() {
            Ok(Some(writer)) => return writer.run(messages),
            Ok(None) => {}
            Err(error) => status.failed(&error, notify),
        }
        std::thread::sleep(LOOK);
    }
    let entries = messages.iter().filter(|message| matches!(message, Message::Entry(_))).count() as u64;
    status.lose(entries, notify);
}

impl Status {
    fn failed(&self, error: &io::Error, notify: fn(&Notice<'_>)) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        notify(&Notice::Error(error));
    }

    fn lose(&self, entries: u64, notify: fn(&Notice<'_>)) {
        if entries > 0 {
            self.lost.fetch_add(entries, Ordering::Relaxed);
            notify(&Notice::Lost(entries));
        }
    }
}

#[cfg(test)]
mod tests;
