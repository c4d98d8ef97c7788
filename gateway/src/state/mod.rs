//! What serves now, as one immutable value, and what drains since it was replaced.
//!
//! This module must not know: who builds a snapshot, who uses it.

mod draining;
mod serving;
mod snapshot;

pub use serving::Serving;
pub use snapshot::{Canary, DEFAULT_LABEL, DEFAULT_NAME, Decider, Deciders, Shadow, Snapshot, Version};
