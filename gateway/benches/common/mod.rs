//! What the benches ask policies: a prompt of a given length, and so many candidates.

use wasmgate_policy_host::{
    Candidate, Capabilities, CostEstimate, GivenLimits, Hook, Loader, Location, Message, Model, Models, Observation,
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

/// So many models.
pub(crate) fn models(count: usize) -> Models {
    Models::new((0..count).map(|index| Model {
        name: format!("model-{index}"),
        backend: "bench".into(),
        location: Location::Local,
        price: Some(Price { input: 3_000_000_000, output: 15_000_000_000 }),
        context_window: Some(200_000),
        capabilities: Capabilities::empty(),
        labels: Vec::new(),
    }))
}

/// All of these models as a policy of that hook sees them.
pub(crate) fn candidates(models: &Models, hook: Hook) -> Vec<Candidate> {
    let estimate = CostEstimate { input_tokens: 75, output_tokens: 500, cost: Some(7_725_000) };
    let estimate = (hook == Hook::Routing).then_some(estimate);
    let candidate = |(model, _)| Candidate { model, now: Observation::default(), time_left: 600.0, estimate };
    (0..).zip(models.all()).map(candidate).collect()
}

/// A request as a policy sees it.
pub(crate) fn request<'a>(messages: &'a [Message<'a>], prompt_tokens: u32) -> Request<'a> {
    Request {
        id: "01a207fe441174d09bc39cee5a43cb5d",
        dialect: "openai",
        requested_model: "auto",
        messages,
        prompt_tokens,
        max_tokens: None,
        streaming: false,
        tools: false,
        images: false,
        structured_output: false,
        tenant: None,
        budget: None,
        limits: &[],
        labels: &[],
        hints: &[],
    }
}
