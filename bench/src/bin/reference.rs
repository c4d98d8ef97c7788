//! What the gateway is measured against: `bench-reference ADDRESS BACKEND`.
//!
//! The same HTTP and JSON libraries and the same runtime as the gateway's, and nothing else: it reads a request's body,
//! parses it, sends it on over a kept connection and relays the answer frame by frame. No proxy made of these can cost less.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Answer = Response<Either<Incoming, Full<Bytes>>>;
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(backend)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench-reference ADDRESS BACKEND".into());
    };
    let (listener, backend) = (TcpListener::bind(address)?, Arc::<str>::from(backend));
    // As the gateway has it: for each core that it may use a thread with a runtime and connections of its own. Each gets
    // connections in turn.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (0..cores).map(|_| thread(Arc::clone(&backend))).collect::<Result<Vec<_>, Failure>>()?;
    for turn in 0_usize.. {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        threads[turn % cores].send(stream)?;
    }
    Ok(())
}

/// A thread that serves the connections that it is sent.
fn thread(backend: Arc<str>) -> Result<UnboundedSender<TcpStream>, Failure> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (send, mut sent) = unbounded_channel();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            while let Some(stream) = sent.recv().await {
                let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
                let (client, backend) = (client.clone(), Arc::clone(&backend));
                let service = service_fn(move |request| relay(client.clone(), Arc::clone(&backend), request));
                tokio::spawn(async move {
                    // A client that goes away in the middle is no news here.
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    Ok(send)
}

async fn relay(
    client: Client<HttpConnector, Full<Bytes>>,
    backend: Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer, Failure> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let parsed: serde_json::Value = serde_json::from_slice(&body)?;
    if parsed["model"].as_str().is_none() || parsed["messages"].as_array().is_none() {
        let mut refused = Response::new(Either::Right(Full::default()));
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    }
    head.uri = Uri::try_from(format!("http://{backend}{}", head.uri.path()))?;
    for own in [CONNECTION, HOST, TRANSFER_ENCODING] {
        head.headers.remove(own);
    }
    let answer = client.request(Request::from_parts(head, Full::new(body))).await?;
    Ok(answer.map(Either::Left))
}
