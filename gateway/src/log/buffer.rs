//! The bounded buffer of lines, and the loop that writes it out.

use std::io::{ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may wait to be written, in bytes: about 5,000 lines of requests. As much again may be on its way.
const CAPACITY: usize = 4 << 20;
/// The part of it that only lines of priority may use. It lets them keep apart from a flood of others, so that they
/// need not wait for room on a thread that serves requests.
const RESERVED: usize = 256 << 10;
/// Between two batches. Lines that come meanwhile wait for it; the first line after a silence does not.
const PAUSE: Duration = Duration::from_millis(10);

/// Which part of the buffer a line may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// All but the reserve.
    Normal,
    /// All of it.
    Reserved,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    /// A line came, and the writer waits for one.
    came: Condvar,
    /// A batch was written.
    written: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// Lines dropped that no line has reported yet.
    untold: u64,
    /// Lines dropped since the start.
    dropped: u64,
    /// Whether a line was dropped because the buffer was full, which it is until the writer takes what it holds.
    full: bool,
    /// Lines taken into the buffer since the start, and those of them that have left it.
    appended: u64,
    done: u64,
    /// Whether the writer waits for a line.
    idle: bool,
}

impl Default for State {
    fn default() -> Self {
        // The system gives memory to pages when they are first written.
        let lines = Vec::with_capacity(CAPACITY);
        Self { lines, untold: 0, dropped: 0, full: false, appended: 0, done: 0, idle: false }
    }
}

/// What the writer took.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// `appended` when it was taken.
    up_to: u64,
    /// Dropped lines that its last line tells of.
    told: u64,
}

impl Buffer {
    /// Takes a whole line, with the newline at its end, or drops it if there is no room. Never waits for room.
    pub(super) fn append(&self, line: &[u8], priority: Priority) {
        let mut state = self.lock();
        let room = match priority {
            // What comes after the first line that was dropped is dropped as well: the gap is one, and a line ends it.
            Priority::Normal if state.full => 0,
            Priority::Normal => CAPACITY - RESERVED,
            Priority::Reserved => CAPACITY,
        };
        if state.lines.len() + line.len() > room {
            state.full = true;
            state.untold += 1;
            state.dropped += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        state.appended += 1;
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.came.notify_one();
        }
    }

