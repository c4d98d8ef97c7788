//! A drill for those on call: one fault at a time, each on a stack of its own. The right alerts, and no others, must
//! reach the right receivers, those that it also sets off must be kept back, and all must be taken back after the repair.
//!
//! The files are those that are shipped. Only addresses and spans of time are other than an operator's.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply, Request};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::monitoring::alertmanager::Told;
use wasmgate_tests::monitoring::load::{Load, prompt};
use wasmgate_tests::monitoring::stack::{Ollama, Stack};
use wasmgate_tests::wait::{try_until_slowly, until_slowly};
use wasmgate_tests::wire::{Dialect, Usage};

/// A fault, and what it must come to.
struct Drill {
    fault: &'static str,
    setup: fn(&Ollama) -> Setup,
    /// Brings the fault about; the load goes on until the repair.
    inject: fn(&mut Stack) -> Vec<Load>,
    repair: fn(&mut Stack) -> Vec<Load>,
    /// Who must be told of what.
    told: &'static [(To, &'static str)],
    /// What must hold and be kept back.
    inhibited: &'static [&'static str],
    /// What may be told of after the repair, since it looks back further than the alert that kept it back, or ends with
    /// it, and word of the two does not come at once.
    remembered: &'static [&'static str],
}

/// Where alerts of a severity go.
#[derive(Clone, Copy)]
enum To {
    /// Slack's channel for critical alerts, and e-mail.
    Critical,
    /// Slack's channel for warnings.
    Warning,
    /// E-mail.
    Info,
}

impl To {
    fn receivers(self) -> &'static [&'static str] {
        match self {
            Self::Critical => &["#alerts-critical", "admin@example.com"],
            Self::Warning => &["#alerts-warning"],
            Self::Info => &["admin@example.com"],
        }
    }
}

/// Models that do as they are called. Local ones first, so that policies that take the first stay there. The flaky one
/// fails every other time: a backend that failed thrice in a row would be down. It has no breaker, which would keep from
/// it more calls than fail.
const MODELS: &str = r#"
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
"#;

fn models(_: &Ollama) -> Setup {
    Gateway::setup().reloading().models(MODELS)
}

/// Beside them, Ollama.
fn with_ollama(ollama: &Ollama) -> Setup {
    models(ollama).models(&backend("ollama", &ollama.url()))
}

/// A backend that is probed each second, with one model of its name.
fn backend(name: &str, url: &str) -> String {
    format!(
        "[backends.{name}]\nkind = \"ollama\"\nurl = \"{url}\"\nprobe_interval_seconds = 1\n[models.{name}]\n\
         backend = \"{name}\"\n"
    )
}

/// Asks for these models in turn, so many milliseconds apart.
fn ask(stack: &Stack, pause: u64, models: &[(&str, usize)]) -> Vec<Load> {
    let requests = models.iter().flat_map(|&(model, times)| vec![prompt(model, "hello"); times]).collect();
    vec![Load::start(stack.gateway.address, Duration::from_millis(pause), requests)]
}

/// So much good traffic that what went wrong before is a small part of all.
fn flood(stack: &mut Stack) -> Vec<Load> {
    ask(stack, 1, &[("good", 1)])
}

fn quiet(_: &mut Stack) -> Vec<Load> {
    Vec::new()
}

/// A backend that stays what it is while calls to it begin to fail and end to. It is there as long as the process.
struct Faulty {
    server: Backend,
    every: Arc<AtomicUsize>,
}

static GONE: LazyLock<Faulty> = LazyLock::new(Faulty::start);
static SHAKY: LazyLock<Faulty> = LazyLock::new(Faulty::start);

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
    fn fail_every(&self, every: usize) {
        self.every.store(every, Ordering::Relaxed);
    }
}

/// Its model is the first choice, and others answer where it does not. The first pause of its breaker is so long.
fn first_choice(faulty: &Faulty, retry_seconds: f64) -> Setup {
    let first = format!(
        "[backends.first]\nkind = \"openai\"\nurl = \"{}\"\nprobe_interval_seconds = 1\nretries = {{ attempts = 1 }}\n\
         breaker = {{ retry_seconds = {retry_seconds}, ramp_seconds = 0 }}\n[models.first]\nbackend = \"first\"\n",
        faulty.server.url()
    );
    let in_order = r#"fn route(request, candidates) { route_to(candidates, "in order") }"#;
    script(in_order, Gateway::setup().models(&(first + MODELS)))
}

