//! A scripted model server that speaks HTTP/2 without TLS, frame by frame: it allows so many streams a connection, refuses
//! streams, goes away, falls silent, and remembers what it saw.
//!
//! It knows no header compression beyond the answers that it sends itself: what a request says is in its body.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

use crate::wait::Shared;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest frame that a client takes without having said otherwise.
const MAX_FRAME: usize = 16 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A request as it came.
#[derive(Debug)]
pub struct Call {
    /// From 0, in the order of their coming, over all connections.
    pub number: usize,
    /// The number of its connection, from 0.
    pub connection: usize,
    /// Its body; null where there is none.
    pub body: Value,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Answer {
    /// Answers with JSON.
    Json(Value),
    /// Streams these events. The end comes in a frame of its own.
    Events(Vec<String>),
    /// Streams the first events at once, and the others when the test says so.
    Held(Vec<String>, Vec<String>),
    /// Streams so many events as fast as the client takes them.
    Flood(usize, String),
    /// Refuses the stream, which says that it was not processed.
    Refuse,
    /// Goes away: says that this stream and later ones are not processed. Earlier ones go on.
    GoAway,
    /// Says nothing.
    Nothing,
}

/// What a connection has seen.
#[derive(Debug, Default)]
struct Connection {
    socket: Option<TcpStream>,
    /// Bodies of requests that are not complete.
    bodies: Vec<(u32, Vec<u8>)>,
    /// Streams that are open, and what each may still send.
    open: Vec<(u32, i64)>,
    window: i64,
    stream_window: i64,
    most: usize,
    resets: usize,
    pings: usize,
    silent: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Seen {
    connections: Vec<Connection>,
    calls: usize,
    too_many: usize,
    held: Vec<(usize, u32, Vec<String>)>,
    blocked: usize,
    stopping: bool,
}

type Script = dyn Fn(&Call) -> Answer + Send + Sync;

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct Http2Backend {
    address: SocketAddr,
    seen: Arc<Shared<Seen>>,
}

impl Http2Backend {
    /// Serves on a free port of the loopback interface, so many streams a connection.
    #[must_use]
    pub fn start(max_streams: u32, script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Shared::new(Seen::default()));
        let (shared, script): (_, Arc<Script>) = (Arc::clone(&seen), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = shared.with(|seen| {
                    let socket = stream.try_clone().ok();
                    seen.connections.push(Connection { socket, window: 65_535, ..Connection::default() });
                    seen.connections.len() - 1
                });
                if shared.with(|seen| seen.stopping) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&shared));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let _ = serve(&stream, number, max_streams, &script, &seen);
                    // What a long run has closed is to hold no socket.
                    seen.with(|seen| {
                        seen.connections[number].closed = true;
                        seen.connections[number].socket = None;
                    });
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, seen }
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far, refused ones among them.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.seen.with(|seen| seen.calls)
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.with(|seen| seen.connections.len())
    }

    /// The most streams that were open at once on one connection.
    #[must_use]
    pub fn most_streams(&self) -> usize {
        self.seen.with(|seen| seen.connections.iter().map(|connection| connection.most).max().unwrap_or(0))
    }

    /// Streams beyond what a connection may have at once.
    #[must_use]
    pub fn too_many(&self) -> usize {
        self.seen.with(|seen| seen.too_many)
    }

    /// Streams that the gateway reset.
    #[must_use]
    pub fn resets(&self) -> usize {
        self.seen.with(|seen| seen.connections.iter().map(|connection| connection.resets).sum())
    }

    /// Pings so far.
    #[must_use]
    pub fn pings(&self) -> usize {
        self.seen.with(|seen| seen.connections.iter().map(|connection| connection.pings).sum())
    }

    /// Waits until so many pings came.
    pub fn wait_pings(&self, count: usize) {
        let enough = |seen: &mut Seen| {
            (seen.connections.iter().map(|connection| connection.pings).sum::<usize>() >= count).then_some(())
        };
        self.seen.wait(enough).unwrap_or_else(|| panic!("{} pings came", self.pings()));
    }

    /// Waits until so many answers are held.
    pub fn wait_held(&self, count: usize) {
        let enough = |seen: &mut Seen| (seen.held.len() >= count).then_some(());
        self.seen.wait(enough).unwrap_or_else(|| panic!("{} answers are held", self.seen.with(|seen| seen.held.len())));
    }

    /// Waits until so many answers cannot go on because the gateway does not take more.
    pub fn wait_blocked(&self, count: usize) {
        self.seen.wait(|seen| (seen.blocked >= count).then_some(())).expect("the answers fill their windows");
    }

    /// Sends the rest of all answers that are held.
    pub fn release(&self) {
        for (connection, stream, events) in self.seen.with(|seen| std::mem::take(&mut seen.held)) {
            events_of(&self.seen, connection, stream, &events);
        }
    }

    /// Says nothing more on the connections that are open, as if the network had lost them.
    pub fn fall_silent(&self) {
        self.seen.with(|seen| seen.connections.iter_mut().for_each(|connection| connection.silent = true));
    }

    /// Waits until the gateway has closed a connection.
    pub fn wait_closed(&self, connection: usize) {
        let closed = |seen: &mut Seen| seen.connections[connection].closed.then_some(());
        self.seen.wait(closed).expect("the gateway closes the connection");
    }
}

