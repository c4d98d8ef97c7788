//! Relays a stream frame by frame from a backend to a client.
//!
//! Frames pass unchanged if the backend speaks the client's dialect; otherwise they are translated. The relay notes
//! usage as it passes. It sends nothing to the client before the first token, so that another model can still answer.
//! After that, a stream that breaks off ends with the dialect's in-band error, never like a complete one.
//!
//! Compatible servers are not exact: some close a complete stream without its end marker, some write a frame that is not
//! of the dialect. The relay supplies the end marker and skips such frames, unless the backend is configured as strict. Some
//! answer with a whole answer or an error in place of a stream: the relay hands such a body back.
//!
//! This module must not know: the response, the in-flight request.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::MAX_REPLY_BYTES;
use super::budgets::stopping;
use super::client_error::error_text;
use super::deadlines::Deadlines;
use super::note::note;
use super::progress::Progress;
use super::writer::{Client, Writer};
use crate::backend::{self, Redaction};
use crate::error::{Failure, Kind};
use crate::metrics::labels::{Abandonment, Ending};
use crate::telemetry::Record;
use wasmgate_base::money::Price;
use wasmgate_dialect::chat::{Delta, Deltas};
use wasmgate_dialect::frames::{Frames, Framing};
use wasmgate_dialect::{Decoder, Dialect, ErrorText, Malformed, Passed, stream_end, stream_error};

/// Longest frame of a stream: models that draw send a picture in one.
const MAX_FRAME_BYTES: usize = MAX_REPLY_BYTES;
/// Most bytes of frames held back before the first token.
const MAX_HELD_BYTES: usize = 4 << 20;
/// Most frames held back before the first token. A stream opens with two or three; pings add a few.
const MAX_HELD_FRAMES: usize = 1000;
/// Number of those beyond which pings are not kept.
const MAX_HELD_PINGS: usize = 900;
/// Most frames of one stream that the relay skips because they are not JSON.
const MAX_SKIPPED_FRAMES: u32 = 32;

/// What a client reads of a stream that has not begun in time.
const FIRST_TOKEN_LATE: &str = "the backend did not send its first token in time";

/// A client that asks for more within this time is not behind, so that the backend's idle timer need not be moved.
const BEHIND: Duration = Duration::from_millis(10);

/// How a stream began.
pub(super) enum Begun {
    /// Its frames are ready for the client.
    Stream,
    /// It is none: a JSON document begins like this.
    Document(Bytes),
}

/// A stream on its way from a backend to a client.
pub(crate) struct Relay {
    // `None` once the stream has ended.
    upstream: Option<backend::Body>,
    frames: Frames,
    decoder: Decoder,
    deltas: Deltas,
    writer: Writer,
    client: Dialect,
    request_id: String,
    price: Option<Price>,
    // Frames that the client has not taken yet.
    out: VecDeque<Bytes>,
    // Bytes of pings that were not kept.
    unkept: usize,
    // Bytes of texts, thinking and tool calls so far.
    received: usize,
    // Whether the model sent a finish reason.
    finished: bool,
    // Whether the first byte, which could be that of a JSON document, is still to come. Events never begin like one.
    may_be_document: bool,
    // The first bytes of such a document.
    document: Option<Bytes>,
    // Whether a frame that is not of the dialect, or a missing end marker, is an error.
    strict: bool,
    // What clients must not read of the backend's errors.
    redaction: Arc<Redaction>,
    // Frames skipped so far because they are not JSON.
    skipped: u32,
    ending: Option<Ending>,
    deadlines: Deadlines,
    timer: Pin<Box<Sleep>>,
    // When the client took the last bytes; `None` once it asked for more.
    handed: Option<Instant>,
    // When the relay last looked at the clock.
    now: Instant,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

fn malformed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Protocol, "the backend's stream is not valid in its dialect").with_detail(error)
}

impl Relay {
    /// A relay of `answer` to `client`, until `cutoff` is cancelled.
    #[must_use]
    pub(crate) fn new(
        answer: backend::Answer,
        client: Client,
        deadlines: Deadlines,
        cutoff: CancellationToken,
    ) -> Self {
        let (now, Client { dialect: client, facts, price }) = (Instant::now(), client);
        let request_id = facts.request_id.clone();
        let writer = Writer::new(answer.dialect, client, facts);
        let decoder = match writer.forwards() {
            true => Decoder::forwarding(answer.dialect),
            false => Decoder::new(answer.dialect),
        };
        Self {
            upstream: Some(answer.body),
            frames: Frames::new(answer.dialect.framing(), MAX_FRAME_BYTES),
            decoder,
            deltas: Deltas::new(),
            writer,
            client,
            request_id,
            price,
            out: VecDeque::new(),
            unkept: 0,
            received: 0,
            finished: false,
            may_be_document: answer.dialect.framing() == Framing::Sse,
            document: None,
            strict: answer.strict,
            redaction: answer.redaction,
            skipped: 0,
            ending: None,
            deadlines,
            timer: Box::pin(tokio::time::sleep_until(deadlines.next(now, false).into())),
            handed: None,
            now,
            stopping: Box::pin(cutoff.cancelled_owned()),
        }
    }

