//! What serves now.

pub mod draining;
pub mod snapshot;
