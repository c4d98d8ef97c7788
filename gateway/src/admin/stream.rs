//! `GET /decisions/stream`: new decisions as server-sent events, from the moment of the request. A reader that is too slow loses
//! events, and an event tells it how many; nobody waits for it.
//!
//! This module must not know: what an event says.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

use crate::net::Busy;
use wasmgate_decisions::Decision;

/// Readers at a time.
const MAX_READERS: usize = 8;
/// Events that may wait for a reader.
const QUEUE: usize = 256;
/// A reader without events gets a comment in this interval, so that it, and proxies between, know that the stream lives.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Who reads new decisions.
#[derive(Debug, Default)]
pub struct Readers(Mutex<Vec<Reader>>);

#[derive(Debug)]
struct Reader {
    queue: mpsc::Sender<Bytes>,
    /// Events that found no room since the last one that did.
    lost: u64,
}

impl Readers {
    /// Hands a decision to all readers.
    pub fn publish(&self, decision: &Decision) {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.is_empty() {
            return;
        }
        // It has only texts and finite numbers, so that it can be written.
        let json = serde_json::to_string(decision).unwrap_or_default();
        let event = Bytes::from(format!("event: decision\nid: {}\ndata: {json}\n\n", decision.id));
        readers.retain_mut(|reader| reader.give(&event));
    }

    /// A new reader; `None` if there are too many.
    pub(super) fn follow(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.queue.is_closed());
        if readers.len() >= MAX_READERS {
            return None;
        }
        let (queue, events) = mpsc::channel(QUEUE);
        readers.push(Reader { queue, lost: 0 });
        Some(events)
    }

    /// Ends all streams.
    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Reader {
    /// Returns whether the reader is still there.
    fn give(&mut self, event: &Bytes) -> bool {
        if self.lost > 0 {
            let lost = Bytes::from(format!("event: lost\ndata: {{\"events\": {}}}\n\n", self.lost));
            match self.queue.try_send(lost) {
                Ok(()) => self.lost = 0,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.lost += 1;
                    return true;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        match self.queue.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lost += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

/// The body of a stream.
pub(super) struct Events {
    events: mpsc::Receiver<Bytes>,
    comment: Pin<Box<Sleep>>,
    /// Its connection is not idle.
    _busy: Option<Busy>,
}

impl Events {
    pub(super) fn new(events: mpsc::Receiver<Bytes>) -> Self {
        // At once, so that the client gets the head.
        Self { events, comment: Box::pin(sleep(Duration::ZERO)), _busy: None }
    }

    /// The same, for as long as which its connection is busy.
    pub(super) fn over(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Poll::Ready(event) = self.events.poll_recv(context) {
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        }
        if self.comment.as_mut().poll(context).is_ready() {
            self.comment.as_mut().reset(Instant::now() + COMMENT_EVERY);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": waiting for decisions\n\n")))));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_loses_events_and_is_told_how_many() {
        let readers = Readers::default();
        let mut events = readers.follow().expect("room");
        let give = |text: &'static str| {
            let mut readers = readers.0.lock().unwrap();
            readers.retain_mut(|reader| reader.give(&Bytes::from_static(text.as_bytes())));
            readers.len()
        };
        for _ in 0..QUEUE + 7 {
            assert_eq!(give("event"), 1);
        }
        for _ in 0..QUEUE {
            assert_eq!(events.try_recv().unwrap(), "event");
        }
        assert_eq!(give("next"), 1);
        assert_eq!(events.try_recv().unwrap(), "event: lost\ndata: {\"events\": 7}\n\n");
        assert_eq!(events.try_recv().unwrap(), "next");
        drop(events);
        assert_eq!(give("nobody"), 0);
        let held: Vec<_> = (0..MAX_READERS).map(|_| readers.follow().expect("room")).collect();
        assert!(readers.follow().is_none());
        drop(held);
        assert!(readers.follow().is_some());
    }
}
