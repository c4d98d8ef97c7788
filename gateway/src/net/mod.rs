//! Sockets of the client and admin listeners: accepting, bounding, deadlines.

mod activity;
mod deadlines;
pub mod files;
mod listener;
mod per_address;

pub use activity::{Activity, Busy};
pub use listener::{Bounds, Connection, OpenConnections, accept_until};
