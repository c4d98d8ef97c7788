//! What the benches ask policies: a prompt of a given length, and so many candidates.

use wasmgate_policy_host::{
    Breaker, Candidate, Capabilities, CostEstimate, Dialect, GivenLimits, Health, Hook, Loader, Location, Message,
    Pace, Policy, Price, Request, Source,
};

/// As in the gateway's program.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A policy, loaded.
pub(crate) async fn load(loader: &Loader, name: &str, component: &[u8], hook: Hook, limits: &GivenLimits) -> Policy {
    let source = Source { origin: name.into(), bytes: component.into(), fixtures: None, default_name: None };
    Policy::load(loader, &source, hook, &serde_json::Map::new(), limits, None, Pace::Serving).await.expect("it loads")
}

/// The hook that a built-in policy is for.
pub(crate) fn hook(name: &str) -> Hook {
    if name == "token-cost" { Hook::Cost } else { Hook::Routing }
}

/// A prompt of so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    "Design a small web service in Rust that counts words, and explain its tests. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

/// The names of so many models.
pub(crate) fn names(models: usize) -> Vec<String> {
    (0..models).map(|index| format!("model-{index}")).collect()
}

/// A model as a policy of that hook sees it.
pub(crate) fn candidate(name: &str, hook: Hook) -> Candidate<'_> {
    let estimate = CostEstimate { input_tokens: 75, output_tokens: 500, cost: Some(7_725_000) };
    Candidate {
        model: name,
        backend: "bench",
        location: Location::Local,
        price: Some(Price { input: 3_000_000_000, output: 15_000_000_000 }),
        context_window: Some(200_000),
        capabilities: Capabilities::empty(),
        health: Health::Healthy,
        breaker: Breaker::Closed,
        in_flight: 0,
        observed: None,
        estimate: (hook == Hook::Routing).then_some(estimate),
    }
}

/// A request as a policy sees it.
pub(crate) fn request<'a>(messages: &'a [Message<'a>], prompt_tokens: u32) -> Request<'a> {
    Request {
        id: "01a207fe441174d09bc39cee5a43cb5d",
        dialect: Dialect::Openai,
        requested_model: "auto",
        messages,
        prompt_tokens,
        max_tokens: None,
        streaming: false,
        tools: false,
        images: false,
        tenant: None,
        budget: None,
        labels: &[],
        hints: &[],
    }
}
