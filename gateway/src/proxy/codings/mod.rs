//! The content codings of request bodies: gzip, deflate and zstd, one or several. What they decode to is bounded like a body
//! that comes plain, and so is what lies between two codings, so that a small body cannot ask for much work or memory.
//!
//! This module must not know: what a body says.

mod readers;

use std::io::Read as _;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

use super::memory::{Held, Room, no_room};
use crate::error::{Failure, Kind};
use crate::offload;
use readers::Reader;

/// The codings that the gateway reads, as the header `accept-encoding` lists them.
pub(super) const ACCEPTED: &str = "gzip, deflate, zstd, identity";

/// Most codings of one body.
const MAX_CODINGS: usize = 3;
/// Coded bytes up to which a body may be decoded on the worker.
const FEW: usize = 32 << 10;
/// Bytes that are decoded at a time.
const PIECE: usize = 64 << 10;

/// One coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// In zlib's form, or without it as some clients send it.
    Deflate,
    Zstd,
}

/// The codings of a body, in the order in which they were applied.
///
/// # Errors
/// If one of them is unknown, or there are more than three.
pub(super) fn of(headers: &HeaderMap) -> Result<Vec<Coding>, Failure> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "zstd" => codings.push(Coding::Zstd),
                _ => return Err(unknown()),
            }
        }
    }
    if codings.len() > MAX_CODINGS { Err(unknown()) } else { Ok(codings) }
}

fn unknown() -> Failure {
    let message = format!("the content-encoding must be one of {ACCEPTED}, or up to {MAX_CODINGS} of them");
    Failure::new(Kind::UnknownCoding, message)
}

/// What bounds the decoding of one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most bytes of the decoded body.
    pub(super) body: usize,
    /// How often a body counts in memory.
    pub(super) copies: usize,
    /// The memory of all requests.
    pub(super) room: Room,
}

/// Decodes a body, off the worker unless it is small. `held` is the memory of the coded body, then of the decoded one.
///
/// # Errors
/// If the body is not valid in its codings, is too long once it is decoded, or finds no room.
pub(super) async fn decode(
    coded: Bytes,
    codings: &[Coding],
    mut held: Held,
    bounds: Bounds,
) -> Result<(Bytes, Held), Failure> {
    let small = codings.len() == 1 && coded.len() <= FEW;
    let before = coded.len();
    // It is not parsed, nor sent on.
    held.shrink(before);
    let mut decoding = Decoding { reader: Reader::new(coded, codings, bounds.body), out: Vec::new(), held, bounds };
    if !small || !decoding.read(offload::SMALL_BYTES)? {
        decoding = offload::run(usize::MAX, move || decoding.read(usize::MAX).map(|_| decoding)).await??;
    }
    let Decoding { out, mut held, .. } = decoding;
    held.release(before);
    Ok((out.into(), held))
}

/// A body that is being decoded.
struct Decoding {
    reader: Reader,
    out: Vec<u8>,
    held: Held,
    bounds: Bounds,
}

impl Decoding {
    /// Reads on until the end, or until more than `most` bytes are there. Returns whether it is the end.
    fn read(&mut self, most: usize) -> Result<bool, Failure> {
        while self.out.len() <= most {
            let before = self.out.len();
            let read = self.reader.by_ref().take(PIECE as u64).read_to_end(&mut self.out);
            if self.out.len() > self.bounds.body || self.reader.is_exceeded() {
                let message = format!("the decoded body is longer than {} bytes", self.bounds.body);
                return Err(Failure::new(Kind::TooLarge, message));
            }
            if let Err(error) = read {
                let message = "the body is not valid in its content-encoding";
                return Err(Failure::new(Kind::BadRequest, message).with_detail(error));
            }
            let came = self.out.len() - before;
            if came == 0 {
                return Ok(true);
            }
            if !self.held.grow(came * self.bounds.copies, self.bounds.room) {
                return Err(no_room());
            }
        }
        Ok(false)
    }
}