/// A policy as a script that fails where the prompt begins with an exclamation mark.
const TOUCHY: &str = r#"fn route(request, candidates) {
    if request.prompt.starts_with("!") { throw "as asked"; }
    route_to([candidates[0]], "the first")
}
"#;
const CALM: &str = r#"fn route(request, candidates) { route_to([candidates[0]], "the first") }"#;

fn script(text: &str, setup: Setup) -> Setup {
    setup.file("route.rhai", text.as_bytes()).routing(
        "builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }\nbreaker = { retry_seconds = 3600 }",
    )
}

/// One prompt in so many makes `TOUCHY` fail.
fn touch(stack: &Stack, one_in: usize) -> Vec<Load> {
    let mut requests = vec![prompt("auto", "hello"); one_in];
    requests[0] = prompt("auto", "! hello");
    vec![Load::start(stack.gateway.address, Duration::from_millis(20), requests)]
}

fn calm(stack: &mut Stack) -> Vec<Load> {
    stack.gateway.put("route.rhai", CALM.as_bytes());
    vec![Load::start(stack.gateway.address, Duration::from_millis(1), vec![prompt("auto", "hello")])]
}

/// A component decides, and another is beside it.
fn beside(place: &str, guest: &str, more: &str, setup: Setup) -> Setup {
    setup
        .file("other.wasm", &guests::build(guest))
        .component("live", &guests::build("decides"))
        .routing(&format!("{place} = {{ file = \"other.wasm\", {more} }}"))
}

