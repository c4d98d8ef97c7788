//! Reasons why the gateway does not start.

use std::fmt;

/// The gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be applied: a policy was refused, or a backend cannot be set up.
    Refused(String),
    /// The system refused a resource: the address is in use, or a thread cannot be started.
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
