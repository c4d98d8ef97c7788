//! The spine: one request from prompt to relayed answer. The order of its steps is written here and nowhere else;
//! each step does its work and returns. How answers and failures become responses is `response.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName};
use hyper::{HeaderMap, Method, Request, Response, Version};

use crate::backend::{self, Call, Timeouts};
use crate::chat::Chat;
use crate::decision::{self, Decision};
use crate::dialect::{Dialect, Facts, Routing};
use crate::error::{Failure, Fault, Kind};
use crate::gateway::Gateway;
use crate::money::NanoDollars;
use crate::open::Open;
use crate::prompt::{self, View};
use crate::record::FellBack;
use crate::response::{refuse, respond, wrong_method};
use crate::snapshot::Snapshot;
use crate::stream::ResponseBody;
use crate::{embeddings, explain, pages};

/// Largest answer that is not a stream.
const MAX_REPLY_BYTES: usize = 32 << 20;

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
        "/api/v1/complexity" if method == Method::POST => return explain::serve(&gateway, request).await,
        "/v1/embeddings" if method == Method::POST => return embeddings::serve(&gateway, request).await,
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
    match chat(&mut open, dialect, request).await {
        Ok(answer) => respond(open, dialect, answer),
        Err(failure) => refuse(open, dialect, &failure),
    }
}

/// The model's answer, whole or on its way.
pub(crate) enum Answer {
    /// All of it, in the client's dialect.
    Whole(Bytes),
    /// What the relay needs.
    Stream { answer: backend::Answer, facts: Box<Facts>, timeouts: Timeouts },
}

/// The steps of a chat, in order.
async fn chat(open: &mut Open, dialect: Dialect, request: Request<Incoming>) -> Result<Answer, Failure> {
    admit(open)?;
    let gateway = Arc::clone(open.gateway());
    let snapshot = Arc::clone(open.snapshot());
    let (headers, body) = prompt::read(request, &snapshot.limits).await?;
    let chat = prompt::parse(dialect, &body, &snapshot.limits)?;
    open.record.stream = chat.stream;
    let decision = decide(open, &gateway, &snapshot, dialect, &chat, &headers).await?;
    let headers = if dialect == Dialect::Anthropic { dialect_headers(&headers) } else { HeaderMap::new() };
    ask(open, &snapshot, dialect, &chat, &decision, &headers).await
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

/// Asks the ranked models in order, until one answers. When none does, the first failure is the one that tells.
async fn ask(
    open: &mut Open,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    decision: &Decision,
    dialect_headers: &HeaderMap,
) -> Result<Answer, Failure> {
    let mut first_failure = None;
    for &index in &decision.ranking {
        match attempt(open, snapshot, dialect, chat, decision, dialect_headers, index).await {
            Ok(answer) => return Ok(answer),
            Err(failure) if failure.kind == Kind::Stopping => return Err(failure),
            Err(failure) => {
                tracing::debug!(request_id = open.record.id, %failure, detail = failure.detail, "attempt failed");
                let falls_back = failure.kind.falls_back();
                if let Fault::Error(reason) = failure.kind.fault() {
                    open.record.fell_back.push(FellBack { model: index, reason });
                }
                first_failure.get_or_insert(failure);
                if !falls_back {
                    break;
                }
            }
        }
    }
    // The failure that is told is the first model's.
    open.record.model = decision.ranking.first().copied();
    Err(first_failure.unwrap_or_else(|| Failure::new(Kind::Internal, "no model was ranked")))
}

/// Asks one model.
async fn attempt(
    open: &mut Open,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    decision: &Decision,
    dialect_headers: &HeaderMap,
    index: usize,
) -> Result<Answer, Failure> {
    let live = &snapshot.catalog.models()[index];
    open.record.model = Some(index);
    let called = Instant::now();
    open.record.called = Some(called);
    let call = Call {
        chat,
        from: dialect,
        model: &live.model.backend_name,
        max_tokens: live.model.max_output_tokens,
        dialect_headers,
    };
    let facts = facts(open, snapshot, chat, decision, index);
    let cut = open.gateway().cut.clone();
    let answer = tokio::select! {
        biased;
        () = cut.cancelled() => Err(Failure::new(Kind::Stopping, "the gateway is stopping")),
        answer = live.backend.chat(call) => answer,
    }?;
    if chat.stream {
        let timeouts = live.backend.settings().timeouts;
        return Ok(Answer::Stream { answer, facts: Box::new(facts), timeouts });
    }
    let spoken = answer.dialect;
    let until = called + live.backend.settings().timeouts.total;
    let body = tokio::select! {
        biased;
        () = cut.cancelled() => Err(Failure::new(Kind::Stopping, "the gateway is stopping")),
        body = tokio::time::timeout_at(until.into(), whole(answer.body)) => body.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
        }),
    }?;
    let reply = spoken.decode_reply(&body).map_err(|error| {
        Failure::new(Kind::Protocol, "the backend's answer is not what its dialect says").with_detail(error)
    })?;
    open.record.usage = reply.usage;
    let calls = reply.tool_calls.iter().map(|call| call.arguments.len() + call.name.len()).sum::<usize>();
    open.record.output_bytes = (reply.text.len() + reply.reasoning.len() + calls) as u64;
    Ok(Answer::Whole(if spoken == dialect { body } else { dialect.encode_reply(&reply, &facts, &open.total()).into() }))
}

/// A whole body, bounded.
pub(crate) async fn whole(mut body: backend::Body) -> Result<Bytes, Failure> {
    let Some(first) = body.chunk().await.transpose()? else { return Ok(Bytes::new()) };
    let Some(second) = body.chunk().await.transpose()? else { return Ok(first) };
    let mut all = Vec::from(first);
    all.extend_from_slice(&second);
    while let Some(chunk) = body.chunk().await.transpose()? {
        if all.len() + chunk.len() > MAX_REPLY_BYTES {
            let message = "the backend's answer is longer than the gateway takes";
            return Err(Failure::new(Kind::Protocol, message));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn facts(open: &Open, snapshot: &Snapshot, chat: &Chat, decision: &Decision, index: usize) -> Facts {
    let live = &snapshot.catalog.models()[index];
    let record = &open.record;
    Facts {
        request_id: record.id.clone(),
        model: live.model.name.clone(),
        backend: live.backend.settings().name.clone(),
        created: record.created(),
        include_usage: chat.include_usage,
        estimated_input_tokens: u64::from(record.estimated_input_tokens),
        routing: Routing {
            complexity: record.score,
            tier: record.complexity.as_str(),
            reasoning: decision.reason.clone(),
            estimated_cost: record.estimated_cost.map(NanoDollars::usd),
            policy: decision.policy.clone(),
            version: decision.version.clone(),
        },
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
