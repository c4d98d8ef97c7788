//! Keeping house, a small step at a time, so that records never wait for it long: snapshots, the compression of closed segments,
//! and the deletion of old ones.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::writer::{Segment, Writer};
use crate::book;
use crate::segment::{self, Compression};

/// How often old segments are looked for if no new one begins.
const LOOK: Duration = Duration::from_secs(3600);
/// How long the house waits after the disk refused something.
const PAUSE: Duration = Duration::from_secs(10);

/// What there is to do.
pub(super) struct House {
    /// Closed segments that are not compressed.
    closed: VecDeque<u64>,
    compression: Option<Compression>,
    pub(super) snapshot_due: bool,
    /// When to look for old segments.
    look_at: Instant,
    /// After an error: until when nothing is done.
    paused: Option<Instant>,
    /// How much of the segment was written when the process began.
    began_with: u64,
}

impl House {
    pub(super) fn new(closed: VecDeque<u64>, began_with: u64) -> Self {
        Self { closed, compression: None, snapshot_due: false, look_at: Instant::now(), paused: None, began_with }
    }

    /// A segment is closed.
    pub(super) fn closed(&mut self, number: u64) {
        self.closed.push_back(number);
        self.snapshot_due = true;
        self.look_at = Instant::now();
    }

    pub(super) fn has_work(&self) -> bool {
        let is_due = self.snapshot_due
            || self.compression.is_some()
            || !self.closed.is_empty()
            || self.look_at <= Instant::now();
        is_due && self.paused.is_none_or(|until| until <= Instant::now())
    }

    /// How long the thread may wait for a record.
    pub(super) fn wait(&self) -> Duration {
        if self.paused.is_some() { PAUSE } else { LOOK }
    }

    /// Whether the next start reads less for a snapshot of the end.
    pub(super) fn is_worth_a_snapshot(&self, segment: &Segment) -> bool {
        segment.length != self.began_with
    }
}

impl Writer {
    /// Does the next step, if there is one and the disk takes what is written.
    pub(super) fn keep_house(&mut self) {
        if !self.is_idle() || !self.house.has_work() {
            return;
        }
        if let Err(error) = self.step() {
            self.house.compression = None;
            self.house.paused = Some(Instant::now() + PAUSE);
            self.status.failed(&error, self.options.notify);
        }
    }

    fn step(&mut self) -> io::Result<()> {
        self.house.paused = None;
        // First: only what a snapshot covers may be deleted, and a start reads what none covers.
        if std::mem::take(&mut self.house.snapshot_due) {
            return self.snapshot().inspect_err(|_| self.house.snapshot_due = true);
        }
        if let Some(compression) = &mut self.house.compression {
            if compression.step(&self.folder)? {
                self.house.compression = None;
            }
            return Ok(());
        }
        if let Some(number) = self.house.closed.pop_front() {
            self.house.compression = match Compression::begin(&self.folder, number) {
                Ok(compression) => Some(compression),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            return Ok(());
        }
        self.house.look_at = Instant::now() + LOOK;
        self.retire()
    }

    /// Deletes closed segments that are too old, or too many. The snapshots cover what they say of sums.
    fn retire(&self) -> io::Result<()> {
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
            if !(is_old || is_much) || number >= covered.min(self.segment.number) {
                break;
            }
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }
}
