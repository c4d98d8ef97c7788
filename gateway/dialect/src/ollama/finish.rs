//! Why an answer ended, from and to its wire name.

use crate::chat::Finish;

/// Why an answer ended, by its wire name. A model that calls tools ends with `stop` here.
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
