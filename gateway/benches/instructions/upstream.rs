//! A backend of OpenAI's dialect: whole answers at once, streams an event at a time, when it is told to go on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::content_length;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"model-0","choices":[{"index":0,"message":{"role":"assistant","content":"An answer of one sentence, which says little."},"finish_reason":"stop"}],"usage":{"prompt_tokens":75,"completion_tokens":10,"total_tokens":85}}"#;
const EVENT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"model-0","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;
const LAST_EVENT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"model-0","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// See the module. Its threads end with the connections they serve, or the program.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// `true`: one more event; `false`: the end.
    next: Sender<bool>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (next, told) = channel();
        let told = Arc::new(Mutex::new(told));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || serve(&stream, &told));
            }
        });
        Self { address, next }
    }

    /// One more event.
    pub(crate) fn go_on(&self) {
        self.next.send(true).expect("the backend runs");
    }

    /// The end of the stream.
    pub(crate) fn end(&self) {
        self.next.send(false).expect("the backend runs");
    }
}

/// Serves a connection until the gateway closes it.
fn serve(mut stream: &TcpStream, told: &Mutex<Receiver<bool>>) {
    stream.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader) {
        if !body.windows(13).any(|window| window == b"\"stream\":true") {
            let head = head("application/json", &format!("content-length: {}", ANSWER.len()));
            stream.write_all(format!("{head}{ANSWER}").as_bytes()).expect("the gateway reads");
            continue;
        }
        let head = head("text/event-stream", "transfer-encoding: chunked");
        stream.write_all(format!("{head}{}", chunk(EVENT)).as_bytes()).expect("the gateway reads");
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        while told.recv().unwrap_or(false) {
            stream.write_all(chunk(EVENT).as_bytes()).expect("the gateway reads");
        }
        let end = format!("{}{}0\r\n\r\n", chunk(LAST_EVENT), chunk("[DONE]"));
        stream.write_all(end.as_bytes()).expect("the gateway reads");
    }
}

/// The body of the next request; `None` where the connection ends.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let mut body = vec![0; content_length(&head)];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn head(content_type: &str, length: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{length}\r\n\r\n")
}

/// One event, in a chunk of its own.
fn chunk(event: &str) -> String {
    let event = format!("data: {event}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}
