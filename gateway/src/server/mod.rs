//! The listener for clients: accepts and bounds connections, passes requests to the proxy, and drains when the gateway
//! stops.
//!
//! This module must not know: the content of a request.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::Rejection;
use crate::net::{Bounds, Connection, accept_until};
use crate::proxy::gateway::Gateway;
use crate::proxy::{self, ResponseBody};

/// How long a client has to receive the in-band error of a stream that the drain cut.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `stop`, then drains: accepts no new connection, gives in-flight requests `drain_timeout` to end, then
/// cuts their streams with an in-band error.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let http = http(&gateway);
    let bounds = Bounds {
        max_connections: gateway.limits.max_connections,
        head_timeout: gateway.limits.head_timeout,
        write_timeout: gateway.limits.write_timeout,
    };
    accept_until(&stop, listener, bounds, |Connection { stream, asked, .. }| {
        let (gateway, service_gateway) = (Arc::clone(&gateway), Arc::clone(&gateway));
        let service_asked = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Incoming>| {
            service_asked.store(true, Ordering::Relaxed);
            // Boxed: the HTTP library moves the future several times, and its state is kilobytes large.
            let answered = Box::pin(proxy::serve(Arc::clone(&service_gateway), request));
            async move { Ok::<Response<ResponseBody>, std::convert::Infallible>(answered.await) }
        });
        let connection = graceful.watch(http.serve_connection(stream, service).into_owned());
        async move {
            if let Err(error) = connection.await {
                note_refused(&gateway, &*error, asked.load(Ordering::Relaxed));
            }
        }
    })
    .await;
    drain(&gateway, graceful).await;
}

fn http(gateway: &Gateway) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(gateway.limits.head_timeout)
        .max_buf_size(gateway.limits.max_head_bytes);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(gateway.limits.max_head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    http
}

/// Counts request heads that the HTTP library rejected before any handler: it answers 400 or 431, or closes the
/// connection if no head arrived in time. A keep-alive connection that times out while idle is not counted.
fn note_refused(gateway: &Gateway, error: &(dyn std::error::Error + 'static), asked: bool) {
    let http = error.downcast_ref::<hyper::Error>();
    if http.is_some_and(hyper::Error::is_parse_too_large) {
        gateway.metrics.reject(Rejection::TooLarge);
    } else if http.is_some_and(hyper::Error::is_parse) || !asked && timed_out(error) {
        gateway.metrics.reject(Rejection::BadRequest);
    }
    tracing::debug!(error, "a connection failed");
}

/// Whether the connection timed out, by the HTTP library's timer or by the socket's.
fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
            || error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut)
    })
}

async fn drain(gateway: &Gateway, graceful: GracefulShutdown) {
    let closed = graceful.shutdown();
    tokio::pin!(closed);
    tokio::select! {
        () = &mut closed => return,
        () = tokio::time::sleep(gateway.limits.drain_timeout) => {}
    }
    gateway.budgets.cutoff.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, closed).await;
}
