//! Converts finish reasons from and to their wire names.

use crate::chat::Finish;

/// Reads a finish reason. Some servers have their own names (`eos`, `abort`), which only show that the model finished.
pub(crate) fn finish(reason: &str, calls: bool) -> Finish {
    match reason {
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        // OpenAI sends `stop` after a forced call. Clients of other dialects would then not run the tool.
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

pub(crate) fn finish_name(finish: Option<Finish>, calls: bool) -> &'static str {
    match finish {
        Some(Finish::Length) => "length",
        Some(Finish::ContentFilter) => "content_filter",
        Some(Finish::ToolCalls) => "tool_calls",
        None if calls => "tool_calls",
        Some(Finish::Stop | Finish::StopSequence) | None => "stop",
    }
}
