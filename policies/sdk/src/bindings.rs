//! What `wit-bindgen` generates from the contract, and nothing else.
//!
//! One module for each world. `cost` borrows the types of `routing`, so that a request or a candidate is
//! the same Rust type in both hooks.
//!
//! The repository keeps the generated modules, so that no build of a policy compiles the generator, which takes far
//! longer than the policy itself.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::panic, clippy::unwrap_used, reason = "generated code")]

#[rustfmt::skip]
pub mod cost;
#[rustfmt::skip]
pub mod routing;
