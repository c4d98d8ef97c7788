//! What `wit-bindgen` generates from the contract, and nothing else.
//!
//! One module for each world. `cost` uses the types of `routing`, so that a request or a candidate is the same Rust
//! type in both hooks.
//!
//! The repository contains the generated modules, because compiling the generator takes far longer than compiling a
//! policy.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::panic, clippy::unwrap_used, reason = "generated code")]

#[rustfmt::skip]
pub mod cost;
#[rustfmt::skip]
pub mod routing;
