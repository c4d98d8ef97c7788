//! Ollama's dialect: `POST /api/chat`.

mod call;
mod encode;
mod error;
mod finish;
pub(super) mod generate;
mod load;
mod reply;
mod request;
mod stream;
mod usage;

pub(super) use encode::{encode, forward, obstacle};
pub(super) use error::{error_body, stream_error};
pub(super) use load::loaded;
pub(super) use reply::{decode_reply, encode_reply};
pub(super) use request::decode;
pub(super) use stream::{Decoder, Encoder};
pub(super) use usage::usage_in;
