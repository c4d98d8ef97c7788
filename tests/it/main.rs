//! Features at the boundary: a real gateway process, scripted backends beside it, HTTP spoken to it, its metrics and
//! its log read back. The harness is the library of this crate.
// A test panics to fail.
#![allow(clippy::unwrap_used, clippy::panic)]

mod admin;
mod author;
mod bad_input;
mod bindings;
mod breaker;
mod browsers;
mod chaos;
mod compose;
mod config;
mod connections;
mod contract;
mod crash;
mod dashboards;
mod deadlines;
mod drill;
mod examples;
mod faults;
mod guarded;
mod hedging;
mod languages;
mod log;
mod metrics;
mod modes;
mod money;
mod monitoring;
mod n8n;
mod named;
mod overload;
mod process;
mod profiling;
mod readme;
mod real;
mod reload;
mod routing;
mod sandbox;
mod sequences;
mod slow_clients;
mod streaming;
mod swaps;
mod taskwarrior;
mod tidy;
mod translate;
mod upstream;
