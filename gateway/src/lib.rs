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
pub mod tokens;

pub mod chat;
pub mod dialect;

pub mod builtin;
pub mod decision;
pub mod document;
pub mod policy;
pub mod routing;

mod ask;
pub mod backend;
pub mod catalog;
pub mod money;
pub mod retry;

pub mod response;
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

pub mod lifecycle;
pub mod shadow;
pub mod tally;

mod start;

pub use lifecycle::StartError;
pub use start::{Options, check, run};

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The known word that an unknown one most likely meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Words come from strangers too, and the distance takes time by the product of their lengths.
    if word.len() > 128 {
        return None;
    }
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
