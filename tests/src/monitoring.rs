//! The monitoring stack as it is shipped in `monitoring/`, run for real: Prometheus, Alertmanager and the exporters of
//! Debian, with the shipped files. Only addresses and spans of time are other than an operator's.

pub mod alertmanager;
pub mod dashboards;
pub mod load;
pub mod mixed;
pub mod preview;
pub mod prometheus;
pub mod shipped;
pub mod smtp;
pub mod stack;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, command};
use crate::real;

/// A folder or file of the repository.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A program that `make test` put in place.
///
/// # Panics
/// Where it is not there.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = real::folder().join("monitoring/usr/bin").join(name);
    assert!(path.is_file(), "{} is not there: `make test` makes it before it runs the tests", path.display());
    path
}

/// One of those programs that is a server.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Panics
    /// Where it does not say where it listens.
    #[must_use]
    pub fn start(name: &str, arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(&program(name));
        command.arg("--web.listen-address=127.0.0.1:0");
        arguments(&mut command);
        let process = Process::start(&mut command);
        let line = process.wait_line("msg=\"Listening on\"");
        let address = line.rsplit_once("address=").and_then(|(_, address)| address.trim().parse().ok());
        Self { process, address: address.unwrap_or_else(|| panic!("no address in {line:?}")) }
    }
}
