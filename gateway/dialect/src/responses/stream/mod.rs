//! Reads and writes streams of the Responses dialect.

mod decoder;
mod encoder;
mod forwarded;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::{Encoder, stream_error};
pub use forwarded::Forwarded;