impl Drop for Http2Backend {
    fn drop(&mut self) {
        self.seen.with(|seen| {
            seen.stopping = true;
            for socket in seen.connections.iter().filter_map(|connection| connection.socket.as_ref()) {
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads frames until the other side closes.
fn serve(
    mut stream: &TcpStream,
    number: usize,
    max_streams: u32,
    script: &Arc<Script>,
    seen: &Arc<Shared<Seen>>,
) -> io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    assert_eq!(preface, PREFACE, "the client speaks HTTP/2");
    let mut limit = MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
    limit.extend(max_streams.to_be_bytes());
    seen.with(|seen| write(&seen.connections[number], SETTINGS, 0, 0, &limit))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        let ended = match kind {
            SETTINGS if flags & ACK == 0 => {
                seen.with(|seen| settings(&mut seen.connections[number], &payload))?;
                false
            }
            PING if flags & ACK == 0 => {
                seen.with(|seen| {
                    seen.connections[number].pings += 1;
                    write(&seen.connections[number], PING, ACK, 0, &payload)
                })?;
                false
            }
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload[..4].try_into().expect("four bytes")));
                seen.with(|seen| {
                    let connection = &mut seen.connections[number];
                    match connection.open.iter_mut().find(|(open, _)| *open == id) {
                        _ if id == 0 => connection.window += more,
                        Some((_, window)) => *window += more,
                        None => {}
                    }
                });
                false
            }
            RST_STREAM => {
                seen.with(|seen| {
                    let connection = &mut seen.connections[number];
                    connection.resets += 1;
                    connection.open.retain(|(open, _)| *open != id);
                    connection.bodies.retain(|(open, _)| *open != id);
                });
                false
            }
            HEADERS => seen.with(|seen| begin(seen, number, max_streams, id))? && flags & END_STREAM != 0,
            DATA => seen.with(|seen| {
                let connection = &mut seen.connections[number];
                let Some((_, body)) = connection.bodies.iter_mut().find(|(open, _)| *open == id) else {
                    return Ok::<_, io::Error>(false);
                };
                body.extend_from_slice(&payload);
                if length > 0 {
                    let taken = u32::try_from(length).expect("a frame's length").to_be_bytes();
                    write(connection, WINDOW_UPDATE, 0, 0, &taken)?;
                }
                Ok(flags & END_STREAM != 0)
            })?,
            _ => false,
        };
        if ended {
            answer(number, id, script, seen)?;
        }
    }
}

fn settings(connection: &mut Connection, payload: &[u8]) -> io::Result<()> {
    connection.stream_window = 65_535;
    for setting in payload.chunks_exact(6) {
        let value = u32::from_be_bytes(setting[2..].try_into().expect("four bytes"));
        if u16::from_be_bytes([setting[0], setting[1]]) == INITIAL_WINDOW_SIZE {
            connection.stream_window = value.into();
        }
    }
    write(connection, SETTINGS, ACK, 0, &[])
}

/// Opens a stream; false where the connection has as many as it may have.
fn begin(seen: &mut Seen, number: usize, max_streams: u32, id: u32) -> io::Result<bool> {
    let connection = &mut seen.connections[number];
    if connection.open.len() >= max_streams as usize {
        seen.too_many += 1;
        write(connection, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())?;
        return Ok(false);
    }
    connection.open.push((id, connection.stream_window));
    connection.bodies.push((id, Vec::new()));
    connection.most = connection.most.max(connection.open.len());
    Ok(true)
}

