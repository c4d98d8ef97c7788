//! Reads a log, also while another process writes to it.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use memchr::memmem::Finder;
use serde::de::DeserializeOwned;

use crate::content::Content;
use crate::models::{ModelTable, TableLine};
use crate::record::{CONTENT, DECISION, Decision, FEEDBACK, Feedback, Head, MODELS, SCHEMA};
pub use crate::segment::Segment;
use crate::segment::{self, Stream};

/// The longest line that is read, in bytes: all texts of the largest request, and what JSON adds.
const MAX_LINE: u64 = 256 << 20;

/// Whether the caller stopped the reading.
type Stopped = bool;

/// What was found in segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments read.
    pub segments: u64,
    /// Lines of the kind that was asked for.
    pub lines: u64,
    /// Lines that are no line of this log, or whose table of models is missing.
    pub damaged: u64,
    /// Ends of segments that are not complete: the process was ended while it wrote, or is writing.
    pub torn: u64,
    /// Lines of a later version.
    pub newer: u64,
}

impl Report {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.lines += other.lines;
        self.damaged += other.damaged;
        self.torn += other.torn;
        self.newer += other.newer;
    }
}

/// The segments with decisions of a folder, oldest first. Each can be read alone.
///
/// # Errors
/// If the folder cannot be read.
pub fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    segment::list(folder, Stream::Decisions)
}

/// Reads all decisions of a folder, in the order in which their requests ended, each with the table of models that it names.
/// `each` may stop it.
///
/// # Errors
/// If a file cannot be read.
pub fn read(folder: &Path, mut each: impl FnMut(Decision, &Arc<ModelTable>) -> ControlFlow<()>) -> io::Result<Report> {
    read_all(folder, Stream::Decisions, |segment| read_decisions(segment, |_| true, &mut each))
}

/// Reads all feedback of a folder, in the order in which it came. `each` may stop it.
///
/// # Errors
/// If a file cannot be read.
pub fn read_feedback(folder: &Path, mut each: impl FnMut(Feedback) -> ControlFlow<()>) -> io::Result<Report> {
    read_all(folder, Stream::Feedback, |segment| read_lines(segment, FEEDBACK, |_| true, &mut each))
}

/// Reads all texts of a folder, in the order in which their requests ended. `each` may stop it.
///
/// # Errors
/// If a file cannot be read.
pub fn read_contents(folder: &Path, mut each: impl FnMut(Content) -> ControlFlow<()>) -> io::Result<Report> {
    read_all(folder, Stream::Content, |segment| read_lines(segment, CONTENT, |_| true, &mut each))
}

fn read_all(
    folder: &Path,
    stream: Stream,
    mut read: impl FnMut(&Segment) -> io::Result<(Report, Stopped)>,
) -> io::Result<Report> {
    let mut report = Report::default();
    for segment in segment::list(folder, stream)? {
        let (found, stopped) = read(&segment)?;
        report.add(found);
        if stopped {
            break;
        }
    }
    Ok(report)
}

impl Segment {
    /// Reads the decisions of this segment.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, each: impl FnMut(Decision, &Arc<ModelTable>) -> ControlFlow<()>) -> io::Result<Report> {
        read_decisions(self, |_| true, each).map(|(report, _)| report)
    }
}

/// Reads the decisions of a segment. `wanted` is asked of a line's text first, so that others need not be parsed.
pub(crate) fn read_decisions(
    segment: &Segment,
    mut wanted: impl FnMut(&[u8]) -> bool,
    mut each: impl FnMut(Decision, &Arc<ModelTable>) -> ControlFlow<()>,
) -> io::Result<(Report, Stopped)> {
    let mut tables: Vec<Arc<ModelTable>> = Vec::new();
    let table_mark = Finder::new(br#""kind":"models""#);
    lines(segment, |report, line| {
        // A look-up wants one line of many.
        let wanted = wanted(line);
        if !wanted && table_mark.find(line).is_none() {
            return ControlFlow::Continue(());
        }
        match kind(line, report).as_deref() {
            Some(MODELS) => tables.extend(parse::<TableLine>(line, report).map(|table| Arc::new(table.table()))),
            Some(DECISION) if wanted => {
                let Some(decision) = parse::<Decision>(line, report) else { return ControlFlow::Continue(()) };
                let Some(table) = tables.iter().rfind(|table| table.id() == decision.models_id) else {
                    report.damaged += 1;
                    return ControlFlow::Continue(());
                };
                report.lines += 1;
                return each(decision, table);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })
}

/// Reads the lines of one kind, likewise.
pub(crate) fn read_lines<T: DeserializeOwned>(
    segment: &Segment,
    of: &str,
    mut wanted: impl FnMut(&[u8]) -> bool,
    mut each: impl FnMut(T) -> ControlFlow<()>,
) -> io::Result<(Report, Stopped)> {
    lines(segment, |report, line| {
        if wanted(line)
            && kind(line, report).as_deref() == Some(of)
            && let Some(parsed) = parse(line, report)
        {
            report.lines += 1;
            return each(parsed);
        }
        ControlFlow::Continue(())
    })
}

/// The kind of a line; `None` if it is damaged or of a later version.
fn kind<'a>(line: &'a [u8], report: &mut Report) -> Option<Cow<'a, str>> {
    let Ok(head) = serde_json::from_slice::<Head<'_>>(line) else {
        report.damaged += 1;
        return None;
    };
    // Kinds may come within a version: who does not know one needs none of it.
    if head.schema > SCHEMA || ![MODELS, DECISION, FEEDBACK, CONTENT].contains(&&*head.kind) {
        report.newer += 1;
        return None;
    }
    Some(head.kind)
}

fn parse<T: DeserializeOwned>(line: &[u8], report: &mut Report) -> Option<T> {
    let parsed = serde_json::from_slice(line).ok();
    if parsed.is_none() {
        report.damaged += 1;
    }
    parsed
}

/// Gives each complete line, without its line break.
fn lines(
    segment: &Segment,
    mut each: impl FnMut(&mut Report, &[u8]) -> ControlFlow<()>,
) -> io::Result<(Report, Stopped)> {
    let mut report = Report { segments: 1, ..Report::default() };
    let Some(mut file) = open(segment)? else { return Ok((Report::default(), false)) };
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok((report, false));
        }
        match line.strip_suffix(b"\n") {
            Some(line) => {
                if each(&mut report, line).is_break() {
                    return Ok((report, true));
                }
            }
            None => {
                report.torn += 1;
                return Ok((report, false));
            }
        }
    }
}

/// Opens a segment as it was when the folder was read: what is written to it since is left out, so that who reads it twice reads the
/// same. It may have been compressed in the meantime, or deleted; `None` if it is gone.
fn open(segment: &Segment) -> io::Result<Option<Box<dyn BufRead>>> {
    let compressed = Segment { path: segment.compressed_path(), compressed: true, ..segment.clone() };
    for of in [segment, &compressed] {
        match of.open() {
            Ok(file) if segment.compressed => return Ok(Some(file)),
            Ok(file) => return Ok(Some(Box::new(file.take(segment.bytes)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
