//! TCP connections to one server, directly or by way of a proxy.
//!
//! To an https server, or for HTTP/2 without TLS, the proxy opens a tunnel (`CONNECT`, RFC 9110, section 9.3.6). To a plain
//! http server the connection ends at the proxy, and each request names the whole address.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::backend::egress::Proxy;

/// Longest head of a proxy's answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    proxy: Option<Proxy>,
    /// Whether the proxy opens a tunnel.
    tunnels: bool,
}

impl Dial {
    /// `tunnels`: whether a proxy has to open a tunnel.
    pub(super) fn new(tcp: HttpConnector, proxy: Option<Proxy>, tunnels: bool) -> Self {
        Self { tcp, proxy, tunnels }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.clone() else {
            let connecting = self.tcp.call(server);
            return Box::pin(async { Ok(connecting.await?) });
        };
        let (connecting, tunnels) = (self.tcp.call(proxy.address().clone()), self.tunnels);
        Box::pin(async move {
            let stream = connecting.await.map_err(|error| Unproxied(proxy.to_string(), Box::new(error)))?;
            if !tunnels {
                return Ok(stream);
            }
            let opened = open_tunnel(stream.into_inner(), &server, &proxy).await;
            Ok(TokioIo::new(opened.map_err(|error| Unproxied(proxy.to_string(), Box::new(error)))?))
        })
    }
}

/// The connection failed on its way through this proxy.
#[derive(Debug)]
struct Unproxied(String, Box<dyn Error + Send + Sync>);

impl std::fmt::Display for Unproxied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {}", self.0)
    }
}

impl Error for Unproxied {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.1)
    }
}

/// Asks the proxy for a tunnel to the server. What comes after the head of its answer comes from the server.
async fn open_tunnel(mut stream: TcpStream, server: &Uri, proxy: &Proxy) -> io::Result<TcpStream> {
    let https = server.scheme_str() == Some("https");
    let port = server.port_u16().unwrap_or(if https { 443 } else { 80 });
    let target = format!("{}:{port}", server.host().unwrap_or_default());
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
    if let Some(authorization) = proxy.authorization() {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let head = read_head(&mut stream).await?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..=299) if head.starts_with("HTTP/1.") => Ok(stream),
        Some(407) => Err(io::Error::other("it refused the gateway's credentials or needs some (status 407)")),
        Some(status) => Err(io::Error::other(format!("it opened no tunnel to {target} (status {status})"))),
        None => Err(io::Error::other("its answer is not HTTP")),
    }
}

/// Reads a head to its end, and not a byte more.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::new();
    while head.len() < MAX_HEAD_BYTES {
        let mut seen = [0; 1024];
        let count = stream.peek(&mut seen).await?;
        if count == 0 {
            return Err(io::Error::other("it closed the connection"));
        }
        let before = head.len();
        head.extend_from_slice(&seen[..count]);
        let from = before.saturating_sub(END.len() - 1);
        let end = head[from..].windows(END.len()).position(|window| window == END).map(|at| from + at + END.len());
        head.truncate(end.unwrap_or(head.len()));
        stream.read_exact(&mut seen[..head.len() - before]).await?;
        if end.is_some() {
            return Ok(String::from_utf8_lossy(&head).into_owned());
        }
    }
    Err(io::Error::other("the head of its answer is too long"))
}
