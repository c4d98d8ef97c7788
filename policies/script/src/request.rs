//! The `request` of scripts and its parts.

use crate::call::Call;
use crate::value::{Property, map, optional, properties, text, whole};
use rhai::{Array, Dynamic, Engine};
use std::sync::Arc;
use wasmgate_policy::{Budget, Limit, Measure, Request, Role};

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
const REQUEST: [Property<Asked>; 17] = [
    ("id", |of| text(&of.0.request.id())),
    ("dialect", |of| text(&of.0.request.dialect())),
    ("requested_model", |of| of.0.requested_model.clone().into()),
    ("prompt", |of| of.0.prompt.clone().into()),
    ("conversation", |of| of.0.conversation().into()),
    ("messages", |of| messages(&of.0).into()),
    ("prompt_tokens", |of| whole(of.0.request.prompt_tokens)),
    ("max_tokens", |of| optional(of.0.request.max_tokens, whole)),
    ("streaming", |of| of.0.request.streaming.into()),
    ("tools", |of| of.0.request.tools.into()),
    ("images", |of| of.0.request.images.into()),
    ("structured_output", |of| of.0.request.structured_output.into()),
    ("tenant", |of| optional(of.0.request.tenant(), |tenant| text(&tenant))),
    ("budget", |of| optional(of.0.request.budget, Dynamic::from)),
    ("limits", |of| limits(&of.0.request).into()),
    ("labels", |of| map(&of.0.request.facts.labels()).into()),
    ("hints", |of| map(&hints(&of.0.request)).into()),
];

const MESSAGE: [Property<Said>; 2] =
    [("role", |of| text(role(of.call.messages[of.at].0))), ("text", |of| of.call.messages[of.at].1.clone().into())];

const BUDGET: [Property<Budget>; 2] = [("limit", |of| whole(of.limit)), ("left", |of| whole(of.left))];

const LIMIT: [Property<Limit>; 4] = [
    ("measure", |of| text(measure(of.measure))),
    ("most", |of| whole(of.most)),
    ("left", |of| whole(of.left)),
    ("ends_in", |of| optional(of.ends_in, whole)),
];

pub(crate) fn register(engine: &mut Engine) {
    properties(engine, "request", &REQUEST);
    properties(engine, "message", &MESSAGE);
    properties(engine, "budget", &BUDGET);
    properties(engine, "limit", &LIMIT);
}

fn limits(request: &Request) -> Array {
    request.limits().into_iter().map(Dynamic::from).collect()
}

fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests",
        Measure::Tokens => "tokens",
        Measure::Money => "money",
        Measure::Concurrent => "concurrent",
    }
}

fn messages(call: &Arc<Call>) -> Array {
    (0..call.messages.len()).map(|at| Dynamic::from(Said { call: call.clone(), at })).collect()
}

/// The request's hints, and those of version 1 of the contract that are numbers now.
fn hints(request: &Request) -> Vec<(String, String)> {
    let left_out = request.left_out;
    let counts = [
        ("messages-left-out", u64::from(left_out.messages)),
        ("bytes-cut", left_out.bytes),
        ("labels-left-out", u64::from(left_out.labels)),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(name, count)| (name.to_owned(), count.to_string()));
    request.facts.hints().into_iter().chain(counts).collect()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}
