//! What is typed beside `serve` and `check`: `policies` talks to a gateway that runs, over its admin listener; `policy` is for
//! authors, and needs none.

mod client;
pub(crate) mod policies;
pub(crate) mod policy;
mod show;
mod table;
