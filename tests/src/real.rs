//! Parts that `make test` gets from elsewhere, or builds with what it gets: where they are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

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

/// The interpreter with LangChain.
#[must_use]
pub fn langchain() -> PathBuf {
    part("clients/python/bin/python")
}

/// Node.js.
#[must_use]
pub fn node() -> PathBuf {
    part("node/node")
}

/// The packages of the clients in JavaScript.
#[must_use]
pub fn node_modules() -> PathBuf {
    part("clients/node_modules/ai/package.json").ancestors().nth(2).unwrap_or(Path::new("")).to_owned()
}

/// An agent: `claude` or `codex`.
#[must_use]
pub fn agent(name: &str) -> PathBuf {
    part(&format!("clients/bin/{name}"))
}

/// The example policy in that language, `complexity-LANGUAGE@1.0.0`.
#[must_use]
pub fn policy(language: &str) -> PathBuf {
    part(&format!("policies/{language}.wasm"))
}

/// What it takes to build a policy in a language: where its tools are, and a `PATH` with Node.js.
#[must_use]
pub fn toolchain(language: &str) -> [(&'static str, OsString); 3] {
    let tools = folder().join("toolchains");
    // C, C++ and Zig have the same compiler, and TypeScript the packages of JavaScript.
    let of = match language {
        "c" | "cpp" => "zig",
        "ts" => "javascript",
        own => own,
    };
    let mut path = folder().join("node").into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    [("TOOLS", tools.join(of).into()), ("CARGO_TARGET_DIR", tools.join("cargo").into()), ("PATH", path)]
}

/// What it takes to build a policy in JavaScript with the oldest Node.js that its template promises.
#[must_use]
pub fn oldest_node() -> [(&'static str, OsString); 2] {
    let node = part("oldest-node/bin/node");
    let mut path = node.parent().unwrap_or(Path::new("")).as_os_str().to_owned();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    [("TOOLS", folder().join("toolchains/javascript-oldest").into()), ("PATH", path)]
}

fn part(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is not there: `make test` makes it before it runs the tests", path.display());
    path
}