const TRAFFIC: &[Drill] = &[
    Drill {
        fault: "one request in eight fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 6)]),
        repair: flood,
        told: &[(To::Critical, "HighErrorRate")],
        inhibited: &["ErrorBudgetBurnSlow"],
        remembered: &["ErrorBudgetBurnSlow"],
    },
    Drill {
        fault: "half of very few requests fail",
        setup: models,
        inject: |stack| ask(stack, 1200, &[("flaky", 1)]),
        repair: flood,
        told: &[(To::Critical, "ErrorBudgetBurnFast")],
        inhibited: &["ErrorBudgetBurnSlow"],
        remembered: &["ErrorBudgetBurnSlow"],
    },
    Drill {
        fault: "one request in twelve fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 10)]),
        repair: flood,
        told: &[(To::Warning, "ErrorBudgetBurnSlow")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "answers take twelve seconds",
        setup: models,
        inject: |stack| [0, 900, 1800, 2700].iter().flat_map(|&pause| ask(stack, pause, &[("slow", 1)])).collect(),
        repair: quiet,
        told: &[(To::Warning, "SlowResponses")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a few answers cost much",
        setup: models,
        inject: |stack| {
            let load = ask(stack, 500, &[("dear", 1)]);
            load[0].wait_answered(4);
            Vec::new()
        },
        repair: quiet,
        told: &[(To::Warning, "HighAPICosts")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "all goes to the cloud",
        setup: models,
        inject: |stack| ask(stack, 100, &[("cloudy", 1)]),
        repair: flood,
        told: &[(To::Warning, "ExcessiveCloudUsage")],
        inhibited: &["LowLocalRouting"],
        remembered: &["LowLocalRouting"],
    },
];

const PARTS: &[Drill] = &[
    Drill {
        fault: "Ollama is gone",
        setup: with_ollama,
        inject: |stack| {
            stack.ollama.set_up(false);
            Vec::new()
        },
        repair: |stack| {
            stack.ollama.set_up(true);
            Vec::new()
        },
        told: &[(To::Critical, "OllamaDown")],
        inhibited: &["BackendDown"],
        remembered: &[],
    },
    Drill {
        fault: "the gateway is gone",
        setup: |ollama| {
            // The same port after the restart.
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            models(ollama).argument("--listen").argument(&address.to_string())
        },
        inject: |stack| {
            stack.gateway.process.signal("KILL");
            Vec::new()
        },
        repair: |stack| {
            stack.restart_gateway();
            Vec::new()
        },
        told: &[(To::Critical, "GatewayDown")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "no backend is reached",
        setup: |ollama| Gateway::setup().reloading().models(&backend("only", &ollama.url())),
        inject: |stack| {
            stack.gateway.edit_config(&stack.ollama.url(), &Backend::nowhere());
            Vec::new()
        },
        repair: |stack| {
            let url = stack.ollama.url();
            stack.gateway.put_config(&backend("only", &url));
            Vec::new()
        },
        told: &[(To::Critical, "GatewayUnhealthy")],
        inhibited: &["BackendDown"],
        remembered: &[],
    },
    Drill {
        fault: "one backend of several is not reached",
        setup: |ollama| models(ollama).models(&backend("second", &ollama.url())),
        inject: |stack| {
            stack.gateway.edit_config(&stack.ollama.url(), &Backend::nowhere());
            Vec::new()
        },
        repair: |stack| {
            let url = stack.ollama.url();
            stack.gateway.put_config(&format!("{MODELS}{}", backend("second", &url)));
            Vec::new()
        },
        told: &[(To::Warning, "BackendDown")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "the backend of the first choice is gone",
        setup: |_| first_choice(&GONE, 0.05),
        inject: |stack| {
            GONE.fail_every(1);
            ask(stack, 100, &[("auto", 1)])
        },
        // A probe finds it well before the breaker lets a call through.
        repair: |stack| {
            GONE.fail_every(0);
            ask(stack, 100, &[("auto", 1)])
        },
        told: &[(To::Warning, "BackendDown")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "the model of the first choice fails every other time",
        setup: |_| first_choice(&SHAKY, 10.0),
        inject: |stack| {
            SHAKY.fail_every(2);
            ask(stack, 100, &[("auto", 1)])
        },
        repair: |stack| {
            SHAKY.fail_every(0);
            ask(stack, 100, &[("auto", 1)])
        },
        told: &[(To::Warning, "BreakerOpen")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "the gateway's configuration is broken",
        setup: models,
        inject: |stack| {
            stack.gateway.put_config("[backends.\n");
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put_config(MODELS);
            Vec::new()
        },
        told: &[(To::Warning, "ConfigReloadRejected")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "Prometheus' configuration is broken",
        setup: models,
        inject: |stack| {
            let file = stack.prometheus.folder().join("prometheus.yml");
            std::fs::rename(&file, file.with_extension("good")).unwrap();
            std::fs::write(&file, "scrape_configs: nothing\n").unwrap();
            assert_eq!(stack.prometheus.api.reload(), 500);
            Vec::new()
        },
        repair: |stack| {
            let file = stack.prometheus.folder().join("prometheus.yml");
            std::fs::rename(file.with_extension("good"), &file).unwrap();
            assert_eq!(stack.prometheus.api.reload(), 200);
            Vec::new()
        },
        told: &[(To::Warning, "PrometheusConfigReloadFailed")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "the gateway has far too many series",
        setup: |ollama| models(ollama).top("keep_series_seconds = 0.1"),
        inject: |stack| {
            stack.gateway.edit_config("[models.good]", &(many_models() + "[models.good]"));
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.edit_config(&many_models(), "");
            Vec::new()
        },
        told: &[(To::Warning, "GatewaySeriesTooMany")],
        inhibited: &[],
        remembered: &[],
    },
];

fn many_models() -> String {
    (0..150).map(|number| format!("[models.m{number}]\nbackend = \"quick\"\n")).collect()
}

const POLICIES: &[Drill] = &[
    Drill {
        fault: "the policy fails for one request in ten",
        setup: |ollama| script(TOUCHY, models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: calm,
        told: &[(To::Critical, "PolicyTrapping")],
        inhibited: &["PolicyFallbackHigh"],
        remembered: &[],
    },
    Drill {
        fault: "the policy fails for every request",
        setup: |ollama| script(TOUCHY, models(ollama)),
        inject: |stack| touch(stack, 1),
        repair: calm,
        told: &[(To::Warning, "PolicyBreakerOpen")],
        inhibited: &["PolicyFallbackHigh"],
        remembered: &[],
    },
    Drill {
        fault: "the policy is slow",
        setup: |ollama| models(ollama).guest("ponders").limits("call_time_ms = 10_000"),
        inject: |stack| touch(stack, 8),
        repair: quiet,
        told: &[(To::Warning, "PolicyLatencyHigh")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a policy's new file is broken",
        setup: |ollama| models(ollama).component("live", &guests::build("decides")),
        inject: |stack| {
            stack.gateway.put("live.wasm", b"not a component");
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put("live.wasm", &guests::build("decides"));
            Vec::new()
        },
        told: &[(To::Warning, "PolicyReloadRejected")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a shadow fails for one request in ten",
        setup: |ollama| beside("shadows.next", "counts-and-traps", "", models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: flood,
        told: &[(To::Warning, "PolicyTrappingNonActive")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a shadow decides otherwise",
        setup: |ollama| beside("shadows.next", "second", "", models(ollama)),
        inject: |stack| touch(stack, 10),
        repair: quiet,
        told: &[(To::Info, "ShadowDisagreement")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a canary's choices fail",
        setup: |_| {
            let flaky = MODELS.replace("fault = { every = 2,", "fault = { every = 8,");
            let canary = "percent = 30, abort = { min_samples = 1_000_000 }";
            beside("canary", "second", canary, Gateway::setup().reloading().server("affinity = false").models(&flaky))
        },
        inject: |stack| touch(stack, 10),
        repair: |stack| ask(stack, 1, &[("good", 1)]),
        told: &[(To::Warning, "CanaryErrorsHigh")],
        inhibited: &[],
        remembered: &[],
    },
];

#[test]
fn faults_of_traffic_reach_those_on_call() {
    all(TRAFFIC);
}

#[test]
fn faults_of_parts_reach_those_on_call() {
    all(PARTS);
}

#[test]
fn faults_of_policies_reach_those_on_call() {
    all(POLICIES);
}

/// Side by side: a drill is mostly waiting.
fn all(drills: &'static [Drill]) {
    std::thread::scope(|scope| {
        let running: Vec<_> = drills.iter().map(|drill| (drill.fault, scope.spawn(|| run(drill)))).collect();
        let failed: Vec<&str> =
            running.into_iter().filter_map(|(fault, run)| run.join().err().map(|_| fault)).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

fn run(drill: &Drill) {
    let fault = drill.fault;
    let mut stack = Stack::start(drill.setup);
    let firing = |stack: &Stack| stack.prometheus.api.firing();
    until_slowly("the watchdog barks", || (firing(&stack) == ["Watchdog"]).then_some(()));
    assert_eq!(told(&stack, false), BTreeSet::new(), "{fault}: before it");

    let load = (drill.inject)(&mut stack);
    let expected: BTreeSet<(String, String)> = drill
        .told
        .iter()
        .flat_map(|(to, alert)| to.receivers().iter().map(|&to| (to.to_owned(), (*alert).to_owned())))
        .collect();
    let inhibited: BTreeSet<String> = drill.inhibited.iter().map(|&alert| alert.to_owned()).collect();
    let mut kept_back = BTreeSet::new();
    let fired = try_until_slowly(|| {
        kept_back.extend(stack.alertmanager.inhibited());
        (told(&stack, false).is_superset(&expected) && kept_back.is_superset(&inhibited)).then_some(())
    });
    let state = |stack: &Stack| format!("firing {:?}, told {:?}", firing(stack), stack.alertmanager.told());
    assert!(fired.is_some(), "{fault}: not {expected:?}, or {inhibited:?} not kept back: {}", state(&stack));
    assert_eq!(told(&stack, false), expected, "{fault}: others were told too:\n{}", stack.alertmanager.texts());
    drop(load);

    let load = (drill.repair)(&mut stack);
    let well = try_until_slowly(|| {
        (told(&stack, true).is_superset(&expected) && firing(&stack) == ["Watchdog"]).then_some(())
    });
    assert!(well.is_some(), "{fault}: not all is well after the repair: {}", state(&stack));
    drop(load);
    let mut told = told(&stack, false);
    told.retain(|(_, alert)| !drill.remembered.contains(&alert.as_str()));
    assert_eq!(told, expected, "{fault}: others were told after the repair:\n{}", stack.alertmanager.texts());
}

/// Who was told that which alert fires, or is resolved.
fn told(stack: &Stack, resolved: bool) -> BTreeSet<(String, String)> {
    let told = stack.alertmanager.told().into_iter();
    told.filter(|told| told.resolved == resolved).map(|Told { to, alert, .. }| (to, alert)).collect()
}
