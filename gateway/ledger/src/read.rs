//! Reads a ledger, also while another process writes to it.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use crate::book::{self, Book};
use crate::entry::{Amount, Entry, Reserved};
use crate::line::{self, Line};
use crate::segment::{self, Position};

/// What was found in a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments that were read.
    pub segments: usize,
    /// Bytes that were read, of snapshots too; of compressed segments, of what they have.
    pub bytes: u64,
    /// Entries that are intact.
    pub entries: u64,
    /// Intact lines that only a later version of the gateway can read.
    pub unknown: u64,
    /// Lines that are not intact, with intact ones behind them: somebody changed the file, or the disk is damaged.
    pub damaged: u64,
    /// Snapshots that are not complete and intact. An older one was read, and more lines.
    pub damaged_snapshots: usize,
    /// Segments that no snapshot covers and that are gone.
    pub missing: u64,
    /// Requests that were admitted and have no entry: they are in flight, or their gateway was ended.
    pub open: u64,
    /// What these have reserved.
    pub reserved: Amount,
    /// The end of the last segment, if it is not complete: its process was ended while it wrote.
    pub torn: Option<Torn>,
}

/// The end of a segment that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// How many bytes of it are intact.
    pub intact: u64,
    /// How many are behind them.
    pub bytes: u64,
}

/// Reads all entries that are kept, in order.
///
/// # Errors
/// If a file cannot be read.
pub fn read(folder: &Path, mut each: impl FnMut(Entry)) -> io::Result<Report> {
    let mut report = Report::default();
    let first = segment::list(folder)?.keys().next().copied().unwrap_or_default();
    let mut open: HashMap<String, Reserved> = HashMap::new();
    scan(folder, Position { segment: first, offset: 0 }, &mut report, &mut |line| match line {
        Line::Entry(entry) => {
            open.remove(&entry.request);
            each(entry);
        }
        Line::Reserved(reserved) => {
            open.insert(reserved.request.clone(), reserved);
        }
        Line::Unknown => {}
    })?;
    report.count_open(&open);
    Ok(report)
}

/// Checks a ledger as `read` does, and its snapshots too: each that begins with the first segment must say what the lines say.
///
/// # Errors
/// If a file cannot be read.
pub fn verify(folder: &Path) -> io::Result<(Report, Vec<String>)> {
    let mut wrong = Vec::new();
    let all = segment::list(folder)?;
    for snapshot in book::snapshots(folder)? {
        let name = snapshot.path.display();
        let kept = match Book::load(&snapshot.path) {
            Ok((_, kept)) => kept,
            // The gateway that writes keeps two, and deleted it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let Some(kept) = kept else {
            wrong.push(format!("{name} is not complete or damaged; the gateway reads an older one and more lines"));
            continue;
        };
        // Without the first segments the lines cannot be summed any more.
        if all.keys().next() != Some(&1) {
            continue;
        }
        let mut summed = Book::default();
        let mut report = Report::default();
        scan_until(folder, Position { segment: 1, offset: 0 }, Some(snapshot.at), &mut report, &mut |line| {
            summed.take(line)
        })?;
        if summed != kept && report.damaged == 0 {
            wrong.push(format!("{name} does not have the sums of the lines that it covers"));
        }
    }
    Ok((read(folder, |_| ())?, wrong))
}

impl Report {
    pub(crate) fn count_open(&mut self, open: &HashMap<String, Reserved>) {
        self.open = open.len() as u64;
        self.reserved = open.values().fold(Amount::default(), |sum, reserved| Amount {
            tokens: sum.tokens.saturating_add(reserved.amount.tokens),
            money: sum.money.saturating_add(reserved.amount.money),
        });
    }
}

impl Book {
    /// Takes a line in.
    pub(crate) fn take(&mut self, line: Line) {
        match line {
            Line::Entry(entry) => self.add(&entry),
            Line::Reserved(reserved) => self.reserve(reserved),
            Line::Unknown => {}
        }
    }
}

/// The newest snapshot that is intact, and what it covers.
pub(crate) fn newest(folder: &Path, report: &mut Report) -> io::Result<(Position, Book)> {
    for snapshot in book::snapshots(folder)? {
        let (bytes, book) = match Book::load(&snapshot.path) {
            Ok(loaded) => loaded,
            // The process that writes has newer ones since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return newest(folder, report),
            Err(error) => return Err(error),
        };
        report.bytes += bytes;
        match book {
            Some(book) => return Ok((snapshot.at, book)),
            None => report.damaged_snapshots += 1,
        }
    }
    Ok((Position { segment: 1, offset: 0 }, Book::default()))
}

