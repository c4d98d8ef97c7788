//! Why a gateway does not start.

use std::fmt;

/// The gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// What the configuration asks for cannot be had: a policy was refused, a backend cannot be set up.
    Refused(String),
    /// The machine does not play along: the address is taken, a thread cannot be started.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for StartError {}
