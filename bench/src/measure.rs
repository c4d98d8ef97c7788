//! What is measured, a file each.

mod latency;
mod memory;
mod rate;
mod saturation;
mod scale;
mod slow;
mod start;
mod streams;
mod threads;

use crate::run::{Run, Section};

type Measure = fn(&Run) -> Result<Section, String>;

/// Name, heading and function of each, in the order in which they run and are told.
pub(crate) const ALL: [(&str, &str, Measure); 9] = [
    ("latency", "Latency added, one connection", latency::measure),
    ("saturation", "Saturation", saturation::measure),
    ("rate", "At an offered rate", rate::measure),
    ("threads", "Threads", threads::measure),
    ("streams", "Streams", streams::measure),
    ("memory", "Memory", memory::measure),
    ("start", "Start", start::measure),
    ("scale", "What a request costs with more of everything", scale::measure),
    ("slow", "A slow policy beside a fast one", slow::measure),
];
