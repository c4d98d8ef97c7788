//! Anthropic's dialect: `POST /v1/messages`.

mod encode;
mod error;
mod forward;
mod reply;
mod request;
mod stream;
mod usage;

pub(super) use encode::{encode, obstacle};
pub(super) use error::{error_body, stream_error};
pub(super) use forward::forward;
pub(super) use reply::{decode_reply, encode_reply};
pub(super) use request::decode;
pub(super) use stream::{Decoder, Encoder};

use super::chat::Finish;

/// Why an answer ended, by its wire name.
fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        // `end_turn`; `pause_turn`, which only server tools bring about; and what may come to be.
        _ => Finish::Stop,
    }
}

fn finish_name(finish: Option<Finish>, calls: bool) -> &'static str {
    match finish {
        Some(Finish::Length) => "max_tokens",
        Some(Finish::StopSequence) => "stop_sequence",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::ContentFilter) => "refusal",
        None if calls => "tool_use",
        Some(Finish::Stop) | None => "end_turn",
    }
}
