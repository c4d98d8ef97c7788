//! The spine: one request from prompt to relayed answer. The order of its steps is written here and nowhere else;
//! each step does its work and returns. How answers and failures become responses is `response.rs`.

mod embeddings;
mod explain;
pub mod gateway;
pub mod in_flight;
pub mod intake;
pub mod introspect;
pub mod response;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName};
use hyper::{HeaderMap, Method, Request, Response, Version};

use crate::dialect::Dialect;
use crate::dialect::frames::Framing;
use crate::dispatch::relay::ResponseBody;
use crate::dispatch::{Asked, ask};
use crate::error::{Failure, Kind};
use crate::routing;
use gateway::Gateway;
use in_flight::Open;
use response::{refuse, respond, wait, wrong_method};

/// A request header with which a client asks for a stream that is held back until it is whole.
const GUARDED: HeaderName = HeaderName::from_static("x-wasmgate-guarded");

/// Answers one HTTP request.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<ResponseBody> {
    let (method, path) = (request.method(), request.uri().path());
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        let failure = Failure::new(Kind::BadRequest, "a request of HTTP/1.1 names its host once");
        return refuse(Open::new(&gateway), introspect::dialect_of(path), &failure);
    }
    let dialect = match path {
        "/api/v1/chat" => Dialect::Native,
        "/v1/chat/completions" => Dialect::OpenAi,
        "/v1/messages" => Dialect::Anthropic,
        "/api/chat" => Dialect::Ollama,
        "/api/v1/complexity" if method == Method::POST => return Box::pin(explain::serve(&gateway, request)).await,
        "/v1/embeddings" if method == Method::POST => return Box::pin(embeddings::serve(&gateway, request)).await,
        "/api/v1/complexity" | "/v1/embeddings" => return wrong_method(&gateway, path, "POST"),
        _ => match introspect::find(path) {
            Some(page) if method == Method::GET || method == Method::HEAD => {
                return page.answer(&gateway, request.headers());
            }
            Some(_) => return wrong_method(&gateway, path, "GET, HEAD"),
            None => {
                let message = "there is no such route; GET /api/v1/models lists what can be asked, and how";
                return refuse(
                    Open::new(&gateway),
                    introspect::dialect_of(path),
                    &Failure::new(Kind::UnknownRoute, message),
                );
            }
        },
    };
    if method != Method::POST {
        return wrong_method(&gateway, path, "POST");
    }
    let mut open = Open::new(&gateway);
    open.record.dialect = Some(dialect);
    match prepare(&mut open, dialect, request).await {
        Ok(asked) => answer(open, asked).await,
        Err(failure) => refuse(open, dialect, &failure),
    }
}

/// The steps of a chat before a model is asked, in order.
async fn prepare(open: &mut Open, dialect: Dialect, request: Request<Incoming>) -> Result<Asked, Failure> {
    open.admit()?;
    let gateway = Arc::clone(open.gateway());
    let snapshot = Arc::clone(open.snapshot());
    let (headers, body) = intake::read(request, &snapshot.limits).await?;
    let chat = intake::parse(dialect, &body, &snapshot.limits)?;
    open.record.stream = chat.stream;
    let decision = routing::decide(&mut open.record, &gateway, &snapshot, dialect, &chat, &headers).await?;
    let guarded = headers.get(GUARDED).is_some_and(|value| value == "true");
    let headers = if dialect == Dialect::Anthropic { dialect_headers(&headers) } else { HeaderMap::new() };
    Ok(Asked { dialect, chat, decision, headers, guarded })
}

/// Asks, and answers what comes of it. A client of a stream that waits long is told meanwhile that it is not forgotten,
/// where the operator wants that: from then on a failure is told in the stream.
async fn answer(mut open: Open, asked: Asked) -> Response<ResponseBody> {
    let dialect = asked.dialect;
    let patience = open.snapshot().limits.keep_alive.filter(|_| asked.chat.stream && dialect.framing() == Framing::Sse);
    let (open, answer) = match patience {
        None => {
            let answer = ask(&mut open, &asked).await;
            (open, answer)
        }
        Some(patience) => {
            let id = open.record.id.clone();
            let mut asking = Box::pin(async move {
                let answer = ask(&mut open, &asked).await;
                (open, answer)
            });
            tokio::select! {
                biased;
                done = &mut asking => done,
                () = tokio::time::sleep(patience) => return wait(dialect, &id, patience, asking),
            }
        }
    };
    match answer {
        Ok(answer) => respond(open, dialect, answer),
        Err(failure) => refuse(open, dialect, &failure),
    }
}

/// The request headers that are part of Anthropic's dialect.
fn dialect_headers(headers: &HeaderMap) -> HeaderMap {
    let mut shared = HeaderMap::new();
    for name in ["anthropic-version", "anthropic-beta"] {
        let name = HeaderName::from_static(name);
        for value in headers.get_all(&name) {
            shared.append(name.clone(), value.clone());
        }
    }
    shared
}
