//! What each route does: converts the request's input, sends the operation to the control task, and returns its result.
//!
//! This module must not know: connections, access control, the form of answers on the wire.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::audit::Audit;
use super::input::{self, COMPONENT_TIMEOUT, JSON_TIMEOUT, MAX_JSON_BYTES};
use super::reply::{Kind, Problem};
use super::route::{Found, Route, Subject, TABLE};
use super::{Admin, DecisionLog, OPENAPI, decisions};
use crate::rollout::api::{Event, Operation, PolicyStatus, Status, Upload};
use crate::rollout::slot::Slot;
use wasmgate_base::json_text;
use wasmgate_policy_host::{MAX_COMPONENT_BYTES, script};

/// A slot with its history.
#[derive(Serialize)]
struct PolicyWithHistory {
    #[serde(flatten)]
    policy: PolicyStatus,
    history: Vec<Event>,
}

/// Performs a request. Returns the JSON of the answer.
pub(super) async fn perform(
    admin: &Admin,
    head: &Parts,
    found: &Found<'_>,
    body: &mut Option<Incoming>,
    audit: &mut Audit,
) -> Result<Bytes, Problem> {
    let (route, slot) = match found {
        Found::Route { route, name } => (*route, *name),
        Found::WrongMethod { allow, .. } => {
            return Err(Problem::new(Kind::WrongMethod(allow.clone()), format!("this route accepts {allow} only")));
        }
        Found::Nothing { near } => {
            let hint = near.as_ref().map_or(String::new(), |near| format!("did you mean {near}? "));
            let message = format!("there is no such route; {hint}GET / lists the routes");
            return Err(Problem::new(Kind::UnknownRoute, message));
        }
    };
    if route.subject() != Subject::Slot {
        return super::accounts::perform(&admin.accounts, head, route, slot, body, audit).await;
    }
    if let Some(answer) = of_decisions(admin, head, route, slot, body).await {
        return answer;
    }
    if route != Route::Upload {
        input::query(&head.uri, &[])?;
    }
    if route.action().is_none() {
        return tell(admin, route, slot).await;
    }
    // Held until the upload ends, because the component is in memory until then. The semaphore is never closed.
    let _permit = if route == Route::Upload { admin.uploads.acquire().await.ok() } else { None };
    let slot: Slot = slot.parse().map_err(|message: String| Problem::new(Kind::UnknownSlot, message))?;
    let operation = operation(head, route, slot, body, audit).await?;
    let status = admin.operator.operate(operation).await?;
    Ok(json_text::json(&status).into())
}

/// Performs the routes of the decision log; `None` for others.
async fn of_decisions(
    admin: &Admin,
    head: &Parts,
    route: Route,
    id: &str,
    body: &mut Option<Incoming>,
) -> Option<Result<Bytes, Problem>> {
    if !matches!(route, Route::Decisions | Route::DecisionStream | Route::Decision | Route::Ask) {
        return None;
    }
    let Some(log) = &admin.pages.decisions else {
        let message = "the gateway keeps no decision log; set `decisions.dir` in its configuration";
        return Some(Err(Problem::new(Kind::Conflict, message)));
    };
    Some(match route {
        Route::Decisions => decisions::list(log, &head.uri).await,
        Route::Ask if input::is_component(&head.headers) => ask_uploaded(admin, log, head, id, body).await,
        Route::Ask => match ask(head, body).await {
            Ok(fields) => decisions::ask(log, id, &fields).await,
            Err(problem) => Err(problem),
        },
        _ => match input::query(&head.uri, &[]) {
            Err(problem) => Err(problem),
            // The answer is made where streams are.
            Ok(_) if route == Route::DecisionStream => Ok(Bytes::new()),
            Ok(_) => decisions::one(log, id).await,
        },
    })
}

async fn ask(head: &Parts, body: &mut Option<Incoming>) -> Result<Map<String, Value>, Problem> {
    input::query(&head.uri, &[])?;
    let bytes = input::read(&head.headers, body, MAX_JSON_BYTES, JSON_TIMEOUT).await?;
    input::object(&head.headers, &bytes, Some(&["slot"]))
}

async fn ask_uploaded(
    admin: &Admin,
    log: &Arc<DecisionLog>,
    head: &Parts,
    id: &str,
    body: &mut Option<Incoming>,
) -> Result<Bytes, Problem> {
    // As for uploads to slots.
    let _permit = admin.uploads.acquire().await.ok();
    let parameters = input::query(&head.uri, &["name", "settings"])?;
    decisions::ask_uploaded(log, &admin.operator, id, read_upload(head, &parameters, body).await?).await
}

/// Performs the routes that only read.
async fn tell(admin: &Admin, route: Route, slot: &str) -> Result<Bytes, Problem> {
    let text = match route {
        Route::Welcome => {
            let routes: Vec<String> = TABLE.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
            json_text::json(&json!({"name": "wasmgate", "version": env!("CARGO_PKG_VERSION"), "routes": routes}))
        }
        Route::OpenApi => return Ok(Bytes::from_static(OPENAPI.as_bytes())),
        Route::Metrics => (admin.pages.metrics)(),
        Route::Stats => (admin.pages.stats)(),
        Route::Health => (admin.pages.health)(),
        Route::History => json_text::json(&json!({"history": status(admin).await?.history})),
        Route::Policy => json_text::json(&one(status(admin).await?, slot)?),
        _ => json_text::json(&status(admin).await?),
    };
    Ok(text.into())
}

