//! A client for HTTP/2 that controls each frame it sends, its windows above all, and sees each frame as it comes.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::LIMIT;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW: u16 = 4;
/// Largest payload of a frame, as long as nobody agrees on more.
const MAX_PAYLOAD: usize = 16 << 10;

/// The kinds of frames that tests look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A part of a body.
    Data = 0,
    /// The head of a request or an answer.
    Headers = 1,
    /// The end of one stream.
    Reset = 3,
    /// How a peer wants to be spoken to.
    Settings = 4,
    /// A sign of life.
    Ping = 6,
    /// The end of the connection.
    GoAway = 7,
    /// The peer may send more.
    WindowUpdate = 8,
}

/// One frame of the gateway.
#[derive(Debug)]
pub struct Frame {
    /// Its kind; `None`: another one.
    pub kind: Option<Kind>,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What it says.
    pub payload: Vec<u8>,
    flags: u8,
}

impl Frame {
    /// Whether it is the last one of its stream.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        match self.kind {
            Some(Kind::Data | Kind::Headers) => self.flags & END_STREAM != 0,
            Some(Kind::Reset) => true,
            _ => false,
        }
    }

    /// The value of a setting, if this frame has it.
    #[must_use]
    pub fn setting(&self, number: u16) -> Option<u32> {
        let of = |pair: &[u8]| {
            let (key, value) = pair.split_at(2);
            (key == number.to_be_bytes()).then(|| u32::from_be_bytes(value.try_into().unwrap()))
        };
        let pairs = (self.kind == Some(Kind::Settings)).then(|| self.payload.chunks_exact(6));
        pairs.into_iter().flatten().find_map(of)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    next_stream: u32,
    closed: bool,
    /// Frames that came while a body was being sent.
    early: VecDeque<Frame>,
}

impl Client {
    /// Connects. Each stream of the gateway may send `window` bytes, until the client gives more.
    #[must_use]
    pub fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the gateway accepts connections");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, next_stream: 1, closed: false, early: VecDeque::new() };
        client.write(PREFACE);
        let mut setting = INITIAL_WINDOW.to_be_bytes().to_vec();
        setting.extend_from_slice(&window.to_be_bytes());
        client.send(Kind::Settings, 0, 0, &setting);
        // What tests bound is the streams.
        client.open_window(0, 1 << 30);
        client
    }

    /// Sends a POST of JSON; the number of its stream.
    pub fn post(&mut self, path: &str, body: &serde_json::Value) -> u32 {
        let stream = self.head("POST", path, 0);
        let body = body.to_string();
        let mut pieces = body.as_bytes().chunks(MAX_PAYLOAD).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_STREAM } else { 0 };
            self.send(Kind::Data, flags, stream, piece);
        }
        stream
    }

    /// As `post`, all of a body that is larger than the gateway's windows, as far as the gateway opens them or until it ends
    /// the stream. It must be the first of the connection.
    pub fn post_within_windows(&mut self, path: &str, body: &[u8]) -> u32 {
        const DEFAULT: i64 = 65_535;
        let stream = self.head("POST", path, 0);
        let (mut of_stream, mut of_connection, mut initial) = (DEFAULT, DEFAULT, DEFAULT);
        let mut rest = body;
        while !rest.is_empty() {
            let open = usize::try_from(of_stream.min(of_connection)).unwrap_or(0).min(MAX_PAYLOAD).min(rest.len());
            if open > 0 {
                let (piece, after) = rest.split_at(open);
                self.send(Kind::Data, if after.is_empty() { END_STREAM } else { 0 }, stream, piece);
                (of_stream, of_connection) = (of_stream - open as i64, of_connection - open as i64);
                rest = after;
                continue;
            }
            let Some(frame) = self.any_frame() else { return stream };
            match frame.kind {
                Some(Kind::WindowUpdate) => {
                    let more = i64::from(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
                    let window = if frame.stream == 0 { &mut of_connection } else { &mut of_stream };
                    *window += more;
                }
                Some(Kind::Settings) if frame.flags & ACK == 0 => {
                    if let Some(size) = frame.setting(INITIAL_WINDOW) {
                        of_stream += i64::from(size) - initial;
                        initial = i64::from(size);
                    }
                    self.send(Kind::Settings, ACK, 0, &[]);
                }
                Some(Kind::Reset) => {
                    self.early.push_back(frame);
                    return stream;
                }
                _ => self.early.push_back(frame),
            }
        }
        stream
    }

    /// Sends a GET; the number of its stream.
    pub fn get(&mut self, path: &str) -> u32 {
        self.head("GET", path, END_STREAM)
    }

    /// Sends the head of a POST whose body never comes; the number of its stream.
    pub fn head_only(&mut self, path: &str) -> u32 {
        self.head("POST", path, 0)
    }

    fn head(&mut self, method: &str, path: &str, flags: u8) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let headers = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/json"),
        ];
        let mut block = Vec::new();
        for text in headers.iter().flat_map(|(name, value)| [*name, *value]) {
            // A header without an index and without a code: 0, then both texts with their lengths.
            if text.starts_with(':') || text == "content-type" {
                block.push(0);
            }
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
        self.send(Kind::Headers, END_HEADERS | flags, stream, &block);
        stream
    }

    /// Lets the gateway send `bytes` more on a stream.
    pub fn open_window(&mut self, stream: u32, bytes: u32) {
        self.send(Kind::WindowUpdate, 0, stream, &bytes.to_be_bytes());
    }

    /// The next frame that is not of the protocol's own; `None` at the connection's end.
    pub fn frame(&mut self) -> Option<Frame> {
        loop {
            let frame = match self.early.pop_front() {
                Some(frame) => frame,
                None => self.any_frame()?,
            };
            match frame.kind {
                Some(Kind::Settings) if frame.flags & ACK == 0 => self.send(Kind::Settings, ACK, 0, &[]),
                Some(Kind::Ping) if frame.flags & ACK == 0 => self.send(Kind::Ping, ACK, 0, &frame.payload),
                Some(Kind::Settings | Kind::Ping | Kind::WindowUpdate) | None => {}
                Some(_) => return Some(frame),
            }
        }
    }

    /// The next frame, whatever it is, not answered.
    pub fn any_frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let kinds =
            [Kind::Data, Kind::Headers, Kind::Reset, Kind::Settings, Kind::Ping, Kind::GoAway, Kind::WindowUpdate];
        let kind = kinds.into_iter().find(|kind| *kind as u8 == head[3]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.read(&mut payload)?;
        Some(Frame { kind, stream, payload, flags: head[4] })
    }

    /// Reads a stream to its end; its body, and whether it ended in order. `None` if the connection ended first.
    pub fn rest_of(&mut self, stream: u32) -> Option<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            let frame = self.frame()?;
            if frame.stream != stream {
                continue;
            }
            if frame.kind == Some(Kind::Data) {
                body.extend_from_slice(&frame.payload);
            }
            if frame.ends_stream() {
                return Some((body, frame.kind != Some(Kind::Reset)));
            }
        }
    }

    /// Waits for the gateway to close the connection.
    pub fn wait_closed(&mut self) {
        while self.frame().is_some() {}
    }

    fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend_from_slice(&[kind as u8, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.write(&frame);
    }

    fn write(&mut self, bytes: &[u8]) {
        // A peer that has closed says so when it is read.
        self.closed |= self.stream.write_all(bytes).is_err();
    }

    fn read(&mut self, into: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(into) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
            Err(error) => panic!("nothing came within {LIMIT:?}: {error}"),
        }
    }
}