/// Reads lines from a position on. Returns the position behind the last intact one.
pub(crate) fn scan(
    folder: &Path,
    from: Position,
    report: &mut Report,
    each: &mut dyn FnMut(Line),
) -> io::Result<Position> {
    scan_until(folder, from, None, report, each)
}

fn scan_until(
    folder: &Path,
    from: Position,
    until: Option<Position>,
    report: &mut Report,
    each: &mut dyn FnMut(Line),
) -> io::Result<Position> {
    report.torn = None;
    let numbers: Vec<u64> = segment::list(folder)?.range(from.segment..).map(|(number, _)| *number).collect();
    let Some(&last) = numbers.last() else { return Ok(from) };
    // One that nobody compresses or deletes is there: the last.
    report.missing += last + 1 - from.segment - numbers.len() as u64;
    let mut position = from;
    for number in numbers {
        let begin = if number == from.segment { from.offset } else { 0 };
        let end = match until {
            Some(until) if number > until.segment => break,
            Some(until) if number == until.segment => until.offset,
            _ => u64::MAX,
        };
        let Some(mut file) = segment::open(folder, number)? else {
            report.missing += 1;
            continue;
        };
        report.segments += 1;
        let read = match lines(&mut *file, begin, end, report, each) {
            Ok(read) => read,
            // It may be readable the next time, so it must not count as read: a snapshot would cover what nobody has seen.
            Err(error) if is_of_the_system(&error) => return Err(error),
            // What was compressed and is damaged cannot be read any further.
            Err(_) => {
                report.damaged += 1;
                continue;
            }
        };
        position = Position { segment: number, offset: read.intact };
        if read.end > read.intact {
            match number == last && until.is_none() {
                true => {
                    let path = segment::path(folder, number);
                    report.torn = Some(Torn { path, intact: read.intact, bytes: read.end - read.intact });
                }
                // Only the last segment is written to.
                false => report.damaged += read.damaged,
            }
        }
    }
    Ok(position)
}

/// Whether the system could not read a file, and not a decoder what is in it.
fn is_of_the_system(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let of_io = error.downcast_ref::<io::Error>();
        if of_io.is_some_and(|error| error.raw_os_error().is_some()) {
            return true;
        }
        // The source of such an error is that of the one in it.
        cause = match of_io {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

/// How far a segment was read.
struct Read {
    /// Where the last intact line ends.
    intact: u64,
    end: u64,
    /// Lines behind it.
    damaged: u64,
}

fn lines(
    file: &mut dyn BufRead,
    begin: u64,
    end: u64,
    report: &mut Report,
    each: &mut dyn FnMut(Line),
) -> io::Result<Read> {
    let skipped = io::copy(&mut io::Read::take(&mut *file, begin), &mut io::sink())?;
    if skipped < begin {
        // It lost what was read of it once, or what a snapshot covers.
        return Ok(Read { intact: begin, end: begin, damaged: 0 });
    }
    let (mut intact, mut at, mut damaged) = (skipped, skipped, 0);
    let mut text = Vec::new();
    while at < end {
        text.clear();
        let length = file.read_until(b'\n', &mut text)?;
        if length == 0 {
            break;
        }
        at += length as u64;
        report.bytes += length as u64;
        let Some(content) = text.strip_suffix(b"\n").and_then(line::read) else {
            damaged += 1;
            continue;
        };
        report.damaged += damaged;
        (intact, damaged) = (at, 0);
        match &content {
            Line::Entry(_) => report.entries += 1,
            Line::Unknown => report.unknown += 1,
            Line::Reserved(_) => {}
        }
        each(content);
    }
    Ok(Read { intact, end: at, damaged })
}

/// Cuts a torn end off.
pub(crate) fn cut(torn: &Torn) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(&torn.path)?;
    file.set_len(torn.intact)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_cannot_read_is_an_error_and_no_damage() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let line = crate::entry::Reserved {
            at: 9,
            request: "r".into(),
            group: "g".into(),
            above: None,
            key: "k".into(),
            amount: Amount { tokens: 5, money: 6 },
        };
        let mut text = Vec::new();
        line::write(&line, &mut text);
        fs::write(segment::path(folder.path(), 2), text).expect("a segment");
        // It can be opened and not be read, as a file on a bad disk.
        fs::create_dir(segment::path(folder.path(), 1)).expect("a folder in the place of a segment");
        let error = read(folder.path(), |_| ()).expect_err("the first segment cannot be read");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let wrapped = io::Error::other(io::Error::other(error));
        assert!(is_of_the_system(&wrapped) && !is_of_the_system(&io::Error::other("a frame is damaged")));
    }
}
