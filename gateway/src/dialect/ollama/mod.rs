//! Ollama's dialect: `POST /api/chat`.

mod call;
mod encode;
mod error;
mod reply;
mod request;
mod stream;

pub(super) use encode::{encode, forward, obstacle};
pub(super) use error::{error_body, stream_error};
pub(super) use reply::{decode_reply, encode_reply};
pub(super) use request::decode;
pub(super) use stream::{Decoder, Encoder};

use super::chat::Finish;
use crate::base::usage::Usage;

/// Why an answer ended, by its wire name. A model that calls tools ends with `stop` here.
fn finish(reason: Option<&str>, calls: bool) -> Finish {
    match reason {
        Some("length") => Finish::Length,
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

fn finish_name(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "length",
        Some(Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::ContentFilter) | None => "stop",
    }
}

/// Servers may leave out the count of a prompt that they had evaluated before: half a count is no count.
fn usage(prompt_eval_count: Option<u64>, eval_count: Option<u64>) -> Option<Usage> {
    Some(Usage { input: prompt_eval_count?, output: eval_count?, ..Usage::default() })
}
