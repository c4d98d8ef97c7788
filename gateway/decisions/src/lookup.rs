//! Looks decisions up: one by its id, and pages of the newest.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem::Finder;

use crate::content::Content;
use crate::models::ModelTable;
use crate::read::{read_decisions, read_lines};
use crate::record::{CONTENT, Decision, FEEDBACK, Feedback};
use crate::segment::{self, Segment, Stream};
use crate::time::{Moment, arrival};

/// The longest time between a request's arrival and its line that a look-up considers.
const LONGEST_REQUEST: Duration = Duration::from_secs(6 * 3600);
/// Most segments that one look-up reads: clients may ask for any id, and a look-up must not cost minutes. At a thousand requests a
/// second they hold what ended within some minutes of a request's arrival.
const SEGMENTS: usize = 32;
/// Most segments that one page reads; the next page reads on.
const SEGMENTS_OF_PAGE: usize = 16;

/// The segments that may have lines of a request, oldest first. Feedback may come at any time.
fn segments_of(folder: &Path, stream: Stream, id: &str) -> io::Result<Vec<Segment>> {
    let Some(arrived) = arrival(id) else { return Ok(Vec::new()) };
    let mut segments = segment::list(folder, stream)?;
    // The last that was begun before it arrived, and those behind.
    let first = segments.iter().rposition(|segment| segment.begun <= arrived).unwrap_or(0);
    segments.drain(..first);
    if stream != Stream::Feedback {
        segments.retain(|segment| segment.begun.before(LONGEST_REQUEST) <= arrived);
        segments.truncate(SEGMENTS);
    }
    Ok(segments)
}

/// The decision about a request, and the table of models that it names; `None` if the log does not have it.
///
/// # Errors
/// If a file cannot be read.
pub fn find(folder: &Path, id: &str) -> io::Result<Option<(Decision, Arc<ModelTable>)>> {
    let finder = Finder::new(id);
    let mut found = None;
    for segment in segments_of(folder, Stream::Decisions, id)? {
        let wanted = |line: &[u8]| finder.find(line).is_some();
        let (_, stopped) = read_decisions(&segment, wanted, |decision, table| {
            if decision.id != id {
                return ControlFlow::Continue(());
            }
            found = Some((decision, Arc::clone(table)));
            ControlFlow::Break(())
        })?;
        if stopped {
            break;
        }
    }
    Ok(found)
}

/// The texts of a request; `None` if they were not kept, or are no longer.
///
/// # Errors
/// If a file cannot be read.
pub fn find_content(folder: &Path, id: &str) -> io::Result<Option<Content>> {
    let finder = Finder::new(id);
    let mut found = None;
    for segment in segments_of(folder, Stream::Content, id)? {
        let wanted = |line: &[u8]| finder.find(line).is_some();
        let (_, stopped) = read_lines(&segment, CONTENT, wanted, |content: Content| {
            if content.id != id {
                return ControlFlow::Continue(());
            }
            found = Some(content);
            ControlFlow::Break(())
        })?;
        if stopped {
            break;
        }
    }
    Ok(found)
}

/// The feedback on a request, oldest first. It may come at any time after the answer, so that all of it since is read: only
/// operators ask for it.
///
/// # Errors
/// If a file cannot be read.
pub fn find_feedback(folder: &Path, id: &str) -> io::Result<Vec<Feedback>> {
    let finder = Finder::new(id);
    let mut found = Vec::new();
    for segment in segments_of(folder, Stream::Feedback, id)? {
        let wanted = |line: &[u8]| finder.find(line).is_some();
        read_lines(&segment, FEEDBACK, wanted, |feedback: Feedback| {
            if feedback.id == id {
                found.push(feedback);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

/// Where a page ends: before this line of this segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    begun: Moment,
    line: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.begun.0, self.line)
    }
}

impl Cursor {
    /// Reads what a page gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (begun, line) = text.split_once('-')?;
        Some(Self { begun: Moment(begun.parse().ok()?), line: line.parse().ok()? })
    }
}

/// Decisions, newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// They.
    pub decisions: Vec<Decision>,
    /// Where the next page begins; `None` if there is none. A page may have few decisions, or none, and a next one.
    pub next: Option<Cursor>,
}

/// At most `limit` decisions before a cursor, or the newest, that arrived at `since` or later and that `wanted` accepts.
///
/// # Errors
/// If a file cannot be read.
pub fn page(
    folder: &Path,
    before: Option<Cursor>,
    since: Option<Moment>,
    limit: usize,
    mut wanted: impl FnMut(&Decision) -> bool,
) -> io::Result<Page> {
    let mut page = Page::default();
    let mut segments = segment::list(folder, Stream::Decisions)?;
    segments.retain(|segment| before.is_none_or(|before| segment.begun <= before.begun));
    for (read, segment) in segments.iter().rev().enumerate() {
        let end = before.filter(|before| before.begun == segment.begun).map_or(u64::MAX, |before| before.line);
        if read == SEGMENTS_OF_PAGE {
            page.next = Some(Cursor { begun: segment.begun, line: end });
            break;
        }
        let room = limit - page.decisions.len();
        let mut newest: std::collections::VecDeque<(u64, Decision)> = std::collections::VecDeque::new();
        let mut more = false;
        let mut line = 0;
        read_decisions(
            segment,
            |_| true,
            |decision, _| {
                if line == end {
                    return ControlFlow::Break(());
                }
                if since.is_none_or(|since| decision.time >= since) && wanted(&decision) {
                    newest.push_back((line, decision));
                    if newest.len() > room {
                        newest.pop_front();
                        more = true;
                    }
                }
                line += 1;
                ControlFlow::Continue(())
            },
        )?;
        let oldest = newest.front().map(|(line, _)| *line);
        page.decisions.extend(newest.into_iter().rev().map(|(_, decision)| decision));
        if more {
            page.next = Some(Cursor { begun: segment.begun, line: oldest.unwrap_or(end) });
            break;
        }
        // What is in older segments ended before this one began, and so arrived before.
        if since.is_some_and(|since| segment.begun < since) {
            break;
        }
    }
    Ok(page)
}
