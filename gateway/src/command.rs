//! Commands that talk to a gateway that runs, over its admin listener.

mod client;
pub(crate) mod policies;
mod show;
mod table;
