//! One kept connection: sends a request, reads its answer, and checks that it is the model's, whole.

use std::net::SocketAddr;
use std::time::Instant;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmgate_bench::wire::{ANSWER, Chunks, EVENTS, Head, SENT, now, number_behind};

const POLICY: &[u8] = b"\r\nx-wasmgate-policy: ";

/// A connection, its buffers kept from one answer to the next.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    raw: Vec<u8>,
    body: Vec<u8>,
}

/// What an answer took, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) whole: u64,
    /// From the request to the first event; 0 where there is none.
    pub(crate) first: u64,
    /// From the model's write of each event to its reading here.
    pub(crate) events: Vec<u64>,
    /// Whether it says that something else decided than what should.
    pub(crate) undecided: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("no connection: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, raw: Vec::new(), body: Vec::new() })
    }

    /// The answer to `request`. Where there is a `policy`, the answer should say that it decided.
    pub(crate) async fn ask(&mut self, request: &[u8], policy: Option<&str>) -> Result<Answer, String> {
        let began = Instant::now();
        let mut answer = Answer::default();
        let streamed = self.read(request, policy, began, &mut answer, EVENTS + 1).await?;
        answer.whole = nanos(began);
        let (body, events) = (&self.body, answer.events.len());
        match streamed {
            false if memmem::find(body, ANSWER.as_bytes()).is_some() => Ok(answer),
            true if events == EVENTS && body.trim_ascii_end().ends_with(b"data: [DONE]") => Ok(answer),
            _ => Err(format!("{events} events in what is not the whole answer: {}", String::from_utf8_lossy(body))),
        }
    }

    /// Sends the request of a stream and returns once its first event is there; the rest is never read.
    pub(crate) async fn begin(&mut self, request: &[u8], policy: Option<&str>) -> Result<(), String> {
        self.read(request, policy, Instant::now(), &mut Answer::default(), 1).await.map(drop)
    }

    /// Reads the answer to its end, or until so many events came; whether it is a stream.
    async fn read(
        &mut self,
        request: &[u8],
        policy: Option<&str>,
        began: Instant,
        answer: &mut Answer,
        events: usize,
    ) -> Result<bool, String> {
        self.stream.write_all(request).await.map_err(|error| format!("the request was not taken: {error}"))?;
        self.raw.clear();
        self.body.clear();
        let mut chunks = Chunks::default();
        let mut head: Option<Head> = None;
        let mut looked_at = 0;
        loop {
            let read =
                self.stream.read_buf(&mut self.raw).await.map_err(|error| format!("the answer broke: {error}"))?;
            let seen = now();
            if read == 0 {
                return Err(format!("the answer broke off after {} bytes", self.body.len()));
            }
            if head.is_none() {
                let found = Head::of_answer(&self.raw).map_err(|error| format!("no answer of HTTP: {error}"))?;
                let Some(found) = found else { continue };
                if found.status != 200 {
                    return Err(format!("not an answer: {}", String::from_utf8_lossy(&self.raw)));
                }
                answer.undecided = policy.is_some_and(|policy| !self.decided_by(found, policy));
                self.raw.drain(..found.bytes);
                head = Some(found);
            }
            let length = head.and_then(|head| head.length);
            let ended = match length {
                Some(length) if self.raw.len() < length => false,
                Some(_) => {
                    std::mem::swap(&mut self.raw, &mut self.body);
                    true
                }
                None => chunks.take(&mut self.raw, &mut self.body)?,
            };
            // An event of which only the beginning came is looked at again.
            while let Some((sent, end)) = number_behind(SENT, &self.body[looked_at..]) {
                if self.body.get(looked_at + end) != Some(&b';') {
                    break;
                }
                looked_at += end;
                if answer.events.is_empty() {
                    answer.first = nanos(began);
                }
                answer.events.push(seen.saturating_sub(sent));
            }
            if ended || answer.events.len() >= events {
                return Ok(length.is_none() && !answer.events.is_empty());
            }
        }
    }

    fn decided_by(&self, head: Head, policy: &str) -> bool {
        let text = &self.raw[..head.bytes];
        let header = memmem::find(text, POLICY).map(|at| &text[at + POLICY.len()..]);
        header.is_some_and(|value| value.starts_with(policy.as_bytes()))
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
