//! `server.runtime` and `server.threads`: who serves the connections of clients.

use std::num::NonZero;
use std::thread;

use serde::Deserialize;

use super::Server;

/// How connections of clients are shared out among threads, as in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Each stays on the thread that got it, with all that its requests need. The threads share nothing that they would wait
    /// for.
    #[default]
    PerCore,
    /// Any thread serves any request: for a few HTTP/2 connections with many requests at a time.
    Shared,
}

impl Server {
    /// Threads that serve clients. The cores that the process may use are those of its CPU set, at most as many as its control
    /// group has the time of.
    #[must_use]
    pub fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(cores, NonZero::get)
    }
}
