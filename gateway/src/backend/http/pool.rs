//! The pool of a backend's connections.
//!
//! A request takes a free connection, or waits for the first that becomes free or is opened: in order, and whoever opened
//! it. Connections are opened in tasks of their own, so that a request that goes away wastes none. If the server speaks
//! HTTP/2, another connection is opened when the streams in use reach the limit of those that are open; nobody opens one
//! before the last one's limit is known. Each worker has a pool of its own, so that a request finds a connection that its
//! own thread drives.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connect::{Connected, Connector, forwards};
use super::open::{Open, Protocol};
use super::{Http2, Lost, h1, h2};
use crate::backend::egress::{Egress, Proxy};
use crate::backend::retry::random;

/// HTTP/2 connections of a pool at most, and connections of any kind that are being opened at once. It bounds what a
/// server that allows few streams, or none, can bring about.
const MAX_CONNECTIONS: usize = 256;
/// Age after which a connection takes no new requests, so that the gateway follows changes of names and balancing; each
/// lives up to a fifth longer, so that they do not all end at once.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Interval at which connections that were idle for too long are closed.
const SWEEP: Duration = Duration::from_secs(5);

/// A connection, or a part of one, for one request.
#[derive(Debug)]
pub(super) enum Lease {
    H1(h1::Lease),
    H2(h2::Stream),
}

/// What all pools of a server have in common.
#[derive(Debug)]
pub(super) struct Server {
    connector: Connector,
    /// What each request over HTTP/1.1 says of the server.
    target: Arc<h1::Target>,
    open: Open,
    /// Whether each connection serves one request at a time, known before the first is opened.
    one_each: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    server: Arc<Server>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Idle HTTP/1.1 connections. The last to come is the first to go: the others may idle out.
    idle: Vec<h1::Connection>,
    /// HTTP/2 connections that take requests.
    shared: Vec<Arc<h2::Connection>>,
    /// Requests that wait, in order.
    waiting: VecDeque<oneshot::Sender<Result<Lease, Lost>>>,
    /// Connections that are being opened, or whose limit is not known yet.
    opening: usize,
    /// Requests that a connection serves at once; `None`: no connection has told yet.
    each: Option<usize>,
    /// How long connecting may take.
    connect: Duration,
    /// Whether a task sweeps the idle connections.
    swept: bool,
}

impl Server {
    /// # Errors
    /// If the platform's certificates cannot be used.
    pub(super) fn new(server: &Uri, http2: Http2, egress: &Egress) -> Result<Self, io::Error> {
        let connector = Connector::new(server, http2, egress)?;
        let host = HeaderValue::from_str(server.authority().map_or("", |authority| authority.as_str()));
        let proxy = egress.proxy.as_ref().filter(|_| forwards(server, http2));
        let target = h1::Target {
            host: host.map_err(io::Error::other)?,
            forwarded: proxy.is_some(),
            authorization: proxy.and_then(Proxy::authorization).cloned(),
        };
        let one_each = http2 == Http2::Auto && server.scheme_str() == Some("http");
        Ok(Self { connector, target: Arc::new(target), open: Open::default(), one_each })
    }

    /// How many connections of this protocol are open.
    pub(super) fn open_of(&self, protocol: Protocol) -> u32 {
        self.open.of(protocol)
    }
}

impl Pool {
    /// A pool without connections yet.
    pub(super) fn of(server: Arc<Server>) -> Self {
        let state = State {
            idle: Vec::new(),
            shared: Vec::new(),
            waiting: VecDeque::new(),
            opening: 0,
            each: server.one_each.then_some(1),
            connect: Duration::ZERO,
            swept: false,
        };
        Self { server, state: Mutex::new(state) }
    }

    /// A connection for one request, at the latest at `until`. `connect`: how long connecting may take.
    ///
    /// # Errors
    /// If none can be opened, or none is free in time.
    pub(super) async fn lease(self: &Arc<Self>, connect: Duration, until: tokio::time::Instant) -> Result<Lease, Lost> {
        let handed = {
            let mut state = self.lock();
            if let Some(lease) = self.free(&mut state) {
                return Ok(lease);
            }
            let (waiter, handed) = oneshot::channel();
            state.waiting.push_back(waiter);
            state.connect = connect;
            self.open(&mut state);
            handed
        };
        match tokio::time::timeout_at(until, handed).await {
            Ok(handed) => handed.unwrap_or_else(|_dropped| Err(Lost::Unreached("the backend was removed".into()))),
            Err(_elapsed) if self.lock().shared.is_empty() => Err(Lost::Late),
            Err(_elapsed) => Err(Lost::Full),
        }
    }

    /// A new connection for one request, opened at the latest at `until`, whatever is free. A server that speaks HTTP/2 by now
    /// has shared connections, which serve as well.
    ///
    /// # Errors
    /// As `lease`.
    pub(super) async fn fresh(self: &Arc<Self>, connect: Duration, until: tokio::time::Instant) -> Result<Lease, Lost> {
        let began = Instant::now();
        let io = match tokio::time::timeout_at(until, self.server.connector.clone().connect(connect)).await {
            Ok(Ok(Connected::Http1(io))) => io,
            Ok(Ok(Connected::Http2(_))) => return self.lease(connect, until).await,
            Ok(Err(error)) => return Err(Lost::Unreached(error)),
            Err(_elapsed) => return Err(Lost::Late),
        };
        let begun = h1::Connection::begin(io, expiry(), began.elapsed(), self.server.open.count(Protocol::Http1)).await;
        let lease = |connection| self.h1(connection);
        begun.map(lease).map_err(Lost::Unreached)
    }

