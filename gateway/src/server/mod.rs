//! The listener for clients: accepts and bounds connections, passes requests to the proxy, and drains when the gateway
//! stops.
//!
//! This module must not know: the content of a request.

mod lifetime;
mod on_wake;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::Rejection;
use crate::net::{Bounds, OpenConnections, Workers, accept_until};
use crate::proxy::gateway::Gateway;
use crate::proxy::{self, ResponseBody};
use lifetime::Lifetime;

/// How long a client has to receive the in-band error of a stream that the drain cut.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves on the `workers` until `stop`, then drains: accepts no new connection, gives in-flight requests `drain_timeout` to end, then
/// cuts their streams with an in-band error.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, workers: &Workers, stop: CancellationToken) {
    let http = Arc::new(http(&gateway));
    let limits = &gateway.limits;
    let bounds = Bounds {
        max_connections: limits.max_connections,
        max_per_address: limits.max_connections_per_address,
        head_timeout: limits.head_timeout,
        write_timeout: limits.write_timeout,
    };
    let lifetime = Lifetime { idle: limits.head_timeout, age: limits.max_connection_age, linger: limits.write_timeout };
    let accepting = accept_until(&stop, listener, bounds, workers, |connection| {
        let (gateway, service_gateway) = (Arc::clone(&gateway), Arc::clone(&gateway));
        let (http, activity, stop) = (Arc::clone(&http), Arc::clone(&connection.activity), stop.clone());
        let service_activity = Arc::clone(&activity);
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = service_activity.begin(request.version() == Version::HTTP_2);
            // Boxed: the HTTP library moves the future several times, and its state is kilobytes large.
            let answered = Box::pin(proxy::serve(Arc::clone(&service_gateway), request, busy));
            async move { Ok::<Response<ResponseBody>, std::convert::Infallible>(answered.await) }
        });
        async move {
            let stream = match connection.open() {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
            };
            let connection = http.serve_connection(stream, service);
            if let Err(error) = lifetime::serve(connection, &activity, lifetime, &stop).await {
                note_refused(&gateway, &*error, activity.requests() > 0);
            }
        }
    });
    let serving = async {
        let open = accepting.await;
        drain(&gateway, &open).await;
    };
    tokio::select! {
        () = serving => {}
        () = gateway.watchdog.run(limits.write_timeout) => {}
    }
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
        .max_concurrent_streams(gateway.limits.max_concurrent_streams)
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

async fn drain(gateway: &Gateway, open: &OpenConnections) {
    if tokio::time::timeout(gateway.limits.drain_timeout, open.closed()).await.is_ok() {
        return;
    }
    gateway.budgets.cutoff.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, open.closed()).await;
}
