//! The process' log: whole lines go into one bounded buffer, and one thread writes them to standard error in batches.
//! Nothing else in a gateway that serves writes there, so that a log reader that stalls stops no request. Lines that
//! find the buffer full are dropped and counted; a line afterwards says how many.
//!
//! `tracing` writes its lines here through [`Lines`]. A request's line is written by hand ([`write`]), because it is
//! written for each request. Before [`start`], and in programs without it, nothing is logged.
//!
//! This module must not know: what lines say, who writes them.

mod buffer;
mod line;
mod timestamp;

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use buffer::{Buffer, Priority};
pub use line::{Format, Line};

/// The target of the lines about operators' actions. They may use a part of the buffer that other lines may not.
const AUDIT: &str = "audit";
/// How long the end of the process waits for a reader that takes nothing.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    format: Format,
    buffer: Arc<Buffer>,
}

/// Starts the thread that writes. A second call changes nothing.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(format: Format) -> io::Result<()> {
    let buffer = Arc::new(Buffer::default());
    let written = Arc::clone(&buffer);
    let tell = move |dropped, bytes: &mut Vec<u8>| tell(format, dropped, bytes);
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread.spawn(move || buffer::write_out(&written, &mut io::stderr(), tell))?;
    // Only now: lines that no thread writes would be lost.
    let _ = LOG.set(Log { format, buffer });
    Ok(())
}

/// Writes a line whose fields `fields` adds. The caller has asked the log's filter.
pub fn write(level: Level, target: &str, message: &str, fields: impl FnOnce(&mut Line<'_>)) {
    thread_local! {
        // A line is written aside, so that the buffer's lock is held for a copy only.
        static ASIDE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let Some(log) = LOG.get() else { return };
    let mut bytes = ASIDE.take();
    bytes.clear();
    Line::write(&mut bytes, log.format, level, target, message, fields);
    log.buffer.append(&bytes, Priority::Normal);
    ASIDE.set(bytes);
}

/// Prints a text for people: why the gateway does not start.
pub fn print(text: &str) {
    let text = format!("{text}\n");
    match LOG.get() {
        Some(log) => log.buffer.append(text.as_bytes(), Priority::Reserved),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Waits until all lines so far are written, but not for longer than 3 seconds.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.buffer.flush(FLUSH_LIMIT);
    }
}

/// Lines dropped since the start.
#[must_use]
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |log| log.buffer.dropped())
}

/// Flushes the log when it is dropped: at the end of `main`, also if that panics.
#[derive(Debug)]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}

/// Where `tracing` writes its lines.
#[derive(Debug)]
pub struct Lines;

/// Takes one line: the library writes each with one call.
#[derive(Debug)]
pub struct LineWriter(Priority);

impl MakeWriter<'_> for Lines {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        LineWriter(Priority::Normal)
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> LineWriter {
        LineWriter(if metadata.target() == AUDIT { Priority::Reserved } else { Priority::Normal })
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.buffer.append(line, self.0);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tell(format: Format, dropped: u64, bytes: &mut Vec<u8>) {
    let message = "log lines were dropped: standard error did not take them";
    Line::write(bytes, format, Level::WARN, "log", message, |line| line.number("dropped", dropped));
}
