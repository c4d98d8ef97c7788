//! A client for HTTP/1.1 that controls each byte it sends and sees each chunk as it comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::wait::LIMIT;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Bytes read and not yet taken.
    read: Vec<u8>,
}

/// The head of a response, and what its body will be.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, String)>,
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body, without transfer coding.
    pub body: Vec<u8>,
}

impl Head {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header of that name; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.head.header(name).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// Fails unless the status is this one.
    ///
    /// # Panics
    /// Then.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.head.status, status, "{}", self.text());
        self
    }
}

/// The bytes of a request with a body.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request_to("localhost", method, path, headers, body)
}

/// As `request`, to a host of that name.
#[must_use]
pub fn request_to(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || method == "POST" {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes of a POST of JSON.
#[must_use]
pub fn post_json(path: &str, body: &Value) -> Vec<u8> {
    request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// Where that fails.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the gateway accepts connections");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes. A peer that has closed is no failure here: what it answered before is what tests look at.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                panic!("sending: {error}")
            }
            _ => self,
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) -> &mut Self {
        // Fails where the peer has closed: then it knows.
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Reads the head of the next response.
    ///
    /// # Panics
    /// Where none comes.
    pub fn head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill(), "the connection ended before a response: {:?}", String::from_utf8_lossy(&self.read));
        };
        let text = String::from_utf8(self.read.drain(..end).collect()).expect("a head in ASCII");
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Head {
            status: status.unwrap_or_else(|| panic!("not a status line: {status_line:?}")),
            headers: headers.collect(),
        }
    }

    /// Reads the next response, whole.
    pub fn response(&mut self) -> Response {
        let head = self.head();
        self.body_of(head)
    }

    /// Reads the rest of a response whose head was read.
    ///
    /// # Panics
    /// Where it breaks off.
    pub fn body_of(&mut self, head: Head) -> Response {
        let mut body = Vec::new();
        if head.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            while let Some(chunk) = self.chunk() {
                body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = head.header("content-length") {
            let length = length.parse().expect("a length");
            while self.read.len() < length {
                assert!(self.fill(), "the body broke off after {} of {length} bytes", self.read.len());
            }
            body = self.read.drain(..length).collect();
        } else if head.status != 204 && head.status != 304 {
            while self.fill() {}
            body = std::mem::take(&mut self.read);
        }
        Response { head, body }
    }

    /// Reads the next chunk of a chunked body; `None` at its end.
    ///
    /// # Panics
    /// Where the connection ends before the body does.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        self.try_chunk().unwrap_or_else(|| panic!("the body broke off: {:?}", String::from_utf8_lossy(&self.read)))
    }

    /// As `chunk`; `None` outside where the connection ends before the body does.
    pub fn try_chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let line_end = self.find_line()?;
        let line = String::from_utf8_lossy(&self.read[..line_end]).into_owned();
        let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
        let size = size.unwrap_or_else(|_| panic!("not the size of a chunk: {line:?}"));
        let start = line_end + 2;
        while self.read.len() < start + size + 2 {
            if !self.fill() {
                return None;
            }
        }
        let chunk = self.read[start..start + size].to_vec();
        self.read.drain(..start + size + 2);
        Some((size > 0).then_some(chunk))
    }

    fn find_line(&mut self) -> Option<usize> {
        loop {
            if let Some(at) = self.read.windows(2).position(|two| two == b"\r\n") {
                return Some(at);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Waits for the peer to close, and gives what it still said.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.read)
    }

    /// Closes without a goodbye: the peer sees a reset when it next sends.
    pub fn abandon(self) {
        // Unread bytes at closing make the system send a reset rather than an orderly end.
        drop(self.stream);
    }

    /// Reads what is there, or waits for it; false at the end.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = loop {
            match self.stream.read(&mut buffer) {
                // A signal came, which is no answer.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => {
                panic!("nothing came within {LIMIT:?} ({error}); so far {:?}", String::from_utf8_lossy(&self.read))
            }
        }
    }
}

/// The answer of a stream, read event by event as it comes.
#[derive(Debug)]
pub struct Stream {
    client: Client,
    /// The head of the response.
    pub head: Head,
    text: String,
    whole: bool,
}

impl Stream {
    /// Sends `request` on a connection of its own, and waits for the head of the answer.
    #[must_use]
    pub fn open(address: SocketAddr, request: &[u8]) -> Self {
        let mut client = Client::connect(address);
        let head = client.send(request).head();
        Self::of(client, head)
    }

    /// The stream whose head was read from this connection.
    #[must_use]
    pub fn of(client: Client, head: Head) -> Self {
        Self { client, head, text: String::new(), whole: false }
    }

    /// The next event, without the blank line that ends it (or the next line, where the answer is one of lines);
    /// `None` at the end.
    pub fn event(&mut self) -> Option<String> {
        let lines = self.head.header("content-type").is_some_and(|kind| kind.contains("ndjson"));
        let end = if lines { "\n" } else { "\n\n" };
        loop {
            if let Some((event, rest)) = self.text.split_once(end) {
                let event = event.to_owned();
                self.text = rest.to_owned();
                return Some(event);
            }
            let Some(chunk) = self.client.chunk() else {
                self.whole = true;
                return (!self.text.is_empty()).then(|| std::mem::take(&mut self.text));
            };
            self.text.push_str(std::str::from_utf8(&chunk).expect("chunks of whole characters"));
        }
    }

    /// The data of the next event that has some, as JSON; `Value::Null` for `[DONE]`. `None` at the end.
    pub fn data(&mut self) -> Option<Value> {
        loop {
            let event = self.event()?;
            let data = match event.lines().find_map(|line| line.strip_prefix("data:")) {
                Some(data) => data.trim(),
                None if event.starts_with('{') => &event,
                None => continue,
            };
            return Some(if data == "[DONE]" {
                Value::Null
            } else {
                serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data:?}"))
            });
        }
    }

    /// All data until the end.
    pub fn all(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.data()).collect()
    }

    /// Leaves in the middle.
    pub fn abandon(self) {
        self.client.abandon();
    }
}
