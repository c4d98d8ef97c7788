//! A backend's HTTP client: pooled keep-alive connections, with TLS for https addresses.
//!
//! It uses the HTTP library directly, because every request passes here. The usual client around that library parses
//! addresses and checks for redirects and proxies on each request; a gateway needs none of that.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower_service::Service;

use super::sent::Outgoing;

/// Idle time after which the pool closes a connection. If the backend closed it first, the next request would fail.
const IDLE: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub(super) struct Http(legacy::Client<Connector, Outgoing>);

impl Http {
    /// A client without connections yet. `connect`: how long connecting may take, TLS included.
    ///
    /// # Errors
    /// If the platform's certificates cannot be used.
    pub(super) fn new(connect: Duration) -> Result<Self, std::io::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new().try_with_platform_verifier().map_err(std::io::Error::other)?;
        let inner = tls.https_or_http().enable_all_versions().wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector { inner, time: connect });
        Ok(Self(client))
    }

    /// Sends a request and waits for the head of its answer. Dropping the future or the answer's body cancels it.
    pub(super) async fn send(
        &self,
        method: Method,
        to: &Uri,
        headers: HeaderMap,
        body: Outgoing,
    ) -> Result<Response<Incoming>, legacy::Error> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = headers;
        self.0.request(request).await
    }
}

/// An error with its chain of causes.
pub(super) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Connects within the connect timeout.
#[derive(Debug, Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    time: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connected = tokio::time::timeout(self.time, self.inner.call(to));
        Box::pin(async { connected.await.unwrap_or_else(|_elapsed| Err("the connect timeout expired".into())) })
    }
}
