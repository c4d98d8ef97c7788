//! Splits a byte stream into frames: server-sent events or lines of NDJSON.
//!
//! Frames keep their terminators, so that the gateway relays the backend's bytes unchanged. A frame within one chunk is
//! a slice of it; only a frame that spans chunks is copied, each byte once. The frames do not depend on how the stream
//! is chunked. This module must not know: what frames mean.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// What ends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: a blank line. Lines end with `\n`, `\r\n` or `\r`.
    Sse,
    /// Newline-delimited JSON: `\n`.
    Ndjson,
}

/// A frame exceeds the size limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the stream is longer than {limit} bytes")]
pub struct FrameTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Splits one stream. Push each chunk as it arrives, then take frames until there is none: that bounds memory to one
/// frame and one chunk.
#[derive(Debug)]
pub struct Frames {
    framing: Framing,
    limit: usize,
    /// Chunks not yet scanned.
    waiting: VecDeque<Bytes>,
    /// The chunk being scanned, from the first byte that was neither returned nor moved to `begun`.
    chunk: Bytes,
    /// How many bytes of `chunk` were scanned.
    scanned: usize,
    /// The part of the current frame that arrived in earlier chunks.
    begun: BytesMut,
    line: Line,
    too_long: bool,
}

/// The scanner's position within a line of an event stream. NDJSON does not use it.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// No byte of the current line has arrived yet.
    empty: bool,
    /// The last byte was `\r`: a `\n` that follows is part of the same line end.
    after_cr: bool,
    /// That `\r` ended a blank line: the frame is complete once the next byte is known.
    blank: bool,
}

impl Line {
    const START: Self = Self { empty: true, after_cr: false, blank: false };
}

impl Frames {
    /// A splitter for one stream whose frames have at most `max_frame_bytes` bytes, terminator included.
    #[must_use]
    pub fn new(framing: Framing, max_frame_bytes: usize) -> Self {
        Self {
            framing,
            limit: max_frame_bytes,
            waiting: VecDeque::new(),
            chunk: Bytes::new(),
            scanned: 0,
            begun: BytesMut::new(),
            line: Line::START,
            too_long: false,
        }
    }

