//! Converts finish reasons from and to their wire names.

use crate::chat::Finish;

/// Reads a finish reason.
pub(crate) fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        // `end_turn`; `pause_turn`, which only server tools cause; and future reasons.
        _ => Finish::Stop,
    }
}

pub(crate) fn finish_name(finish: Option<Finish>, calls: bool) -> &'static str {
    match finish {
        Some(Finish::Length) => "max_tokens",
        Some(Finish::StopSequence) => "stop_sequence",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::ContentFilter) => "refusal",
        None if calls => "tool_use",
        Some(Finish::Stop) | None => "end_turn",
    }
}
