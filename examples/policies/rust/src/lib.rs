//! The example policy in Rust: the README one folder up says what it decides.
//!
//! Written to be read. The gateway's own `complexity` scores the same with one pass over the text and is four times as fast;
//! see `policies/complexity` for what that takes.

#![no_std]

pub mod cost;
pub mod routing;
pub mod score;

wasmgate_policy::export!(routing: routing::Complexity, cost: cost::TokenCost);
