//! Writes what a call is about in the types of version 2, and reads the answers.

use std::borrow::Cow;

use super::bindings::routing::exports::wasmgate::policy::routing as guest;
use super::bindings::routing::wasmgate::policy::types;
use super::plain::Numbers;
use crate::candidates::{Candidate, CostEstimate, Model, Models};
use crate::contract::call::{CodedReason, Question};
use crate::contract::types::ReadsPrompt;
use crate::request::{LAST_MODEL, Message, PINNED};
use crate::verdict::{Decision, Denial, Verdict};

/// A number of tokens that is not known.
const UNKNOWN_TOKENS: u32 = u32::MAX;
/// A cost that is not known.
const UNKNOWN_COST: u64 = u64::MAX;
/// What is not known of the time that calls take.
const UNKNOWN_TIME: f64 = 0.0;

/// The prompt as a policy is shown it.
pub(super) enum Prompt<'a> {
    None,
    Newest(&'a str),
    /// Texts in one piece, and where each message lies in it.
    Conversation(Cow<'a, str>, Vec<types::Message>),
}

impl<'a> Prompt<'a> {
    pub(super) fn of(question: &Question<'a>) -> Self {
        let shown = question.shown.messages();
        match question.shown.prompt() {
            ReadsPrompt::None => Self::None,
            ReadsPrompt::Newest => Self::Newest(shown.first().map_or("", |newest| newest.text)),
            ReadsPrompt::Conversation => Self::conversation(shown),
        }
    }

    fn conversation(shown: &[Message<'a>]) -> Self {
        let text = match shown {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(only.text),
            all => {
                let mut text = String::with_capacity(all.iter().map(|message| message.text.len()).sum());
                all.iter().for_each(|message| text.push_str(message.text));
                Cow::Owned(text)
            }
        };
        let mut start = 0;
        let messages = shown.iter().map(|message| {
            // The operator's input limit, at most 64 MiB, bounds what is shown.
            let length = u32::try_from(message.text.len()).unwrap_or(u32::MAX);
            let message = types::Message { role: message.role as u32, start, length };
            start = start.saturating_add(length);
            message
        });
        Self::Conversation(text, messages.collect())
    }

    pub(super) fn lower(&self) -> types::Prompt<'_> {
        match self {
            Self::None => types::Prompt::None,
            Self::Newest(text) => types::Prompt::Newest(text),
            Self::Conversation(text, messages) => types::Prompt::Conversation(types::Conversation { text, messages }),
        }
    }
}

pub(super) fn request(question: &Question<'_>) -> Numbers {
    let (request, shown) = (question.request, question.shown);
    let place = |name: &str| question.models.position(name);
    let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Numbers(types::Request {
        requested: place(request.requested_model),
        answered_before: request.hint(LAST_MODEL).and_then(place),
        pinned: request.hint(PINNED).is_some(),
        prompt_tokens: request.prompt_tokens,
        max_tokens: request.max_tokens,
        streaming: request.streaming,
        tools: request.tools,
        images: request.images,
        structured_output: request.structured_output,
        messages: u32::try_from(request.messages.len()).unwrap_or(u32::MAX),
        text_bytes: request.messages.iter().map(|message| bytes(message.text.len())).sum(),
        newest_bytes: request.newest().map_or(0, |message| bytes(message.text.len())),
        budget: shown.reads_tenant().then_some(request.budget).flatten(),
        left_out: shown.left_out(),
    })
}

/// The labels of each model, which its conversion borrows.
pub(super) fn labels(models: &Models) -> Vec<Vec<(&str, &str)>> {
    models.all().iter().map(|model| model.labels.iter().map(|(name, value)| (&**name, &**value)).collect()).collect()
}

pub(super) fn models<'a>(models: &'a Models, labels: &'a [Vec<(&'a str, &'a str)>]) -> Vec<types::Model<'a>> {
    let model = |(model, labels): (&'a Model, &'a Vec<(&'a str, &'a str)>)| types::Model {
        name: &model.name,
        backend: &model.backend,
        location: model.location,
        price: model.price,
        context_window: model.context_window,
        capabilities: model.capabilities,
        labels,
    };
    models.all().iter().zip(labels).map(model).collect()
}

pub(super) fn candidate(candidate: &Candidate) -> types::Candidate {
    let now = &candidate.now;
    let time = |time: Option<f64>| time.unwrap_or(UNKNOWN_TIME);
    types::Candidate {
        model: candidate.model,
        health: now.health as u8,
        breaker: now.breaker as u8,
        in_flight: now.in_flight,
        time_left: candidate.time_left,
        latency: time(now.observed.map(|observed| observed.latency)),
        time_to_first_token: time(now.observed.and_then(|observed| observed.time_to_first_token)),
        tokens_per_second: time(now.observed.and_then(|observed| observed.tokens_per_second)),
        estimate: candidate.estimate.map_or(
            types::CostEstimate { input_tokens: UNKNOWN_TOKENS, output_tokens: UNKNOWN_TOKENS, cost: UNKNOWN_COST },
            |estimate| types::CostEstimate {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                cost: estimate.cost.unwrap_or(UNKNOWN_COST),
            },
        ),
    }
}

pub(super) fn estimates(estimates: &[types::CostEstimate]) -> Vec<CostEstimate> {
    let estimate = |estimate: &types::CostEstimate| CostEstimate {
        input_tokens: estimate.input_tokens,
        output_tokens: estimate.output_tokens,
        cost: Some(estimate.cost).filter(|cost| *cost != UNKNOWN_COST),
    };
    estimates.iter().map(estimate).collect()
}

pub(super) fn verdict(verdict: guest::Verdict) -> (Verdict, Option<CodedReason>) {
    match verdict {
        guest::Verdict::Route(decision) => {
            let (reason, coded) = match decision.reason {
                guest::Reason::Text(text) => (text, None),
                guest::Reason::Code(coded) => (String::new(), Some(coded)),
            };
            let guest::Decision { ranking, complexity, tier, .. } = decision;
            (Verdict::Route(Decision { ranking, complexity, tier, reason }), coded)
        }
        guest::Verdict::Deny(denial) => (Verdict::Deny(Denial { code: denial.code, reason: denial.reason }), None),
        guest::Verdict::Pass => (Verdict::Pass, None),
    }
}
