//! HTTP/1.1 connections: each serves one request at a time and returns to the pool when the answer's end was read.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, Response, Uri};
use tokio::runtime::Handle;

use super::connect::Io;
use super::open::Counted;
use super::pool::Pool;
use super::{Incoming, Lost, Outgoing, error_chain};

/// Idle time after which the pool closes a connection. If the server closed it first, the next request would have to be
/// sent again.
pub(super) const IDLE: Duration = Duration::from_secs(20);
/// A server may close a connection while a request is on its way, without processing it: then the connection breaks about
/// as long after the request as bytes need to the server and back. Whatever breaks later may have been processed, and
/// may be what broke the server. These bound that time, below and above.
const LEAST_RACE: Duration = Duration::from_millis(20);
const LONGEST_RACE: Duration = Duration::from_millis(200);

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// When it is too old to be used again.
    expires: Instant,
    idle_since: Instant,
    reused: bool,
    /// How long after a request the connection breaks if the server had closed it before.
    race: Duration,
}

impl Connection {
    /// Begins the protocol. A task of its own drives the connection until its end. `connecting`: how long it took to connect,
    /// which is a few times what bytes need to the server and back.
    pub(super) async fn begin(io: Io, expires: Instant, connecting: Duration, open: Counted) -> Result<Self, String> {
        let (mut sender, connection) =
            http1::handshake::<_, Full<Bytes>>(io).await.map_err(|error| error_chain(&error))?;
        tokio::spawn(async move {
            let _open = open;
            if let Err(error) = connection.await {
                tracing::debug!(error = error_chain(&error), "an HTTP/1.1 connection to a backend failed");
            }
        });
        // It is ready when that task runs.
        sender.ready().await.map_err(|error| error_chain(&error))?;
        let race = connecting.clamp(LEAST_RACE, LONGEST_RACE);
        Ok(Self { sender, expires, idle_since: Instant::now(), reused: false, race })
    }

    /// Whether it can serve a request now.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.sender.is_ready() && now < self.expires && now.saturating_duration_since(self.idle_since) < IDLE
    }
}

/// A connection for one request. Dropping it closes the connection.
#[derive(Debug)]
pub(in crate::backend) struct Lease {
    connection: Connection,
    pool: Weak<Pool>,
    target: Arc<Target>,
}

/// What each request says of its server.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) host: HeaderValue,
    /// Whether the connection ends at a proxy, which needs the whole address.
    pub(super) forwarded: bool,
    /// The credentials for that proxy.
    pub(super) authorization: Option<HeaderValue>,
}

impl Lease {
    pub(super) fn new(connection: Connection, pool: Weak<Pool>, target: Arc<Target>) -> Self {
        Self { connection, pool, target }
    }

    /// Sends a request and waits for the head of its answer. A connection whose head did not come in time is closed.
    pub(super) async fn send(
        mut self,
        request: &Outgoing<'_>,
        head_by: tokio::time::Instant,
    ) -> Result<Response<Incoming>, Lost> {
        let mut head = Request::new(Full::new(request.body.clone()));
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = match self.target.forwarded {
            true => request.to.clone(),
            false => request.to.path_and_query().cloned().map_or_else(Uri::default, Uri::from),
        };
        *head.headers_mut() = request.headers.clone();
        head.headers_mut().insert(HOST, self.target.host.clone());
        if let Some(authorization) = &self.target.authorization {
            head.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let sent = Instant::now();
        request.sent.note();
        let answer = tokio::time::timeout_at(head_by, self.connection.sender.try_send_request(head)).await;
        let response = match answer {
            Err(_elapsed) => return Err(Lost::Late),
            Ok(Ok(response)) => response,
            Ok(Err(failed)) => {
                let unsent = failed.message().is_some();
                let error = failed.into_error();
                let detail = error_chain(&error);
                let raced = is_race(&error, sent.elapsed(), self.connection.race);
                return Err(match self.connection.reused {
                    true if unsent => Lost::Unsent(detail),
                    true if raced => Lost::Raced(detail),
                    _ => {
                        if unsent {
                            request.sent.clear();
                        }
                        Lost::Broken(detail)
                    }
                });
            }
        };
        self.connection.reused = true;
        Ok(response.map(|body| Incoming::H1(body, Some(self))))
    }

    /// Returns the connection to the pool. It becomes ready when the library has seen the end of the answer, and of the
    /// request if the server answered before that.
    pub(super) fn give_back(self) {
        let Self { mut connection, pool, .. } = self;
        connection.idle_since = Instant::now();
        if connection.sender.is_ready() {
            put(&pool, connection);
        } else if !connection.sender.is_closed()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                if connection.sender.ready().await.is_ok() {
                    put(&pool, connection);
                }
            });
        }
    }
}

fn put(pool: &Weak<Pool>, connection: Connection) {
    if let Some(pool) = pool.upgrade() {
        pool.put(connection);
    }
}

/// Whether a reused connection broke because its server had closed it before it got the request: the request could not be
/// written to its end, or the connection broke so soon that the request cannot have been what broke it. No byte of an
/// answer came in either case.
fn is_race(error: &hyper::Error, after: Duration, race: Duration) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let unwritten = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    let closed = error.is_incomplete_message() || cause.is_some();
    unwritten || (closed && after < race)
}
