//! The body of an answer, and what becomes of the rest of it when nothing more is wanted.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;

use super::coding::Decoding;
use super::http::Incoming;
use super::queue::Permit;
use super::sim;
use crate::error::{Failure, Kind as FailureKind};

/// What is read of an answer after its end marker, so that its connection can serve another request: the rest of the
/// body, up to this many bytes and for this time.
const DRAIN_BYTES: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The body of an answer, read as it arrives. Dropping it before its end cancels the call at the backend.
#[derive(Debug)]
pub struct Body {
    source: Source,
    _permit: Option<Permit>,
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A response's body, and what decodes it if it has a coding.
    Http(Incoming, Option<Box<Decoding>>),
    Sim(sim::SimBody),
}

impl Body {
    pub(super) fn new(source: Source, permit: Permit) -> Self {
        Self { source, _permit: Some(permit) }
    }

    /// The body of an answer to a probe, or of an error, which need no permit.
    pub(super) fn unpermitted(body: Incoming, decoding: Option<Decoding>) -> Self {
        Self { source: Source::Http(body, decoding.map(Box::new)), _permit: None }
    }

    /// Ends an answer of which nothing more is wanted, such as a stream after its end marker. What is left of it is read
    /// aside, within bounds, so that its connection can serve another request. The permit stays in use until then.
    pub fn finish(mut self) {
        // Mostly, the end is there already.
        let mut context = Context::from_waker(Waker::noop());
        if matches!(self.source, Source::Sim(_)) || self.poll_drain(&mut context, &mut 0).is_ready() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let mut drained = 0;
                let rest = std::future::poll_fn(|context| self.poll_drain(context, &mut drained));
                let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
            });
        }
    }

    /// Ready at the end of the body, when it broke off, or when too much of it is left.
    fn poll_drain(&mut self, context: &mut Context<'_>, drained: &mut usize) -> Poll<()> {
        while let Some(Ok(chunk)) = std::task::ready!(self.poll_chunk(context)) {
            *drained += chunk.len();
            if *drained > DRAIN_BYTES {
                break;
            }
        }
        Poll::Ready(())
    }

    /// The next piece; `None` at the end.
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let (body, decoding) = match &mut self.source {
            Source::Sim(body) => return body.poll_chunk(context),
            Source::Http(body, decoding) => (body, decoding),
        };
        loop {
            if let Some(decoding) = decoding
                && let Some(decoded) = decoding.next().map_err(|error| not_coded(&error)).transpose()
            {
                return Poll::Ready(Some(decoded));
            }
            let failure = match std::task::ready!(Pin::new(&mut *body).poll_frame(context)) {
                None => {
                    let Some(mut decoding) = decoding.take() else { return Poll::Ready(None) };
                    match decoding.finish() {
                        Ok(last) if last.is_empty() => return Poll::Ready(None),
                        Ok(last) => return Poll::Ready(Some(Ok(last))),
                        Err(error) => broke_off().with_detail(error),
                    }
                }
                Some(Ok(frame)) => match (frame.into_data(), &mut *decoding) {
                    (Ok(data), Some(decoding)) => {
                        decoding.push(data);
                        continue;
                    }
                    (Ok(data), None) if data.is_empty() => continue,
                    (Ok(data), None) => return Poll::Ready(Some(Ok(data))),
                    (Err(_trailers), _) => continue,
                },
                Some(Err(error)) => broke_off().with_detail(error),
            };
            return Poll::Ready(Some(Err(failure)));
        }
    }

    /// The next piece; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }
}

fn broke_off() -> Failure {
    Failure::new(FailureKind::Cut, "the backend's answer broke off")
}

fn not_coded(error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Protocol, "the backend's answer is not valid in its content-encoding").with_detail(error)
}
