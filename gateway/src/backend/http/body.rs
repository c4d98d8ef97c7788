//! The body of an answer, over either protocol.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming as H1Body;

use super::error_chain;
use super::h1;
use super::h2::{RecvStream, Stream};

/// The body of an answer, read as it arrives. When its end was read, its connection serves other requests; dropping it
/// before that cancels the request.
#[derive(Debug)]
pub(in crate::backend) enum Incoming {
    /// Over HTTP/1.1. The connection is there until the end was read.
    H1(H1Body, Option<h1::Lease>),
    /// Over HTTP/2. The stream counts as in use until the end was read.
    H2(RecvStream, Option<Stream>),
}

/// Why a body broke off, with its causes.
#[derive(Debug)]
pub(in crate::backend) struct BrokenOff(String);

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BrokenOff {}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BrokenOff;

    /// Only data: the gateway does not use trailers.
    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::H1(body, lease) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(context)) {
                    Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                    Some(Ok(_trailers)) => {}
                    Some(Err(error)) => return Poll::Ready(Some(Err(BrokenOff(error_chain(&error))))),
                    None => {
                        if let Some(lease) = lease.take() {
                            lease.give_back();
                        }
                        return Poll::Ready(None);
                    }
                }
            },
            Self::H2(body, stream) => match ready!(body.poll_data(context)) {
                Some(Ok(data)) => {
                    // The window opens as the reader reads, so that a slow one holds back its own stream only.
                    let _ = body.flow_control().release_capacity(data.len());
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Some(Err(error)) => Poll::Ready(Some(Err(BrokenOff(error_chain(&error))))),
                None => {
                    drop(stream.take());
                    Poll::Ready(None)
                }
            },
        }
    }
}
