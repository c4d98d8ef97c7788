//! Writes finish reasons.

use crate::chat::Finish;

/// The word for a finish reason.
pub(crate) fn finish_name(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "length",
        Some(Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::ContentFilter) | None => "stop",
    }
}
