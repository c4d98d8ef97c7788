//! `POST /v1/embeddings`: forwards the request to the model it names, with retries. No policy decides; the model must
//! be configured.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use serde::Deserialize;

use super::body::ResponseBody;
use super::gateway::Gateway;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::response::{complete, id_header, refuse, routing_headers};
use super::unread::Unread;
use crate::backend::{Catalog, LiveModel};
use crate::dispatch::{Attempt, Bounds, Progress, Target, stopping, whole, with_retries};
use crate::error::{Failure, Kind};
use crate::offload;
use crate::telemetry::Record;
use wasmgate_base::usage::Usage;
use wasmgate_dialect::{BadRequest, Dialect, json};

/// Answers one request.
pub(crate) async fn serve(gateway: &Arc<Gateway>, headers: &HeaderMap, body: &mut Unread) -> Response<ResponseBody> {
    let mut in_flight = InFlight::new(gateway);
    match steps(&mut in_flight, headers, body).await {
        Err(failure) => refuse(in_flight, Dialect::OpenAi, &failure),
        Ok(bytes) => {
            let mut response = Response::new(ResponseBody::plain(Bytes::new()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            id_header(response.headers_mut(), &in_flight.record.id);
            let cost = in_flight.record.cost(in_flight.snapshot().price(in_flight.record.model));
            routing_headers(response.headers_mut(), &in_flight, cost);
            *response.body_mut() = complete(&mut in_flight, bytes).into();
            response
        }
    }
}

async fn steps(in_flight: &mut InFlight, headers: &HeaderMap, body: &mut Unread) -> Result<Bytes, Failure> {
    in_flight.check_limit()?;
    let gateway = Arc::clone(in_flight.gateway());
    let snapshot = Arc::clone(in_flight.snapshot());
    let body = intake::read(headers, body, Types::Json, &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    // Four bytes for each token: an estimate, used only if the backend reports no usage.
    in_flight.record.estimated_input_tokens = u32::try_from(body.bytes.len() / 4).unwrap_or(u32::MAX);
    let (catalog, bytes) = (Arc::clone(&snapshot.catalog), body.bytes.clone());
    let asked = offload::run(bytes.len(), move || Asked::read(&catalog, &bytes)).await??;
    let index = asked.model;
    let live = &snapshot.catalog.models()[index];
    in_flight.record.model = Some(index);
    let embedding = Embedding { gateway: &gateway, live, body: asked.body, inputs: asked.inputs };
    gateway.budgets.retries.deposit(snapshot.limits.retry_budget_percent);
    let target = Target {
        budgets: &gateway.budgets,
        snapshot: &snapshot,
        model: index,
        last: true,
        progress: &Progress::default(),
    };
    let answer = with_retries(target, &mut in_flight.record, &embedding).await?;
    in_flight.record.answered = Some(Instant::now());
    let body = answer.clone();
    let read = offload::run(body.len(), move || serde_json::from_slice::<Answer>(&body)).await?;
    let read = read.map_err(|error| {
        Failure::new(Kind::Protocol, "the backend's answer is not valid in its dialect").with_detail(error)
    })?;
    let usage = read.usage.map(|used| Usage { input: used.prompt_tokens, ..Usage::default() });
    in_flight.record.note_usage(usage, true);
    Ok(answer)
}

/// One embeddings call.
struct Embedding<'a> {
    gateway: &'a Gateway,
    live: &'a LiveModel,
    body: Bytes,
    inputs: usize,
}

impl Attempt for Embedding<'_> {
    type Answer = Bytes;

    async fn attempt(&self, record: &mut Record, index: usize, bounds: Bounds<'_>) -> Result<Bytes, Failure> {
        let until = bounds.by.into();
        let answered = async {
            let backend = &self.live.backend;
            let permit = backend.permit(until).await?;
            let called = Instant::now();
            record.begin_attempt(index, called);
            bounds.progress.call(called);
            let body = backend.embeddings(permit, self.body.clone(), self.inputs, until, record.sent.clone()).await?;
            whole(body, |_| bounds.by).await
        };
        tokio::select! {
            biased;
            () = self.gateway.budgets.cutoff.cancelled() => Err(stopping()),
            answer = tokio::time::timeout_at(until, answered) => answer.unwrap_or_else(|_elapsed| {
                Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
            }),
        }
    }
}

/// A request, ready to be forwarded.
struct Asked {
    /// The model, by position in the catalog.
    model: usize,
    inputs: usize,
    body: Bytes,
}

impl Asked {
    fn read(catalog: &Catalog, body: &[u8]) -> Result<Self, Failure> {
        let refused = |error: BadRequest| Failure::new(Kind::BadRequest, error.to_string());
        let (name, inputs, fields) = parse(body).map_err(refused)?;
        let model = catalog.find(&name).ok_or_else(|| {
            Failure::new(Kind::UnknownModel, "there is no model of that name; embeddings need a configured model")
        })?;
        Ok(Self { model, inputs, body: forward(&fields, &catalog.models()[model].model.backend_name) })
    }
}

/// The model's name, the number of inputs, all fields.
fn parse(body: &[u8]) -> Result<(String, usize, json::Fields<'_>), BadRequest> {
    let fields = json::body(body)?;
    let model = json::required_string(&json::Path::Body, &fields, "model")?;
    let input = fields
        .get("input")
        .ok_or_else(|| BadRequest::missing(&json::Path::top("input"), "a text or a list of texts"))?;
    // A list of numbers is one input, given as tokens; in any other list, each element is an input.
    let inputs = match json::length(&json::Path::top("input"), input) {
        Ok((Some(first), _)) if json::kind(first) == "a number" => 1,
        Ok((_, count)) => count,
        Err(_) => 1,
    };
    Ok((model, inputs, fields))
}

/// The request as the client wrote it, with the backend's name of the model.
fn forward(fields: &json::Fields<'_>, model: &str) -> Bytes {
    let mut body = Vec::from(b"{");
    for (position, (key, value)) in fields.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        // Writing JSON text into memory cannot fail.
        let _ = serde_json::to_writer(&mut body, key);
        body.push(b':');
        if key == "model" {
            let _ = serde_json::to_writer(&mut body, model);
        } else {
            body.extend_from_slice(value.get().as_bytes());
        }
    }
    body.push(b'}');
    body.into()
}

/// The part of an answer that the gateway reads: usage.
#[derive(Deserialize)]
struct Answer {
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Used {
    prompt_tokens: u64,
}
