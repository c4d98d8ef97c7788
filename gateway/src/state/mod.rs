//! The serving snapshot, as one immutable value, and the replaced snapshots that drain.
//!
//! This module must not know: which modules build a snapshot, which use it.

mod draining;
mod serving;
mod snapshot;

pub use serving::Serving;
pub use snapshot::{Canary, DEFAULT_LABEL, DEFAULT_NAME, Decider, Deciders, Shadow, Snapshot, Version};