    /// Waits until all lines so far are written or dropped, but not for longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let appended = state.appended;
        while state.done < appended {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lines dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits for lines and takes all of them, with a line that `tell` writes if others were dropped.
    fn take(&self, batch: &mut Batch, tell: impl Fn(u64, &mut Vec<u8>)) {
        batch.bytes.clear();
        let mut state = self.lock();
        while state.lines.is_empty() {
            state.idle = true;
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.lines, &mut batch.bytes);
        state.full = false;
        batch.up_to = state.appended;
        batch.told = std::mem::take(&mut state.untold);
        drop(state);
        if batch.told > 0 {
            tell(batch.told, &mut batch.bytes);
        }
    }

    /// Notes that a batch was written but for its rest.
    fn done(&self, batch: &Batch, rest: &[u8]) {
        let lines = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        let mut state = self.lock();
        state.done = batch.up_to;
        if !rest.is_empty() {
            // The last line of a batch may be the one that tells of others.
            let lost = lines.saturating_sub(u64::from(batch.told > 0));
            state.dropped += lost;
            state.untold += lost + batch.told;
        }
        drop(state);
        self.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes batches to `sink`, for ever. A sink that fails loses lines, which are counted; the next batch is tried anew.
pub(super) fn write_out(buffer: &Buffer, sink: &mut impl Write, tell: impl Fn(u64, &mut Vec<u8>)) {
    let mut batch = Batch { bytes: Vec::with_capacity(CAPACITY), ..Batch::default() };
    let mut torn = false;
    loop {
        buffer.take(&mut batch, &tell);
        if torn && write(sink, b"\n") == 1 {
            torn = false;
        }
        let written = if torn { 0 } else { write(sink, &batch.bytes) };
        if let Some(last) = batch.bytes[..written].last() {
            torn = *last != b'\n';
        }
        buffer.done(&batch, &batch.bytes[written..]);
        std::thread::sleep(PAUSE);
    }
}

/// Writes all, or up to an error; how many bytes that were.
fn write(sink: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever started the gateway shares a pipe that does not block with it: the reader is behind.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LINE: &[u8] = &[b'x'; 1 << 10];

    fn line(text: &str) -> Vec<u8> {
        let mut line = vec![b'x'; (1 << 10) - 1 - text.len()];
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        line
    }

    fn tell(dropped: u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(format!("dropped {dropped}\n").as_bytes());
    }

    fn take(buffer: &Buffer) -> (Batch, Vec<String>) {
        let mut batch = Batch::default();
        buffer.take(&mut batch, tell);
        let text = String::from_utf8(batch.bytes.clone()).unwrap();
        (batch, text.lines().map(|line| line.trim_start_matches('x').to_owned()).collect())
    }

    #[test]
    fn what_finds_no_room_is_dropped_counted_and_told_once() {
        let buffer = Buffer::default();
        let fits = (CAPACITY - RESERVED) / LINE.len();
        for number in 0..fits + 5 {
            buffer.append(&line(&number.to_string()), Priority::Normal);
        }
        // A shorter one would fit, and the gap be reported at the wrong place.
        buffer.append(b"short\n", Priority::Normal);
        assert_eq!(buffer.dropped(), 6);
        let (batch, lines) = take(&buffer);
        assert_eq!(lines.len(), fits + 1);
        assert_eq!(lines[fits - 1..], [(fits - 1).to_string(), "dropped 6".to_owned()]);
        buffer.done(&batch, b"");
        buffer.append(&line("next"), Priority::Normal);
        assert_eq!(take(&buffer).1, ["next"]);
        assert_eq!(buffer.dropped(), 6);
    }

    #[test]
    fn lines_of_priority_have_room_that_others_cannot_take() {
        let buffer = Buffer::default();
        for _ in 0..CAPACITY / LINE.len() {
            buffer.append(&line("a request"), Priority::Normal);
        }
        let before = buffer.dropped();
        for _ in 0..RESERVED / LINE.len() {
            buffer.append(&line("an audit"), Priority::Reserved);
        }
        assert_eq!(buffer.dropped(), before);
        buffer.append(&line("an audit"), Priority::Reserved);
        assert_eq!(buffer.dropped(), before + 1, "that is bounded, too");
        assert_eq!(take(&buffer).1.iter().filter(|line| *line == "an audit").count(), RESERVED / LINE.len());
    }

    #[test]
    fn the_buffer_takes_no_more_memory_than_it_has() {
        let buffer = Buffer::default();
        let capacity = buffer.lock().lines.capacity();
        for _ in 0..2 * CAPACITY / LINE.len() {
            buffer.append(LINE, Priority::Reserved);
        }
        assert_eq!(buffer.lock().lines.capacity(), capacity);
    }

    /// Takes what the test lets it: so many bytes, or an error.
    struct Sink {
        script: Receiver<Result<usize, ErrorKind>>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.script.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            let _ = self.taken.send(bytes[..count].to_vec());
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_fails_loses_whole_lines_and_is_tried_again() {
        let buffer = Arc::new(Buffer::default());
        let ((script, scripted), (taken, takes)) = (channel(), channel());
        let (written, mut sink) = (Arc::clone(&buffer), Sink { script: scripted, taken });
        std::thread::spawn(move || write_out(&written, &mut sink, tell));
        for step in [Ok(3), Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(3), Err(ErrorKind::BrokenPipe)]
        {
            script.send(step).unwrap();
        }
        buffer.append(b"one\ntwo\nthree\n", Priority::Normal);
        let long = Duration::from_secs(60);
        buffer.flush(long);
        assert_eq!(buffer.dropped(), 2, "the lines that were not written whole");
        drop(script);
        buffer.append(b"four\n", Priority::Normal);
        buffer.flush(long);
        let taken: Vec<u8> = takes.try_iter().flatten().collect();
        assert_eq!(String::from_utf8(taken).unwrap(), "one\ntw\nfour\ndropped 2\n");
    }

    #[test]
    fn a_flush_does_not_wait_for_ever() {
        let buffer = Buffer::default();
        buffer.append(b"nobody writes this\n", Priority::Normal);
        buffer.flush(Duration::from_millis(1));
    }
}
