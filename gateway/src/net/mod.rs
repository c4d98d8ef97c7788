//! Sockets of the client and admin listeners: accepting, bounding, deadlines.

mod deadlines;
mod listener;

pub use listener::{Bounds, Connection, accept_until};