async fn status(admin: &Admin) -> Result<Status, Problem> {
    admin.operator.status().await.ok_or_else(Problem::stopping)
}

fn one(status: Status, slot: &str) -> Result<PolicyWithHistory, Problem> {
    let unknown = |message: String| Problem::new(Kind::UnknownSlot, message);
    let slot: Slot = slot.parse().map_err(unknown)?;
    let there: Vec<String> = status.policies.iter().map(|policy| policy.slot.to_string()).collect();
    let policy = status.policies.into_iter().find(|policy| policy.slot == slot);
    let policy =
        policy.ok_or_else(|| unknown(format!("{slot} has no policy; expected one of {}", there.join(", "))))?;
    let history = status.history.into_iter().filter(|event| event.slot.as_ref() == Some(&slot)).collect();
    Ok(PolicyWithHistory { policy, history })
}

/// The operation that a request asks for.
async fn operation(
    head: &Parts,
    route: Route,
    slot: Slot,
    body: &mut Option<Incoming>,
    audit: &mut Audit,
) -> Result<Operation, Problem> {
    if route == Route::Upload {
        return upload(head, slot, body, audit).await;
    }
    let known: &[&str] = match route {
        Route::Rollback => &["to"],
        Route::Share => &["percent"],
        _ => &[],
    };
    let bytes = input::read(&head.headers, body, MAX_JSON_BYTES, JSON_TIMEOUT).await?;
    let fields = input::object(&head.headers, &bytes, Some(known))?;
    Ok(match route {
        Route::Promote => Operation::Promote(slot),
        Route::Rollback => {
            let to = digest_prefix(&fields)?;
            audit.note(to.as_ref().map_or(String::new(), |to| format!("to {to}")));
            Operation::Rollback(slot, to)
        }
        Route::Retry => Operation::Retry(slot),
        Route::Enable => Operation::Enable(slot),
        Route::Share => {
            let expected = || Problem::new(Kind::BadRequest, "`percent`: expected a number, as in {\"percent\": 5}");
            let percent = fields.get("percent").and_then(Value::as_f64).ok_or_else(expected)?;
            audit.note(format!("{percent} percent"));
            Operation::Share(slot, percent)
        }
        _ => Operation::Disable(slot),
    })
}

fn digest_prefix(fields: &Map<String, Value>) -> Result<Option<String>, Problem> {
    match fields.get("to") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(to)) if is_digest_prefix(to) => Ok(Some(to.to_ascii_lowercase())),
        Some(_) => {
            let message = "`to`: expected the beginning of a version's revision or digest, 1 to 64 hexadecimal digits";
            Err(Problem::new(Kind::BadRequest, message))
        }
    }
}

fn is_digest_prefix(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn upload(
    head: &Parts,
    slot: Slot,
    body: &mut Option<Incoming>,
    audit: &mut Audit,
) -> Result<Operation, Problem> {
    let parameters = input::query(&head.uri, &["name", "percent", "settings"])?;
    let bad = || Problem::new(Kind::BadRequest, "`percent`: expected a number, as in percent=5");
    let percent = parameters.get("percent").and_then(Value::as_str);
    let percent = percent.map(|percent| percent.parse().ok().filter(|percent: &f64| percent.is_finite()));
    let percent = percent.map(|percent| percent.ok_or_else(bad)).transpose()?;
    let Upload { component, name, settings } = read_upload(head, &parameters, body).await?;
    let hashed = component.clone();
    let digest = tokio::task::spawn_blocking(move || wasmgate_base::digest::sha256(&hashed)).await;
    let digest = digest.map_err(|_ended| Problem::stopping())?;
    let share = percent.map_or(String::new(), |percent| format!(", {percent} percent"));
    let with = if settings.is_some() { ", with settings" } else { "" };
    audit.note(format!("{digest}, {} bytes{share}{with}", component.len()));
    Ok(Operation::Upload { slot, component, name, settings, percent })
}

/// Reads a component or a script, and what the query says of it.
async fn read_upload(
    head: &Parts,
    parameters: &Map<String, Value>,
    body: &mut Option<Incoming>,
) -> Result<Upload, Problem> {
    let bad = |message: &str| Problem::new(Kind::BadRequest, message);
    let text = |key: &str| parameters.get(key).and_then(Value::as_str);
    let settings = text("settings").map(|text| input::parse_object("`settings`", text.as_bytes())).transpose()?;
    let name = text("name").map(|name| script::name_from(Path::new(name)).filter(|fits| fits == name));
    let name = name
        .map(|name| name.ok_or_else(|| bad("`name`: expected 1 to 64 lower-case letters, digits and inner `-`")))
        .transpose()?;
    let component = input::read(&head.headers, body, MAX_COMPONENT_BYTES, COMPONENT_TIMEOUT).await?;
    if component.is_empty() {
        return Err(bad("the body is empty, expected a component or a script"));
    }
    Ok(Upload { component, name, settings })
}
