//! What is typed beside `serve` and `check`: `policies` talks to a gateway that runs, over its admin listener; `policy` is for
//! authors, and needs none; `health` is for health checks.

mod client;
pub(crate) mod health;
pub(crate) mod policies;
pub(crate) mod policy;
mod show;
mod table;

/// What was behind an HTTP client's error: the outer ones only say that a request failed.
fn root_cause(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}