    /// Waits for the first token, or for the end of an answer that has none. With `hold`, waits for the end unless more
    /// than `hold` bytes arrive before it. Tells `progress` when the first token arrives.
    ///
    /// # Errors
    /// If the first token or the end does not arrive. The client has seen nothing.
    pub(super) async fn begin(
        &mut self,
        record: &mut Record,
        hold: Option<usize>,
        progress: &Progress,
    ) -> Result<Begun, Failure> {
        // Nothing leaves `out` while this waits, so each frame is counted once.
        let (mut counted, mut held) = (0, 0);
        std::future::poll_fn(|context| {
            loop {
                let has_begun = record.first_token.is_some();
                let may_wait = match hold {
                    _ if self.ending.is_some() => false,
                    Some(most) => !has_begun || held <= most,
                    None => !has_begun,
                };
                if !may_wait {
                    return Poll::Ready(Ok(Begun::Stream));
                }
                let came = ready!(self.poll_upstream(context, has_begun));
                self.step(came, record)?;
                if let Some(beginning) = self.document.take() {
                    return Poll::Ready(Ok(Begun::Document(beginning)));
                }
                if !has_begun && record.first_token.is_some() {
                    progress.begin();
                }
                held += self.out.range(counted..).map(Bytes::len).sum::<usize>();
                counted = self.out.len();
                let too_much = counted > MAX_HELD_FRAMES || held + self.unkept > MAX_HELD_BYTES;
                if record.first_token.is_none() && self.ending.is_none() && too_much {
                    let message = "the backend's stream has no token within 1000 frames or 4 MiB";
                    return Poll::Ready(Err(Failure::new(Kind::Protocol, message)));
                }
            }
        })
        .await
    }

    /// The rest of a body that is no stream.
    pub(super) fn take_body(&mut self) -> Option<backend::Body> {
        self.upstream.take()
    }

    /// Ends with this whole answer, written as a stream of the client's dialect.
    pub(super) fn end_with(&mut self, written: Bytes) {
        self.out = VecDeque::from([written]);
        self.ending = Some(Ending::Finished);
    }

    /// From now on no other model can answer, so that none needs time.
    pub(crate) fn commit(&mut self) {
        if std::mem::replace(&mut self.deadlines.leaves_time, false) {
            self.timer.as_mut().reset(self.deadlines.next(self.now, true).into());
        }
    }

