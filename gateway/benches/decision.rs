//! What one decision costs, as the gateway calls it: each built-in policy, warm and with a fresh instance for each
//! call, at three prompt sizes; the example policy in JavaScript and in Python; a key with limits and budgets; and
//! handing a request to the decision log. Prints medians and 99th percentiles;
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
use wasmgate_decisions::{Lines, Log, ModelTable, Moment, Options, Retention};
use wasmgate_policy_host::builtin;
use wasmgate_policy_host::{
    Candidate, Decision, GivenLimits, Hook, Isolation, Loader, LoaderOptions, Message, Models, Policy, Role, Verdict,
};

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
    let (p50, p99) = logged();
    println!("{:<20} {:<9} {:>8} {:>10} {p50:>9.1} {p99:>9.1}", "decision log", "", "", "");
    figures::note("decisions.request.p50", p50);
    figures::note("decisions.request.p99", p99);
}

/// What a request does for the decision log on the thread that serves it: it copies what policies may know of it except for texts,
/// keeps its candidates and its verdict, and hands them to the log's thread, which writes lines meanwhile.
fn logged() -> (f64, f64) {
    type Entry = Box<(wasmgate_decisions::Request, Vec<Candidate>, Verdict)>;
    let folder = std::env::current_exe().expect("a path").with_file_name("decisions-bench");
    let _ = std::fs::remove_dir_all(&folder);
    let (models, text) = (common::models(3), common::text(300));
    let table = ModelTable::of(&models, |_| None);
    let messages = [Message { role: Role::User, text: &text }];
    let (request, candidates) = (common::request(&messages, 75), common::candidates(&models, Hook::Routing));
    let reason = "complexity 0.6: code, 2 complex keywords".to_owned();
    let verdict = Verdict::Route(Decision { ranking: vec![2, 1, 0], complexity: Some(0.6), tier: None, reason });
    let kept = Retention { max_age: Duration::from_secs(86_400), max_bytes: 1 << 30 };
    let options = Options::new(kept, kept, |error| eprintln!("{error}"));
    let of = (table, models.clone());
    let write = move |entry: Entry, lines: &mut Lines| {
        let (request, candidates, verdict) = *entry;
        lines.decision(&line(request, &candidates, &verdict, &of), &of.0);
    };
    let log = Log::open(&folder, options, write).expect("a folder").expect("nobody else writes there");
    let mut samples = Vec::with_capacity(CALLS);
    while samples.len() < CALLS {
        let began = Instant::now();
        let asked = wasmgate_decisions::Request::of(&request);
        let taken = log.append(Box::new((asked, candidates.clone(), verdict.clone())));
        samples.push(began.elapsed());
        assert!(taken, "there is room");
        if samples.len().is_multiple_of(4000) {
            log.flush(Duration::from_secs(60));
        }
    }
    drop(log);
    let _ = std::fs::remove_dir_all(&folder);
    percentiles(samples)
}

/// The line that the log's thread makes of it.
fn line(
    request: wasmgate_decisions::Request,
    candidates: &[Candidate],
    verdict: &Verdict,
    (table, models): &(ModelTable, Models),
) -> wasmgate_decisions::Decision {
    let verdict = wasmgate_decisions::Verdict::of(verdict, candidates, models);
    wasmgate_decisions::Decision {
        id: "01a207fe441174d09bc39cee5a43cb5d".to_owned(),
        time: Moment::now(),
        group: None,
        dialect: "openai".to_owned(),
        models_id: table.id().to_owned(),
        request,
        candidates: candidates.iter().map(|candidate| wasmgate_decisions::Candidate::of(candidate, models)).collect(),
        routing: None,
        cost: None,
        chosen: verdict.ranking.first().cloned(),
        verdict,
        explored: false,
        exploration: None,
        propensity: 1.0,
        outcome: wasmgate_decisions::Outcome {
            ending: "finished".to_owned(),
            failure: None,
            model: Some("model-2".to_owned()),
            attempts: Vec::new(),
            hedged: false,
            calls: Vec::new(),
            cost: None,
            cost_basis: None,
            first_token_seconds: None,
            model_seconds: Some(0.5),
            seconds: 0.5,
        },
    }
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
