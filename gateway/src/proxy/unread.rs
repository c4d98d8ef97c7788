//! The body of a request that has not been read, and what becomes of it if the request is refused.
//!
//! A server that closes a connection with unread data resets it, and the reset destroys the answer (RFC 9112, section 9.6). Many
//! clients write their whole request before they read anything; they would never learn why they were refused. So the rest of a
//! refused request is read aside, within bounds, and dropped: it holds no memory and no place among the requests in flight.

use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::time::Instant;

/// Most bytes of a refused request that are read and dropped. What is longer ends in a reset.
const MAX_DRAIN_BYTES: usize = 256 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Unread {
    body: Incoming,
    came: Instant,
    // The client waits for a sign before it sends the body.
    waits: bool,
    ended: bool,
}

impl Unread {
    /// Splits a request into its head and its body.
    pub(super) fn of(request: Request<Incoming>) -> (Parts, Self) {
        let (head, body) = request.into_parts();
        let expects = |value: &hyper::header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        let waits = head.headers.get(EXPECT).is_some_and(expects);
        let ended = body.is_end_stream();
        (head, Self { body, came: Instant::now(), waits, ended })
    }

    /// The next frame; `None` at the end.
    pub(super) async fn frame(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        // The HTTP library sends the sign when the body is first asked for.
        self.waits = false;
        let frame = self.body.frame().await;
        self.ended = frame.is_none();
        frame
    }

    /// Whether nothing more comes.
    pub(super) fn is_end(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// Whether the connection must end with the answer, because the rest of the body will not be read: the client still
    /// waits for a sign, or the body is larger than what is read aside. The client must be told, or it sends its next request
    /// over a connection that closes (RFC 9112, section 9.6).
    pub(super) fn is_abandoned(&self) -> bool {
        !self.is_end() && (self.waits || self.body.size_hint().lower() > MAX_DRAIN_BYTES as u64)
    }

    /// Reads what is left of the body aside, until `time` after the request came. A client that still waits for a sign gets
    /// none: it reads the answer at once and sends no body.
    pub(super) fn finish(mut self, time: Duration) {
        if self.waits || self.is_end() {
            return;
        }
        let until = self.came + time;
        tokio::spawn(async move {
            let rest = async {
                let mut left = MAX_DRAIN_BYTES;
                while let Some(Ok(frame)) = self.frame().await {
                    match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                        Some(less) => left = less,
                        None => return,
                    }
                }
            };
            let _ = tokio::time::timeout_at(until, rest).await;
        });
    }
}
