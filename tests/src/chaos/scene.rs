//! The gateway and the backend of a run, and what is changed of them while it goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::plan::{DEAD, Id, LIMP, MODELS, Plan};
use crate::backend::{Backend, Reply};
use crate::faults::Call;
use crate::gateway::Gateway;
use crate::wait::{Shared, until};
use crate::wire::Dialect;

/// Characters of a prompt beyond which it is refused.
pub(super) const MAX_PROMPT: usize = 4000;
/// Failed calls of `DEAD` after which its breaker opens.
pub(super) const DEAD_CALLS: usize = 5;
/// The same of `LIMP`.
pub(super) const LIMP_CALLS: usize = 1;
/// The first pause of `LIMP`, in seconds.
pub(super) const LIMP_PAUSE: f64 = 0.05;

/// See the module.
pub(super) struct Scene {
    /// The process under test.
    pub gateway: Gateway,
    calls: Arc<Shared<BTreeMap<(Id, String), usize>>>,
    changes: Shared<usize>,
    // Serves until dropped.
    _backend: Backend,
}

impl Scene {
    /// Starts both.
    #[must_use]
    pub(super) fn start(plan: Plan) -> Self {
        let calls = Arc::new(Shared::<BTreeMap<(Id, String), usize>>::default());
        let counted = Arc::clone(&calls);
        let backend = Backend::start(move |request| {
            let model = request.path.split('/').nth(1).unwrap_or_default().to_owned();
            let body = String::from_utf8_lossy(&request.body);
            let Some(id) = Id::marked(&body) else { return Reply::json(400, &json!({"error": "whose is it?"})) };
            let number = counted.with(|calls| {
                let calls = calls.entry((id, model.clone())).or_default();
                *calls += 1;
                *calls - 1
            });
            let texts = plan.texts(id, &model);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let dialect =
                MODELS.iter().find(|(name, _)| *name == model).map_or(Dialect::OpenAi, |(_, dialect)| *dialect);
            let stream = request.json()["stream"] == true;
            (plan.fault(id, &model).reply)(&Call { dialect, stream, number, texts: &texts })
        });
        let gateway = Gateway::setup()
            .reloading()
            .server(&format!("retry_budget_percent = 100\nmax_prompt_chars = {MAX_PROMPT}"))
            .models(&models(&backend))
            .file("route.rhai", route(0).as_bytes())
            .routing("builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }")
            .start();
        Self { gateway, calls, changes: Shared::default(), _backend: backend }
    }

    /// How often the backend was called, by request and model.
    #[must_use]
    pub(super) fn calls(&self) -> BTreeMap<(Id, String), usize> {
        self.calls.with(|calls| calls.clone())
    }

    /// Changes something that no client is to notice: in turns a price and the policy.
    pub(super) fn change(&self) {
        self.changes.with(|changes| {
            *changes += 1;
            let (config, policy) = counts(*changes);
            match *changes % 2 {
                1 => self.gateway.edit_config(&price(config - 1), &price(config)),
                _ => self.gateway.put("route.rhai", route(policy).as_bytes()),
            }
        });
    }

    /// Waits until what was changed last serves, and nothing that it replaced does; how many changes there were.
    ///
    /// # Panics
    /// Where that does not happen.
    pub(super) fn wait_changed(&self) -> usize {
        let changes = self.changes.with(|changes| *changes);
        let (config, policy) = counts(changes);
        until("the last price serves", || {
            let models = self.gateway.get("/api/v1/models").expect(200).json();
            (models["models"][0]["price"]["input_usd_per_million_tokens"] == json!(1.0 + config as f64)).then_some(())
        });
        until("the last policy serves", || {
            let decided = self.gateway.post("/api/v1/complexity", &json!({"prompt": "hello"})).expect(200).json();
            (decided["reasoning"] == reason(policy)).then_some(())
        });
        self.gateway.wait_metric("api_gateway_live_snapshots", &[], 1.0);
        changes
    }
}

/// How many of so many changes were of the configuration and of the policy.
fn counts(changes: usize) -> (usize, usize) {
    (changes.div_ceil(2), changes / 2)
}

fn price(changes: usize) -> String {
    format!("input_usd_per_million_tokens = {}.0", 1 + changes)
}

fn reason(changes: usize) -> String {
    format!("as version {changes} says")
}

/// Ranks the models that answer at times, each version from another one on.
fn route(version: usize) -> String {
    let reason = reason(version);
    format!(
        r#"fn route(request, candidates) {{
    if request.requested_model != "auto" {{ return pass(); }}
    let ranked = [];
    for number in 0..candidates.len() {{
        let candidate = candidates[(number + {version}) % candidates.len()];
        if candidate.model != "{DEAD}" && candidate.model != "{LIMP}" {{ ranked.push(candidate); }}
    }}
    route_to(ranked, "{reason}")
}}"#
    )
}

fn models(backend: &Backend) -> String {
    let url = backend.url();
    let mut text = String::new();
    for (name, dialect) in MODELS {
        // One of them may have few calls at once.
        let queue = if name == "fir" { "{ max_in_flight = 3, max_waiting = 1, max_wait_seconds = 0.2 }" } else { "{}" };
        let kind = dialect.kind();
        let _ = write!(
            text,
            r#"
            [backends.{name}]
            kind = "{kind}"
            url = "{url}/{name}"
            probe_interval_seconds = 0
            retries = {{ attempts = 2, pause_ms = 1 }}
            queue = {queue}
            [backends.{name}.breaker]
            window_seconds = 1
            min_calls = 5
            failure_ratio = 0.3
            retry_seconds = 0.05
            ramp_seconds = 0.1
            [backends.{name}.timeouts]
            head_seconds = 0.3
            first_token_seconds = 0.3
            loading_seconds = 0.1
            idle_seconds = 0.3
            total_seconds = 1
            [models.{name}]
            backend = "{name}"
            [models.{name}.price]
            {price}
            output_usd_per_million_tokens = 1.0
            "#,
            price = price(0),
        );
    }
    for (name, breaker) in [
        (DEAD, format!("{{ min_calls = {DEAD_CALLS}, retry_seconds = 3600 }}")),
        (LIMP, format!("{{ window_seconds = 0.25, min_calls = {LIMP_CALLS}, retry_seconds = {LIMP_PAUSE} }}")),
    ] {
        let _ = write!(
            text,
            r#"
            [backends.{name}]
            kind = "openai"
            url = "{url}/{name}"
            probe_interval_seconds = 0
            retries = {{ attempts = 1 }}
            breaker = {breaker}
            [models.{name}]
            backend = "{name}"
            "#
        );
    }
    text
}
