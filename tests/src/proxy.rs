//! A scripted HTTP proxy: it opens tunnels to where the test says, or refuses, and remembers what it was asked for.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::wait::Shared;

/// A request for a tunnel as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The line of the request, without its version.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The first header of that name; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What to do with a request for a tunnel.
#[derive(Debug, Clone, Copy)]
pub enum Tunnel {
    /// Opens it to this address, whatever was asked for.
    To(SocketAddr),
    /// Answers with this status.
    Refuse(u16),
    /// Closes the connection.
    Close,
}

/// The proxy. It accepts until the process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Shared<Vec<Asked>>>,
}

impl Proxy {
    /// Serves on a free port of the loopback interface.
    #[must_use]
    pub fn start(tunnel: Tunnel) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Shared::new(Vec::new()));
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), asked) = (stream, Arc::clone(&shared)) else { return };
                std::thread::spawn(move || {
                    let _ = serve(&stream, tunnel, &asked);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, asked }
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.with(|asked| asked.clone())
    }
}

fn serve(mut client: &TcpStream, tunnel: Tunnel, asked: &Shared<Vec<Asked>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    asked.with(|asked| asked.push(Asked { line, headers }));
    let server = match tunnel {
        Tunnel::Close => return Ok(()),
        Tunnel::Refuse(status) => {
            return client.write_all(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
        Tunnel::To(address) => TcpStream::connect(address)?,
    };
    // In pieces, as a head may come.
    for piece in ["HTTP/1.1 200 Connection established\r\n", "via: 1.1 scripted\r", "\n\r", "\n"] {
        client.write_all(piece.as_bytes())?;
    }
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    io::copy(&mut &server, &mut client)?;
    Ok(())
}
