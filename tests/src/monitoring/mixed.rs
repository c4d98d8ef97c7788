//! A gateway with something of everything to be seen: several models, errors, fallbacks, streams, a policy that fails at
//! times, a canary, a shadow that disagrees, rejected requests, a refused reload.

use std::time::Duration;

use serde_json::json;
use wasmgate_accounts::KeyHash;
use wasmgate_policy_host::builtin;

use super::load::{Load, prompt, prompt_with_key, streamed};
use super::stack::Ollama;
use crate::gateway::{Gateway, Setup};
use crate::http::request;
use crate::tls::Authority;
use crate::wait::until;

const CONFIG: &str = r#"
[backends.local-sim]
kind = "sim"
sim = { latency_ms = 15, tokens_per_second = 2000.0, output_tokens = 24 }
[backends.cloud-sim]
kind = "sim"
location = "cloud"
sim = { latency_ms = 40, tokens_per_second = 1000.0, output_tokens = 48 }
[backends.flaky-sim]
kind = "sim"
retries = { attempts = 1 }
sim = { latency_ms = 25, tokens_per_second = 2000.0, output_tokens = 24, fault = { every = 3, kind = "error" } }
[models.tinyllama]
backend = "local-sim"
[models.phi2]
backend = "flaky-sim"
[models.claude-sonnet]
backend = "cloud-sim"
[models.claude-sonnet.price]
input_usd_per_million_tokens = 3.0
output_usd_per_million_tokens = 15.0
[models.unpriced]
backend = "cloud-sim"
"#;

/// A backend with a root certificate of its own.
const SECURE: &str = "[backends.secure]\nkind = \"openai\"\nurl = \"https://localhost:1\"\nca_file = \"ca.pem\"\n\
                      probe_interval_seconds = 0\n";

/// Fails where the prompt begins with an exclamation mark, and otherwise takes the first.
const CANARY: &str = r#"fn route(request, candidates) {
    if request.prompt.starts_with("!") { throw "as asked"; }
    route_to(candidates, "the first")
}
"#;

/// The keys of two groups.
const TEAM: &str = "wg-team-0123456789";
const SMALL: &str = "wg-small-0123456789";

/// The gateway, with Ollama as one of its backends.
#[must_use]
pub fn setup(ollama: &Ollama) -> Setup {
    let ollama =
        format!("[backends.ollama]\nkind = \"ollama\"\nurl = \"{}\"\nprobe_interval_seconds = 1\n", ollama.url());
    Gateway::setup()
        .reloading()
        // Groups that spend: one much of what it has, one that is refused, and limits of other kinds.
        .top(&format!(
            "[groups.acme]\nlimits = {{ usd_per_month = 50, usd_total = 1_000 }}\n[groups.team]\nparent = \"acme\"\n\
             limits = {{ usd_per_day = 20, requests_per_minute = 1_000_000, concurrent = 100 }}\n[groups.small]\nparent = \"acme\"\n\
             limits.usd_per_week = 0.002\n[keys.team]\ngroup = \"team\"\nsha256 = \"{}\"\n[keys.small]\ngroup = \"small\"\n\
             sha256 = \"{}\"",
            KeyHash::of(TEAM.as_bytes()),
            KeyHash::of(SMALL.as_bytes())
        ))
        // Its prompts are few, and the canary shall decide its share of the requests.
        .server("affinity = false\nauth = \"optional\"")
        // Hedged, so that there are series of that.
        .file("ca.pem", Authority::new("test").pem().as_bytes())
        .models(&format!(
            "{CONFIG}{ollama}{SECURE}[models.llama]\nbackend = \"ollama\"\ntimeouts = {{ hedge_seconds = 60 }}\n"
        ))
        .component("live", builtin::component("complexity").expect("built in"))
        .file("canary.rhai", CANARY.as_bytes())
        .settings("low-below = 0.3")
        .routing(
            "breaker = { enabled = false }\n\
             canary = { builtin = \"script\", setting_files = { script = \"canary.rhai\" }, percent = 30, \
             abort = { min_samples = 1_000_000 } }\n\
             shadows.cheaper = { builtin = \"cheapest-healthy\" }",
        )
}

/// What goes to it.
#[must_use]
pub fn traffic(gateway: &Gateway) -> Vec<Load> {
    let long = "Explain in detail, step by step, how to implement and analyze a distributed consensus algorithm in \
                Rust; compare its design with alternatives and debug this code: ```fn main() {}```. "
        .repeat(8);
    let medium = "Why does this function fail, and how do I refactor it? ```fn main() {}```";
    let mut requests = vec![
        prompt("auto", "hello"),
        prompt("auto", medium),
        prompt("auto", &long),
        prompt("auto", "! fail, canary"),
        streamed("auto", "hello"),
        streamed("auto", &long),
        prompt("no-such-model", "hello"),
        prompt("llama", "hello"),
        request("POST", "/api/v1/chat", &[("connection", "close")], json!({"prompt": 1}).to_string().as_bytes()),
    ];
    for model in ["tinyllama", "phi2", "claude-sonnet", "unpriced"] {
        requests.push(streamed(model, "hello"));
        requests.push(prompt(model, "hello"));
    }
    // Dollars are spent by groups too, and a small budget soon has no room.
    for (key, model) in [(TEAM, "claude-sonnet"), (TEAM, "tinyllama"), (SMALL, "claude-sonnet")] {
        requests.push(prompt_with_key(model, "hello", key));
    }
    let client = |pause| Load::start(gateway.address, Duration::from_millis(pause), requests.clone());
    vec![client(5), client(20)]
}

/// A new file of the policy is refused, and a good one is taken; so are another setting and a new price.
pub fn reload(gateway: &Gateway) {
    gateway.put("live.wasm", b"not a component");
    let refused = [("policy", "complexity"), ("result", "rejected_read")];
    gateway.wait_metric("api_gateway_policy_reloads_total", &refused, 1.0);
    gateway.put("live.wasm", builtin::component("complexity").expect("built in"));
    gateway.edit_config("low-below = 0.3", "low-below = 0.29");
    let taken = [("policy", "complexity"), ("result", "success")];
    until("another setting", || {
        (gateway.metrics().value("api_gateway_policy_reloads_total", &taken) > 0.0).then_some(())
    });
    gateway.edit_config("output_usd_per_million_tokens = 15.0", "output_usd_per_million_tokens = 16.0");
    gateway.wait_metric("api_gateway_config_reloads_total", &[("result", "success")], 2.0);
}
