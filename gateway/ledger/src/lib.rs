//! The ledger: what each request with a key used, one line for each, kept in files that are only ever appended to.
//!
//! A line has its length and its checksum in front, so that a line that was not written completely is known, and cut off at the
//! next start. One thread writes; requests never wait for the disk. What was handed to the kernel survives the end of the
//! process, also by `kill -9`; a loss of power costs at most what was written since the last sync.
//!
//! This crate must not know: what limits a group, what a request said.

mod entry;
mod line;
mod read;
mod segment;
mod write;

pub use entry::{Call, Entry};
pub use read::{Report, Torn, read};
pub use write::{Ledger, Opened, Options, Status};
