//! What several gateways share in a Redis or Valkey server. Limits: what gateways say of one (`exchange.lua`), the connection,
//! and the task that borrows ahead, returns and reconciles (`shared.rs`). What a gateway knows of its own loans is in
//! `wasmgate-accounts`, with the bound that holds. And entries that all of them know (`entries.rs`), such as keys and groups.
//!
//! This crate must not know: HTTP, the configuration's format, metrics.

mod address;
mod entries;
mod link;
mod shared;

pub use address::Address;
pub use entries::{ENTRIES_TOGETHER, Entries, Entry, Page, Told};
pub use link::{Fault, Link, Said, Server, Speaker};
pub use shared::{Counts, Settings, Shared, Unreachable, WhenDown};
