//! A real Redis server on a free port of the loopback interface, which keeps nothing: killed, it has forgotten everything.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use redis::{Cmd, Connection, FromRedisValue};

use crate::process::{Process, command};
use crate::wait::try_until_slowly;

/// The server's program by the name of its package of tools; it is the server if it is called so.
const PROGRAM: &str = "/usr/bin/redis-check-rdb";

/// A server.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    password: Option<String>,
}

impl Redis {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self::with_password(None)
    }

    /// Starts one that wants a password.
    #[must_use]
    pub fn with_password(password: Option<&str>) -> Self {
        assert!(
            Path::new(PROGRAM).is_file(),
            "{PROGRAM} is not there: `make test` installs it before it runs the tests"
        );
        // Another process may take the port in between.
        let started = (0..5).find_map(|_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = listener.local_addr().expect("its address");
            drop(listener);
            Self::at(address, password)
        });
        started.expect("a Redis server on one of five free ports")
    }

    fn at(address: SocketAddr, password: Option<&str>) -> Option<Self> {
        // It dies with the thread that started it, so that none outlives a test that fails.
        let mut command = command(Path::new("setpriv"));
        command.args(["--pdeathsig", "KILL", "bash", "-c", "exec -a redis-server \"$0\" \"$@\"", PROGRAM]);
        command.current_dir(std::env::temp_dir());
        let port = address.port().to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        let redis = Self { process: Process::start(&mut command), address, password: password.map(str::to_owned) };
        try_until_slowly(|| redis.connection().map(|_| ())).map(|()| redis)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.signal("KILL");
        let _ = self.process.wait_exit();
    }

    /// Stops it so that it does not answer, and lets it go on.
    pub fn freeze(&self, on: bool) {
        self.process.signal(if on { "STOP" } else { "CONT" });
    }

    /// Starts it anew at the same address where it was killed. It has forgotten everything.
    pub fn start_again(&mut self) {
        let again = Self::at(self.address, self.password.as_deref());
        *self = again.expect("the address is still free");
    }

    /// Its address for a configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Its address on a way on which it says times that are later by so many seconds, as one does whose clock is ahead. The way is
    /// open until the process of the test ends.
    #[must_use]
    pub fn url_ahead(&self, seconds: u64) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (address, server) = (listener.local_addr().expect("its address"), self.address);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { continue };
                thread::spawn(move || io::copy(&mut from, &mut to));
                thread::spawn(move || relay_ahead(server, client, seconds));
            }
        });
        format!("redis://{address}")
    }

    fn connection(&self) -> Option<Connection> {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        redis::Client::open(format!("redis://{password}{}", self.address)).ok()?.get_connection().ok()
    }

    /// What it answers to a command.
    #[must_use]
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut self.connection().expect("a connection")).expect("an answer")
    }

    /// The numbers of the only bucket whose key contains `part`; `None` if there is none.
    #[must_use]
    pub fn bucket(&self, part: &str) -> Option<BTreeMap<String, i64>> {
        let keys: Vec<String> = self.ask(&["KEYS", &format!("*{part}*")]);
        assert!(keys.len() <= 1, "{keys:?}");
        Some(self.ask(&["HGETALL", keys.first()?]))
    }
}

/// Passes answers on. A number that is milliseconds since 1970 becomes greater by so many seconds.
fn relay_ahead(server: TcpStream, mut client: TcpStream, seconds: u64) -> io::Result<()> {
    let (mut server, mut line) = (BufReader::new(server), Vec::new());
    while server.read_until(b'\n', &mut line)? > 0 {
        let number = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(':')?.strip_suffix("\r\n"));
        let time = number.and_then(|number| number.parse::<u64>().ok()).filter(|time| *time > 1_000_000_000_000);
        match time {
            Some(time) => client.write_all(format!(":{}\r\n", time + 1000 * seconds).as_bytes())?,
            None => client.write_all(&line)?,
        }
        line.clear();
    }
    Ok(())
}