fn answer(number: usize, id: u32, script: &Arc<Script>, seen: &Arc<Shared<Seen>>) -> io::Result<()> {
    let call = seen.with(|seen| {
        let bodies = &mut seen.connections[number].bodies;
        let position = bodies.iter().position(|(open, _)| *open == id).expect("the stream is open");
        let body = serde_json::from_slice(&bodies.remove(position).1).unwrap_or_default();
        seen.calls += 1;
        Call { number: seen.calls - 1, connection: number, body }
    });
    match script(&call) {
        Answer::Nothing => {}
        Answer::Json(body) => {
            head(seen, number, id, "application/json")?;
            data(seen, number, id, body.to_string().as_bytes());
            end(seen, number, id);
        }
        Answer::Events(events) => {
            head(seen, number, id, "text/event-stream")?;
            events_of(seen, number, id, &events);
        }
        Answer::Held(before, after) => {
            head(seen, number, id, "text/event-stream")?;
            before.iter().for_each(|event| data(seen, number, id, event.as_bytes()));
            seen.with(|seen| seen.held.push((number, id, after)));
        }
        Answer::Flood(count, event) => {
            head(seen, number, id, "text/event-stream")?;
            let seen = Arc::clone(seen);
            std::thread::spawn(move || {
                (0..count).for_each(|_| data(&seen, number, id, event.as_bytes()));
                end(&seen, number, id);
            });
        }
        Answer::Refuse => seen.with(|seen| {
            let connection = &mut seen.connections[number];
            connection.open.retain(|(open, _)| *open != id);
            write(connection, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())
        })?,
        Answer::GoAway => seen.with(|seen| {
            let connection = &mut seen.connections[number];
            connection.open.retain(|(open, _)| *open != id);
            // The stream before it, and no error.
            let payload = [id.saturating_sub(2).to_be_bytes(), 0_u32.to_be_bytes()].concat();
            write(connection, GOAWAY, 0, 0, &payload)
        })?,
    }
    Ok(())
}

/// Status 200 and a content type, in the representation without any state (RFC 7541, appendix A and section 6.2.2).
fn head(seen: &Shared<Seen>, number: usize, id: u32, content_type: &str) -> io::Result<()> {
    let mut block = vec![0x88, 0x0f, 0x10, u8::try_from(content_type.len()).expect("a short type")];
    block.extend_from_slice(content_type.as_bytes());
    seen.with(|seen| write(&seen.connections[number], HEADERS, END_HEADERS, id, &block))
}

fn events_of(seen: &Shared<Seen>, number: usize, id: u32, events: &[String]) {
    events.iter().for_each(|event| data(seen, number, id, event.as_bytes()));
    end(seen, number, id);
}

/// Sends a piece of a body, as the windows allow.
fn data(seen: &Shared<Seen>, number: usize, id: u32, mut bytes: &[u8]) {
    let mut blocked = false;
    while !bytes.is_empty() {
        let sent = seen.wait(|seen| {
            let connection = &mut seen.connections[number];
            let Some((_, window)) = connection.open.iter_mut().find(|(open, _)| *open == id) else {
                return Some(bytes.len());
            };
            let room = usize::try_from((*window).min(connection.window)).unwrap_or(0).min(MAX_FRAME).min(bytes.len());
            if room == 0 && !connection.closed {
                seen.blocked += usize::from(!std::mem::replace(&mut blocked, true));
                return None;
            }
            let spent = i64::try_from(room).expect("a frame's length");
            *window -= spent;
            connection.window -= spent;
            let sent = !connection.closed && write(connection, DATA, 0, id, &bytes[..room]).is_ok();
            Some(if sent { room } else { bytes.len() })
        });
        bytes = &bytes[sent.unwrap_or(bytes.len())..];
    }
    if blocked {
        seen.with(|seen| seen.blocked -= 1);
    }
}

fn end(seen: &Shared<Seen>, number: usize, id: u32) {
    seen.with(|seen| {
        let connection = &mut seen.connections[number];
        if connection.open.iter().any(|(open, _)| *open == id) {
            connection.open.retain(|(open, _)| *open != id);
            let _ = write(connection, DATA, END_STREAM, id, &[]);
        }
    });
}

fn write(connection: &Connection, kind: u8, flags: u8, id: u32, payload: &[u8]) -> io::Result<()> {
    let (Some(mut socket), false) = (connection.socket.as_ref(), connection.silent) else { return Ok(()) };
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(id.to_be_bytes());
    frame.extend_from_slice(payload);
    socket.write_all(&frame)
}
