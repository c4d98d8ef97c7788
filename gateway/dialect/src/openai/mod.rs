//! OpenAI's dialect: `POST /v1/chat/completions`, and the many servers that speak it.

pub(super) mod completions;
mod encode;
mod error;
mod finish;
mod forward;
mod reply;
mod request;
mod stream;
mod usage;
mod wire;

pub(super) use encode::{encode, obstacle};
pub(super) use error::{error_body, stream_error};
pub(super) use forward::forward;
pub(super) use reply::{decode_reply, encode_reply};
pub(super) use request::decode;
pub(super) use stream::{Decoder, Encoder};
pub(super) use usage::usage_in;
