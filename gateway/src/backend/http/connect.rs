//! Opens connections to one server: name, TCP, a proxy's tunnel, TLS, and the choice of the protocol.

use std::io;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::dial::Dial;
use super::{Http2, error_chain};
use crate::backend::egress::Egress;

/// Silence of a connection after which the kernel asks whether the other side still lives, and the pause between such
/// questions. It finds a dead server while a call waits for a head that takes minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Questions without an answer after which the connection is closed.
const KEEP_ALIVE_RETRIES: u32 = 3;
/// How long sent bytes may stay without acknowledgement before the connection is closed. Otherwise the kernel repeats
/// them for about 15 minutes.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// The bytes of a connection.
pub(super) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections to one server.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<Dial>,
    server: Uri,
    http2: Http2,
}

/// Whether a proxy forwards each request to this server, which costs it no tunnel. It can read plain HTTP/1.1.
pub(super) fn forwards(server: &Uri, http2: Http2) -> bool {
    server.scheme_str() == Some("http") && http2 == Http2::Auto
}

/// A connection, by the protocol that its server chose.
pub(super) enum Connected {
    Http1(Io),
    Http2(Io),
}

impl Connector {
    /// # Errors
    /// If the platform's certificates cannot be used.
    pub(super) fn new(server: &Uri, http2: Http2, egress: &Egress) -> Result<Self, io::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(KEEP_ALIVE));
        tcp.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let dial = Dial::new(tcp, egress.proxy.clone(), !forwards(server, http2));
        let tls = HttpsConnectorBuilder::new().with_tls_config(egress.tls.config().map_err(io::Error::other)?);
        let inner = match http2 {
            Http2::Auto => tls.https_or_http().enable_all_versions().wrap_connector(dial),
            Http2::PriorKnowledge => tls.https_or_http().enable_http2().wrap_connector(dial),
        };
        Ok(Self { inner, server: server.clone(), http2 })
    }

    /// Connects within this time.
    ///
    /// # Errors
    /// If that fails, with its causes.
    pub(super) async fn connect(mut self, within: Duration) -> Result<Connected, String> {
        let connecting = async {
            std::future::poll_fn(|context| self.inner.poll_ready(context)).await?;
            self.inner.call(self.server).await
        };
        let io = match tokio::time::timeout(within, connecting).await {
            Ok(connected) => connected.map_err(|error| error_chain(&*error))?,
            Err(_elapsed) => return Err("the connect timeout expired".into()),
        };
        let http2 = self.http2 == Http2::PriorKnowledge || io.connected().is_negotiated_h2();
        Ok(if http2 { Connected::Http2(io) } else { Connected::Http1(io) })
    }
}
