//! Sockets of the client and admin listeners: accepting, bounding, deadlines, the workers that serve them.

mod activity;
mod deadlines;
pub mod files;
mod listener;
mod per_address;
mod workers;

pub use activity::{Activity, Busy};
pub use listener::{Bounds, Connection, OpenConnections, accept_until};
pub use workers::Workers;
