//! The thread that syncs what is written, and keeps house a small step at a time between two syncs: snapshots, the compression of
//! closed segments, and the deletion of old ones.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::desk::{Desk, Snapshot, State};
use super::writer::RETRY;
use super::{Notice, Options};
use crate::segment::{self, Compression};
use crate::status::Status;
use crate::{book, files};

/// How often old segments are looked for if no new one begins.
const LOOK: Duration = Duration::from_secs(3600);
/// How long the house waits after the disk refused something.
const PAUSE: Duration = Duration::from_secs(10);

/// The thread as its owner has it. When it is dropped, the thread syncs what is written and ends.
pub(super) struct House {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl House {
    /// Starts the thread. `now`: the segment that is written to. `closed`: those that are not compressed.
    pub(super) fn start(
        folder: PathBuf,
        now: (u64, Arc<File>),
        closed: VecDeque<u64>,
        options: Options,
        status: Arc<Status>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk::new(now.0, now.1));
        let keeper = Keeper {
            desk: Arc::clone(&desk),
            folder,
            options,
            status,
            unsynced: Vec::new(),
            is_urgent: false,
            failed: None,
            snapshot: None,
            closed,
            compression: None,
            look_at: Instant::now(),
            paused: None,
        };
        let thread = std::thread::Builder::new().name("ledger-house".to_owned()).spawn(|| keeper.run())?;
        Ok(Self { desk, thread: Some(thread) })
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Nothing is written any more: waits until it is on the disk, as far as the disk takes it, and keeps a last snapshot.
    pub(super) fn end(&mut self, last: Option<Snapshot>) {
        self.desk.end(last);
        if let Some(thread) = self.thread.take() {
            // If it panicked, nothing more is synced.
            let _ = thread.join();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// The thread.
struct Keeper {
    desk: Arc<Desk>,
    folder: PathBuf,
    options: Options,
    status: Arc<Status>,
    /// Closed segments that are not on the disk.
    unsynced: Vec<(u64, Arc<File>)>,
    is_urgent: bool,
    /// When a sync last failed.
    failed: Option<Instant>,
    /// What to keep when all is on the disk.
    snapshot: Option<Snapshot>,
    /// Closed segments that are not compressed.
    closed: VecDeque<u64>,
    compression: Option<Compression>,
    /// When to look for old segments.
    look_at: Instant,
    /// After an error of the house: until when nothing is done.
    paused: Option<Instant>,
}

impl Keeper {
    fn run(mut self) {
        let desk = Arc::clone(&self.desk);
        loop {
            let mut state = desk.lock();
            let wait = loop {
                self.unsynced.append(&mut state.closed);
                self.snapshot = state.snapshot.take().or(self.snapshot.take());
                self.is_urgent |= std::mem::take(&mut state.is_urgent);
                let wait = self.wait(&state);
                if wait.is_zero() || self.has_work() || state.ended {
                    break wait;
                }
                state = desk.wait(state, wait);
            };
            let (number, file, done, ended) = (state.number, Arc::clone(&state.file), state.done, state.ended);
            let is_due = wait.is_zero() || ended;
            let dirty = if is_due { state.dirty.take() } else { None };
            drop(state);
            if is_due && !self.sync(&file, done) {
                desk.lock().dirty = dirty.or_else(|| Some(Instant::now()));
            }
            if ended {
                self.end();
                return;
            }
            self.keep_house(number);
        }
    }

    /// How long the next sync has time.
    fn wait(&self, state: &State) -> Duration {
        if let Some(failed) = self.failed {
            return RETRY.saturating_sub(failed.elapsed());
        }
        match state.dirty {
            _ if self.is_urgent || !self.unsynced.is_empty() => Duration::ZERO,
            Some(since) => self.options.sync.saturating_sub(since.elapsed()),
            None if self.paused.is_some() => PAUSE,
            None => LOOK,
        }
    }

    /// Syncs all segments that are not on the disk, up to so many records. Returns whether they are.
    fn sync(&mut self, file: &File, done: u64) -> bool {
        match self.try_sync(file) {
            Ok(()) => {
                self.is_urgent = false;
                if self.failed.take().is_some() {
                    (self.options.notify)(&Notice::Recovered);
                }
                self.status.synced(done);
                true
            }
            Err(error) => {
                self.failed = Some(Instant::now());
                self.status.failed(&error, self.options.notify);
                false
            }
        }
    }

    fn try_sync(&mut self, file: &File) -> io::Result<()> {
        while let Some((number, closed)) = self.unsynced.first() {
            (self.options.sync_file)(closed)?;
            self.closed.push_back(*number);
            self.unsynced.remove(0);
            if self.unsynced.is_empty() {
                // The new name must survive a loss of power as the lines do.
                files::sync_folder(&self.folder)?;
                self.look_at = Instant::now();
            }
        }
        (self.options.sync_file)(file)
    }

    fn has_work(&self) -> bool {
        let is_due = (self.snapshot.is_some() && self.unsynced.is_empty())
            || self.compression.is_some()
            || !self.closed.is_empty()
            || self.look_at <= Instant::now();
        is_due && self.failed.is_none() && self.paused.is_none_or(|until| until <= Instant::now())
    }

    /// Does the next step, if there is one.
    fn keep_house(&mut self, number: u64) {
        if !self.has_work() {
            return;
        }
        if let Err(error) = self.step(number) {
            self.compression = None;
            self.paused = Some(Instant::now() + PAUSE);
            self.status.failed(&error, self.options.notify);
        }
    }

    fn step(&mut self, number: u64) -> io::Result<()> {
        self.paused = None;
        // First: only what a snapshot covers may be deleted, and a start reads what none covers.
        if let Some(snapshot) = &self.snapshot {
            self.save(snapshot)?;
            self.snapshot = None;
            return Ok(());
        }
        if let Some(compression) = &mut self.compression {
            if compression.step(&self.folder)? {
                self.compression = None;
            }
            return Ok(());
        }
        if let Some(closed) = self.closed.pop_front() {
            self.compression = match Compression::begin(&self.folder, closed) {
                Ok(compression) => Some(compression),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            return Ok(());
        }
        self.look_at = Instant::now() + LOOK;
        self.retire(number)
    }

    /// Keeps a snapshot. It must not say more than the disk has after a loss of power.
    fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        (self.options.sync_file)(&snapshot.file)?;
        snapshot.save(&self.folder)
    }

    /// Keeps what snapshots are left, if all is on the disk.
    fn end(&mut self) {
        let last = self.desk.lock().last.take();
        for snapshot in [self.snapshot.take(), last].into_iter().flatten() {
            if self.failed.is_none()
                && let Err(error) = self.save(&snapshot)
            {
                self.status.failed(&error, self.options.notify);
            }
        }
    }

    /// Deletes closed segments that are too old, or too many. The snapshots cover what they say of sums.
    fn retire(&self, number_now: u64) -> io::Result<()> {
        if self.options.max_age.is_none() && self.options.max_bytes.is_none() {
            return Ok(());
        }
        // Also the older snapshot must be of use without them.
        let covered = book::snapshots(&self.folder)?.last().map_or(0, |oldest| oldest.at.segment);
        let mut files = Vec::new();
        for (number, found) in segment::list(&self.folder)? {
            let path = match found.plain {
                true => segment::path(&self.folder, number),
                false => segment::compressed_path(&self.folder, number),
            };
            let metadata = fs::metadata(&path)?;
            files.push((number, path, metadata.len(), metadata.modified()?));
        }
        let mut bytes: u64 = files.iter().map(|(_, _, length, _)| length).sum();
        for (number, path, length, modified) in files {
            let age = modified.elapsed().unwrap_or_default();
            let is_old = self.options.max_age.is_some_and(|most| age > most);
            let is_much = self.options.max_bytes.is_some_and(|most| bytes > most);
            if !(is_old || is_much) || number >= covered.min(number_now) {
                break;
            }
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }
}
