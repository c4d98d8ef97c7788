//! Why an answer ended, from and to its wire name.

use crate::chat::Finish;

/// Why an answer ended, by its wire name. Servers have names of their own (`eos`, `abort`): all that is known of
/// those is that the model is done.
pub(crate) fn finish(reason: &str, calls: bool) -> Finish {
    match reason {
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        // A forced call ends with `stop` here; in other dialects a client would then not run the tool.
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
