//! Sockets of listeners, whoever speaks there.

mod deadlines;
mod listener;

pub use listener::{Bounds, Connection, accept_until};
