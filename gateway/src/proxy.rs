//! The spine: one request from prompt to relayed answer. The order of its steps is written here and nowhere else;
//! each step does its work and returns. How answers and failures become responses is `response.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName};
use hyper::{HeaderMap, Method, Request, Response, Version};

use crate::ask::{Asked, ask};
use crate::chat::Chat;
use crate::decision::{self, Decision};
use crate::dialect::Dialect;
use crate::dialect::frames::Framing;
use crate::error::{Failure, Kind};
use crate::gateway::Gateway;
use crate::open::Open;
use crate::prompt::{self, View};
use crate::response::{refuse, respond, wait, wrong_method};
use crate::snapshot::Snapshot;
use crate::stream::ResponseBody;
use crate::{embeddings, explain, pages};

/// A request header with which a client asks for a stream that is held back until it is whole.
const GUARDED: HeaderName = HeaderName::from_static("x-wasmgate-guarded");

/// Answers one HTTP request.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<ResponseBody> {
    let (method, path) = (request.method(), request.uri().path());
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        let failure = Failure::new(Kind::BadRequest, "a request of HTTP/1.1 names its host once");
        return refuse(Open::new(&gateway), pages::dialect_of(path), &failure);
    }
    let dialect = match path {
        "/api/v1/chat" => Dialect::Native,
        "/v1/chat/completions" => Dialect::OpenAi,
        "/v1/messages" => Dialect::Anthropic,
        "/api/chat" => Dialect::Ollama,
        "/api/v1/complexity" if method == Method::POST => return Box::pin(explain::serve(&gateway, request)).await,
        "/v1/embeddings" if method == Method::POST => return Box::pin(embeddings::serve(&gateway, request)).await,
        "/api/v1/complexity" | "/v1/embeddings" => return wrong_method(&gateway, path, "POST"),
        _ => match pages::find(path) {
            Some(page) if method == Method::GET || method == Method::HEAD => {
                return page.answer(&gateway, request.headers());
            }
            Some(_) => return wrong_method(&gateway, path, "GET, HEAD"),
            None => {
                let message = "there is no such route; GET /api/v1/models lists what can be asked, and how";
                return refuse(
                    Open::new(&gateway),
                    pages::dialect_of(path),
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
    admit(open)?;
    let gateway = Arc::clone(open.gateway());
    let snapshot = Arc::clone(open.snapshot());
    let (headers, body) = prompt::read(request, &snapshot.limits).await?;
    let chat = prompt::parse(dialect, &body, &snapshot.limits)?;
    open.record.stream = chat.stream;
    let decision = decide(open, &gateway, &snapshot, dialect, &chat, &headers).await?;
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

/// Whether there is room for one more.
pub(crate) fn admit(open: &Open) -> Result<(), Failure> {
    if open.gateway().in_flight.load(Ordering::Relaxed) > open.snapshot().limits.max_in_flight {
        return Err(Failure::new(Kind::Overloaded, "too many requests are in flight; try again shortly"));
    }
    Ok(())
}

/// Which models may answer, what each is expected to cost, and in which order they are asked.
pub(crate) async fn decide(
    open: &mut Open,
    gateway: &Gateway,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    headers: &HeaderMap,
) -> Result<Decision, Failure> {
    let view = View::new(chat, headers, &snapshot.limits.label_headers);
    let permitted = permitted(snapshot, dialect, chat, &view)?;
    let messages = view.messages();
    let record = &mut *open.record;
    record.estimated_input_tokens = gateway.tokens.estimate(view.texts());
    let id = record.id.clone();
    let request = view.request(&id, dialect, chat, &messages, record.estimated_input_tokens);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    decision::decide(gateway, record, snapshot, request, &permitted, &header).await
}

/// The models that may answer, by position in the catalog: the one asked for by name, or with `auto` all that can do
/// what the request needs. What a backend's dialect cannot express is never dropped on the way.
fn permitted(snapshot: &Snapshot, dialect: Dialect, chat: &Chat, view: &View<'_>) -> Result<Vec<usize>, Failure> {
    let catalog = &snapshot.catalog;
    let named = chat.model != "auto";
    let asked = if named {
        let index = catalog.find(&chat.model).ok_or_else(|| {
            let hint = catalog.nearest(&chat.model).map_or(String::new(), |near| format!(", did you mean {near:?}?"));
            Failure::new(Kind::UnknownModel, format!("there is no model of that name{hint}"))
        })?;
        index..index + 1
    } else {
        0..catalog.models().len()
    };
    let mut obstacle = None;
    let able: Vec<usize> = asked
        .filter(|&index| {
            let live = &catalog.models()[index];
            let field = live.backend.settings().kind.dialect().obstacle(dialect, chat);
            let can_say = field.is_none() || live.backend.is_simulated();
            obstacle = obstacle.take().or(field);
            // A client that names a model knows what it can do; the operator's list only guides `auto`.
            can_say && (named || live.model.capabilities.contains(view.needs))
        })
        .collect();
    if !able.is_empty() {
        return Ok(able);
    }
    let message = match obstacle {
        Some(field) => format!("`{field}` cannot be translated for the backends of the models that could answer"),
        None => "no model is configured that can do what the request needs (tools, images or an output format)".into(),
    };
    Err(Failure::new(Kind::NoCapableModel, message))
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
