//! The models as programs list them: in OpenAI's, Anthropic's and Ollama's forms. They say what the configuration says; no
//! backend is asked.

use std::collections::HashSet;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::caller::Caller;
use super::gateway::Gateway;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::query;
use super::response::{id_header, refuse};
use super::unread::Unread;
use crate::backend::{Capabilities, Capability, HealthState, LiveModel};
use crate::error::{Failure, Kind};
use crate::routing::unknown_model;
use crate::state::Snapshot;
use wasmgate_accounts::Group;
use wasmgate_base::digest::sha256;
use wasmgate_base::json_text;
use wasmgate_dialect::{BadRequest, Dialect, json};

/// The version of Ollama's API that the gateway serves, of which 0.9 added thinking. Programs refuse servers that say less
/// than they need (VS Code's Copilot: 0.6.4). The gateway's own version is at `/`.
const OLLAMA_VERSION: &str = "0.9.0";

/// The path below which each model has a page.
pub(super) const MODELS: &str = "/v1/models/";

/// The most models of one page of Anthropic's list.
const MAX_PAGE: usize = 1000;

/// A name that clients may request, and what the configuration says of it.
struct Entry<'a> {
    name: &'a str,
    /// Longest input and output together, in tokens.
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    capabilities: Capabilities,
}

/// All names that the group may use: `auto`, which can do what any of its models can, and the models in the configuration's
/// order.
fn entries<'a>(snapshot: &'a Snapshot, group: Option<&Group>) -> Vec<Entry<'a>> {
    let permitted = |live: &&LiveModel| group.is_none_or(|group| group.permits(&live.model.name));
    let models: Vec<&LiveModel> = snapshot.catalog.models().iter().filter(permitted).collect();
    let own = models.iter().map(|live| Entry {
        name: &live.model.name,
        context_window: live.model.context_window,
        max_output_tokens: Some(live.model.max_output_tokens),
        capabilities: live.model.capabilities,
    });
    let auto = Entry {
        name: "auto",
        context_window: models.iter().filter_map(|live| live.model.context_window).max(),
        max_output_tokens: models.iter().map(|live| live.model.max_output_tokens).max(),
        capabilities: models.iter().flat_map(|live| live.model.capabilities.iter()).collect(),
    };
    std::iter::once(auto).chain(own).collect()
}

fn find<'a>(snapshot: &'a Snapshot, group: Option<&Group>, name: &str) -> Result<Entry<'a>, Failure> {
    let found = entries(snapshot, group).into_iter().find(|entry| entry.name == name);
    found.ok_or_else(|| unknown_model(&snapshot.catalog, group, name))
}

impl Entry<'_> {
    fn openai(&self) -> Value {
        json!({"id": self.name, "object": "model", "created": 0, "owned_by": "wasmgate"})
    }

    fn anthropic(&self) -> Value {
        let mut model = json!({"type": "model", "id": self.name, "display_name": self.name,
            "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"});
        if let Some(window) = self.context_window {
            model["max_input_tokens"] = json!(window);
        }
        if let Some(most) = self.max_output_tokens {
            model["max_tokens"] = json!(most);
        }
        model
    }

    /// What Ollama's lists have in common. Programs cut the digest, so that it must not be short.
    fn ollama(&self) -> Value {
        let name = self.name;
        json!({"name": name, "model": name, "size": 0, "digest": sha256(name.as_bytes()), "details": details()})
    }

    fn shown(&self) -> Value {
        let mut info = json!({"general.architecture": "wasmgate", "general.basename": self.name});
        if let Some(window) = self.context_window {
            info["wasmgate.context_length"] = json!(window);
        }
        let capabilities = self.capabilities.iter().filter_map(|capability| match capability {
            Capability::Tools => Some("tools"),
            Capability::Images => Some("vision"),
            // All of Ollama's models have it, so that it has no name there.
            Capability::StructuredOutput => None,
        });
        json!({"license": "", "modelfile": format!("FROM {}\n", self.name), "parameters": "", "template": "{{ .Prompt }}",
            "details": details(), "model_info": info, "modified_at": "1970-01-01T00:00:00Z",
            "capabilities": std::iter::once("completion").chain(capabilities).collect::<Vec<_>>()})
    }
}

fn details() -> Value {
    json!({"parent_model": "", "format": "", "family": "wasmgate", "families": ["wasmgate"], "parameter_size": "",
        "quantization_level": ""})
}

/// `GET /v1/models`: OpenAI's list, or a page of Anthropic's for a client that sends `anthropic-version`.
pub(super) fn list(gateway: &Arc<Gateway>, caller: Caller, head: &Parts) -> Response<ResponseBody> {
    let entries = entries(&caller.snapshot, caller.group());
    if !is_anthropic(&head.headers) {
        let data: Vec<Value> = entries.iter().map(Entry::openai).collect();
        return page(&json!({"object": "list", "data": data}));
    }
    match anthropic_page(&entries, head.uri.query()) {
        Ok(list) => page(&list),
        Err(failure) => {
            drop(entries);
            refuse(InFlight::of(gateway, caller), Dialect::Anthropic, &failure)
        }
    }
}

