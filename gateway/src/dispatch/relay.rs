//! A stream relayed frame by frame from a backend to a client.
//!
//! Frames of a backend that speaks the client's dialect pass untouched; others are read and written anew. Usage is
//! noted as it passes. Nothing goes to the client before the first token, so that another model may still answer. From
//! then on a stream that breaks off ends in the dialect's in-band error and never in a normal end.
//!
//! This module must not know: the response, the request in flight.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::budgets::stopping;
use crate::backend;
use crate::error::{Failure, Kind};
use crate::metrics::labels::Ending;
use crate::telemetry::Record;
use wasmgate_base::money::Price;
use wasmgate_dialect::chat::{Delta, Deltas};
use wasmgate_dialect::frames::{Frames, Framing};
use wasmgate_dialect::{Decoder, Dialect, Encoder, ErrorText, Facts, stream_error};

/// Longest frame of a stream. Tool arguments come in many; one this long is a mistake.
const MAX_FRAME_BYTES: usize = 4 << 20;
/// Frames without a token that are held back before the first: what opens a stream has two or three, pings a few more.
const MAX_HELD_FRAMES: usize = 1000;

/// A stream on its way from a backend to a client.
pub struct Relay {
    // `None` once its end was seen.
    upstream: Option<backend::Body>,
    frames: Frames,
    decoder: Decoder,
    deltas: Deltas,
    writer: Writer,
    client: Dialect,
    request_id: String,
    price: Option<Price>,
    // Written and not yet taken by the client.
    out: VecDeque<Bytes>,
    // Whether the model said why it ended.
    finished: bool,
    ending: Option<Ending>,
    deadlines: Deadlines,
    timer: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// To whom a stream is relayed.
#[derive(Debug)]
pub struct Client {
    /// The dialect that the client speaks.
    pub dialect: Dialect,
    /// What the stream says besides the model's words.
    pub facts: Facts,
    /// What the model charges.
    pub price: Option<Price>,
}

/// Until when what must come.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// The first token.
    pub first_token: Instant,
    /// From then on, how long the backend may be silent.
    pub idle: Duration,
    /// The end.
    pub total: Instant,
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
    /// A relay of `answer` to `client`, until `cutoff`.
    #[must_use]
    pub fn new(answer: backend::Answer, client: Client, deadlines: Deadlines, cutoff: CancellationToken) -> Self {
        let Client { dialect: client, facts, price } = client;
        let request_id = facts.request_id.clone();
        let writer = if answer.dialect == client {
            Writer::Forward { hide_usage: client == Dialect::OpenAi && !facts.include_usage }
        } else {
            Writer::Translate(Box::new(Encoder::new(client, facts)))
        };
        Self {
            upstream: Some(answer.body),
            frames: Frames::new(answer.dialect.framing(), MAX_FRAME_BYTES),
            decoder: Decoder::new(answer.dialect),
            deltas: Deltas::new(),
            writer,
            client,
            request_id,
            price,
            out: VecDeque::new(),
            finished: false,
            ending: None,
            deadlines,
            timer: Box::pin(tokio::time::sleep_until(deadlines.first_token.min(deadlines.total).into())),
            stopping: Box::pin(cutoff.cancelled_owned()),
        }
    }

    /// Waits for the first token, or the end of an answer that has none; with `hold` for the end, unless so many bytes
    /// come before it.
    ///
    /// # Errors
    /// Where it does not come; the client has seen nothing.
    pub async fn begin(&mut self, record: &mut Record, hold: Option<usize>) -> Result<(), Failure> {
        // Nothing is taken out meanwhile: each frame is counted once.
        let (mut counted, mut held) = (0, 0);
        std::future::poll_fn(|context| {
            loop {
                let has_begun = record.first_token.is_some();
                let goes_on = match hold {
                    _ if self.ending.is_some() => false,
                    Some(most) => !has_begun || held <= most,
                    None => !has_begun,
                };
                if !goes_on {
                    return Poll::Ready(Ok(()));
                }
                let came = ready!(self.poll_upstream(context, has_begun));
                self.step(came, record)?;
                held += self.out.range(counted..).map(Bytes::len).sum::<usize>();
                counted = self.out.len();
                let too_much = counted > MAX_HELD_FRAMES || held > MAX_FRAME_BYTES;
                if record.first_token.is_none() && self.ending.is_none() && too_much {
                    let message = "the backend's stream has frames without end, but no token";
                    return Poll::Ready(Err(Failure::new(Kind::Protocol, message)));
                }
            }
        })
        .await
    }

