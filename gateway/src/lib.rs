//! Wasmgate: an AI gateway that operators program with WebAssembly policies.
//!
//! Request path: `server` accepts connections. `proxy` answers each request; its spine `proxy/chat.rs` names every step
//! of a chat in order, and no other module does. `routing` calls the policies, which estimate what each model would
//! cost and rank the models. `dispatch` calls the ranked models with retries, fallback and hedging, and relays the
//! answer. `backend` holds the models and their servers: health, circuit breakers, queues. `telemetry` keeps one record
//! per request; `metrics` counts it when the request ends.
//!
//! Control path: requests are served from one immutable snapshot (`state`). The `control` task reconciles files and the
//! operators' requests from `admin` under the rules of `rollout` (slots, canary analysis), and swaps in the next
//! snapshot while the gateway serves.
//!
//! Shared: `config` reads the configuration; `demo` is what serves without one; `error` is the table of failures; `net` bounds
//! the listeners' connections; `log` buffers log lines and writes them aside, so that a slow reader stops no request.
//! `accounts` keeps the keys and groups that operators make while
//! the gateway runs.
//! The crates below the gateway: `wasmgate-base` (utilities), `wasmgate-accounts` (groups and keys), `wasmgate-dialect` (the wire
//! dialects of chat) and
//! `wasmgate-policy-host` (compiles and runs policies; only it names the Wasm runtime).
//!
//! Invariants: a request sees one snapshot from beginning to end; its record is closed exactly once; a stream that
//! broke off never ends like a complete one; a failing policy never fails a client's request unless the operator chose
//! fail-closed; metric labels never come from a request.

pub mod server;

pub mod admin;
pub mod control;
pub mod dispatch;
pub mod proxy;
pub mod routing;

pub mod telemetry;

pub mod accounts;
pub mod state;

pub mod backend;
pub mod config;
pub mod metrics;
pub mod rollout;

pub mod browsers;
pub mod error;
pub mod log;
pub mod net;
pub mod offload;

mod demo;
mod run;

pub use crate::control::{Checked, StartError};
pub use crate::run::{Options, check, run};
