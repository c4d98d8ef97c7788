//! HTTP/2 connections: each serves many requests at once, up to the limit of its server.
//!
//! The windows are such that slow readers cannot stall others: what a connection may have on its way is at least what
//! all of its streams may have together.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
pub(super) use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use super::connect::Io;
use super::open::Counted;
use super::pool::Pool;
use super::{Incoming, Lost, Outgoing, error_chain};

/// Streams of one connection at most, whatever its server allows: each more shares one TCP connection, where one lost
/// packet stops all of them.
pub(super) const MAX_STREAMS: usize = 100;
/// Idle time after which the pool closes a connection.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// What a server may send on a stream before the reader has read it: 256 KiB, some thousand tokens.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// What the library may spend on holding small frames that nobody has read yet, in bytes beyond their content. Beyond it,
/// it closes the connection. Frames of events are longer than 64 bytes; a shorter frame costs up to 256.
const FRAMES_BUDGET: usize = 4 * CONNECTION_WINDOW as usize;
/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// Pause between two pings while streams are open. A connection without streams is not pinged: some servers take pings of
/// an idle client for an attack and close. If it was idle for longer than this, its next stream begins with a ping.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a server may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection. It closes when the pool and all streams have dropped it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    pool: Weak<Pool>,
    /// Streams in use. Only the pool adds to it, under its lock.
    in_use: AtomicUsize,
    /// What the server allows; 0 until it has told. Requests that came earlier and are more than it allows would wait for
    /// others to end, though another connection could take them.
    limit: AtomicUsize,
    /// Whether it has served a request.
    proven: AtomicBool,
    began: Instant,
    /// When it is too old for new requests.
    expires: Instant,
    /// When it was last in use, in milliseconds since it began.
    last_used_ms: AtomicUsize,
}

impl Connection {
    /// Begins the protocol. A task of its own drives the connection until its end. It takes requests when its server has told
    /// its limit, one round trip later.
    pub(super) async fn begin(io: Io, expires: Instant, pool: Weak<Pool>, open: Counted) -> Result<Arc<Self>, String> {
        let (sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .data_frame_budget(FRAMES_BUDGET)
            .max_header_list_size(MAX_HEAD_BYTES)
            .enable_push(false)
            .handshake::<_, Bytes>(TokioIo::new(io))
            .await
            .map_err(|error| error_chain(&error))?;
        let began = Instant::now();
        let this = Arc::new(Self {
            sender,
            pool: pool.clone(),
            in_use: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            proven: AtomicBool::new(false),
            began,
            expires,
            last_used_ms: AtomicUsize::new(0),
        });
        tokio::spawn(drive(connection, Arc::downgrade(&this), pool, open));
        Ok(this)
    }

    /// A stream for one request, if the server allows one more. Only for the pool, under its lock.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Stream> {
        if self.in_use.load(Ordering::Acquire) >= self.limit() {
            return None;
        }
        self.in_use.fetch_add(1, Ordering::AcqRel);
        Some(Stream { connection: Arc::clone(self) })
    }

    /// How many streams it serves at once.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire).min(MAX_STREAMS)
    }

    /// Whether it takes no new requests, because it is too old or was idle for too long.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        let last_used = self.began + Duration::from_millis(self.last_used_ms.load(Ordering::Relaxed) as u64);
        let idle = self.in_use.load(Ordering::Acquire) == 0 && now.saturating_duration_since(last_used) > IDLE;
        idle || now >= self.expires
    }
}

/// A stream for one request. Dropping it makes room for the next.
#[derive(Debug)]
pub(in crate::backend) struct Stream {
    connection: Arc<Connection>,
}

impl Stream {
    /// Sends a request and waits for the head of its answer. A connection whose head did not come in time takes no new
    /// requests: it may be dead.
    pub(super) async fn send(
        self,
        request: &Outgoing<'_>,
        head_by: tokio::time::Instant,
    ) -> Result<Response<Incoming>, Lost> {
        let mut head = Request::new(());
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = request.to.clone();
        *head.headers_mut() = request.headers.clone();
        let has_body = !request.body.is_empty();
        if has_body {
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        }
        let mut sender = self.connection.sender.clone();
        let (answer, mut body) = match sender.send_request(head, !has_body) {
            Ok(sent) => sent,
            // The connection ended or is about to.
            Err(error) => {
                self.retire();
                let detail = error_chain(&error);
                return Err(match self.connection.proven.load(Ordering::Relaxed) {
                    true => Lost::Unsent(detail),
                    false => Lost::Unprocessed(detail),
                });
            }
        };
        drop(sender);
        request.sent.note();
        if has_body {
            // Queued as a whole. If the stream has already failed, the answer says why.
            let _ = body.send_data(request.body.clone(), true);
        }
        match tokio::time::timeout_at(head_by, answer).await {
            Err(_elapsed) => {
                self.retire();
                Err(Lost::Late)
            }
            Ok(Ok(response)) => {
                self.connection.proven.store(true, Ordering::Relaxed);
                Ok(response.map(|body| Incoming::H2(body, Some(self))))
            }
            Ok(Err(error)) => {
                let detail = error_chain(&error);
                let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
                // Only the streams that the server will not process get this error (RFC 9113, section 6.8).
                let gone = error.is_go_away();
                if !refused {
                    self.retire();
                }
                Err(if error.is_remote() && (refused || gone) {
                    Lost::Unprocessed(detail)
                } else {
                    Lost::Broken(detail)
                })
            }
        }
    }

