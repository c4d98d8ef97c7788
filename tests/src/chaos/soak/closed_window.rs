//! A client of HTTP/2 that asks and never lets anything of the answers come: its windows stay closed. It answers pings, so
//! that its connection looks alive.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The setting INITIAL_WINDOW_SIZE, and 0.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// How many streams are still open where the gateway has not ended all after `patience`.
///
/// # Errors
/// Where the connection cannot be had.
pub(super) fn ask(address: SocketAddr, path: &str, bodies: &[String], patience: Duration) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    stream.set_write_timeout(Some(patience))?;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &NO_WINDOW);
    for (number, body) in bodies.iter().enumerate() {
        let id = 2 * u32::try_from(number).expect("few streams") + 1;
        frame(&mut bytes, HEADERS, END_HEADERS, id, &head(path));
        frame(&mut bytes, DATA, END_STREAM, id, body.as_bytes());
    }
    stream.write_all(&bytes)?;
    let (mut open, mut read, deadline) = (bodies.len(), Vec::new(), Instant::now() + patience);
    let mut buffer = [0; 4096];
    while open > 0 && Instant::now() < deadline {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(0),
            Ok(count) => read.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(_) => return Ok(0),
        }
        while let Some((kind, flags, payload, length)) = parse(&read) {
            let mut answer = Vec::new();
            match kind {
                SETTINGS if flags & ACK == 0 => frame(&mut answer, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(&mut answer, PING, ACK, 0, &payload),
                RST_STREAM => open = open.saturating_sub(1),
                // An answer without a body, or an empty end of one.
                HEADERS | DATA if flags & END_STREAM != 0 => open = open.saturating_sub(1),
                _ => {}
            }
            read.drain(..length);
            if stream.write_all(&answer).is_err() {
                return Ok(0);
            }
        }
    }
    Ok(open)
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(payload.len()).expect("a short frame").to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// The first frame, where it is whole: its kind, flags and payload, and its length.
fn parse(bytes: &[u8]) -> Option<(u8, u8, Vec<u8>, usize)> {
    let [high, middle, low, kind, flags, ..] = *bytes else { return None };
    let length = 9 + u32::from_be_bytes([0, high, middle, low]) as usize;
    Some((kind, flags, bytes.get(9..length)?.to_vec(), length))
}

/// A POST of JSON, in the representation of headers that knows no state (RFC 7541, section 6.2.2).
fn head(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "wasmgate.test"),
        (":path", path),
        ("content-type", "application/json"),
    ];
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short header"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
