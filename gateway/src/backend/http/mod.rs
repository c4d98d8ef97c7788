//! A backend's HTTP client: for each worker a pool of connections to one server, with TLS for https addresses.
//!
//! It uses the protocol libraries directly, because every request passes here: nothing is parsed or redirected on the way.
//! What a pool costs a request is one short lock when a connection is taken, and one when it
//! is free again.
//!
//! A request that the server certainly did not process is sent again on another connection: nobody is to blame, so no
//! retry is counted and no circuit breaker hears of it.

mod body;
mod connect;
mod dial;
mod h1;
mod h2;
mod open;
mod pool;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Response, Uri};
use serde::Deserialize;
use tokio::time::Instant;

use super::egress::Egress;
use super::sent::Sent;
pub(super) use body::Incoming;
pub use open::Protocol;
use pool::{Lease, Pool, Server};
use wasmgate_base::worker::PerWorker;

/// How often a request is sent again of which servers say that they did not process it. A server that refuses this often is
/// overloaded.
const FREE_RETRIES: u32 = 3;

/// How a backend's connections come to speak HTTP/2, as in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// Over TLS, if the server chooses it (ALPN). Without TLS: HTTP/1.1.
    #[default]
    Auto,
    /// Always, without asking, also without TLS.
    PriorKnowledge,
}

/// A request. Each attempt to send it makes its own copy of the head.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    /// The method.
    pub(super) method: Method,
    /// The whole address.
    pub(super) to: &'a Uri,
    /// The headers, without those that belong to the protocol.
    pub(super) headers: &'a HeaderMap,
    /// The body.
    pub(super) body: Bytes,
    /// Set when the request is handed to a connection, unless the server certainly did not process it.
    pub(super) sent: &'a Sent,
}

/// Why a request got no head of an answer.
#[derive(Debug, Clone)]
pub(super) enum Lost {
    /// There is no connection.
    Unreached(String),
    /// The connection broke.
    Broken(String),
    /// A connection that had served before could not take the request.
    Unsent(String),
    /// The server says that it did not process the request.
    Unprocessed(String),
    /// A connection that had served before broke in the moment at which it took the request: its server had closed it.
    Raced(String),
    /// The head did not come in time.
    Late,
    /// All connections are in use, and none became free in time.
    Full,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Http {
    server: Arc<Server>,
    pools: PerWorker<Arc<Pool>>,
}

impl Http {
    /// A client of the server of this address, without connections yet.
    ///
    /// # Errors
    /// If the platform's certificates cannot be used.
    pub(super) fn new(server: &Uri, http2: Http2, egress: &Egress) -> Result<Self, io::Error> {
        Ok(Self { server: Arc::new(Server::new(server, http2, egress)?), pools: PerWorker::default() })
    }

    /// Sends a request and waits for the head of its answer until `head_by`. Dropping the future or the answer's body
    /// cancels it. `connect`: how long connecting may take, TLS included.
    ///
    /// # Errors
    /// Never `Unsent`, `Unprocessed` or `Raced`.
    pub(super) async fn send(
        &self,
        request: &Outgoing<'_>,
        connect: Duration,
        head_by: Instant,
    ) -> Result<Response<Incoming>, Lost> {
        let pool = self.pools.get_or_init(|| Arc::new(Pool::of(Arc::clone(&self.server))));
        let (mut retries, mut raced) = (0, false);
        loop {
            // After a race the request goes to a new connection. If that breaks too, the request may be the cause.
            let lease = match raced {
                false => pool.lease(connect, head_by).await?,
                // Boxed: it holds the opening of a connection, which few requests need.
                true => Box::pin(pool.fresh(connect, head_by)).await?,
            };
            let sent = match lease {
                Lease::H1(lease) => lease.send(request, head_by).await,
                Lease::H2(stream) => stream.send(request, head_by).await,
            };
            if matches!(sent, Err(Lost::Unsent(_) | Lost::Unprocessed(_) | Lost::Raced(_))) {
                request.sent.clear();
            }
            match sent {
                // Ends, because such a connection leaves the pool.
                Err(Lost::Unsent(_)) => {}
                Err(Lost::Unprocessed(_)) if retries < FREE_RETRIES => retries += 1,
                Err(Lost::Raced(_)) if !raced => raced = true,
                Err(Lost::Unprocessed(detail) | Lost::Raced(detail)) => return Err(Lost::Broken(detail)),
                other => return other,
            }
        }
    }

    /// How many connections of this protocol are open.
    pub(super) fn open(&self, protocol: Protocol) -> u32 {
        self.server.open_of(protocol)
    }
}

/// An error with its chain of causes.
fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
