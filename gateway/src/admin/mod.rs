//! The listener for operators: how policies stand, and what is done with them. A listener of its own, so that what
//! serves prompts to strangers never offers these routes.
//!
//! The order of a request's steps is in `answer`: who asks (`access`), for what (`route`), with what (`input`), done by
//! the lifecycle (`perform`), written down (`audit`), told (`reply`). This module must not know: how an operation is
//! done, requests for prompts.

mod access;
mod audit;
mod input;
mod perform;
mod reply;
mod route;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Token;
use crate::net::{Bounds, Connection, accept_until};
use crate::rollout::api::Operator;
use access::Access;
use audit::Audit;
use reply::{Kind, Problem};

/// The API's description for machines: OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Open connections; one more waits to be accepted. Operators are few.
const MAX_CONNECTIONS: usize = 16;
/// Uploads under way at a time, from their first byte to their answer; one more waits. Bounds what they take of memory,
/// together with their length.
const MAX_UPLOADS: usize = 2;
/// Largest request head: an upload's settings are in its request line.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// For a request's head; a kept connection that idles as long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For a client that takes nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For what is in flight when the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What all requests share.
struct Admin {
    operator: Operator,
    access: Access,
    uploads: Semaphore,
}

/// Serves operators until `stop`; then what is in flight gets a moment to end. With a token, each request must carry it;
/// without one, `listener` is to be bound to a loopback address, and browsers are kept out.
pub async fn serve(listener: TcpListener, operator: Operator, token: Option<Token>, stop: CancellationToken) {
    let access = Access::new(token, listener.local_addr().ok().map(|addr| addr.ip()));
    let admin = Arc::new(Admin { operator, access, uploads: Semaphore::new(MAX_UPLOADS) });
    let graceful = GracefulShutdown::new();
    // HTTP/1.1 only: with several requests on a connection, the bound on connections would be none on requests.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let bounds = Bounds { max_connections: MAX_CONNECTIONS, head_timeout: HEAD_TIMEOUT, write_timeout: WRITE_TIMEOUT };
    accept_until(&stop, listener, bounds, |Connection { stream, remote, asked }| {
        let admin = Arc::clone(&admin);
        let service = service_fn(move |request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let admin = Arc::clone(&admin);
            // A task of its own: an operation goes on when its client hangs up, and the audit log says how it ended.
            let answered = tokio::spawn(async move { answer(&admin, request, remote).await });
            async move {
                let failed = |_| reply::refuse(&Problem::new(Kind::Internal, "the gateway failed to answer"));
                Ok::<_, Infallible>(answered.await.unwrap_or_else(failed))
            }
        });
        let connection = graceful.watch(http.serve_connection(stream, service));
        async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an operator's connection ended badly");
            }
        }
    })
    .await;
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// The steps of a request, in order.
async fn answer(admin: &Admin, request: Request<Incoming>, remote: SocketAddr) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let found = route::find(&head.method, head.uri.path());
    let mut audit = Audit::open(&head.method, &found, remote);
    let mut body = Some(body);
    let outcome = match admin.access.check(&head, remote) {
        Ok(()) => perform::perform(admin, &head, &found, &mut body, &mut audit).await,
        Err(denied) => Err(denied),
    };
    audit.close(outcome.as_ref().err());
    let response = match &outcome {
        Ok(text) => reply::tell(text.clone()),
        Err(problem) => reply::refuse(problem),
    };
    // A client that is still sending when its connection closes may lose the answer: hear it out, within bounds.
    if let Some(body) = body {
        input::discard(&head.headers, body).await;
    }
    response
}
