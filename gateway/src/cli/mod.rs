//! The subcommands other than `serve`: `check` reports what is wrong with a configuration, `init` writes one, `keys` makes keys for
//! it, `ledger` reads what they used, `explain` reads the decision log, `calibrate` finds settings with it, `prices` makes catalogues
//! of prices, `keys`, `groups` and `policies` call a running gateway's admin API, `policy` is for authors and needs no gateway,
//! `health` is for health checks.

pub(crate) mod check;
mod client;
mod compared;
pub(crate) mod explain;
mod given;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod policies;
pub(crate) mod policy;
pub(crate) mod prices;
mod show;
mod table;

/// The root cause of an HTTP client's error. The outer errors only say that a request failed.
fn root_cause(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}