    /// Whether all of it came before the client has seen any.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ending.is_some()
    }

    /// What the client gets next, or how it ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, record: &mut Record) -> Poll<Result<Bytes, Ending>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Ok(bytes));
            }
            if let Some(ending) = self.ending {
                return Poll::Ready(Err(ending));
            }
            let came = ready!(self.poll_upstream(context, true));
            if let Err(failure) = self.step(came, record) {
                self.fail(failure, record);
            }
        }
    }

    /// What the backend sent next, or why it will send no more. `begun`: the first token has come.
    fn poll_upstream(&mut self, context: &mut Context<'_>, begun: bool) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(stopping())));
        }
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        match upstream.poll_chunk(context) {
            Poll::Pending if self.timer.as_mut().poll(context).is_ready() => {
                let message = match begun {
                    true => "the backend fell silent in the middle of its answer",
                    false => "the backend did not begin its answer in time",
                };
                Poll::Ready(Some(Err(Failure::new(Kind::Timeout, message))))
            }
            other => other,
        }
    }

    fn step(&mut self, came: Option<Result<Bytes, Failure>>, record: &mut Record) -> Result<(), Failure> {
        match came {
            Some(Ok(chunk)) => self.take(chunk, record)?,
            Some(Err(failure)) => return Err(failure),
            None => self.take_last(record)?,
        }
        if self.ending.is_some() || record.first_token.is_none() {
            return Ok(());
        }
        // The timer is asked only when nothing comes.
        let now = Instant::now();
        if now > self.deadlines.total {
            return Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"));
        }
        self.timer.as_mut().reset((now + self.deadlines.idle).min(self.deadlines.total).into());
        Ok(())
    }

    /// Relays all whole frames of a chunk; the rest waits for the next.
    fn take(&mut self, chunk: Bytes, record: &mut Record) -> Result<(), Failure> {
        self.frames.push(chunk);
        while self.ending.is_none() {
            let Some(frame) = self.frames.next().map_err(|error| malformed(&error))? else { break };
            self.relay(frame, record)?;
        }
        Ok(())
    }

    /// The backend said all it will. Some servers close right after their end marker, without the frame's own end.
    fn take_last(&mut self, record: &mut Record) -> Result<(), Failure> {
        if let Some(frame) = self.frames.take_leftover() {
            let whole = self.out.len();
            // Half a frame is no complaint of its own: what matters is whether it was the end marker.
            let _ = self.relay(frame, record);
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
    fn relay(&mut self, frame: Bytes, record: &mut Record) -> Result<(), Failure> {
        self.decoder.frame(&frame, &mut self.deltas).map_err(|error| malformed(&error))?;
        let only_usage = matches!(self.deltas.make_contiguous(), [Delta::Usage(_)]);
        let mut written = Vec::new();
        let mut ended = false;
        while let Some(delta) = self.deltas.pop_front() {
            note(record, &delta);
            self.finished |= matches!(delta, Delta::Finish(_));
            match delta {
                Delta::End if !self.finished => {
                    return Err(Failure::new(Kind::Cut, "the backend's stream ended without saying why"));
                }
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
                if ended {
                    encoder.end(&record.total(self.price), &mut written);
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

    fn fail(&mut self, failure: Failure, record: &mut Record) {
        let error = ErrorText {
            status: failure.kind.status().as_u16(),
            code: failure.kind.code().to_owned(),
            message: failure.message.clone(),
            request_id: self.request_id.clone(),
        };
        self.out.push_back(stream_error(self.client, &error).into());
        self.upstream = None;
        self.ending = Some(Ending::of(&failure.kind));
        record.detail = if failure.detail.is_empty() { failure.message } else { failure.detail };
    }
}

/// Keeps what the record needs of a step.
fn note(record: &mut Record, delta: &Delta) {
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
