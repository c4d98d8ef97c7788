//! What one decision costs, as the gateway calls it: each built-in policy, warm and with a fresh instance for each
//! call, at three prompt sizes; the example policy in JavaScript and in Python; and a key with limits and budgets. Prints medians and 99th percentiles;
//! compare runs on one machine only.

mod common;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmgate_accounts::{
    Accounts, Amount, GroupSpec, Key, KeyHash, KeyId, Limit, Measure, Meters, NEVER, Period, Registry, TimeZone,
    WhenSpent, new_key,
};
use wasmgate_base::time::now;
use wasmgate_bench::figures;
use wasmgate_policy_host::builtin;
use wasmgate_policy_host::{GivenLimits, Hook, Isolation, Loader, LoaderOptions, Message, Policy, Role};

/// Measured for each row, at most.
const TIME: Duration = Duration::from_secs(1);
const CALLS: usize = 50_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let loader = Loader::new(LoaderOptions::default()).expect("an engine");
    println!("instances {}", if loader.pooling() { "pooled" } else { "on demand" });
    println!(
        "{:<20} {:<9} {:>8} {:>10} {:>9} {:>9}",
        "policy", "isolation", "prompt", "candidates", "p50 µs", "p99 µs"
    );
    runtime.block_on(async {
        // Without a script, `script` has nothing to decide with.
        for name in builtin::names().into_iter().filter(|name| *name != "script") {
            let hook = common::hook(name);
            for isolation in [Isolation::Warm, Isolation::PerCall] {
                let policy = load(&loader, name, builtin::component(name).expect("built in"), hook, isolation).await;
                for (bytes, models) in [(300, 3), (4096, 3), (100_000, 3), (300, 30)] {
                    row(&policy, name, isolation, bytes, models).await;
                }
            }
        }
        for language in ["javascript", "python"] {
            let Some(component) = example(language) else { continue };
            let policy = load(&loader, language, &component, Hook::Routing, Isolation::Warm).await;
            row(&policy, language, Isolation::Warm, 300, 3).await;
        }
    });
    let (p50, p99) = accounts();
    println!("{:<20} {:<9} {:>8} {:>10} {p50:>9.1} {p99:>9.1}", "key and budgets", "", "", "");
    figures::note("accounts.request.p50", p50);
    figures::note("accounts.request.p99", p99);
}

/// All that a request with a key adds whose group and the one above it have limits and budgets: the key is found, the limits are
/// looked at, the request is admitted, settled, and told what is left.
fn accounts() -> (f64, f64) {
    let key = new_key([7; 32]);
    let limit = |measure, period| Limit {
        measure,
        most: u64::MAX / 2,
        period,
        zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        when_spent: WhenSpent::Reject,
    };
    let group = |name: &str, parent: Option<&str>, limits| GroupSpec {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        limits,
        ..GroupSpec::default()
    };
    let groups = [
        group("acme", None, vec![limit(Measure::Money, Period::Month), limit(Measure::Requests, Period::Minute)]),
        group(
            "team",
            Some("acme"),
            vec![
                limit(Measure::Money, Period::Day),
                limit(Measure::Requests, Period::Day),
                limit(Measure::Tokens, Period::Day),
            ],
        ),
    ];
    let known = Key {
        id: KeyId::Named("anna".into()),
        group: "team".into(),
        hash: KeyHash::of(key.as_bytes()),
        previous: None,
        expires: NEVER,
        blocked: false,
        name: None,
        labels: None,
    };
    let accounts = Accounts::new(&groups, vec![Arc::new(known)]).expect("groups and keys");
    let registry = Registry::default();
    let chains = Meters::default().chains(&accounts, now());
    let amount = Amount { tokens: 1000, money: 5_000_000 };
    sampled(|| {
        let hash = KeyHash::of(black_box(key.as_bytes()));
        let (configured, managed) = (accounts.find(&hash).cloned(), registry.find(&hash));
        let found = configured.or(managed).expect("the key");
        found.admits(&hash, now()).expect("valid");
        let chain = &chains[accounts.position(&found.group).expect("the group")];
        chain.check(now()).expect("room");
        black_box(chain.room(now()));
        chain.reserve(amount, now()).expect("room").settle(amount);
        for measure in [Measure::Requests, Measure::Tokens, Measure::Money] {
            black_box(chain.tightest(measure, now()));
        }
    })
}

/// The example policy in that language; where `make bench` has not built it, it is left out.
fn example(language: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("WASMGATE_VENV")?;
    std::fs::read(Path::new(&folder).join(format!("policies/{language}.wasm"))).ok()
}

async fn load(loader: &Loader, name: &str, component: &[u8], hook: Hook, isolation: Isolation) -> Policy {
    let limits = GivenLimits { isolation: Some(isolation), ..GivenLimits::default() };
    common::load(loader, name, component, hook, &limits).await
}

async fn row(policy: &Policy, name: &str, isolation: Isolation, bytes: usize, models: usize) {
    let (p50, p99) = measure(policy, policy.hook(), bytes, models).await;
    let word = if isolation == Isolation::Warm { "warm" } else { "per-call" };
    println!("{name:<20} {word:<9} {bytes:>8} {models:>10} {p50:>9.1} {p99:>9.1}");
    for (figure, value) in [("p50", p50), ("p99", p99)] {
        figures::note(&format!("decision.{name}.{word}.{bytes}.{models}.{figure}"), value);
    }
}

async fn measure(policy: &Policy, hook: Hook, bytes: usize, models: usize) -> (f64, f64) {
    let text = common::text(bytes);
    let messages = [Message { role: Role::User, text: &text }];
    let models = common::models(models);
    let candidates = common::candidates(&models, hook);
    let request = common::request(&messages, u32::try_from(bytes / 4).expect("small"));
    let mut samples = Vec::with_capacity(CALLS);
    let end = Instant::now() + TIME;
    while samples.len() < CALLS && Instant::now() < end {
        let began = Instant::now();
        match hook {
            Hook::Routing => drop(policy.route(&request, &models, &candidates).await.expect("a verdict")),
            Hook::Cost => drop(policy.estimate(&request, &models, &candidates).await.expect("estimates")),
        }
        samples.push(began.elapsed());
    }
    percentiles(samples)
}

/// Median and 99th percentile of what some work takes, in microseconds.
fn sampled(mut work: impl FnMut()) -> (f64, f64) {
    let mut samples = Vec::with_capacity(CALLS);
    let end = Instant::now() + TIME;
    while samples.len() < CALLS && Instant::now() < end {
        let began = Instant::now();
        work();
        samples.push(began.elapsed());
    }
    percentiles(samples)
}

fn percentiles(mut samples: Vec<Duration>) -> (f64, f64) {
    samples.sort_unstable();
    let micros = |share: usize| samples[samples.len() * share / 100].as_secs_f64() * 1e6;
    (micros(50), micros(99))
}
