//! The ledger: what each request with a key reserved and used, one line for each, kept in files that are only ever appended to.
//!
//! A line has its length and its checksum in front, so that a line that was not written completely is known, and cut off at the
//! next start. One thread writes, another one syncs and keeps house; requests never wait for the disk. What was handed to the
//! kernel survives the end of the process, also by `kill -9`; a loss of power costs at most what was written since the last sync.
//! A request that was in flight then counts for what it had reserved.
//!
//! A start reads a snapshot of the sums and the lines behind it, so that it does not take longer as the ledger grows.
//!
//! This crate must not know: what limits a group, what a request said.

mod book;
mod entry;
mod files;
mod line;
mod read;
mod segment;
mod status;
mod write;

pub use entry::{Amount, Call, Entry, INTERRUPTED, Reserved};
pub use read::{Report, Torn, read, verify};
pub use status::Status;
pub use write::{Event, Ledger, Notice, Options, Written};