    /// Appends a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.waiting.push_back(chunk);
        }
    }

    /// The next complete frame with its terminator, or `None` until another chunk is pushed.
    ///
    /// # Errors
    /// If a frame is too long, and on every later call: the start of the next frame is then unknown.
    // Not an iterator: `None` means "not yet" and may be followed by more.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Bytes>, FrameTooLong> {
        loop {
            if self.too_long {
                return Err(FrameTooLong { limit: self.limit });
            }
            if let Some(end) = self.scan() {
                self.too_long = self.begun.len() + end > self.limit;
                if !self.too_long {
                    return Ok(Some(self.cut(end)));
                }
            } else if self.begun.len() + self.chunk.len() > self.limit {
                self.too_long = true;
            } else if let Some(chunk) = self.waiting.pop_front() {
                // The frame spans chunks: copy its beginning, once.
                self.begun.extend_from_slice(&self.chunk);
                self.chunk = chunk;
                self.scanned = 0;
            } else {
                return Ok(None);
            }
        }
    }

    /// Bytes of the incomplete frame. At the end of a stream: zero unless the stream was cut off.
    #[must_use]
    pub fn leftover(&self) -> usize {
        self.begun.len() + self.chunk.len() + self.waiting.iter().map(Bytes::len).sum::<usize>()
    }

    /// Takes the incomplete frame at the end of a stream. Some servers close the stream right after the last line,
    /// without its terminator, and a lone `\r` may have ended the frame: the caller decides whether the frame is
    /// complete.
    pub fn take_leftover(&mut self) -> Option<Bytes> {
        let mut rest = std::mem::take(&mut self.begun);
        rest.extend_from_slice(&self.chunk);
        for chunk in self.waiting.drain(..) {
            rest.extend_from_slice(&chunk);
        }
        self.chunk = Bytes::new();
        self.scanned = 0;
        self.line = Line::START;
        (!rest.is_empty()).then(|| rest.freeze())
    }

    /// Continues the scan; returns the end of the frame within `chunk`, if found.
    fn scan(&mut self) -> Option<usize> {
        match self.framing {
            Framing::Ndjson => self.scan_ndjson(),
            Framing::Sse => self.scan_sse(),
        }
    }

    fn scan_ndjson(&mut self) -> Option<usize> {
        let found = memchr::memchr(b'\n', &self.chunk[self.scanned..]).map(|at| self.scanned + at + 1);
        self.scanned = found.unwrap_or(self.chunk.len());
        found
    }

    fn scan_sse(&mut self) -> Option<usize> {
        loop {
            let rest = &self.chunk[self.scanned..];
            let &first = rest.first()?;
            if self.line.after_cr {
                self.line.after_cr = false;
                if first == b'\n' {
                    self.scanned += 1;
                }
                if std::mem::take(&mut self.line.blank) {
                    return Some(self.scanned);
                }
                continue;
            }
            let Some(at) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line.empty = false;
                self.scanned = self.chunk.len();
                return None;
            };
            let blank = self.line.empty && at == 0;
            let carriage_return = rest[at] == b'\r';
            self.scanned += at + 1;
            self.line.empty = true;
            if carriage_return {
                self.line.after_cr = true;
                self.line.blank = blank;
            } else if blank {
                return Some(self.scanned);
            }
        }
    }

    /// Takes the frame that ends at `end` within `chunk`.
    fn cut(&mut self, end: usize) -> Bytes {
        let tail = self.chunk.split_to(end);
        self.scanned -= end;
        if self.begun.is_empty() {
            return tail;
        }
        self.begun.extend_from_slice(&tail);
        std::mem::take(&mut self.begun).freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits `input` into chunks at `cuts`; returns the frames, the leftover, and whether a frame was too long.
    fn split(framing: Framing, limit: usize, input: &[u8], cuts: &[usize]) -> (Vec<Bytes>, Option<Bytes>, bool) {
        let mut frames = Frames::new(framing, limit);
        let mut out = Vec::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (input.len() + 1)).collect();
        cuts.push(input.len());
        cuts.sort_unstable();
        let mut from = 0;
        for to in cuts {
            frames.push(Bytes::copy_from_slice(&input[from..to]));
            from = to;
            loop {
                match frames.next() {
                    Ok(Some(frame)) => out.push(frame),
                    Ok(None) => break,
                    Err(_) => return (out, None, true),
                }
            }
        }
        let left = frames.leftover();
        let rest = frames.take_leftover();
        assert_eq!(left, rest.as_ref().map_or(0, Bytes::len));
        assert_eq!(frames.leftover(), 0);
        (out, rest, false)
    }

    fn strings(framing: Framing, input: &str) -> (Vec<String>, usize) {
        let (frames, rest, _) = split(framing, 1 << 20, input.as_bytes(), &[]);
        let frames = frames.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
        (frames, rest.map_or(0, |r| r.len()))
    }

    #[test]
    fn events_end_with_a_blank_line_of_any_kind() {
        for (input, frames, leftover) in [
            ("data: a\n\ndata: b\n\n", vec!["data: a\n\n", "data: b\n\n"], 0),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["data: a\r\n\r\n", "data: b\r\n\r\n"], 0),
            ("data: a\r\rdata: b\r\r", vec!["data: a\r\r"], 9),
            ("event: x\ndata: a\n\r\ndata", vec!["event: x\ndata: a\n\r\n"], 4),
            (": ping\n\n\ndata: a\n\n", vec![": ping\n\n", "\n", "data: a\n\n"], 0),
            ("data: a\n", vec![], 8),
            ("", vec![], 0),
        ] {
            let expected = frames.iter().map(ToString::to_string).collect();
            assert_eq!(strings(Framing::Sse, input), (expected, leftover), "{input:?}");
        }
    }

    #[test]
    fn lines_end_with_a_newline() {
        assert_eq!(
            strings(Framing::Ndjson, "{\"a\":1}\n{}\r\n\n{"),
            (vec!["{\"a\":1}\n".to_owned(), "{}\r\n".to_owned(), "\n".to_owned()], 1)
        );
    }

    #[test]
    fn a_frame_within_a_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut frames = Frames::new(Framing::Sse, 100);
        frames.push(chunk.clone());
        let first = frames.next().expect("short").expect("whole");
        let second = frames.next().expect("short").expect("whole");
        assert_eq!(first.as_ptr(), chunk.as_ptr());
        assert_eq!(second.as_ptr(), chunk[9..].as_ptr());
    }

    #[test]
    fn a_long_frame_is_refused_before_it_ends_and_for_good() {
        let mut frames = Frames::new(Framing::Ndjson, 8);
        frames.push(Bytes::from_static(b"1234567\n"));
        assert_eq!(frames.next(), Ok(Some(Bytes::from_static(b"1234567\n"))));
        frames.push(Bytes::from_static(b"123456789"));
        assert_eq!(frames.next(), Err(FrameTooLong { limit: 8 }));
        frames.push(Bytes::from_static(b"\n1\n"));
        assert_eq!(frames.next(), Err(FrameTooLong { limit: 8 }));
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b':')], 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..40),
            limit in 1_usize..60,
            sse in any::<bool>(),
        ) {
            let framing = if sse { Framing::Sse } else { Framing::Ndjson };
            let whole = split(framing, limit, &input, &[]);
            prop_assert_eq!(&split(framing, limit, &input, &cuts), &whole);
            let (frames, rest, too_long) = whole;
            let mut joined: Vec<u8> = frames.concat();
            joined.extend_from_slice(&rest.unwrap_or_default());
            if too_long {
                prop_assert!(input.starts_with(&joined));
            } else {
                prop_assert_eq!(joined, input);
            }
        }
    }
}
