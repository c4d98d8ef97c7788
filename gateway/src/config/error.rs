//! Errors of the configuration: each names the file, the line and the key.

use std::fmt;

/// Why the gateway refused a configuration.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, or `embedded configuration`.
    pub file: String,
    /// The line, from 1, if known.
    pub line: Option<usize>,
    /// The key, as in `models.phi2.backend`; empty if there is none.
    pub key: String,
    /// What was found, and what was expected.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

/// An error: the path of keys, and a message.
pub(super) type Wrong = (Vec<String>, String);

pub(super) fn wrong(path: &[&str], message: impl Into<String>) -> Wrong {
    (path.iter().map(|&part| part.to_owned()).collect(), message.into())
}
