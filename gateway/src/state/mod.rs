//! What serves now.

pub mod draining;
