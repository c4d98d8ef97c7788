//! Requests that stand in for traffic: what every policy must be able to decide before it serves, and the form in which
//! an operator's own fixtures are asked.
//!
//! This module must not know: what the answers mean.

use super::{
    Breaker, Budget, Candidate, Capabilities, CostEstimate, Dialect, Health, Hook, Location, Message, Observed, Policy,
    PolicyFailure, Price, Request, Role, Verdict,
};

/// Output tokens that are expected of a request that names no limit.
const OUTPUT_TOKENS: u32 = 500;

/// A request and the models that may answer it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) messages: Vec<(Role, String)>,
    pub(super) requested_model: String,
    pub(super) prompt_tokens: u32,
    pub(super) max_tokens: Option<u32>,
    pub(super) streaming: bool,
    pub(super) tools: bool,
    pub(super) images: bool,
    pub(super) tenant: Option<String>,
    pub(super) budget: Option<Budget>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) candidates: Vec<Offer>,
}

/// A model that may answer.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) model: String,
    pub(super) backend: String,
    pub(super) location: Location,
    pub(super) price: Option<Price>,
    pub(super) context_window: Option<u32>,
    pub(super) capabilities: Capabilities,
    pub(super) health: Health,
    pub(super) breaker: Breaker,
    pub(super) in_flight: u32,
    pub(super) observed: Option<Observed>,
    pub(super) estimate: Estimate,
}

/// What a routing policy is told that a model is expected to cost. A cost policy is told nothing: it is to say it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Estimate {
    /// The prompt in and `max_tokens` out, at most 500, at the model's price.
    ByPrice,
    /// The same tokens, at this many nano-dollars.
    Cost(u64),
    /// Nothing, as where the cost policy failed.
    Unknown,
}

/// What a policy answered, by its hook.
#[derive(Debug)]
pub(super) enum Answered {
    Routing(Verdict),
    Cost(Vec<CostEstimate>),
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            requested_model: "auto".into(),
            prompt_tokens: 1,
            max_tokens: None,
            streaming: false,
            tools: false,
            images: false,
            tenant: None,
            budget: None,
            labels: Vec::new(),
            candidates: usual(),
        }
    }
}

impl Sample {
    fn user(text: &str, prompt_tokens: u32) -> Self {
        Self { messages: vec![(Role::User, text.into())], prompt_tokens, ..Self::default() }
    }

    /// Asks the policy, as a request with that id, the way traffic does.
    pub(super) async fn ask(&self, policy: &Policy, id: &str) -> Result<Answered, PolicyFailure> {
        let messages: Vec<_> = self.messages.iter().map(|(role, text)| Message { role: *role, text }).collect();
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let request = Request {
            id,
            dialect: Dialect::Native,
            requested_model: &self.requested_model,
            messages: &messages,
            prompt_tokens: self.prompt_tokens,
            max_tokens: self.max_tokens,
            streaming: self.streaming,
            tools: self.tools,
            images: self.images,
            tenant: self.tenant.as_deref(),
            budget: self.budget,
            labels: &labels,
            hints: &[],
        };
        let candidates: Vec<_> = self.candidates.iter().map(|offer| self.candidate(offer, policy.hook())).collect();
        match policy.hook() {
            Hook::Routing => policy.route(request, &candidates).await.map(Answered::Routing),
            Hook::Cost => policy.estimate(request, &candidates).await.map(Answered::Cost),
        }
    }

    fn candidate<'a>(&self, offer: &'a Offer, hook: Hook) -> Candidate<'a> {
        let output_tokens = self.max_tokens.unwrap_or(OUTPUT_TOKENS).min(OUTPUT_TOKENS);
        let estimate = |cost| CostEstimate { input_tokens: self.prompt_tokens, output_tokens, cost };
        let by_price = |price: Price| {
            let part = |tokens: u32, price: u64| u128::from(tokens) * u128::from(price);
            let millionths = part(self.prompt_tokens, price.input) + part(output_tokens, price.output);
            u64::try_from(millionths / 1_000_000).unwrap_or(u64::MAX)
        };
        Candidate {
            model: &offer.model,
            backend: &offer.backend,
            location: offer.location,
            price: offer.price,
            context_window: offer.context_window,
            capabilities: offer.capabilities,
            health: offer.health,
            breaker: offer.breaker,
            in_flight: offer.in_flight,
            observed: offer.observed,
            estimate: match (hook, offer.estimate) {
                (Hook::Cost, _) | (_, Estimate::Unknown) => None,
                (_, Estimate::Cost(cost)) => Some(estimate(Some(cost))),
                (_, Estimate::ByPrice) => Some(estimate(offer.price.map(by_price))),
            },
        }
    }
}

