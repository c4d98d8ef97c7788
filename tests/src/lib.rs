//! What the tests of Wasmgate stand on: a real gateway process, a scripted backend beside it, a client that controls
//! each byte, components that misbehave, and a reader of `/metrics`.
//!
//! Every wait here ends when something happened. The bound on each only ever fails a test, it never passes one, and no
//! test asserts how long something took.
// A harness panics to fail its test: here a panic is the report, not an outage.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

pub mod backend;
pub mod chaos;
pub mod contract;
pub mod faults;
pub mod gateway;
pub mod guests;
pub mod h2;
pub mod http;
pub mod http2;
pub mod model;
pub mod monitoring;
pub mod process;
pub mod proxy;
pub mod real;
pub mod redis;
pub mod scrape;
pub mod tls;
pub mod traffic;
pub mod wait;
pub mod week;
pub mod wire;
