//! The gateway's own sources of what is fuzzed (the other files here are links to them), without the rest of it.
#![allow(missing_docs, dead_code, unused_imports)]

pub mod chat;
pub mod dialect;
pub mod tokens;
