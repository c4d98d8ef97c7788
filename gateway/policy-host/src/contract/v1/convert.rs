//! Converts between the host's types and those of version 1: requests and candidates down, answers up.
//!
//! What version 1 cannot express is left out: a policy of version 1 sees no dialect beyond four, and does not learn whether
//! the client wants a format.

use std::borrow::Cow;

use super::bindings::routing::exports::wasmgate::policy::routing as guest;
use super::bindings::routing::wasmgate::policy::types as old;
use crate::candidates::{Candidate, CostEstimate, Model, Models, Observed};
use crate::contract::call::Question;
use crate::contract::types as new;
use crate::request::Message;
use crate::verdict::{Decision, Denial, Verdict};

/// The lists of a request, which its conversion borrows.
pub(super) struct Lists<'a> {
    messages: Vec<old::Message<'a>>,
    hints: Vec<(&'a str, &'a str)>,
}

impl<'a> Lists<'a> {
    /// `hints` are those of what is shown.
    pub(super) fn of(question: &'a Question<'_>, hints: &'a [(&str, Cow<'_, str>)]) -> Self {
        let message = |message: &'a Message<'_>| old::Message { role: role(message.role), text: message.text };
        let messages = question.shown.messages().iter().map(message).collect();
        Self { messages, hints: hints.iter().map(|(name, value)| (*name, &**value)).collect() }
    }

    pub(super) fn request(&'a self, question: &'a Question<'_>) -> old::Request<'a> {
        let request = question.request;
        old::Request {
            id: request.id,
            dialect: match request.dialect {
                "native" => old::Dialect::Native,
                "anthropic" => old::Dialect::Anthropic,
                "ollama" | "generate" => old::Dialect::Ollama,
                _ => old::Dialect::Openai,
            },
            requested_model: request.requested_model,
            messages: &self.messages,
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            streaming: request.streaming,
            tools: request.tools,
            images: request.images,
            tenant: request.tenant,
            // Version 1 promises a limit above 0; a budget of nothing is a spent one.
            budget: request.budget.map(|budget| old::Budget { limit: budget.limit.max(1), left: budget.left }),
            labels: question.shown.labels(),
            hints: &self.hints,
        }
    }
}

pub(super) fn candidates<'a>(models: &'a Models, candidates: &[Candidate]) -> Vec<old::Candidate<'a>> {
    candidates.iter().map(|of| candidate(models.of(of), of)).collect()
}

fn candidate<'a>(model: &'a Model, candidate: &Candidate) -> old::Candidate<'a> {
    let now = candidate.now;
    old::Candidate {
        model: &model.name,
        backend: &model.backend,
        location: match model.location {
            new::Location::Local => old::Location::Local,
            new::Location::Cloud => old::Location::Cloud,
        },
        price: model.price.map(|price| old::Price { input: price.input, output: price.output }),
        context_window: model.context_window,
        capabilities: capabilities(model.capabilities),
        health: match now.health {
            new::Health::Unknown => old::Health::Unknown,
            new::Health::Healthy => old::Health::Healthy,
            new::Health::Degraded => old::Health::Degraded,
            new::Health::Down => old::Health::Down,
        },
        breaker: match now.breaker {
            new::Breaker::Closed => old::Breaker::Closed,
            new::Breaker::HalfOpen => old::Breaker::HalfOpen,
            new::Breaker::Open => old::Breaker::Open,
        },
        in_flight: now.in_flight,
        observed: now.observed.map(|observed: Observed| old::Observed {
            latency: observed.latency,
            time_to_first_token: observed.time_to_first_token,
            tokens_per_second: observed.tokens_per_second,
        }),
        estimate: candidate.estimate.map(|estimate| old::CostEstimate {
            input_tokens: estimate.input_tokens,
            output_tokens: estimate.output_tokens,
            cost: estimate.cost,
        }),
    }
}