fn anthropic_page(entries: &[Entry<'_>], query: Option<&str>) -> Result<Value, Failure> {
    let wrong = |what: String| Failure::new(Kind::BadRequest, what);
    let limit = match query::parameter(query, "limit") {
        None => entries.len(),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| wrong(format!("limit is not a number from 1 to {MAX_PAGE}")))?,
    };
    let at = |parameter: &str| {
        let Some(id) = query::parameter(query, parameter) else { return Ok(None) };
        let found = entries.iter().position(|entry| entry.name == id);
        found.map(Some).ok_or_else(|| wrong(format!("{parameter} names no model")))
    };
    let (shown, has_more) = match (at("after_id")?, at("before_id")?) {
        (None, Some(before)) => (&entries[before.saturating_sub(limit)..before], before > limit),
        (after, before) => {
            let start = after.map_or(0, |after| after + 1);
            let end = before.unwrap_or(entries.len()).max(start);
            (&entries[start..end.min(start + limit)], end > start + limit)
        }
    };
    let data: Vec<Value> = shown.iter().map(Entry::anthropic).collect();
    let id = |entry: Option<&Entry<'_>>| entry.map(|entry| entry.name.to_owned());
    Ok(json!({"data": data, "has_more": has_more, "first_id": id(shown.first()), "last_id": id(shown.last())}))
}

/// `GET /v1/models/{id}`, in the forms of the list. An id may contain slashes and colons, encoded or not.
pub(super) fn one(gateway: &Arc<Gateway>, caller: Caller, head: &Parts) -> Response<ResponseBody> {
    let anthropic = is_anthropic(&head.headers);
    let id = head.uri.path().strip_prefix(MODELS).and_then(query::decoded).unwrap_or_default();
    match find(&caller.snapshot, caller.group(), &id) {
        Ok(entry) if anthropic => page(&entry.anthropic()),
        Ok(entry) => page(&entry.openai()),
        Err(failure) => {
            let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
            refuse(InFlight::of(gateway, caller), dialect, &failure)
        }
    }
}

fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// `GET /api/tags`: Ollama's list.
pub(super) fn tags(caller: &Caller) -> Response<ResponseBody> {
    let models = entries(&caller.snapshot, caller.group()).into_iter().map(|entry| {
        let mut model = entry.ollama();
        model["modified_at"] = json!("1970-01-01T00:00:00Z");
        model
    });
    page(&json!({"models": models.collect::<Vec<_>>()}))
}

/// `GET /api/ps`: the models that can answer at once, as far as the gateway knows: those whose backend is not down.
pub(super) fn running(caller: &Caller) -> Response<ResponseBody> {
    let snapshot = &caller.snapshot;
    let up = snapshot.catalog.models().iter().filter(|live| live.backend.health().state() != HealthState::Down);
    let up: HashSet<&str> = up.map(|live| live.model.name.as_str()).collect();
    let models = entries(snapshot, caller.group()).into_iter().filter(|entry| up.contains(entry.name)).map(|entry| {
        let mut model = entry.ollama();
        model["expires_at"] = json!("9999-12-31T23:59:59Z");
        model["size_vram"] = json!(0);
        if let Some(window) = entry.context_window {
            model["context_length"] = json!(window);
        }
        model
    });
    page(&json!({"models": models.collect::<Vec<_>>()}))
}

/// `GET /api/version`.
pub(super) fn version() -> Response<ResponseBody> {
    page(&json!({"version": OLLAMA_VERSION}))
}

/// `POST /api/show`: what a model can do and how long its context is.
pub(super) async fn show(mut in_flight: InFlight, headers: &HeaderMap, body: &mut Unread) -> Response<ResponseBody> {
    match shown(&in_flight, headers, body).await {
        Err(failure) => refuse(in_flight, Dialect::Ollama, &failure),
        Ok(model) => {
            let mut response = page(&model);
            id_header(response.headers_mut(), &in_flight.record.id);
            in_flight.close_explained();
            response
        }
    }
}

async fn shown(in_flight: &InFlight, headers: &HeaderMap, body: &mut Unread) -> Result<Value, Failure> {
    let (gateway, snapshot) = (in_flight.gateway(), in_flight.snapshot());
    let body = intake::read(headers, body, Types::Any, &snapshot.limits, &gateway.memory).await?;
    let wrong = |error: BadRequest| Failure::new(Kind::BadRequest, error.to_string());
    let fields = json::body(&body.bytes).map_err(wrong)?;
    // `name` is what it was called first.
    let field = if fields.get("model").is_some() { "model" } else { "name" };
    let field = if fields.get(field).is_some() { field } else { "model" };
    let name = json::required_string(&json::Path::Body, &fields, field).map_err(wrong)?;
    Ok(find(snapshot, in_flight.group(), &name)?.shown())
}

fn page(value: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::plain(json_text::json(value)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
