//! Sockets of listeners, whoever speaks there.

mod deadlines;

pub(crate) use deadlines::Guarded;
