//! OpenAI's Responses dialect: `POST /v1/responses`. A client dialect; a backend speaks it only to clients that do.

mod error;
mod events;
mod items;
mod object;
mod reply;
mod request;
mod stream;
mod tools;
mod usage;

pub use stream::Forwarded;

pub(super) use error::error_body;
pub(super) use reply::{decode_reply, encode_reply, mark_reply};
pub(super) use request::{decode, forward};
pub(super) use stream::{Decoder, Encoder, stream_error};
pub(super) use usage::usage_in;
