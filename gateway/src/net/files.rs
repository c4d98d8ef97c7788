//! The limit of open files: each connection needs one, of clients as of backends. The gateway raises the limit as far as it
//! may, and allows no more connections than fit, so that clients cannot take the files that operators and backends need.

use std::fmt;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that neither a client nor a backend holds: the admin listener's connections, the log, policies, the runtime.
const RESERVE: usize = 160;
/// Fewest connections that are worth a start.
const FEWEST: usize = 8;

/// How many connections fit into the limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// The limit.
    pub limit: usize,
    /// Connections of clients, at most as configured.
    pub max_connections: usize,
    /// Requests in flight, each of which may need a connection to a backend; at most as configured.
    pub max_in_flight: usize,
}

/// The limit of open files is too low for any work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFewFiles {
    limit: usize,
}

impl fmt::Display for TooFewFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fewest = RESERVE + 2 * FEWEST;
        write!(
            f,
            "the limit of open files is {}, expected at least {fewest}: raise it (`ulimit -n`, LimitNOFILE of systemd)",
            self.limit
        )
    }
}

impl Files {
    /// Fits connections and requests into `limit`. Where not all fit, clients and backends get the same number.
    ///
    /// # Errors
    /// If the limit is too low for any work.
    pub fn fit(limit: usize, max_connections: usize, max_in_flight: usize) -> Result<Self, TooFewFiles> {
        let free = limit.saturating_sub(RESERVE);
        let half = free / 2;
        if half < FEWEST {
            return Err(TooFewFiles { limit });
        }
        let max_in_flight_fit = max_in_flight.min(free.saturating_sub(max_connections).max(half));
        let max_connections_fit = max_connections.min(free - max_in_flight_fit);
        Ok(Self { limit, max_connections: max_connections_fit, max_in_flight: max_in_flight_fit })
    }

    /// Requests in flight that fit next to the connections of clients, whatever is configured.
    #[must_use]
    pub fn room_in_flight(&self) -> usize {
        self.limit.saturating_sub(RESERVE).saturating_sub(self.max_connections)
    }

    /// What it lowered, for operators; `None`: nothing.
    #[must_use]
    pub fn lowered(&self, max_connections: usize, max_in_flight: usize) -> Option<String> {
        if (self.max_connections, self.max_in_flight) == (max_connections, max_in_flight) {
            return None;
        }
        Some(format!(
            "the limit of open files is {}, which allows {} connections of clients (server.max_connections is \
             {max_connections}) and {} requests in flight (server.max_in_flight is {max_in_flight}): raise it to {} \
             (`ulimit -n`, LimitNOFILE of systemd)",
            self.limit,
            self.max_connections,
            self.max_in_flight,
            max_connections.saturating_add(max_in_flight).saturating_add(RESERVE),
        ))
    }
}

/// Raises the limit of open files as far as this process may. Returns the limit; `usize::MAX`: none.
#[must_use]
pub fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_limit_with_a_reserve() {
        for (limit, connections, in_flight, fit) in [
            (1_000_000, 4096, 1024, (4096, 1024)),
            (usize::MAX, 1_000_000, 1_000_000, (1_000_000, 1_000_000)),
            (1024, 4096, 1024, (432, 432)),
            (1024, 100, 1024, (100, 764)),
            (1024, 4096, 50, (814, 50)),
            (176, 4096, 1024, (8, 8)),
        ] {
            let files = Files::fit(limit, connections, in_flight).unwrap();
            assert_eq!((files.max_connections, files.max_in_flight), fit, "{limit} {connections} {in_flight}");
            assert!(files.max_connections.saturating_add(files.max_in_flight) <= limit - RESERVE);
            assert!(files.room_in_flight() >= files.max_in_flight);
            assert_eq!(files.lowered(connections, in_flight).is_some(), fit != (connections, in_flight));
        }
        assert_eq!(Files::fit(175, 1, 1), Err(TooFewFiles { limit: 175 }));
    }
}
