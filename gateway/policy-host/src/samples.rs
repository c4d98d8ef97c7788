//! Sample requests: every policy must decide them before it serves. An operator's fixtures have the same form.
//!
//! This module must not know: what the answers mean.

use super::candidates::{Candidate, CostEstimate, Model, Models, Observation, Observed};
use super::component::Policy;
use super::contract::types::{Breaker, Budget, Capabilities, Health, Location, Price, Role};
use super::failure::PolicyFailure;
use super::hook::Hook;
use super::request::{AUTO, LAST_MODEL, OwnedRequest, Request};
use super::verdict::Verdict;

/// Output tokens to expect if a request names no limit.
const OUTPUT_TOKENS: u32 = 500;

/// Seconds that an answer has if nothing else is said: as long as the gateway's configuration gives it.
const TIME_LEFT: f64 = 600.0;

/// A request and the models that may answer it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) request: OwnedRequest,
    pub(crate) candidates: Vec<Offer>,
}

/// A model that may answer.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) facts: Model,
    pub(crate) now: Observation,
    /// How much of the time that its answer may take is left, in seconds.
    pub(crate) time_left: f64,
    pub(crate) estimate: Estimate,
}

/// The cost estimate that a routing policy gets for a model. A cost policy gets none: it makes the estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Estimate {
    /// The prompt's tokens, and `max_tokens` of output but at most 500, at the model's price.
    ByPrice,
    /// The same tokens, at this many nano-dollars.
    Cost(u64),
    /// None, as if the cost policy had failed.
    Unknown,
}

/// A policy's answer, by its hook.
#[derive(Debug)]
pub(crate) enum Answered {
    Routing(Verdict),
    Cost(Vec<CostEstimate>),
}

impl Default for Sample {
    fn default() -> Self {
        Self { request: OwnedRequest::default(), candidates: usual() }
    }
}

impl Sample {
    /// Calls the policy like traffic, with a request of this id.
    pub(crate) async fn ask(&self, policy: &Policy, id: &str) -> Result<Answered, PolicyFailure> {
        self.ask_with(policy, id, &self.offered()).await
    }

    /// As `ask`, with the models that `offered` made, so that further calls do not give them to the policy again.
    pub(crate) async fn ask_with(&self, policy: &Policy, id: &str, models: &Models) -> Result<Answered, PolicyFailure> {
        let lists = self.request.lists();
        let request = Request { id, ..self.request.request(&lists) };
        let offers = (0..).zip(&self.candidates);
        let candidates: Vec<_> = offers.map(|(model, offer)| self.candidate(model, offer, policy.hook())).collect();
        match policy.hook() {
            Hook::Routing => policy.route(&request, models, &candidates).await.map(Answered::Routing),
            Hook::Cost => policy.estimate(&request, models, &candidates).await.map(Answered::Cost),
        }
    }

    /// The models of the candidates, and behind them those that the request names besides.
    pub(crate) fn offered(&self) -> Models {
        let mut models: Vec<Model> = self.candidates.iter().map(|offer| offer.facts.clone()).collect();
        let last = self.request.hints.iter().find(|(name, _)| name == LAST_MODEL).map(|(_, model)| model);
        let named = [Some(&self.request.requested_model).filter(|model| *model != AUTO), last];
        for name in named.into_iter().flatten() {
            if models.iter().all(|model| model.name != *name) {
                models.push(Offer::named(name).facts);
            }
        }
        Models::new(models)
    }

    fn candidate(&self, model: u32, offer: &Offer, hook: Hook) -> Candidate {
        let prompt_tokens = self.request.prompt_tokens;
        let output_tokens = self.request.max_tokens.unwrap_or(OUTPUT_TOKENS).min(OUTPUT_TOKENS);
        let estimate = |cost| CostEstimate { input_tokens: prompt_tokens, output_tokens, cost };
        let by_price = |price: Price| {
            let part = |tokens: u32, price: u64| u128::from(tokens) * u128::from(price);
            let millionths = part(prompt_tokens, price.input) + part(output_tokens, price.output);
            u64::try_from(millionths / 1_000_000).unwrap_or(u64::MAX)
        };
        let estimate = match (hook, offer.estimate) {
            (Hook::Cost, _) | (_, Estimate::Unknown) => None,
            (_, Estimate::Cost(cost)) => Some(estimate(Some(cost))),
            (_, Estimate::ByPrice) => Some(estimate(offer.facts.price.map(by_price))),
        };
        Candidate { model, now: offer.now, time_left: offer.time_left, estimate }
    }
}

impl Offer {
    /// A healthy local model of this name without other facts.
    pub(crate) fn named(model: &str) -> Self {
        Self {
            facts: Model {
                name: model.into(),
                backend: "sample".into(),
                location: Location::Local,
                price: None,
                context_window: None,
                capabilities: Capabilities::empty(),
                labels: Vec::new(),
            },
            now: Observation::default(),
            time_left: TIME_LEFT,
            estimate: Estimate::ByPrice,
        }
    }

