//! Writes finish reasons.

use crate::chat::Finish;

/// The word for a finish reason. `calls`: whether the answer calls tools.
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
