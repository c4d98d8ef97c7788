//! The admin listener, where operators inspect and change policies, keys and groups. It is a separate listener, so that the one that
//! serves clients never offers these routes.
//!
//! `answer` holds the order of a request's steps: match the route (`route`), check access (`access`), read the input
//! (`input`), have the control task perform the operation (`perform`; `accounts` for those of keys and groups), write the audit line (`audit`), reply (`reply`).
//! This module must not know: how the control task does an operation, requests for prompts.

mod access;
mod accounts;
mod audit;
mod decisions;
mod input;
mod perform;
mod reply;
mod route;
mod stream;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accounts::ManagedAccounts;
use crate::config::Token;
use crate::net::{Bounds, Workers, accept_until};
use crate::rollout::api::Operator;
use access::Access;
use audit::Audit;
pub use decisions::{Asking, DecisionLog, LoadedPolicy, route as ask_policy};
use reply::{Kind, Problem};
use route::{Found, Route};
use stream::Events;
pub use stream::Readers;

/// The API's OpenAPI 3.1 description.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Maximum of open connections. More wait until the listener accepts them.
const MAX_CONNECTIONS: usize = 64;
/// Maximum of open connections of one client address, so that no other client keeps operators out.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 16;
/// Maximum of concurrent uploads, each from its first byte to its answer. More wait. Together with the longest upload,
/// this bounds the memory of uploads.
const MAX_UPLOADS: usize = 2;
/// Largest request head, in bytes. An upload's settings are in its request line.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// Time limit for a request's head, and for an idle keep-alive connection. Short, because clients without a token have as
/// much.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may read nothing of its answer before the connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Drain: time for in-flight requests when the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What the gateway shows of its traffic.
pub struct Pages {
    /// The text of `/metrics`.
    pub metrics: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// The JSON of `/api/v1/stats`.
    pub stats: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// The JSON of `/health`, in detail.
    pub health: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// The decision log; `None`: none is kept.
    pub decisions: Option<Arc<DecisionLog>>,
    /// Who reads new decisions.
    pub readers: Arc<Readers>,
}

/// The body of an answer.
type Answer = Either<Full<Bytes>, Events>;

/// The state that all requests share.
struct Admin {
    operator: Operator,
    accounts: Arc<ManagedAccounts>,
    access: Access,
    pages: Pages,
    uploads: Semaphore,
}

/// Serves operators until `stop`, then drains in-flight requests. With a token, each request must carry it. Without a
/// token, the caller must bind `listener` to a loopback address, and the listener refuses browsers.
pub async fn serve(
    listener: TcpListener,
    operator: Operator,
    accounts: Arc<ManagedAccounts>,
    token: Option<Token>,
    pages: Pages,
    stop: CancellationToken,
) {
    let access = Access::new(token, listener.local_addr().ok().map(|addr| addr.ip()));
    let admin = Arc::new(Admin { operator, accounts, access, pages, uploads: Semaphore::new(MAX_UPLOADS) });
    let graceful = GracefulShutdown::new();
    // HTTP/1.1 only: HTTP/2 multiplexes requests, so the limit on connections would not limit requests.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let bounds = Bounds {
        max_connections: MAX_CONNECTIONS,
        max_per_address: Some(MAX_CONNECTIONS_PER_ADDRESS),
        head_timeout: HEAD_TIMEOUT,
        write_timeout: WRITE_TIMEOUT,
    };
    let http = Arc::new(http);
    accept_until(&stop, listener, bounds, &Workers::shared(), |connection| {
        let (admin, http, watcher) = (Arc::clone(&admin), Arc::clone(&http), graceful.watcher());
        let (remote, activity) = (connection.remote, Arc::clone(&connection.activity));
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = activity.begin(false);
            let admin = Arc::clone(&admin);
            // A separate task: an operation continues if its client disconnects, and the audit log records its outcome.
            let answered = tokio::spawn(async move { answer(&admin, request, remote).await });
            async move {
                let failed = |_| reply::refuse(&Problem::new(Kind::Internal, "the gateway failed to answer"));
                let answered = answered.await.unwrap_or_else(failed);
                Ok::<_, Infallible>(answered.map(|body| match body {
                    Either::Left(whole) => Either::Left(whole),
                    Either::Right(events) => Either::Right(events.over(busy)),
                }))
            }
        });
        async move {
            let stream = match connection.open() {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "cannot serve an admin connection"),
            };
            if let Err(error) = watcher.watch(http.serve_connection(stream, service)).await {
                tracing::debug!(%error, "admin connection failed");
            }
        }
    })
    .await;
    admin.pages.readers.end();
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// The steps of a request, in order.
async fn answer(admin: &Admin, request: Request<Incoming>, remote: SocketAddr) -> Response<Answer> {
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
        Ok(text) if matches!(found, Found::Route { route: Route::Metrics, .. }) => reply::metrics(text.clone()),
        Ok(_) if matches!(found, Found::Route { route: Route::DecisionStream, .. }) => {
            reply::events(&admin.pages.readers)
        }
        Ok(text) => reply::tell(text.clone()),
        Err(problem) => reply::refuse(problem),
    };
    // A client that still sends when its connection closes may lose the answer, so the rest is read, within bounds.
    if let Some(body) = body {
        input::discard(&head.headers, body).await;
    }
    response
}
