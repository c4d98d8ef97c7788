//! What the routes of keys and groups do: read the input, have it done where it may block, name it for the audit log.
//!
//! This module must not know: how keys and groups are kept.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use super::audit::Audit;
use super::input::{self, JSON_TIMEOUT, MAX_JSON_BYTES};
use super::reply::{Kind, Problem};
use super::route::{Route, Subject};
use crate::accounts::{MAX_PAGE, ManagedAccounts, Query};
use wasmgate_base::json_text::json;

/// Longest part of a request in the audit log, in characters.
const MAX_DETAIL_CHARS: usize = 1000;

/// Performs a request. Returns the JSON of the answer.
pub(super) async fn perform(
    accounts: &Arc<ManagedAccounts>,
    head: &Parts,
    route: Route,
    name: &str,
    body: &mut Option<Incoming>,
    audit: &mut Audit,
) -> Result<Bytes, Problem> {
    let name = match route.subject() {
        Subject::Key => accounts.key_id(&input::decoded(name)?)?,
        _ => input::decoded(name)?,
    };
    audit.name(&name);
    let parameters: &[&str] = if route == Route::Keys { &["group", "name", "after", "limit"] } else { &[] };
    let parameters = input::query(&head.uri, parameters)?;
    if route == Route::Keys {
        let query = query(&parameters)?;
        return Ok(json(&accounts.operate(move |accounts| accounts.keys(&query)).await?).into());
    }
    let known: Option<&[&str]> = match route {
        Route::CreateKey | Route::UpdateKey => Some(ManagedAccounts::NEW_KEY),
        Route::RotateKey => Some(ManagedAccounts::ROTATION),
        // The settings of a group are checked as those of the configuration are.
        Route::CreateGroup | Route::UpdateGroup => None,
        _ => Some(&[]),
    };
    let fields = match route.action() {
        None => Map::new(),
        Some(_) => {
            let bytes = input::read(&head.headers, body, MAX_JSON_BYTES, JSON_TIMEOUT).await?;
            input::object(&head.headers, &bytes, known)?
        }
    };
    if !fields.is_empty() {
        audit.note(Value::Object(fields.clone()).to_string().chars().take(MAX_DETAIL_CHARS).collect());
    }
    let text = match route {
        Route::Key => json(&accounts.operate(move |accounts| accounts.key(&name)).await?),
        Route::CreateKey => {
            let made = accounts.operate(move |accounts| accounts.create_key(&fields)).await?;
            audit.name(&made.status.id);
            json(&made)
        }
        Route::UpdateKey => json(&accounts.operate(move |accounts| accounts.update_key(&name, &fields)).await?),
        Route::RotateKey => json(&accounts.operate(move |accounts| accounts.rotate_key(&name, &fields)).await?),
        Route::BlockKey | Route::UnblockKey => {
            let block = route == Route::BlockKey;
            json(&accounts.operate(move |accounts| accounts.block_key(&name, block)).await?)
        }
        Route::DeleteKey => json(&accounts.operate(move |accounts| accounts.delete_key(&name)).await?),
        Route::Group => json(&accounts.operate(move |accounts| accounts.group(&name)).await?),
        Route::CreateGroup => {
            let made = accounts.operate(move |accounts| accounts.create_group(&fields)).await?;
            audit.name(&made.name);
            json(&made)
        }
        Route::UpdateGroup => json(&accounts.operate(move |accounts| accounts.update_group(&name, &fields)).await?),
        Route::DeleteGroup => json(&accounts.operate(move |accounts| accounts.delete_group(&name)).await?),
        _ => json(&accounts.operate(|accounts| Ok(accounts.groups())).await?),
    };
    Ok(text.into())
}

fn query(parameters: &Map<String, Value>) -> Result<Query, Problem> {
    let text = |key: &str| parameters.get(key).and_then(Value::as_str).map(str::to_owned);
    let limit = text("limit").map(|limit| {
        let limit = limit.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
        limit.ok_or_else(|| {
            Problem::new(Kind::BadRequest, format!("`limit`: expected 1 to {MAX_PAGE}, as in limit=100"))
        })
    });
    Ok(Query { group: text("group"), name: text("name"), after: text("after"), limit: limit.transpose()? })
}
