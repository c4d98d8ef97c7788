//! A ledger as far as this process has read it. Whoever holds the lock makes it complete and writes on from there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::house::House;
use super::writer::{Segment, Writer};
use super::{Event, Options};
use crate::book::Book;
use crate::entry::Reserved;
use crate::files;
use crate::line::Line;
use crate::read::{self, Report};
use crate::segment::{self, Position};
use crate::status::Status;

/// Bytes of lines whose reading a snapshot is worth.
const MUCH: u64 = 1 << 20;

/// See the module.
pub(super) struct Tail {
    folder: PathBuf,
    position: Position,
    book: Book,
    each: Box<dyn FnMut(Event<'_>) + Send>,
}

impl Tail {
    /// Reads the newest snapshot and what is behind it.
    pub(super) fn open(
        folder: &Path,
        mut each: Box<dyn FnMut(Event<'_>) + Send>,
        report: &mut Report,
    ) -> io::Result<Self> {
        let (position, book) = read::newest(folder, report)?;
        book.groups.iter().for_each(|(name, history)| each(Event::Past(name, history)));
        book.counted.iter().for_each(|(name, history)| each(Event::Counted(name, history)));
        let mut tail = Self { folder: folder.to_owned(), position, book, each };
        tail.read(report)?;
        Ok(tail)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what has come since.
    pub(super) fn read(&mut self, report: &mut Report) -> io::Result<()> {
        let last = segment::path(&self.folder, self.position.segment);
        let next = segment::path(&self.folder, self.position.segment + 1);
        if fs::metadata(last).is_ok_and(|last| last.len() == self.position.offset) && !next.exists() {
            report.torn = None;
            return Ok(());
        }
        let Self { folder, position, book, each } = self;
        *position = read::scan(folder, *position, report, &mut |line| {
            if let Line::Entry(entry) = &line {
                each(Event::Entry(entry));
            }
            book.take(line);
        })?;
        report.count_open(&book.open);
        Ok(())
    }

    /// Makes the ledger complete: a torn end is cut off, and requests that the process before was ended with count for what
    /// they had reserved. If that fails, it may be tried again.
    pub(super) fn become_writer(
        &mut self,
        lock: File,
        report: &mut Report,
        (options, status): (Options, Arc<Status>),
    ) -> io::Result<Writer> {
        self.read(report)?;
        let folder = self.folder.clone();
        files::remove_temporary(&folder)?;
        if let Some(torn) = &report.torn {
            read::cut(torn)?;
            status.torn.fetch_add(1, Ordering::Relaxed);
        }
        let number = last(&folder, self.position)?;
        let path = segment::path(&folder, number);
        let file = Arc::new(files::append(&path)?);
        let metadata = file.metadata()?;
        let began = metadata.created().or_else(|_| metadata.modified())?;
        let closed = segment::list(&folder)?.into_iter().filter(|(of, found)| *of < number && found.plain);
        let closed = closed.map(|(of, _)| of).collect();
        let house = House::start(folder.clone(), (number, Arc::clone(&file)), closed, options, Arc::clone(&status))?;
        let book = std::mem::take(&mut self.book);
        let mut open: Vec<Reserved> = book.open.values().cloned().collect();
        open.sort_by(|one, other| (one.at, &one.request).cmp(&(other.at, &other.request)));
        status.note_found(report);
        status.interrupted.fetch_add(open.len() as u64, Ordering::Relaxed);
        status.is_writer.store(true, Ordering::Relaxed);
        let now = Segment { number, file, length: metadata.len(), began };
        let mut writer = Writer::new(folder, now, book, house, lock, options, status);
        if report.bytes > MUCH {
            writer.snapshot_soon();
        }
        for reserved in open {
            let entry = reserved.interrupted();
            (self.each)(Event::Entry(&entry));
            writer.interrupted(entry);
        }
        Ok(writer)
    }
}

/// The segment to write to: the last one, or the next if that one is closed, or has less than a snapshot says.
fn last(folder: &Path, position: Position) -> io::Result<u64> {
    let all = segment::list(folder)?;
    let Some((&last, found)) = all.last_key_value() else { return Ok(position.segment) };
    if last < position.segment {
        return Ok(position.segment);
    }
    if !found.plain {
        return Ok(last + 1);
    }
    let length = fs::metadata(segment::path(folder, last))?.len();
    let is_short = last == position.segment && length < position.offset;
    Ok(if is_short { last + 1 } else { last })
}
