//! The chain of readers that undoes a body's codings one after the other. Each reader gets a bounded number of bytes from the
//! one before it: some codings can express nothing in many bytes, which compress very well.

use std::io::{BufRead, BufReader, Cursor, Error, ErrorKind, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Coding;

/// Largest window of a zstd frame, as RFC 9659 bounds it for content codings: 8 MiB.
const MAX_WINDOW: u64 = 8 << 20;

/// Reads the decoded body.
pub(super) struct Reader {
    chain: Box<dyn Read + Send>,
    exceeded: Arc<AtomicBool>,
}

impl Reader {
    /// Undoes `codings`, the last one first. `most`: bytes that may lie between two codings.
    pub(super) fn new(coded: Bytes, codings: &[Coding], most: usize) -> Self {
        let exceeded = Arc::new(AtomicBool::new(false));
        let mut chain: Box<dyn Read + Send> = Box::new(coded.reader());
        for coding in codings.iter().rev() {
            let source = BufReader::new(Bounded { source: chain, left: most, exceeded: Arc::clone(&exceeded) });
            chain = match coding {
                Coding::Gzip => Box::new(MultiGzDecoder::new(source)),
                Coding::Deflate => Box::new(Deflate::Unknown(Some(source))),
                Coding::Zstd => Box::new(Zstd::new(source)),
            };
        }
        Self { chain, exceeded }
    }

    /// Whether more bytes than allowed lie between two codings.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.chain.read(buffer)
    }
}

struct Bounded {
    source: Box<dyn Read + Send>,
    left: usize,
    exceeded: Arc<AtomicBool>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.source.read(buffer)?;
        let Some(left) = self.left.checked_sub(read) else {
            self.exceeded.store(true, Ordering::Relaxed);
            return Err(Error::from(ErrorKind::FileTooLarge));
        };
        self.left = left;
        Ok(read)
    }
}

type Source = BufReader<Bounded>;

/// Deflate in either form, which its first two bytes tell.
enum Deflate {
    Unknown(Option<Source>),
    Zlib(ZlibDecoder<Start>),
    Raw(DeflateDecoder<Start>),
}

type Start = std::io::Chain<Cursor<Vec<u8>>, Source>;

impl Read for Deflate {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if let Self::Unknown(source) = self
            && let Some(mut source) = source.take()
        {
            let mut first = Vec::with_capacity(2);
            source.by_ref().take(2).read_to_end(&mut first)?;
            // RFC 1950: method 8, and both bytes as one number divisible by 31. No raw stream of a usual encoder begins so.
            let is_zlib = matches!(*first, [method, flags]
                if method & 0x0f == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0);
            let start = Read::chain(Cursor::new(first), source);
            *self = if is_zlib { Self::Zlib(ZlibDecoder::new(start)) } else { Self::Raw(DeflateDecoder::new(start)) };
        }
        match self {
            Self::Zlib(decoder) => decoder.read(buffer),
            Self::Raw(decoder) => decoder.read(buffer),
            // An error while the first bytes were read.
            Self::Unknown(_) => Err(Error::from(ErrorKind::UnexpectedEof)),
        }
    }
}

/// The frames of a zstd stream, one after the other.
struct Zstd {
    source: Source,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl Zstd {
    fn new(source: Source) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { source, decoder, in_frame: false }
    }

    fn begin_frame(&mut self) -> Result<()> {
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = std::io::copy(&mut self.source.by_ref().take(length.into()), &mut std::io::sink())?;
                if skipped < u64::from(length) {
                    return Err(Error::from(ErrorKind::UnexpectedEof));
                }
            }
            Err(error) => return Err(Error::other(error.to_string())),
        }
        Ok(())
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if !self.in_frame {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.begin_frame()?;
                continue;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| Error::other(error.to_string()))?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let written = self.decoder.get_checksum_from_data();
            if written.is_some() && written != self.decoder.get_calculated_checksum() {
                return Err(Error::other("the checksum of a zstd frame is wrong"));
            }
            self.in_frame = false;
        }
    }
}
