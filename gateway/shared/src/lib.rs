//! Limits that several gateways share, in a Redis or Valkey server: what gateways say of a limit (`exchange.lua`), the connection,
//! and the task that borrows ahead, returns and reconciles (`shared.rs`). What a gateway knows of its own loans is in
//! `wasmgate-accounts`, with the bound that holds.
//!
//! This crate must not know: HTTP, the configuration's format, metrics.

mod address;
mod link;
mod shared;

pub use address::Address;
pub use link::{Fault, Link, Said, Server, Speaker};
pub use shared::{Counts, Settings, Shared, Unreachable, WhenDown};
