//! A hundred thousand decisions of the example policy in each language, in the isolation that it has by default: whether
//! memory stays bounded and the last decision is the first. `make bench` runs it; the figures are in
//! `examples/policies/README.md`.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Client, post_json};
use wasmgate_tests::real;

const LANGUAGES: [&str; 9] = ["rust", "go", "javascript", "assemblyscript", "python", "c", "cpp", "zig", "script"];
const CALLS: usize = 100_000;
/// After so many calls as many instances are about as there will be.
const SETTLED: usize = 10_000;
/// Prompts of each tier, and one of many scripts.
const PROMPTS: [&str; 4] = [
    "What is the capital of France?",
    "Tell me about the history of the steam engine, and of those who improved it over the years, in a few paragraphs.",
    "Design and implement a class for reports: `def report(x): import re`",
    "Приве́т, 世界! שלום नमस्ते 👩‍👩‍👧‍👦 fun\u{212a}tion?",
];

pub(super) fn some(wanted: &[String]) {
    println!(
        "{:<12} {:>9} {:>9} {:>13} {:>13} {:>9} {:>9}",
        "language", "calls", "calls/s", "MiB at 10,000", "MiB at end", "failures", "decisions"
    );
    for language in LANGUAGES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == language) {
            measure(language);
        }
    }
}

fn measure(language: &str) {
    let gateway = setup(language).start();
    let mut client = gateway.connect();
    let first = PROMPTS.map(|prompt| decision(&mut client, prompt));
    let began = Instant::now();
    let mut settled = 0;
    let mut same = 0;
    for call in 0..CALLS {
        let which = call % PROMPTS.len();
        same += usize::from(decision(&mut client, PROMPTS[which]) == first[which]);
        if call == SETTLED {
            settled = gateway.process.memory("VmRSS");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let mebibytes = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!(
        "{language:<12} {CALLS:>9} {:>9.0} {:>13.1} {:>13.1} {:>9} {:>9}",
        CALLS as f64 / seconds,
        mebibytes(settled),
        mebibytes(gateway.process.memory("VmRSS")),
        gateway.metrics().value("api_gateway_policy_failures_total", &[]),
        if same == CALLS { "the same" } else { "differ" },
    );
}

fn setup(language: &str) -> Setup {
    let gateway = Gateway::setup().limits("call_time_ms = 250");
    match language {
        "script" => {
            let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/policies/script/complexity.rhai");
            gateway.routing(&format!("builtin = \"script\"\nsetting_files = {{ script = {script:?} }}"))
        }
        _ => gateway.routing(&format!("file = {:?}", real::policy(language))),
    }
}

fn decision(client: &mut Client, prompt: &str) -> [Value; 4] {
    client.send(post_json("/api/v1/complexity", &json!({"prompt": prompt})));
    let answer = client.response().expect(200).json();
    ["complexity", "tier", "recommended_model", "reasoning"].map(|field| answer[field].clone())
}
