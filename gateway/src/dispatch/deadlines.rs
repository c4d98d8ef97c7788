//! The deadlines of a stream. This module must not know: what a stream carries.

use std::time::{Duration, Instant};

/// The deadlines of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// When the first token is due.
    pub(crate) first_token: Instant,
    /// How long the backend may send nothing after the first token.
    pub(crate) idle: Duration,
    /// When the stream must have ended.
    pub(crate) total: Instant,
}
