//! Whether the request of a call was written to its backend. From then on the backend may have worked for it, and its
//! provider may charge for it, whatever becomes of the answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A flag that the caller keeps and the call sets; clones are the same flag. It outlives a call that was cancelled.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// Notes that the request is being written.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the request was written, at least in part.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request. The HTTP library takes it when it writes the request, so after the connection was made.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Bytes,
    pub(super) sent: Sent,
}

impl Outgoing {
    /// No body.
    pub(super) fn empty() -> Self {
        Self { bytes: Bytes::new(), sent: Sent::default() }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.sent.note();
        let bytes = std::mem::take(&mut this.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
