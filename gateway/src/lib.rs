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

pub mod server;

pub mod admin;
pub mod control;
pub mod dispatch;
pub mod proxy;
pub mod routing;

pub mod telemetry;

pub mod state;

pub mod backend;
pub mod config;
pub mod metrics;
pub mod rollout;

pub mod error;
pub mod net;

mod run;

pub use crate::control::StartError;
pub use crate::run::{Options, check, run};
