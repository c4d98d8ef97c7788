//! Reads and writes OpenAI's streams.

mod calls;
mod decoder;
mod encoder;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;