    fn retire(&self) {
        if let Some(pool) = self.connection.pool.upgrade() {
            pool.retire(&self.connection);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let connection = &self.connection;
        let used = usize::try_from(connection.began.elapsed().as_millis()).unwrap_or(usize::MAX);
        connection.last_used_ms.store(used, Ordering::Relaxed);
        connection.in_use.fetch_sub(1, Ordering::AcqRel);
        if let Some(pool) = connection.pool.upgrade() {
            pool.serve();
        }
    }
}

/// Drives a connection until its end. While streams are open, asks its server at intervals whether it still lives.
async fn drive(
    mut driven: h2::client::Connection<TokioIo<Io>, Bytes>,
    connection: Weak<Connection>,
    pool: Weak<Pool>,
    _open: Counted,
) {
    let mut pings = driven.ping_pong().map(Pings::new);
    let mut limit = driven.max_concurrent_send_streams();
    let mut settled = false;
    let ended = std::future::poll_fn(|context| {
        let polled = Pin::new(&mut driven).poll(context);
        // A request that opens a stream wakes this task.
        let in_use = connection.upgrade().is_some_and(|connection| connection.in_use.load(Ordering::Acquire) > 0);
        let silent = pings.as_mut().is_some_and(|pings| pings.poll(context, in_use).is_ready());
        // The answer to the first ping comes after the server's limit.
        let settles = !settled && pings.as_ref().is_some_and(|pings| pings.answered);
        let allowed = driven.max_concurrent_send_streams();
        if (settles || allowed != limit)
            && let (Some(connection), Some(pool)) = (connection.upgrade(), pool.upgrade())
        {
            limit = allowed;
            connection.limit.store(allowed, Ordering::Release);
            settled |= settles;
            if settles { pool.settled(connection.limit()) } else { pool.allowed(connection.limit()) }
        }
        match polled {
            Poll::Ready(ended) => Poll::Ready(ended.map_err(|error| error_chain(&error))),
            Poll::Pending if silent => Poll::Ready(Err("the server answered no ping".to_owned())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    let error = ended.err().unwrap_or_else(|| "the server closed the connection".to_owned());
    tracing::debug!(error, "an HTTP/2 connection to a backend ended");
    // Out of the pool first: its streams fail when `driven` is dropped, and must not come back to it.
    if let Some(pool) = pool.upgrade() {
        pool.ended(&connection, settled, &error);
    }
}

/// Pings a server at intervals, as long as streams are open.
struct Pings {
    pings: PingPong,
    timer: Pin<Box<Sleep>>,
    /// Whether a ping is on its way.
    asked: bool,
    /// Whether the server has answered any.
    answered: bool,
}

impl Pings {
    /// The first ping goes at once.
    fn new(pings: PingPong) -> Self {
        Self { pings, timer: Box::pin(tokio::time::sleep(Duration::ZERO)), asked: false, answered: false }
    }

    /// Ready when the server has left a ping unanswered. `in_use`: streams are open.
    fn poll(&mut self, context: &mut Context<'_>, in_use: bool) -> Poll<()> {
        loop {
            if !self.asked {
                // Only the first ping goes without a stream: its answer tells that the server's settings are there.
                if !in_use && self.answered {
                    return Poll::Pending;
                }
                ready!(self.timer.as_mut().poll(context));
                if self.pings.send_ping(Ping::opaque()).is_err() {
                    // The connection has ended, as it will tell itself.
                    return Poll::Pending;
                }
                self.asked = true;
                self.timer.as_mut().reset(tokio::time::Instant::now() + PING_TIMEOUT);
            }
            // An answer that is there counts, however late this task was.
            match self.pings.poll_pong(context) {
                Poll::Ready(Ok(_)) => {
                    (self.asked, self.answered) = (false, true);
                    self.timer.as_mut().reset(tokio::time::Instant::now() + PING_INTERVAL);
                }
                Poll::Ready(Err(_)) => return Poll::Pending,
                Poll::Pending => return self.timer.as_mut().poll(context),
            }
        }
    }
}
