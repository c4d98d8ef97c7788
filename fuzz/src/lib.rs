//! The gateway's own sources of what is fuzzed, without the rest of the gateway.
#![allow(missing_docs, dead_code, unused_imports)]

#[path = "../../gateway/src/chat.rs"]
pub mod chat;
#[path = "../../gateway/src/dialect.rs"]
pub mod dialect;
#[path = "../../gateway/src/tokens.rs"]
pub mod tokens;
