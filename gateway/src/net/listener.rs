//! The accept loop of all listeners: bounds the number of connections and gives each its deadlines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::deadlines::DeadlineStream;

/// What one listener allows its clients.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Open connections; one more waits to be accepted.
    pub max_connections: usize,
    /// How long the first head of a connection may take.
    pub head_timeout: Duration,
    /// How long a client may read nothing of an answer.
    pub write_timeout: Duration,
}

/// An accepted connection.
pub struct Connection {
    /// Its socket, with deadlines.
    pub stream: TokioIo<DeadlineStream>,
    /// The client's address.
    pub remote: SocketAddr,
    /// `serve` sets it when a complete head has arrived, which ends the deadline of the first head.
    pub asked: Arc<AtomicBool>,
}

/// Accepts connections until `stop`. `serve` takes each connection and returns the future that serves it.
pub async fn accept_until<F>(
    stop: &CancellationToken,
    listener: TcpListener,
    bounds: Bounds,
    mut serve: impl FnMut(Connection) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let connections = Arc::new(Semaphore::new(bounds.max_connections));
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (stream, remote)) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next => next,
        };
        let asked = Arc::new(AtomicBool::new(false));
        let stream = DeadlineStream::new(stream, Arc::clone(&asked), bounds.head_timeout, bounds.write_timeout);
        let served = serve(Connection { stream: TokioIo::new(stream), remote, asked });
        tokio::spawn(async move {
            served.await;
            drop(permit);
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
