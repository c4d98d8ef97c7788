//! Who may use the gateway: keys, and the groups that they belong to. An organisation, a team and a person are groups; each
//! group may have a parent, and what a parent forbids no child allows.
//!
//! All of it is pure: built from what the operator wrote, read without a lock, with the time given by the caller. This crate
//! must not know: HTTP, the configuration's format, the models' backends.

mod accounts;
mod group;
mod hash;
mod key;
pub mod time;

pub use accounts::{Accounts, Mistake, Place, Wrong};
pub use group::{Group, GroupSpec, MAX_DEPTH};
pub use hash::{KeyHash, PREFIX, new_key};
pub use key::{Key, KeySpec, Previous, Refused};
