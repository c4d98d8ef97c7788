//! The body of an answer: whole, or a stream relayed frame by frame as it comes. The request's record and permit live
//! in here, so that they end when the body does, in one of four ways: finished, failed, abandoned, gateway stopping.
//!
//! Frames of a backend that speaks the client's dialect pass untouched; others are read and written anew. Usage is
//! noted as it passes. A stream that breaks off ends in the dialect's in-band error and never in a normal end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::backend::{self, Timeouts};
use crate::chat::{Delta, Deltas};
use crate::dialect::frames::{Frames, Framing};
use crate::dialect::{Decoder, Dialect, Encoder, ErrorText, Facts, stream_error};
use crate::error::{Failure, Kind};
use crate::open::Open;
use crate::record::Ending;

/// Longest frame of a stream. Tool arguments come in many; one this long is a mistake.
const MAX_FRAME_BYTES: usize = 4 << 20;

/// The body of a response.
pub enum ResponseBody {
    /// Known in whole. The record, where there is one, ends when the body was handed to the connection.
    Whole {
        /// What is left of it.
        bytes: Bytes,
        /// The request it answers.
        open: Option<Open>,
    },
    /// Comes as the backend sends it.
    Relay(Box<Relay>),
}

impl ResponseBody {
    /// A body with no record to close.
    #[must_use]
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        Self::Whole { bytes: bytes.into(), open: None }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole { bytes, open } => {
                if let Some(open) = open {
                    open.close(Ending::Finished);
                }
                *open = None;
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Relay(relay) => relay.poll(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { bytes, open: None } if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

/// A stream on its way from a backend to a client.
pub struct Relay {
    // `None` once the record is closed and the permit free.
    open: Option<Open>,
    // `None` once its end was seen.
    upstream: Option<backend::Body>,
    frames: Frames,
    decoder: Decoder,
    deltas: Deltas,
    writer: Writer,
    client: Dialect,
    request_id: String,
    // Written and not yet taken by the client.
    out: VecDeque<Bytes>,
    ending: Option<Ending>,
    idle: Duration,
    until: Instant,
    timer: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

fn malformed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Protocol, "the backend's stream is not what its dialect says").with_detail(error)
}

/// How frames reach the client.
enum Writer {
    /// As they came, but for the usage that only the gateway asked for.
    Forward { hide_usage: bool },
    /// In the client's own dialect.
    Translate(Box<Encoder>),
}

impl Relay {
    /// A relay of `answer` to a client of dialect `client`.
    #[must_use]
    pub fn new(open: Open, answer: backend::Answer, client: Dialect, facts: Facts, timeouts: &Timeouts) -> Self {
        let request_id = facts.request_id.clone();
        let writer = if answer.dialect == client {
            Writer::Forward { hide_usage: client == Dialect::OpenAi && !facts.include_usage }
        } else {
            Writer::Translate(Box::new(Encoder::new(client, facts)))
        };
        let called = open.record.called.unwrap_or(open.record.started);
        Self {
            upstream: Some(answer.body),
            frames: Frames::new(answer.dialect.framing(), MAX_FRAME_BYTES),
            decoder: Decoder::new(answer.dialect),
            deltas: Deltas::new(),
            writer,
            client,
            request_id,
            out: VecDeque::new(),
            ending: None,
            idle: timeouts.idle,
            until: called + timeouts.total,
            timer: Box::pin(tokio::time::sleep_until(
                (Instant::now() + timeouts.idle).min(called + timeouts.total).into(),
            )),
            stopping: Box::pin(open.gateway().cut.clone().cancelled_owned()),
            open: Some(open),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            if let Some(ending) = self.ending {
                if let Some(mut open) = self.open.take() {
                    open.close(ending);
                }
                return Poll::Ready(None);
            }
            let came = ready!(self.poll_upstream(context));
            self.advance(came);
        }
    }

    /// What the backend sent next, or why it will send no more.
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Failure::new(Kind::Stopping, "the gateway is stopping"))));
        }
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        match upstream.poll_chunk(context) {
            Poll::Pending if self.timer.as_mut().poll(context).is_ready() => {
                let message = "the backend fell silent in the middle of its answer";
                Poll::Ready(Some(Err(Failure::new(Kind::Timeout, message))))
            }
            Poll::Ready(Some(Ok(chunk))) => {
                let next = (Instant::now() + self.idle).min(self.until);
                self.timer.as_mut().reset(next.into());
                Poll::Ready(Some(Ok(chunk)))
            }
            other => other,
        }
    }

    fn advance(&mut self, came: Option<Result<Bytes, Failure>>) {
        let outcome = match came {
            Some(Ok(chunk)) => self.take(chunk),
            Some(Err(failure)) => Err(failure),
            None => self.take_last(),
        };
        if let Err(failure) = outcome {
            self.fail(failure);
        }
    }

    /// Relays all whole frames of a chunk; the rest waits for the next.
    fn take(&mut self, chunk: Bytes) -> Result<(), Failure> {
        self.frames.push(chunk);
        while self.ending.is_none() {
            let Some(frame) = self.frames.next().map_err(|error| malformed(&error))? else { break };
            self.relay(frame)?;
        }
        Ok(())
    }

    /// The backend said all it will. Some servers close right after their end marker, without the frame's own end.
    fn take_last(&mut self) -> Result<(), Failure> {
        if let Some(frame) = self.frames.take_leftover() {
            let whole = self.out.len();
            // Half a frame is no complaint of its own: what matters is whether it was the end marker.
            let _ = self.relay(frame);
            if self.ending.is_some() {
                // What was written anew has its end; what was forwarded lacks it.
                match (&self.writer, self.client.framing()) {
                    (Writer::Translate(_), _) => {}
                    (Writer::Forward { .. }, Framing::Sse) => self.out.push_back(Bytes::from_static(b"\n\n")),
                    (Writer::Forward { .. }, Framing::Ndjson) => self.out.push_back(Bytes::from_static(b"\n")),
                }
                return Ok(());
            }
            self.out.truncate(whole);
        }
        Err(Failure::new(Kind::Cut, "the backend's stream ended before its end marker"))
    }

    /// Relays one frame.
    fn relay(&mut self, frame: Bytes) -> Result<(), Failure> {
        self.decoder.frame(&frame, &mut self.deltas).map_err(|error| malformed(&error))?;
        let only_usage = matches!(self.deltas.make_contiguous(), [Delta::Usage(_)]);
        let mut written = Vec::new();
        let mut ended = false;
        while let Some(delta) = self.deltas.pop_front() {
            self.note(&delta);
            match delta {
                Delta::End => ended = true,
                Delta::Failed(said) => {
                    let failure = Failure::new(Kind::BackendStatus(200), "the backend failed in its answer");
                    return Err(failure.with_detail(format_args!("in-band error of {} bytes", said.len())));
                }
                delta => {
                    if let Writer::Translate(encoder) = &mut self.writer {
                        encoder.delta(delta, &mut written);
                    }
                }
            }
        }
        match &mut self.writer {
            Writer::Forward { hide_usage } if *hide_usage && only_usage => {}
            Writer::Forward { .. } => self.out.push_back(frame),
            Writer::Translate(encoder) => {
                if let (true, Some(open)) = (ended, &self.open) {
                    encoder.end(&open.total(), &mut written);
                }
                if !written.is_empty() {
                    self.out.push_back(written.into());
                }
            }
        }
        if ended {
            self.ending = Some(Ending::Finished);
            // What it says after its end marker is nobody's business.
            self.upstream = None;
        }
        Ok(())
    }

    /// Keeps what the record needs of a step.
    fn note(&mut self, delta: &Delta) {
        let Some(open) = &mut self.open else { return };
        let record = &mut open.record;
        let text = match delta {
            Delta::Text(text) | Delta::Reasoning(text) => text,
            Delta::ToolCallArguments { fragment, .. } => fragment,
            Delta::ToolCallStart { name, .. } => name,
            Delta::Usage(usage) => {
                record.usage = Some(*usage);
                return;
            }
            Delta::Start { .. } | Delta::Finish(_) | Delta::End | Delta::Failed(_) => return,
        };
        if !text.is_empty() {
            record.first_token.get_or_insert_with(Instant::now);
            record.output_pieces += 1;
            record.output_bytes += text.len() as u64;
        }
    }

    fn fail(&mut self, failure: Failure) {
        let error = ErrorText {
            status: failure.kind.status().as_u16(),
            code: failure.kind.code().to_owned(),
            message: failure.message.clone(),
            request_id: self.request_id.clone(),
        };
        self.out.push_back(stream_error(self.client, &error).into());
        self.upstream = None;
        self.ending = Some(Ending::of(&failure.kind));
        if let Some(open) = &mut self.open {
            open.record.detail = if failure.detail.is_empty() { failure.message } else { failure.detail };
        }
    }
}
