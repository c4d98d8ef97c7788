//! Embeddings, in OpenAI's and Ollama's forms: sends the request to the model it names, with retries. No policy decides; the model must
//! be configured.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};

use super::body::ResponseBody;
use super::gateway::Gateway;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::limits;
use super::response::{complete, id_header, refuse, routing_headers};
use super::unread::Unread;
use crate::backend::LiveModel;
use crate::dispatch::{Attempt, Bounds, Progress, Target, stopping, whole, with_retries};
use crate::error::{Failure, Kind};
use crate::offload;
use crate::routing::check_price;
use crate::state::Snapshot;
use crate::telemetry::Record;
use wasmgate_base::usage::Usage;
use wasmgate_dialect::Dialect;
use wasmgate_dialect::embeddings::{Asked, Form, error_in};

/// Answers one request.
pub(super) async fn serve(
    mut in_flight: InFlight,
    form: Form,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Response<ResponseBody> {
    match steps(&mut in_flight, form, headers, body).await {
        Err(failure) => refuse(in_flight, dialect(form), &failure),
        Ok(bytes) => {
            // Its headers say what is left of the limits after it.
            let mut response = Response::new(ResponseBody::from(complete(&mut in_flight, bytes)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            id_header(response.headers_mut(), &in_flight.record.id);
            let cost = in_flight.record.cost(in_flight.snapshot().price(in_flight.record.model));
            routing_headers(response.headers_mut(), &in_flight, cost);
            response
        }
    }
}

/// The dialect of a form's errors.
fn dialect(form: Form) -> Dialect {
    if form == Form::OpenAi { Dialect::OpenAi } else { Dialect::Ollama }
}

async fn steps(in_flight: &mut InFlight, form: Form, headers: &HeaderMap, body: &mut Unread) -> Result<Bytes, Failure> {
    in_flight.check_limit()?;
    limits::check(in_flight)?;
    let gateway = Arc::clone(in_flight.gateway());
    let snapshot = Arc::clone(in_flight.snapshot());
    let body = intake::read(headers, body, Types::of(dialect(form)), &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    // Four bytes for each token: an estimate, used only if the backend reports no usage.
    in_flight.record.estimated_input_tokens = u32::try_from(body.bytes.len() / 4).unwrap_or(u32::MAX);
    let (serving, bytes, group) = (Arc::clone(&snapshot), body.bytes.clone(), in_flight.record.group);
    let ready = offload::run(bytes.len(), move || Ready::read(&serving, group, form, &bytes)).await??;
    let Ready { model: index, asked, body: sent, form } = ready;
    limits::reserve_input(in_flight, index).await?;
    in_flight.noted().await;
    let live = &snapshot.catalog.models()[index];
    let embedding = Embedding { gateway: &gateway, live, body: sent, asked: Arc::new(asked), form };
    gateway.budgets.retries.deposit(snapshot.limits.retry_budget_percent);
    let target = Target {
        budgets: &gateway.budgets,
        snapshot: &snapshot,
        model: index,
        last: true,
        progress: &Progress::default(),
    };
    with_retries(target, &mut in_flight.record, &embedding).await
}

/// One embeddings call.
struct Embedding<'a> {
    gateway: &'a Gateway,
    live: &'a LiveModel,
    body: Bytes,
    asked: Arc<Asked>,
    /// The backend's form.
    form: Form,
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
            let body =
                backend.embeddings(permit, self.body.clone(), self.asked.inputs, until, record.sent.clone()).await?;
            let answer = whole(body, |_| bounds.by).await?;
            match error_in(&answer) {
                Some(error) => Err(backend.failed_in_band(&error)),
                None => Ok(answer),
            }
        };
        let answer = tokio::select! {
            biased;
            () = self.gateway.budgets.cutoff.cancelled() => Err(stopping()),
            answer = tokio::time::timeout_at(until, answered) => answer.unwrap_or_else(|_elapsed| {
                Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
            }),
        }?;
        record.answered = Some(Instant::now());
        let (raw, model, asked, form) =
            (answer.clone(), self.live.model.name.clone(), Arc::clone(&self.asked), self.form);
        let read = offload::run(raw.len(), move || asked.answer(form, &raw, &model)).await?;
        let (translated, tokens) = read.map_err(|error| {
            Failure::new(Kind::Protocol, "the backend's answer is not valid in its dialect").with_detail(error)
        })?;
        record.note_usage(tokens.map(|input| Usage { input, ..Usage::default() }), true);
        Ok(translated.map_or(answer, Bytes::from))
    }
}

/// A request, ready to be sent.
struct Ready {
    /// The model, by position in the catalog.
    model: usize,
    asked: Asked,
    body: Bytes,
    /// The backend's form.
    form: Form,
}

impl Ready {
    /// `group`: that of the request, by position.
    fn read(snapshot: &Snapshot, group: Option<usize>, form: Form, body: &[u8]) -> Result<Self, Failure> {
        let (catalog, group) = (&snapshot.catalog, snapshot.group(group));
        let asked = Asked::read(form, body).map_err(|error| Failure::new(Kind::BadRequest, error.to_string()))?;
        let permitted = group.is_none_or(|group| group.permits(&asked.model));
        let model = catalog.find(&asked.model).filter(|_| permitted).ok_or_else(|| {
            Failure::new(Kind::UnknownModel, "there is no model of that name; embeddings need a configured model")
        })?;
        let live = &catalog.models()[model];
        check_price(group, live)?;
        let Some(form) = live.backend.embeddings_form() else {
            return Err(Failure::new(Kind::NoCapableModel, "this model's backend serves no embeddings"));
        };
        let body = asked.body(form, &live.model.backend_name).map_err(|field| {
            let message = format!("`{field}` has tokens, which the model's backend does not read; texts are expected");
            Failure::new(Kind::NoCapableModel, message)
        })?;
        Ok(Self { model, asked, body: body.into(), form })
    }
}
