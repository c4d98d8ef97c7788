//! Parts that `make test` gets from elsewhere, or builds with what it gets: where they are.

use std::env;
use std::path::PathBuf;

/// The folder that holds them.
#[must_use]
pub fn folder() -> PathBuf {
    match (env::var_os("WASMGATE_VENV"), env::var_os("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, home) => PathBuf::from(home.unwrap_or_default()).join(".cache/wasmgate/venv"),
    }
}

/// The interpreter with the official clients.
#[must_use]
pub fn python() -> PathBuf {
    part("bin/python")
}

/// A policy in JavaScript, `in-javascript@1.0.0`, which takes the last model: a component of 12 MB.
#[must_use]
pub fn javascript() -> PathBuf {
    part("js/policy.wasm")
}

fn part(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is not there: `make test` makes it before it runs the tests", path.display());
    path
}
