//! The `request` of scripts and its parts.

use crate::call::Call;
use crate::value::{Property, optional, properties, text, whole};
use rhai::{Array, Dynamic, Engine, Map};
use std::sync::Arc;
use wasmgate_policy::{Budget, Dialect, Role};

/// A request.
#[derive(Clone)]
pub(crate) struct Asked(pub(crate) Arc<Call>);

/// A message of a request.
#[derive(Clone)]
pub(crate) struct Said {
    call: Arc<Call>,
    at: usize,
}

/// Named as in the contract, with `_` for `-`.
const REQUEST: [Property<Asked>; 15] = [
    ("id", |of| text(&of.0.request.id)),
    ("dialect", |of| text(dialect(of.0.request.dialect))),
    ("requested_model", |of| text(&of.0.request.requested_model)),
    ("prompt", |of| of.0.prompt.clone().into()),
    ("conversation", |of| of.0.conversation().into()),
    ("messages", |of| messages(&of.0).into()),
    ("prompt_tokens", |of| whole(of.0.request.prompt_tokens)),
    ("max_tokens", |of| optional(of.0.request.max_tokens, whole)),
    ("streaming", |of| of.0.request.streaming.into()),
    ("tools", |of| of.0.request.tools.into()),
    ("images", |of| of.0.request.images.into()),
    ("tenant", |of| optional(of.0.request.tenant.as_deref(), text)),
    ("budget", |of| optional(of.0.request.budget, Dynamic::from)),
    ("labels", |of| map(&of.0.request.labels).into()),
    ("hints", |of| map(&of.0.request.hints).into()),
];

const MESSAGE: [Property<Said>; 2] = [
    ("role", |of| text(role(of.call.request.messages[of.at].role))),
    ("text", |of| text(&of.call.request.messages[of.at].text)),
];

const BUDGET: [Property<Budget>; 2] = [("limit", |of| whole(of.limit)), ("left", |of| whole(of.left))];

pub(crate) fn register(engine: &mut Engine) {
    properties(engine, "request", &REQUEST);
    properties(engine, "message", &MESSAGE);
    properties(engine, "budget", &BUDGET);
}

fn messages(call: &Arc<Call>) -> Array {
    (0..call.request.messages.len()).map(|at| Dynamic::from(Said { call: call.clone(), at })).collect()
}

/// If a name appears twice, its first value counts.
fn map(pairs: &[(String, String)]) -> Map {
    pairs.iter().rev().map(|(name, value)| (name.as_str().into(), text(value))).collect()
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Native => "native",
        Dialect::Openai => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Ollama => "ollama",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}
