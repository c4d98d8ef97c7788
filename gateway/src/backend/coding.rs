//! Content codings of backends' answers. The gateway asks for none, but servers and the proxies before them may ignore that.
//! An answer is decoded as it arrives, in pieces that bound what a small input can grow to.

use std::io::{Error, Result, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

/// Coded bytes that are decoded at a time: they grow to a few megabytes at most.
const PIECE: usize = 4 << 10;

/// Decodes one answer.
#[derive(Debug)]
pub(super) struct Decoding {
    decoder: Decoder,
    /// What has arrived and is not yet decoded.
    left: Bytes,
}

#[derive(Debug)]
enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// In zlib's form, or without it: the first byte tells. `None` until it is there.
    Deflate(Option<Inflate>),
}

#[derive(Debug)]
enum Inflate {
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
}

impl Decoding {
    /// The decoding of an answer with these headers; `None` if it has no coding.
    ///
    /// # Errors
    /// If the coding is unknown: its name.
    pub(super) fn of(headers: &HeaderMap) -> std::result::Result<Option<Self>, String> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        let decoder = match name.as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Decoder::Deflate(None),
            _ => return Err(name.chars().filter(char::is_ascii_alphanumeric).take(16).collect()),
        };
        Ok(Some(Self { decoder, left: Bytes::new() }))
    }

    /// Takes the next coded bytes.
    pub(super) fn push(&mut self, coded: Bytes) {
        debug_assert!(self.left.is_empty());
        self.left = coded;
    }

    /// The next decoded bytes; `None` until more coded bytes come.
    ///
    /// # Errors
    /// If the bytes are not valid in their coding.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let piece = self.left.split_to(self.left.len().min(PIECE));
            let decoded = self.decoder.decode(&piece)?;
            if !decoded.is_empty() {
                return Ok(Some(decoded.into()));
            }
        }
        Ok(None)
    }

    /// The last decoded bytes, at the end of the answer.
    ///
    /// # Errors
    /// If the coded bytes broke off.
    pub(super) fn finish(&mut self) -> Result<Bytes> {
        self.decoder.finish().map(Into::into)
    }
}

impl Decoder {
    fn decode(&mut self, piece: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => write(decoder, piece).map(|()| std::mem::take(decoder.get_mut())),
            Self::Deflate(inflate) => {
                // RFC 1950: the low half of the first byte is 8. No raw stream of a usual encoder begins so.
                let zlib = piece.first().is_some_and(|first| first & 0x0f == 8);
                let inflate = inflate.get_or_insert_with(|| match zlib {
                    true => Inflate::Zlib(ZlibDecoder::new(Vec::new())),
                    false => Inflate::Raw(DeflateDecoder::new(Vec::new())),
                });
                match inflate {
                    Inflate::Zlib(decoder) => write(decoder, piece).map(|()| std::mem::take(decoder.get_mut())),
                    Inflate::Raw(decoder) => write(decoder, piece).map(|()| std::mem::take(decoder.get_mut())),
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Self::Deflate(Some(Inflate::Zlib(decoder))) => {
                decoder.try_finish().map(|()| std::mem::take(decoder.get_mut()))
            }
            Self::Deflate(Some(Inflate::Raw(decoder))) => {
                decoder.try_finish().map(|()| std::mem::take(decoder.get_mut()))
            }
            Self::Deflate(None) => Err(Error::from(std::io::ErrorKind::UnexpectedEof)),
        }
    }
}

/// Decodes a piece, and lets out what it says: an event of a stream must not wait for the next one.
fn write(decoder: &mut impl Write, piece: &[u8]) -> Result<()> {
    decoder.write_all(piece)?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn decoded(name: &str, coded: &[u8], size: usize) -> Result<Vec<u8>> {
        let headers = [(CONTENT_ENCODING, name.parse().expect("a header"))].into_iter().collect();
        let mut decoding = Decoding::of(&headers).expect("known").expect("coded");
        let mut out = Vec::new();
        for chunk in coded.chunks(size) {
            decoding.push(Bytes::copy_from_slice(chunk));
            while let Some(more) = decoding.next()? {
                out.extend_from_slice(&more);
            }
        }
        out.extend_from_slice(&decoding.finish()?);
        Ok(out)
    }

    #[test]
    fn answers_are_decoded_in_any_chunks_and_broken_ones_are_errors() {
        let text = "data: {\"a\": 1}\n\n".repeat(5000).into_bytes();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        let writers: [&mut dyn Write; 3] = [&mut gzip, &mut zlib, &mut raw];
        for writer in writers {
            writer.write_all(&text).expect("memory");
        }
        let coded = [gzip.finish(), zlib.finish(), raw.finish()].map(|coded| coded.expect("memory"));
        for (name, coded) in ["gzip", "deflate", "deflate"].into_iter().zip(coded) {
            for size in [1, 100, 1 << 20] {
                assert_eq!(decoded(name, &coded, size).expect("valid"), text, "{name} {size}");
            }
            assert!(decoded(name, &coded[..coded.len() / 2], 100).is_err(), "{name} broke off");
        }
        assert!(decoded("gzip", b"{\"a\": 1}", 100).is_err());
    }

    #[test]
    fn a_coding_that_is_unknown_is_named() {
        let of =
            |name: &str| Decoding::of(&[(CONTENT_ENCODING, name.parse().expect("a header"))].into_iter().collect());
        assert_eq!(of("br").map(|_| ()), Err("br".to_owned()));
        assert!(of("identity").is_ok_and(|decoding| decoding.is_none()));
    }
}
