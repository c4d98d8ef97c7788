//! Wasmgate: an AI gateway that operators program with WebAssembly.
//!
//! A client's prompt is read (`prompt`), policies decide who answers it and what that is expected to cost (`policy`,
//! `decision`), a backend answers (`backend`), the answer is relayed (`stream`), and one record of it all is observed
//! when it ends (`open`, `record`, `metrics`). The order of these steps is written in `proxy` and nowhere else.
//!
//! What serves changes while it serves: `lifecycle` takes in new policies and settings and swaps the `snapshot`.
//!
//! Invariants: a request sees one `snapshot` from beginning to end; its record is closed exactly once; a stream that
//! broke off never ends like a whole one; a failing policy is never the client's problem unless the operator chose so;
//! labels of metrics never come from a request.

pub mod base;
pub mod config;
pub mod server;

pub mod gateway;
pub mod proxy;

pub mod prompt;

pub mod chat;
pub mod dialect;

pub mod builtin;
pub mod decision;
pub mod policy;
pub mod routing;

mod ask;
pub mod backend;
pub mod catalog;
pub mod retry;

pub mod response;
pub mod rollout;
pub mod stream;

pub mod admin;

mod embeddings;
mod explain;
pub mod pages;

pub mod error;
pub mod metrics;
pub mod open;
pub mod record;
pub mod snapshot;
pub mod state;
pub mod telemetry;

pub mod lifecycle;
pub mod shadow;

mod start;

pub use lifecycle::StartError;
pub use start::{Options, check, run};
