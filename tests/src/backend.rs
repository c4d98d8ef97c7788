//! A scripted model server: says, for each request it sees, which bytes to send when, and remembers what it saw.
//!
//! Time in a script is a `Gate`: bytes behind it are sent when the test opens it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use crate::wait::Shared;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// From 0, in the order of their coming.
    pub number: usize,
    /// `GET`, `POST`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// What a script waits at until the test opens it. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared<bool>>);

impl Gate {
    /// Lets the script go on, now and whenever it comes here.
    pub fn open(&self) {
        self.0.with(|open| *open = true);
    }
}

#[derive(Debug)]
enum Step {
    Bytes(Vec<u8>),
    Wait(Gate),
    Cut,
    Stall,
}

/// What to answer.
#[derive(Debug)]
pub struct Reply {
    steps: Vec<Step>,
    chunked: bool,
}

impl Reply {
    /// A whole answer.
    #[must_use]
    pub fn whole(status: u16, content_type: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self { steps: vec![Step::Bytes([head.as_bytes(), body].concat())], chunked: false }
    }

    /// A whole answer of JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string().as_bytes())
    }

    /// The head of an answer whose body comes in chunks; `frames`, `gate`, `end`, `cut` or `stall` go on.
    #[must_use]
    pub fn stream(content_type: &str) -> Self {
        let head =
            format!("HTTP/1.1 200 Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        Self { steps: vec![Step::Bytes(head.into_bytes())], chunked: true }
    }

    /// These bytes and nothing around them; `cut` or `stall` may follow.
    #[must_use]
    pub fn raw(bytes: &[u8]) -> Self {
        Self { steps: vec![Step::Bytes(bytes.to_vec())], chunked: false }
    }

    /// Nothing yet; the other steps follow.
    #[must_use]
    pub fn silent() -> Self {
        Self { steps: Vec::new(), chunked: false }
    }

    /// Then answers as `next` does.
    #[must_use]
    pub fn and(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self.chunked = next.chunked;
        self
    }

    /// Sends pieces of the body, each as a chunk of its own.
    #[must_use]
    pub fn frames<F: AsRef<[u8]>>(mut self, frames: impl IntoIterator<Item = F>) -> Self {
        for frame in frames {
            let frame = frame.as_ref();
            let size = format!("{:x}\r\n", frame.len());
            self.steps.push(Step::Bytes([size.as_bytes(), frame, b"\r\n"].concat()));
        }
        self
    }

    /// Sends each piece of the body when its gate is open.
    #[must_use]
    pub fn gated_frames<F: AsRef<[u8]>>(mut self, frames: impl IntoIterator<Item = F>, gates: &[Gate]) -> Self {
        for (frame, gate) in frames.into_iter().zip(gates) {
            self = self.gate(gate).frames([frame]);
        }
        self
    }

    /// Waits for the gate.
    #[must_use]
    pub fn gate(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Ends the body in order.
    #[must_use]
    pub fn end(mut self) -> Self {
        assert!(self.chunked, "only a body of chunks has an end to send");
        self.steps.push(Step::Bytes(b"0\r\n\r\n".to_vec()));
        self
    }

    /// Closes the connection here.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.steps.push(Step::Cut);
        self
    }

    /// Says nothing more until the other side closes.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.steps.push(Step::Stall);
        self
    }
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<Request>,
    /// Connections so far.
    connections: usize,
    /// Answers that the other side did not wait for.
    abandoned: usize,
    stopping: bool,
}

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    seen: Arc<Shared<Seen>>,
}

/// What a GET of a path is answered, and what any other request.
struct Script {
    post: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    get: Box<dyn Fn(&str) -> Reply + Send + Sync>,
}