fn capabilities(of: new::Capabilities) -> old::Capabilities {
    let mut set = old::Capabilities::empty();
    for (has, flag) in [
        (new::Capabilities::TOOLS, old::Capabilities::TOOLS),
        (new::Capabilities::IMAGES, old::Capabilities::IMAGES),
        (new::Capabilities::STRUCTURED_OUTPUT, old::Capabilities::STRUCTURED_OUTPUT),
    ] {
        if of.contains(has) {
            set |= flag;
        }
    }
    set
}

fn role(role: new::Role) -> old::Role {
    match role {
        new::Role::System => old::Role::System,
        new::Role::User => old::Role::User,
        new::Role::Assistant => old::Role::Assistant,
        new::Role::Tool => old::Role::Tool,
    }
}

pub(super) fn estimate(estimate: old::CostEstimate) -> CostEstimate {
    CostEstimate { input_tokens: estimate.input_tokens, output_tokens: estimate.output_tokens, cost: estimate.cost }
}

pub(super) fn verdict(verdict: guest::Verdict) -> Verdict {
    match verdict {
        guest::Verdict::Route(decision) => Verdict::Route(Decision {
            ranking: decision.ranking,
            complexity: decision.complexity,
            tier: decision.tier.map(|tier| match tier {
                guest::Tier::Low => new::Tier::Low,
                guest::Tier::Medium => new::Tier::Medium,
                guest::Tier::High => new::Tier::High,
            }),
            reason: decision.reason,
        }),
        guest::Verdict::Deny(denial) => Verdict::Deny(Denial { code: denial.code, reason: denial.reason }),
        guest::Verdict::Pass => Verdict::Pass,
    }
}

/// A manifest of version 1 cannot say what the policy reads, so it reads all that version 1 shows.
pub(super) fn manifest(manifest: old::Manifest) -> new::Manifest {
    let setting = |setting: old::Setting| {
        let default = value_up(setting.default);
        new::Setting {
            meaning: meaning(&setting.name, &default),
            name: setting.name,
            summary: setting.summary,
            default,
        }
    };
    new::Manifest {
        name: manifest.name,
        version: manifest.version,
        summary: manifest.summary,
        settings: manifest.settings.into_iter().map(setting).collect(),
        reads: new::Reads { prompt: new::ReadsPrompt::Conversation, labels: vec!["*".to_owned()], tenant: true },
        denies: false,
        reasons: Vec::new(),
    }
}

/// Version 1 has no place for what a setting means, so names say it (the WIT's comments).
pub(crate) fn meaning(name: &str, default: &new::Value) -> new::Meaning {
    let last = name.rsplit(['-', '_']).next();
    match (name, default) {
        ("low-models", new::Value::Texts(_)) => new::Meaning::Tier(new::Tier::Low),
        ("medium-models", new::Value::Texts(_)) => new::Meaning::Tier(new::Tier::Medium),
        ("high-models", new::Value::Texts(_)) => new::Meaning::Tier(new::Tier::High),
        (_, new::Value::Text(_) | new::Value::Texts(_)) if matches!(last, Some("model" | "models")) => {
            new::Meaning::Models
        }
        _ => new::Meaning::Plain,
    }
}

fn value_up(value: old::Value) -> new::Value {
    match value {
        old::Value::Boolean(value) => new::Value::Boolean(value),
        old::Value::Integer(value) => new::Value::Integer(value),
        old::Value::Number(value) => new::Value::Number(value),
        old::Value::Text(value) => new::Value::Text(value),
        old::Value::Texts(value) => new::Value::Texts(value),
    }
}

/// A setting's value, for the guest.
pub(crate) fn value(value: new::Value) -> old::Value {
    match value {
        new::Value::Boolean(value) => old::Value::Boolean(value),
        new::Value::Integer(value) => old::Value::Integer(value),
        new::Value::Number(value) => old::Value::Number(value),
        new::Value::Text(value) => old::Value::Text(value),
        new::Value::Texts(value) => old::Value::Texts(value),
    }
}