    /// Whether the stream ended before the client has seen any of it.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        self.ending.is_some()
    }

    /// The next bytes for the client, or how the stream ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, record: &mut Record) -> Poll<Result<Bytes, Ending>> {
        if let Some(handed) = self.handed.take() {
            self.resume(handed, record);
        }
        loop {
            if let Some(bytes) = self.out.pop_front() {
                self.handed = Some(self.now);
                return Poll::Ready(Ok(bytes));
            }
            if let Some(ending) = self.ending {
                return Poll::Ready(Err(ending));
            }
            let came = ready!(self.poll_upstream(context, true));
            if let Err(failure) = self.step(came, record) {
                let overdue = failure.kind == Kind::Timeout && self.now >= self.deadlines.total;
                if overdue && self.now < self.deadlines.total + record.client_held {
                    self.end_behind(record);
                } else {
                    self.fail(failure, record);
                }
            }
        }
    }

    /// When the stream must have ended.
    #[must_use]
    pub(crate) fn total(&self) -> Instant {
        self.deadlines.total
    }

    /// Since when the client has not asked for more, although it got bytes.
    #[must_use]
    pub(crate) fn waits_for_client_since(&self) -> Option<Instant> {
        self.handed
    }

    /// Notes how long the client kept the stream waiting. The backend's idle time begins when the client is back: while
    /// nobody read, the backend may have been unable to send.
    fn resume(&mut self, handed: Instant, record: &mut Record) {
        self.now = Instant::now();
        if self.upstream.is_none() {
            // The model was done.
            return;
        }
        let held = self.now - handed;
        if held >= BEHIND {
            record.client_held += held;
            self.timer.as_mut().reset(self.deadlines.next(self.now, true).into());
        }
    }

    /// The backend's next chunk, or why there is none. `begun`: the first token has arrived.
    fn poll_upstream(&mut self, context: &mut Context<'_>, begun: bool) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(stopping())));
        }
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        match upstream.poll_chunk(context) {
            Poll::Pending if self.timer.as_mut().poll(context).is_ready() => {
                let message = match begun {
                    true => "the backend stopped sending in the middle of its answer",
                    false => FIRST_TOKEN_LATE,
                };
                Poll::Ready(Some(Err(Failure::new(Kind::Timeout, message))))
            }
            other => other,
        }
    }

    fn step(&mut self, came: Option<Result<Bytes, Failure>>, record: &mut Record) -> Result<(), Failure> {
        self.now = Instant::now();
        match came {
            Some(Ok(chunk)) => self.take(chunk, record)?,
            Some(Err(failure)) => return Err(failure),
            None => self.take_last(record)?,
        }
        if self.ending.is_some() {
            return Ok(());
        }
        let begun = record.first_token.is_some();
        // `poll_upstream` polls the timer only if no chunk is ready.
        if self.now > self.deadlines.end(begun) {
            let message = match begun {
                true => "the backend did not finish its answer in time",
                false => FIRST_TOKEN_LATE,
            };
            return Err(Failure::new(Kind::Timeout, message));
        }
        self.timer.as_mut().reset(self.deadlines.next(self.now, begun).into());
        Ok(())
    }

    /// Relays all complete frames of a chunk; the rest waits for the next chunk.
    fn take(&mut self, chunk: Bytes, record: &mut Record) -> Result<(), Failure> {
        if let Some(first) = chunk.trim_ascii_start().first().filter(|_| self.may_be_document) {
            self.may_be_document = false;
            if matches!(first, b'{' | b'[') {
                self.document = Some(chunk);
                return Ok(());
            }
        }
        self.frames.push(chunk);
        while self.ending.is_none() {
            let Some(frame) = self.frames.next().map_err(|error| malformed(&error))? else { break };
            self.relay(frame, record)?;
        }
        Ok(())
    }

    /// Relays what is left when the backend closes its stream in order. Some servers close right after their last frame,
    /// without the frame's terminator, and some never send an end marker: once the model has sent its finish reason, the
    /// answer is complete.
    fn take_last(&mut self, record: &mut Record) -> Result<(), Failure> {
        if let Some(frame) = self.frames.take_leftover() {
            let before = self.out.len();
            // An incomplete frame is no error by itself: what matters is whether it completes the answer.
            let relayed = match self.relay(frame, record) {
                // It is whole enough to say that the answer failed.
                Err(failure) if failure.kind != Kind::Protocol => return Err(failure),
                relayed => relayed.is_ok() && (self.ending.is_some() || self.finished),
            };
            if !relayed {
                self.out.truncate(before);
            } else if self.out.len() > before && self.writer.forwards() {
                // A translated frame has its terminator; a forwarded one may lack it.
                let terminator: &[u8] = match self.client.framing() {
                    Framing::Sse => b"\n\n",
                    Framing::Ndjson => b"\n",
                };
                if !self.out.back().is_some_and(|frame| frame.ends_with(terminator)) {
                    self.out.push_back(Bytes::from_static(terminator));
                }
            }
        }
        if self.ending.is_some() {
            return Ok(());
        }
        if !self.finished || self.strict {
            return Err(Failure::new(Kind::Cut, "the backend's stream ended before its end marker"));
        }
        if self.writer.forwards() {
            self.out.push_back(Bytes::from_static(stream_end(self.client)));
        }
        self.end(record);
        Ok(())
    }

    /// Relays one frame.
    fn relay(&mut self, frame: Bytes, record: &mut Record) -> Result<(), Failure> {
        let passed = match self.decoder.frame(&frame, &mut self.deltas) {
            Ok(Passed::Skipped(why)) => return self.pass_over(why, record),
            Ok(passed) => passed,
            Err(error) => return self.skip(&error, record),
        };
        let is_empty = self.deltas.is_empty();
        let only_usage = matches!(self.deltas.make_contiguous(), [Delta::Usage { .. }]);
        let mut written = Vec::new();
        let mut ended = false;
        while let Some(delta) = self.deltas.pop_front() {
            note(record, &delta);
            self.bound(&delta)?;
            self.finished |= matches!(delta, Delta::Finish(_));
            match delta {
                Delta::End if !self.finished => {
                    return Err(Failure::new(Kind::Cut, "the backend's stream ended without a finish reason"));
                }
                Delta::End => ended = true,
                Delta::Failed(error) => return Err(backend::failed_in_band(&error, &self.redaction)),
                delta => {
                    if let Writer::Translate(encoder) = &mut self.writer {
                        // Nothing that the client's dialect can express is lost, and the operator can see it.
                        if matches!(delta, Delta::Other(_)) {
                            record.skip_frame();
                        }
                        encoder.delta(delta, &mut written);
                    }
                }
            }
        }
        let frame = match passed {
            Passed::Rewritten(bytes) => bytes.into(),
            Passed::AsIs | Passed::Skipped(_) => frame,
        };
        if is_empty && record.first_token.is_none() && self.out.len() >= MAX_HELD_PINGS {
            self.unkept += frame.len();
            return Ok(());
        }
        match &mut self.writer {
            Writer::Mark(forwarded) => self.out.push_back(forwarded.frame(frame)),
            Writer::Forward { hide_usage } if *hide_usage && only_usage => {}
            Writer::Forward { .. } => self.out.push_back(frame),
            Writer::Translate(_) if !written.is_empty() => self.out.push_back(written.into()),
            Writer::Translate(_) => {}
        }
        if ended {
            self.end(record);
        }
        Ok(())
    }

    /// Bounds the answer like one that is not streamed, since some encoders keep it until its end.
    fn bound(&mut self, delta: &Delta) -> Result<(), Failure> {
        self.received += match delta {
            Delta::Text(text) | Delta::Reasoning(text) => text.len(),
            Delta::ToolCallStart { id, name, .. } => id.len() + name.len(),
            Delta::ToolCallArguments { fragment, .. } => fragment.len(),
            Delta::Other(bytes) => *bytes,
            Delta::Start { .. } | Delta::Finish(_) | Delta::Usage { .. } | Delta::End | Delta::Failed(_) => 0,
        };
        if self.received > MAX_REPLY_BYTES {
            return Err(Failure::new(Kind::Protocol, "the backend's answer is longer than 32 MiB"));
        }
        Ok(())
    }

    /// Skips a frame that holds nothing of the answer. The record counts it.
    fn pass_over(&mut self, why: &str, record: &mut Record) -> Result<(), Failure> {
        if self.strict {
            return Err(malformed(&why));
        }
        record.skip_frame();
        tracing::debug!(request_id = self.request_id, why, "skipped a frame of the backend's stream");
        Ok(())
    }

    /// Skips a frame that is not JSON, unless it holds a piece of the answer. The record counts it.
    fn skip(&mut self, error: &Malformed, record: &mut Record) -> Result<(), Failure> {
        self.deltas.clear();
        if self.strict || error.is_part_of_answer() || self.skipped == MAX_SKIPPED_FRAMES {
            return Err(malformed(error));
        }
        self.skipped += 1;
        record.skip_frame();
        tracing::debug!(request_id = self.request_id, %error, "skipped a frame of the backend's stream");
        Ok(())
    }

    /// Ends a complete answer. Anything that the backend sends after it is ignored.
    fn end(&mut self, record: &mut Record) {
        if let Writer::Translate(encoder) = &mut self.writer {
            let mut written = Vec::new();
            encoder.end(&record.total(self.price), &mut written);
            self.out.push_back(written.into());
        }
        self.ending = Some(Ending::Finished);
        record.answered = Some(self.now);
        if let Some(upstream) = self.upstream.take() {
            upstream.finish();
        }
    }

    fn fail(&mut self, failure: Failure, record: &mut Record) {
        let error = error_text(&failure, &self.request_id);
        self.break_off(&error, Ending::of(&failure.kind));
        record.detail = if failure.detail.is_empty() { failure.message } else { failure.detail };
    }

    /// Ends a stream whose time is over because its client was behind.
    fn end_behind(&mut self, record: &mut Record) {
        let message = "the client read so slowly that the answer could not end in time";
        let error = ErrorText {
            status: 408,
            code: Abandonment::SlowClient.as_str().to_owned(),
            message: message.to_owned(),
            request_id: self.request_id.clone(),
            ..ErrorText::default()
        };
        self.break_off(&error, Ending::Abandoned(Abandonment::SlowClient));
        message.clone_into(&mut record.detail);
    }

    fn break_off(&mut self, error: &ErrorText, ending: Ending) {
        let mut written = Vec::new();
        match &mut self.writer {
            Writer::Translate(encoder) => encoder.fail(error, &mut written),
            Writer::Mark(forwarded) => forwarded.fail(error, &mut written),
            Writer::Forward { .. } => written = stream_error(self.client, error),
        }
        self.out.push_back(written.into());
        self.upstream = None;
        self.ending = Some(ending);
    }
}
