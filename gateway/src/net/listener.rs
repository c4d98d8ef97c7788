//! The accept loop of all listeners: bounds the number of connections, of all clients and of each address, and gives each
//! its deadlines.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::deadlines::DeadlineStream;
use super::per_address::PerAddress;
use super::workers::{Socket, Workers};
use wasmgate_base::log_limit::LogLimit;

/// What one listener allows its clients.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open connections; one more waits to be accepted.
    pub max_connections: usize,
    /// Open connections of one client address; more are closed at once. `None`: no bound.
    pub max_per_address: Option<usize>,
    /// How long the first head of a connection may take.
    pub head_timeout: Duration,
    /// How long a client may read nothing of an answer.
    pub write_timeout: Duration,
}

/// An accepted connection.
pub struct Connection {
    socket: Socket,
    bounds: Bounds,
    /// The client's address.
    pub remote: SocketAddr,
    /// `serve` notes each request here. The first one ends the deadline of the first head.
    pub activity: Arc<Activity>,
}

impl Connection {
    /// Its socket, with deadlines that run from now on. Call it on the worker that serves the connection.
    ///
    /// # Errors
    /// If the runtime of that worker cannot watch the socket.
    pub fn open(self) -> io::Result<TokioIo<DeadlineStream>> {
        let Self { socket, bounds, activity, .. } = self;
        Ok(TokioIo::new(DeadlineStream::new(socket.open()?, activity, bounds.head_timeout, bounds.write_timeout)))
    }
}

/// The connections that were open when a listener stopped.
pub struct OpenConnections {
    permits: Arc<Semaphore>,
    most: usize,
}

impl OpenConnections {
    /// Waits until all are closed.
    pub async fn closed(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.permits.acquire_many(all).await;
    }
}

/// Accepts connections until `stop`. `serve` takes each connection and returns the future that serves it on one of the
/// `workers`.
pub async fn accept_until<F>(
    stop: &CancellationToken,
    listener: TcpListener,
    bounds: Bounds,
    workers: &Workers,
    mut serve: impl FnMut(Connection) -> F,
) -> OpenConnections
where
    F: Future<Output = ()> + Send + 'static,
{
    let (counts, refusals) = (Arc::new(PerAddress::default()), LogLimit::default());
    let connections = Arc::new(Semaphore::new(bounds.max_connections));
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (stream, remote)) = tokio::select! {
            biased;
            () = stop.cancelled() => return OpenConnections { permits: connections, most: bounds.max_connections },
            next = next => next,
        };
        let counted = bounds.max_per_address.map(|most| counts.count(remote.ip(), most));
        if let Some(None) = counted {
            if let Some(suppressed) = refusals.admit() {
                tracing::warn!(remote = %remote.ip(), suppressed, "a client address has too many connections");
            }
            continue;
        }
        let worker = workers.next();
        let socket = match worker.take(stream) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot hand a connection to a worker");
                continue;
            }
        };
        let served = serve(Connection { socket, bounds, remote, activity: Arc::default() });
        worker.spawn(async move {
            served.await;
            drop((permit, counted));
        });
    }
}

/// The next connection. An error of `accept` concerns one connection, or is a temporary lack of file descriptors; both
/// are logged and retried after 50 ms.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Small events must not wait for the client to acknowledge the previous one.
                let _ = stream.set_nodelay(true);
                return (stream, remote);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