    /// Takes an HTTP/1.1 connection back.
    pub(super) fn put(self: &Arc<Self>, connection: h1::Connection) {
        let mut state = self.lock();
        state.idle.push(connection);
        self.sweep(&mut state);
        self.serve_from(state);
    }

    /// Gives an HTTP/2 connection no new requests. It closes when those that it serves have ended.
    pub(super) fn retire(&self, connection: &Arc<h2::Connection>) {
        self.lock().shared.retain(|shared| !Arc::ptr_eq(shared, connection));
    }

    /// Notes how many streams a server allows.
    pub(super) fn allowed(self: &Arc<Self>, streams: usize) {
        let mut state = self.lock();
        state.each = Some(streams.max(1));
        self.serve_from(state);
    }

    /// Notes that the limit of one more connection is known.
    pub(super) fn settled(self: &Arc<Self>, streams: usize) {
        let mut state = self.lock();
        state.opening -= 1;
        state.each = Some(streams.max(1));
        self.serve_from(state);
    }

    /// Notes that an HTTP/2 connection has ended. `settled`: whether its limit was known before.
    pub(super) fn ended(self: &Arc<Self>, connection: &Weak<h2::Connection>, settled: bool, error: &str) {
        let mut state = self.lock();
        state.shared.retain(|shared| !std::ptr::eq(Arc::as_ptr(shared), connection.as_ptr()));
        if settled { self.serve_from(state) } else { self.failed(state, error) }
    }

    /// Hands what is free to those who wait, and opens connections for the others.
    pub(super) fn serve(self: &Arc<Self>) {
        self.serve_from(self.lock());
    }

    fn serve_from(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        // Dropped without the lock: a stream that is dropped takes it.
        let mut refused = Vec::new();
        while let Some(waiter) = state.waiting.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            match self.free(&mut state) {
                Some(lease) => refused.extend(waiter.send(Ok(lease)).err()),
                None => {
                    state.waiting.push_front(waiter);
                    self.open(&mut state);
                    break;
                }
            }
        }
        drop(state);
        drop(refused);
    }

    fn free(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        if !state.idle.is_empty() {
            let now = Instant::now();
            while let Some(connection) = state.idle.pop() {
                if connection.is_usable(now) {
                    return Some(self.h1(connection));
                }
            }
        }
        state.shared.iter().find_map(h2::Connection::reserve).map(Lease::H2)
    }

    fn h1(self: &Arc<Self>, connection: h1::Connection) -> Lease {
        Lease::H1(h1::Lease::new(connection, Arc::downgrade(self), Arc::clone(&self.server.target)))
    }

    /// Opens as many connections as those who wait need.
    fn open(self: &Arc<Self>, state: &mut State) {
        // If the protocol is unknown, the first connection tells it; all wait for that.
        let needed = state.waiting.len().div_ceil(state.each.unwrap_or(usize::MAX));
        let connect = state.connect;
        // A stream may be dropped when the gateway has stopped.
        let Ok(runtime) = Handle::try_current() else { return };
        while state.opening < needed && state.shared.len() + state.opening < MAX_CONNECTIONS {
            state.opening += 1;
            runtime.spawn(Arc::clone(self).open_one(connect));
        }
    }

    async fn open_one(self: Arc<Self>, within: Duration) {
        let (began, expires) = (Instant::now(), expiry());
        let opened = match self.server.connector.clone().connect(within).await {
            Ok(Connected::Http1(io)) => {
                let open = self.server.open.count(Protocol::Http1);
                h1::Connection::begin(io, expires, began.elapsed(), open).await.map(|connection| {
                    let mut state = self.lock();
                    state.each = Some(1);
                    state.opening -= 1;
                    state.idle.push(connection);
                    self.sweep(&mut state);
                    self.serve_from(state);
                })
            }
            Ok(Connected::Http2(io)) => {
                let open = self.server.open.count(Protocol::Http2);
                let begun = h2::Connection::begin(io, expires, Arc::downgrade(&self), open).await;
                begun.map(|connection| {
                    let mut state = self.lock();
                    state.shared.push(connection);
                    self.sweep(&mut state);
                    self.serve_from(state);
                })
            }
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            self.failed(self.lock(), &error);
        }
    }

    /// Notes that a connection could not be opened, and tells those who waited for it. If others are open, those who wait
    /// get one of them.
    fn failed(&self, mut state: MutexGuard<'_, State>, error: &str) {
        state.opening -= 1;
        let mut told = Vec::new();
        if state.shared.is_empty() {
            let served = state.opening.saturating_mul(state.each.unwrap_or(usize::MAX));
            let count = state.waiting.len().saturating_sub(served);
            told.extend(state.waiting.drain(..count));
        }
        drop(state);
        for waiter in told {
            let _ = waiter.send(Err(Lost::Unreached(error.to_owned())));
        }
    }

    /// Closes idle connections in time, as long as there are connections.
    fn sweep(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.swept, true) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(pool) = pool.upgrade() else { return };
                let (mut state, now) = (pool.lock(), Instant::now());
                state.idle.retain(|connection| connection.is_usable(now));
                state.shared.retain(|connection| !connection.is_expired(now));
                if state.idle.is_empty() && state.shared.is_empty() {
                    state.swept = false;
                    return;
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a connection that is opened now is too old for new requests.
fn expiry() -> Instant {
    Instant::now() + MAX_AGE + MAX_AGE.mul_f64(random() / 5.0)
}