impl Backend {
    /// Serves on a free port of the loopback interface; `script` says what to answer to each request. A GET (a probe) is
    /// answered with an empty object.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_pages(script, |_| Reply::json(200, &serde_json::json!({})))
    }

    /// As `start`; `pages` says what to answer to each GET, by its path.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn with_pages(
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        pages: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Shared::new(Seen::default()));
        let script = Arc::new(Script { post: Box::new(script), get: Box::new(pages) });
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stopping = shared.with(|seen| {
                    seen.connections += 1;
                    seen.stopping
                });
                if stopping {
                    return;
                }
                let (Ok(stream), script, seen) = (stream, Arc::clone(&script), Arc::clone(&shared)) else {
                    return;
                };
                std::thread::spawn(move || serve(&stream, &script, &seen));
            }
        });
        Self { address, seen }
    }

    /// An address where nothing listens.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn nowhere() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw so far, but for GETs.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.seen.with(|seen| seen.requests.iter().filter(|request| request.method != "GET").cloned().collect())
    }

    /// How many connections were made to it so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.with(|seen| seen.connections)
    }

    /// Forgets what it saw so far: for runs that are too long to keep all.
    pub fn forget_requests(&self) {
        self.seen.with(|seen| seen.requests = Vec::new());
    }

    /// The only request that it saw, but for GETs.
    ///
    /// # Panics
    /// Where there was none, or more.
    #[must_use]
    #[track_caller]
    pub fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests at the backend");
        requests.remove(0)
    }

    /// Waits until it has seen so many requests, not counting GETs.
    ///
    /// # Panics
    /// Where that does not happen.
    pub fn wait_requests(&self, count: usize) {
        let enough = |seen: &mut Seen| {
            (seen.requests.iter().filter(|request| request.method != "GET").count() >= count).then_some(())
        };
        self.seen
            .wait(enough)
            .unwrap_or_else(|| panic!("the backend saw {} requests, not {count}", self.requests().len()));
    }

    /// Waits until the other side has closed so many connections before their answer was whole.
    ///
    /// # Panics
    /// Where that does not happen.
    pub fn wait_abandoned(&self, count: usize) {
        let abandoned = |seen: &mut Seen| (seen.abandoned >= count).then_some(());
        self.seen.wait(abandoned).expect("the gateway closes its call to the backend");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.seen.with(|seen| seen.stopping = true);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection: a thread reads, so that a close is seen while this one waits at a gate.
fn serve(stream: &TcpStream, script: &Script, seen: &Arc<Shared<Seen>>) {
    let (Ok(reading), (arrived, arrivals)) = (stream.try_clone(), channel()) else {
        return;
    };
    let closed = Arc::new(Shared::new(false));
    let at_end = Arc::clone(&closed);
    std::thread::spawn(move || {
        read_requests(reading, &arrived);
        drop(arrived);
        at_end.with(|closed| *closed = true);
    });
    let _ = stream.set_nodelay(true);
    answer_requests(stream, &arrivals, script, seen, &closed);
    let _ = stream.shutdown(Shutdown::Both);
}

fn answer_requests(
    mut stream: &TcpStream,
    arrivals: &Receiver<Request>,
    script: &Script,
    seen: &Shared<Seen>,
    closed: &Shared<bool>,
) {
    while let Ok(mut request) = arrivals.recv() {
        seen.with(|seen| {
            request.number = seen.requests.iter().filter(|earlier| earlier.method == request.method).count();
            seen.requests.push(request.clone());
        });
        let reply = match request.method.as_str() {
            "GET" => (script.get)(&request.path),
            _ => (script.post)(&request),
        };
        for step in reply.steps {
            let sent = match step {
                Step::Bytes(bytes) => !closed.with(|closed| *closed) && stream.write_all(&bytes).is_ok(),
                Step::Wait(gate) => wait_at(&gate, closed),
                Step::Cut => return,
                Step::Stall => wait_at(&Gate::default(), closed),
            };
            if !sent {
                seen.with(|seen| seen.abandoned += 1);
                return;
            }
        }
    }
}

/// Waits until the gate is open (true) or the other side is gone (false).
fn wait_at(gate: &Gate, closed: &Shared<bool>) -> bool {
    loop {
        if gate.0.with(|open| *open) {
            return true;
        }
        if closed.with(|closed| *closed) {
            return false;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
}

/// Reads requests until the other side closes.
fn read_requests(mut stream: TcpStream, arrived: &Sender<Request>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        while let Some((request, length)) = parse(&bytes) {
            bytes.drain(..length);
            if arrived.send(request).is_err() {
                return;
            }
        }
        match stream.read(&mut buffer) {
            // A signal came, which is no end.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The first request in `bytes`, where it is whole, and its length.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let end = head_end + length.unwrap_or(0);
    let body = bytes.get(head_end..end)?.to_vec();
    Some((Request { number: 0, method, path, headers, body }, end))
}
