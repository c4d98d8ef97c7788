//! What the drills make their faults of: models that do as they are called, a backend that fails on demand, and policies.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::monitoring::load::{Load, prompt};
use wasmgate_tests::monitoring::stack::{Ollama, Stack};
use wasmgate_tests::wire::{Dialect, Usage};

/// Models that do as they are called. Local ones first, so that policies that take the first stay there. The flaky one
/// fails every other time: a backend that failed thrice in a row would be down. It has no breaker, which would keep from
/// it more calls than fail.
pub(super) const MODELS: &str = r#"
[backends.quick]
kind = "sim"
sim = { latency_ms = 0, tokens_per_second = inf, output_tokens = 24 }
[backends.flaky]
kind = "sim"
retries = { attempts = 1 }
breaker = { enabled = false }
sim = { latency_ms = 0, tokens_per_second = inf, fault = { every = 2, kind = "error" } }
[backends.slow]
kind = "sim"
sim = { latency_ms = 12000, tokens_per_second = inf }
[backends.far]
kind = "sim"
location = "cloud"
sim = { latency_ms = 0, tokens_per_second = inf, output_tokens = 48 }
[backends.narrow]
kind = "sim"
queue = { max_in_flight = 1, max_waiting = 0 }
sim = { latency_ms = 600_000, tokens_per_second = inf }
[backends.late]
kind = "sim"
sim = { latency_ms = 7000, tokens_per_second = inf }
[models.good]
backend = "quick"
[models.flaky]
backend = "flaky"
[models.slow]
backend = "slow"
[models.cloudy]
backend = "far"
price = { input_usd_per_million_tokens = 0.1, output_usd_per_million_tokens = 0.1 }
[models.dear]
backend = "far"
price = { input_usd_per_million_tokens = 0, output_usd_per_million_tokens = 100_000 }
[models.narrow]
backend = "narrow"
timeouts = { first_token_seconds = 3600, total_seconds = 3600 }
[models.late]
backend = "late"
[models.unpriced]
backend = "far"
"#;

pub(super) fn models(_: &Ollama) -> Setup {
    Gateway::setup().reloading().models(MODELS)
}

/// Ollama as well.
pub(super) fn with_ollama(ollama: &Ollama) -> Setup {
    models(ollama).models(&backend("ollama", &ollama.url()))
}

/// A backend that is probed each second, with one model of its name.
pub(super) fn backend(name: &str, url: &str) -> String {
    format!(
        "[backends.{name}]\nkind = \"ollama\"\nurl = \"{url}\"\nprobe_interval_seconds = 1\n[models.{name}]\n\
         backend = \"{name}\"\n"
    )
}

/// Asks for these models in turn, so many milliseconds apart.
pub(super) fn ask(stack: &Stack, pause: u64, models: &[(&str, usize)]) -> Vec<Load> {
    let requests = models.iter().flat_map(|&(model, times)| vec![prompt(model, "hello"); times]).collect();
    vec![Load::start(stack.gateway.address, Duration::from_millis(pause), requests)]
}

/// So much good traffic that what went wrong before is a small part of all.
pub(super) fn flood(stack: &mut Stack) -> Vec<Load> {
    ask(stack, 1, &[("good", 1)])
}

pub(super) fn quiet(_: &mut Stack) -> Vec<Load> {
    Vec::new()
}

/// A backend that stays what it is while calls to it begin to fail and end to. It is there as long as the process.
pub(super) struct Faulty {
    pub(super) server: Backend,
    every: Arc<AtomicUsize>,
}

pub(super) static GONE: LazyLock<Faulty> = LazyLock::new(Faulty::start);
pub(super) static SHAKY: LazyLock<Faulty> = LazyLock::new(Faulty::start);

impl Faulty {
    fn start() -> Self {
        let every = Arc::new(AtomicUsize::new(0));
        let (of_chats, of_pages) = (Arc::clone(&every), Arc::clone(&every));
        let chats = AtomicUsize::new(0);
        let chat = move |_: &Request| {
            let number = chats.fetch_add(1, Ordering::Relaxed) + 1;
            let every = of_chats.load(Ordering::Relaxed);
            match every > 0 && number.is_multiple_of(every) {
                true => Reply::json(500, &json!({})),
                false => Reply::json(200, &Dialect::OpenAi.answer("well", Usage { input: 3, output: 1 })),
            }
        };
        let page = move |_: &str| match of_pages.load(Ordering::Relaxed) {
            1 => Reply::silent().cut(),
            _ => Reply::json(200, &json!({"data": []})),
        };
        Self { server: Backend::with_pages(chat, page), every }
    }

    /// 0: all goes well. 1: probes fail, too.
    pub(super) fn fail_every(&self, every: usize) {
        self.every.store(every, Ordering::Relaxed);
    }
}

/// Its model is the first choice, and others answer where it does not. The first pause of its breaker is so long.
pub(super) fn first_choice(faulty: &Faulty, retry_seconds: f64) -> Setup {
    let first = format!(
        "[backends.first]\nkind = \"openai\"\nurl = \"{}\"\nprobe_interval_seconds = 1\nretries = {{ attempts = 1 }}\n\
         breaker = {{ retry_seconds = {retry_seconds}, ramp_seconds = 0 }}\n[models.first]\nbackend = \"first\"\n",
        faulty.server.url()
    );
    in_order(Gateway::setup().models(&(first + MODELS)))
}

/// A policy that takes the models in the order of the configuration.
pub(super) fn in_order(setup: Setup) -> Setup {
    script(r#"fn route(request, candidates) { route_to(candidates, "in order") }"#, setup)
}

/// The port is the same after a restart.
pub(super) fn at_one_port(setup: Setup) -> Setup {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setup.argument("--listen").argument(&address.to_string())
}

/// A policy as a script that fails where the prompt begins with an exclamation mark.
pub(super) const TOUCHY: &str = r#"fn route(request, candidates) {
    if request.prompt.starts_with("!") { throw "as asked"; }
    route_to([candidates[0]], "the first")
}
"#;
pub(super) const CALM: &str = r#"fn route(request, candidates) { route_to([candidates[0]], "the first") }"#;

pub(super) fn script(text: &str, setup: Setup) -> Setup {
    setup.file("route.rhai", text.as_bytes()).routing(
        "builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }\nbreaker = { retry_seconds = 3600 }",
    )
}

/// One prompt in so many makes `TOUCHY` fail.
pub(super) fn touch(stack: &Stack, one_in: usize) -> Vec<Load> {
    let mut requests = vec![prompt("auto", "hello"); one_in];
    requests[0] = prompt("auto", "! hello");
    vec![Load::start(stack.gateway.address, Duration::from_millis(20), requests)]
}

pub(super) fn calm(stack: &mut Stack) -> Vec<Load> {
    stack.gateway.put("route.rhai", CALM.as_bytes());
    vec![Load::start(stack.gateway.address, Duration::from_millis(1), vec![prompt("auto", "hello")])]
}

/// A component decides, and another is beside it.
pub(super) fn beside(place: &str, guest: &str, more: &str, setup: Setup) -> Setup {
    setup
        .file("other.wasm", &guests::build(guest))
        .component("live", &guests::build("decides"))
        .routing(&format!("{place} = {{ file = \"other.wasm\", {more} }}"))
}
