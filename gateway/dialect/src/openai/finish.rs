//! Writes finish reasons.

use crate::chat::Finish;

/// The word for a finish reason. `calls`: whether the answer calls tools.
pub(crate) fn finish_name(finish: Option<Finish>, calls: bool) -> &'static str {
    match finish {
        Some(Finish::Length) => "length",
        Some(Finish::ContentFilter) => "content_filter",
        Some(Finish::ToolCalls) => "tool_calls",
        None if calls => "tool_calls",
        Some(Finish::Stop | Finish::StopSequence) | None => "stop",
    }
}
