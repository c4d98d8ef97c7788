//! Writes lines to the operator's log. The log is not private: never write prompts to it.
//!
//! In native builds, such as an author's tests, the lines go to standard error.

pub use crate::bindings::routing::wasmgate::policy::log::Level;

/// For the author, while developing.
pub fn debug(line: &str) {
    write(Level::Debug, line);
}

/// For an operator who wants details.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// Something is wrong, but the policy works.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}

/// The policy cannot do its work.
pub fn error(line: &str) {
    write(Level::Error, line);
}

#[cfg(target_family = "wasm")]
fn write(level: Level, line: &str) {
    crate::bindings::routing::wasmgate::policy::log::write(level, line);
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, line: &str) {
    std::eprintln!("{level:?}: {line}");
}
