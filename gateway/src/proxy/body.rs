//! The body of a response: complete, pending, or a stream as it is relayed. The body owns the in-flight request, so
//! that its record and permit end with the body, in one of four ways: finished, failed, abandoned, gateway stopping.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Interval;

use super::in_flight::InFlight;
use crate::dispatch::relay::Relay;
use crate::metrics::labels::Ending;

/// The keep-alive comment of an event stream.
const COMMENT: &[u8] = b": waiting for the model\n\n";

/// The body of a response.
pub enum ResponseBody {
    /// Complete. Its record, if there is one, is closed when the connection takes the body.
    Whole {
        /// The bytes still to send.
        bytes: Bytes,
        /// The request it answers.
        in_flight: Option<InFlight>,
    },
    /// Pending. Until `then` resolves, the client gets keep-alive comments, which clients ignore.
    Waiting {
        /// The body that follows.
        then: Pin<Box<dyn Future<Output = ResponseBody> + Send>>,
        /// When the next comment is due.
        tick: Interval,
    },
    /// A stream, relayed as the backend sends it.
    Relay {
        /// The stream.
        relay: Box<Relay>,
        /// The request it answers; `None` once its record is closed and its permit is released.
        in_flight: Option<InFlight>,
    },
}

impl ResponseBody {
    /// A body with no record to close.
    #[must_use]
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        Self::Whole { bytes: bytes.into(), in_flight: None }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Self::Waiting { then, tick } = this {
            let Poll::Ready(body) = then.as_mut().poll(context) else {
                let _ = ready!(tick.poll_tick(context));
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
            };
            *this = body;
        }
        match this {
            // Unreachable: `then` never resolves to `Waiting`.
            Self::Waiting { .. } => Poll::Ready(None),
            Self::Whole { bytes, in_flight } => {
                if let Some(in_flight) = in_flight {
                    in_flight.close(Ending::Finished);
                }
                *in_flight = None;
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Relay { relay, in_flight } => {
                let Some(live) = in_flight else { return Poll::Ready(None) };
                match ready!(relay.poll(context, &mut live.record)) {
                    Ok(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Err(ending) => {
                        live.close(ending);
                        *in_flight = None;
                        Poll::Ready(None)
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { bytes, in_flight: None } if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Relay { .. } | Self::Waiting { .. } => SizeHint::default(),
        }
    }
}
