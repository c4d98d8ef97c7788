//! Converts finish reasons from and to their wire names.

use crate::chat::Finish;

/// Reads a finish reason. Ollama sends `stop` if the model called tools.
pub(crate) fn finish(reason: Option<&str>, calls: bool) -> Finish {
    match reason {
        Some("length") => Finish::Length,
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

pub(crate) fn finish_name(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "length",
        Some(Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::ContentFilter) | None => "stop",
    }
}
