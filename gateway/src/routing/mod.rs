//! Which models may answer a request, and in which order.

pub mod candidate;
pub mod decision;
pub mod shadow;
mod view;

use std::sync::Arc;

use hyper::HeaderMap;

use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::error::{Failure, Kind};
use crate::proxy::gateway::Gateway;
use crate::state::snapshot::Snapshot;
use crate::telemetry::Record;
use decision;
use decision::Decision;
use view::View;

/// Which models may answer, what each is expected to cost, and in which order they are asked.
pub(crate) async fn decide(
    record: &mut Record,
    gateway: &Gateway,
    snapshot: &Arc<Snapshot>,
    dialect: Dialect,
    chat: &Chat,
    headers: &HeaderMap,
) -> Result<Decision, Failure> {
    let view = View::new(chat, headers, &snapshot.limits.label_headers);
    let permitted = permitted(snapshot, dialect, chat, &view)?;
    let messages = view.messages();
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
            can_say && (named || live.model.capabilities.cover(view.needs))
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
