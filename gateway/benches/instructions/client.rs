//! A client that keeps one connection and reads just as much as it must.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes under valgrind.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Client {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { stream, came: Vec::new() }
    }

    /// Asks with more headers, each with the end of its line, and reads a whole answer.
    pub(crate) fn ask(&mut self, body: &str, headers: &str) {
        self.begin(body, headers);
        let head = self.read_to(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 200 "), "the gateway answers: {}", String::from_utf8_lossy(&head));
        let length = content_length(&head);
        while self.came.len() < length {
            self.read();
        }
        self.came.drain(..length);
    }

    /// Asks, and reads nothing yet.
    pub(crate) fn begin(&mut self, body: &str, headers: &str) {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).expect("the gateway reads");
    }

    /// Reads up to the end of the next event of a stream.
    pub(crate) fn event(&mut self) {
        let _ = self.read_to(b"\n\n\r\n");
    }

    /// Reads a stream to its end.
    pub(crate) fn end(&mut self) {
        let rest = self.read_to(b"0\r\n\r\n");
        assert!(rest.ends_with(b"data: [DONE]\n\n\r\n0\r\n\r\n"), "the stream ends as it should");
    }

    /// What comes up to `mark`, with it.
    fn read_to(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.came.windows(mark.len()).position(|window| window == mark) {
                return self.came.drain(..at + mark.len()).collect();
            }
            self.read();
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).expect("the gateway answers");
        assert!(read > 0, "the gateway has closed the connection");
        self.came.extend_from_slice(&buffer[..read]);
    }
}

/// The length that a head announces.
pub(crate) fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|length| length.trim().parse().ok()).expect("a head with a length")
}