impl Offer {
    /// A healthy local model of that name of which nothing else is known.
    pub(super) fn named(model: &str) -> Self {
        Self {
            model: model.into(),
            backend: "sample".into(),
            location: Location::Local,
            price: None,
            context_window: None,
            capabilities: Capabilities::empty(),
            health: Health::Healthy,
            breaker: Breaker::Closed,
            in_flight: 0,
            observed: None,
            estimate: Estimate::ByPrice,
        }
    }
}

/// The three candidates of samples, and of fixtures that name none: `small` (local, free, 8,192 tokens), `medium` (cloud,
/// 0.25 and 1.25 US dollars per million tokens in and out, 128,000 tokens, tools) and `large` (cloud, 3 and 15 US
/// dollars, 200,000 tokens, tools, images, structured output); all healthy.
pub(super) fn usual() -> Vec<Offer> {
    let price = |input, output| Some(Price { input, output });
    let all = Capabilities::TOOLS | Capabilities::IMAGES | Capabilities::STRUCTURED_OUTPUT;
    let cloud = Location::Cloud;
    vec![
        Offer { price: price(0, 0), context_window: Some(8192), ..Offer::named("small") },
        Offer {
            location: cloud,
            price: price(250_000_000, 1_250_000_000),
            context_window: Some(128_000),
            capabilities: Capabilities::TOOLS,
            ..Offer::named("medium")
        },
        Offer {
            location: cloud,
            price: price(3_000_000_000, 15_000_000_000),
            context_window: Some(200_000),
            capabilities: all,
            ..Offer::named("large")
        },
    ]
}

/// What every policy is asked before it serves, by name. Each is a corner at which policies were seen to stumble.
pub(super) fn canonical() -> Vec<(&'static str, Sample)> {
    let question = "What is the capital of France?";
    let code = "fn total(items: &[Item]) -> u64 {\n    items.iter().map(|item| item.price * item.count).sum()\n}\n";
    let review =
        format!("Review this code, prove that it is correct, and refactor it:\n```rust\n{}```", code.repeat(40));
    let said = |role, text: &str| (role, text.to_owned());
    vec![
        ("a short question", Sample::user(question, 11)),
        ("a long prompt with code", Sample { max_tokens: Some(2000), ..Sample::user(&review, 1200) }),
        (
            "many scripts",
            Sample::user("Приве́т, 世界! \u{202e}שלום\u{202c} नमस्ते 👩‍👩‍👧‍👦 e\u{301} \u{0} \u{feff} \u{10ffff}", 60),
        ),
        ("an empty message", Sample::user("", 4)),
        (
            "a stream with tools, an image and a history",
            Sample {
                messages: vec![
                    said(Role::System, "You are a careful assistant."),
                    said(Role::User, "What is in this picture, and what is the weather there?"),
                    said(Role::Assistant, ""),
                    said(Role::Tool, "{\"weather\": \"rain\"}"),
                    said(Role::User, "And tomorrow?"),
                ],
                streaming: true,
                tools: true,
                images: true,
                max_tokens: Some(1),
                labels: vec![("x-team".into(), "search".into())],
                ..Sample::user("", 48)
            },
        ),
        (
            "one candidate",
            Sample {
                requested_model: "only".into(),
                candidates: vec![Offer::named("only")],
                ..Sample::user(question, 11)
            },
        ),
        (
            "many candidates",
            Sample {
                tenant: Some("sample".into()),
                budget: Some(Budget { limit: 1_000_000_000, left: 0 }),
                candidates: many(),
                ..Sample::user(question, 11)
            },
        ),
    ]
}

/// A down one, an unpriced one of which nothing is expected, one that is cut off, one under load, and a long tail.
fn many() -> Vec<Offer> {
    let observed =
        |latency| Some(Observed { latency, time_to_first_token: Some(latency / 4.0), tokens_per_second: Some(40.0) });
    let mut offers = usual();
    offers.push(Offer { health: Health::Down, observed: observed(0.2), ..Offer::named("down") });
    offers.push(Offer { estimate: Estimate::Unknown, observed: observed(1.5), ..Offer::named("unpriced") });
    offers.push(Offer { breaker: Breaker::Open, health: Health::Degraded, ..Offer::named("cut-off") });
    offers.push(Offer { in_flight: 500, health: Health::Unknown, ..Offer::named("busy") });
    offers.extend((0..25).map(|number| Offer {
        price: Some(Price { input: number, output: number }),
        ..Offer::named(&format!("more-{number}"))
    }));
    offers
}
