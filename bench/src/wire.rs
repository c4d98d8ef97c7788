//! What the model says, and as much of HTTP/1.1 as it takes to ask it and to answer.

use std::time::{SystemTime, UNIX_EPOCH};

/// Events with text in each stream.
pub const EVENTS: usize = 32;

/// All events of a stream: those with text, its finish, its usage, its end.
pub const ALL_EVENTS: usize = EVENTS + 3;

/// The text of a whole answer.
pub const ANSWER: &str = "A gateway stands between those who ask and the models that answer. It sees who is asking, chooses a \
                          model, passes the prompt on, and says what was spent. It should cost next to nothing.";

/// Before the send time in an event's text, in nanoseconds; `;` is behind it.
pub const SENT: &[u8] = b"sent=";

/// In a prompt, before the pause between two events of a stream, in microseconds.
pub const PACE: &[u8] = b"PACE=";

/// The machine's clock in nanoseconds: the only one that the standard library shows alike to two processes.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The number behind the first `mark` in `text`, and where its digits end.
#[must_use]
pub fn number_behind(mark: &[u8], text: &[u8]) -> Option<(u64, usize)> {
    let from = memchr::memmem::find(text, mark)? + mark.len();
    let digits = text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[from..from + digits]).ok()?.parse().ok()?;
    Some((number, from + digits))
}

/// What is needed of a message's head.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Its bytes, the blank line included.
    pub bytes: usize,
    /// The status of an answer, 0 for a request.
    pub status: u16,
    /// The length of the body; `None` where it comes in chunks.
    pub length: Option<usize>,
}

impl Head {
    /// The head of a request, once it is whole.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of_request(text: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(text)?;
        Ok(Self::new(parsed, 0, request.headers))
    }

    /// The head of an answer, once it is whole.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of_answer(text: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(text)?;
        Ok(Self::new(parsed, answer.code.unwrap_or(0), answer.headers))
    }

    fn new(parsed: httparse::Status<usize>, status: u16, headers: &[httparse::Header<'_>]) -> Option<Self> {
        let httparse::Status::Complete(bytes) = parsed else { return None };
        let value = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let length = value("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
        let chunked = value("transfer-encoding").is_some();
        Some(Self { bytes, status, length: if chunked { None } else { Some(length.unwrap_or(0)) } })
    }
}

/// A body in chunks, taken apart as it comes.
#[derive(Debug, Default)]
pub struct Chunks {
    left: usize,
    inside: bool,
    ended: bool,
}

impl Chunks {
    /// Moves what is whole from `raw` to `body`; whether the body has ended. A line of a chunk's size stays in `raw` until
    /// it is whole; trailers are not expected.
    ///
    /// # Errors
    /// Where `raw` is not in chunks.
    pub fn take(&mut self, raw: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, &'static str> {
        let mut at = 0;
        while !self.ended {
            if self.inside && self.left > 0 {
                let taken = self.left.min(raw.len() - at);
                body.extend_from_slice(&raw[at..at + taken]);
                self.left -= taken;
                at += taken;
                if self.left > 0 {
                    break;
                }
            } else if self.inside {
                if raw.len() < at + 2 {
                    break;
                }
                at += 2;
                self.inside = false;
            } else {
                match httparse::parse_chunk_size(&raw[at..]) {
                    Ok(httparse::Status::Partial) => break,
                    Ok(httparse::Status::Complete((line, 0))) => {
                        if raw.len() < at + line + 2 {
                            break;
                        }
                        at += line + 2;
                        self.ended = true;
                    }
                    Ok(httparse::Status::Complete((line, size))) => {
                        at += line;
                        self.left = usize::try_from(size).map_err(|_| "a chunk beyond memory")?;
                        self.inside = true;
                    }
                    Err(_) => return Err("no size of a chunk where one should be"),
                }
            }
        }
        raw.drain(..at);
        Ok(self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_however_they_come() {
        let whole = b"5\r\nhello\r\n10\r\n, and the others\r\n0\r\n\r\n";
        for step in 1..whole.len() {
            let (mut chunks, mut raw, mut body) = (Chunks::default(), Vec::new(), Vec::new());
            let mut ended = false;
            for piece in whole.chunks(step) {
                raw.extend_from_slice(piece);
                ended = chunks.take(&mut raw, &mut body).unwrap();
            }
            assert!(ended, "in steps of {step}");
            assert_eq!(body, b"hello, and the others");
        }
    }

    #[test]
    fn a_number_is_found_behind_its_mark() {
        assert_eq!(number_behind(PACE, b"say PACE=2000 and on"), Some((2000, 13)));
        assert_eq!(number_behind(PACE, b"say nothing"), None);
    }
}