    /// The same with other facts.
    fn known(self, location: Location, price: Price, context_window: u32, capabilities: Capabilities) -> Self {
        let (price, context_window) = (Some(price), Some(context_window));
        Self { facts: Model { location, price, context_window, capabilities, ..self.facts }, ..self }
    }
}

/// The three candidates of samples, and of fixtures that name none: `small` (local, free, 8,192 tokens), `medium` (cloud,
/// 0.25 and 1.25 US dollars per million tokens in and out, 128,000 tokens, tools) and `large` (cloud, 3 and 15 US
/// dollars, 200,000 tokens, tools, images, structured output); all healthy.
pub(crate) fn usual() -> Vec<Offer> {
    let price = |input, output| Price { input, output };
    let all = Capabilities::TOOLS | Capabilities::IMAGES | Capabilities::STRUCTURED_OUTPUT;
    let (local, cloud) = (Location::Local, Location::Cloud);
    vec![
        Offer::named("small").known(local, price(0, 0), 8192, Capabilities::empty()),
        Offer::named("medium").known(cloud, price(250_000_000, 1_250_000_000), 128_000, Capabilities::TOOLS),
        Offer::named("large").known(cloud, price(3_000_000_000, 15_000_000_000), 200_000, all),
    ]
}

/// The samples that every policy must decide before it serves, by name. Each covers a case that made policies fail.
pub(crate) fn canonical() -> Vec<(&'static str, Sample)> {
    let question = "What is the capital of France?";
    let code = "fn total(items: &[Item]) -> u64 {\n    items.iter().map(|item| item.price * item.count).sum()\n}\n";
    let review =
        format!("Review this code, prove that it is correct, and refactor it:\n```rust\n{}```", code.repeat(40));
    let said = |role, text: &str| (role, text.to_owned());
    let user = |text: &str, prompt_tokens| OwnedRequest {
        messages: vec![said(Role::User, text)],
        prompt_tokens,
        ..OwnedRequest::default()
    };
    let usual = |request| Sample { request, ..Sample::default() };
    let scripts = "Приве́т, 世界! \u{202e}שלום\u{202c} नमस्ते 👩‍👩‍👧‍👦 e\u{301} \u{0} \u{feff} \u{10ffff}";
    let history = OwnedRequest {
        messages: vec![
            said(Role::System, "You are a careful assistant."),
            said(Role::User, "What is in this picture, and what is the weather there?"),
            said(Role::Assistant, ""),
            said(Role::Tool, "{\"weather\": \"rain\"}"),
            said(Role::User, "And tomorrow?"),
        ],
        prompt_tokens: 48,
        streaming: true,
        tools: true,
        images: true,
        max_tokens: Some(1),
        labels: vec![("x-team".into(), "search".into())],
        ..OwnedRequest::default()
    };
    let only = OwnedRequest { requested_model: "only".into(), ..user(question, 11) };
    let spent = OwnedRequest {
        tenant: Some("sample".into()),
        budget: Some(Budget { limit: 1_000_000_000, left: 0 }),
        ..user(question, 11)
    };
    vec![
        ("a short question", usual(user(question, 11))),
        ("a long prompt with code", usual(OwnedRequest { max_tokens: Some(2000), ..user(&review, 1200) })),
        ("many scripts", usual(user(scripts, 60))),
        ("an empty message", usual(user("", 4))),
        ("a stream with tools, an image and a history", usual(history)),
        ("one candidate", Sample { request: only, candidates: vec![Offer::named("only")] }),
        ("many candidates", Sample { request: spent, candidates: many() }),
    ]
}

/// The usual ones, a down one, an unpriced one without an estimate, one with an open breaker, one under load, and many
/// more.
fn many() -> Vec<Offer> {
    let observed =
        |latency| Some(Observed { latency, time_to_first_token: Some(latency / 4.0), tokens_per_second: Some(40.0) });
    let offer = |model: &str, now| Offer { now, ..Offer::named(model) };
    let normal = Observation::default();
    let mut offers = usual();
    offers.push(offer("down", Observation { health: Health::Down, observed: observed(0.2), ..normal }));
    let unpriced = offer("unpriced", Observation { observed: observed(1.5), ..normal });
    offers.push(Offer { estimate: Estimate::Unknown, ..unpriced });
    offers.push(offer("cut-off", Observation { breaker: Breaker::Open, health: Health::Degraded, ..normal }));
    offers.push(offer("busy", Observation { in_flight: 500, health: Health::Unknown, ..normal }));
    offers.extend((0..25).map(|number| {
        let mut offer = Offer::named(&format!("more-{number}"));
        offer.facts.price = Some(Price { input: number, output: number });
        offer
    }));
    offers
}
