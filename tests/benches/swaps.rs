//! What taking in policies costs those who ask meanwhile, and what a thousand reloads leave behind. The gateway has one
//! core, its clients the other. `make bench` runs it; the figures are in `gateway/benches/README.md`.

use std::time::{Duration, Instant};

use wasmgate_bench::figures;
use wasmgate_policy_host::builtin;
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::real;
use wasmgate_tests::traffic::{Seen, Traffic};

const ROUNDS: usize = 3;
const SWAPS: usize = 100;
const RELOADS: usize = 1000;
/// Between the answers of a client while a component is compiled: the compiler gets what traffic leaves, and needs some.
const PAUSE: Duration = Duration::from_millis(1);
/// Policies in Rust.
const POLICIES: [&str; 2] = ["complexity", "cheapest-healthy"];

pub(super) fn some(wanted: &[String]) {
    pin(std::process::id(), 1);
    println!("answers of one gateway on a core of its own, two clients of whole answers, two of streams");
    println!("{:<44} {:>8} {:>9} {:>9} {:>9} {:>7}", "", "answers", "p50 µs", "p99 µs", "max µs", "of p99");
    for (name, measure) in [("swaps", swaps as fn()), ("javascript", javascript), ("reloads", reloads)] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure();
        }
    }
}

/// The same clients with a hundred swaps and without, in turn: ten a second, and each as soon as the one before is seen.
fn swaps() {
    for (what, figure, every) in [
        ("100 swaps, 10 a second", "swaps.paced", Duration::from_millis(100)),
        ("100 swaps, at once", "swaps.at_once", Duration::ZERO),
    ] {
        let gateway = start(live(""));
        let (mut calm, mut swapped) = (Vec::new(), Vec::new());
        let _ = measured(&gateway, Duration::ZERO, |traffic| swap(&gateway, traffic, 4, every));
        for _ in 0..ROUNDS {
            let began = Instant::now();
            swapped.push(measured(&gateway, Duration::ZERO, |traffic| swap(&gateway, traffic, SWAPS, every)));
            let took = began.elapsed();
            calm.push(measured(&gateway, Duration::ZERO, |_| std::thread::sleep(took)));
        }
        let without = row(&format!("no swaps, median of {ROUNDS} rounds"), &calm, None);
        let with = row(&format!("{what}, median of {ROUNDS} rounds"), &swapped, Some(without));
        note(figure, with, without);
    }
}

/// A large component is compiled for the first time while clients ask.
fn javascript() {
    let component = real::policy("javascript");
    let (mut calm, mut compiling) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let gateway = start(live("cache_dir = \"cache\""));
        let began = Instant::now();
        compiling.push(measured(&gateway, PAUSE, |_| {
            let upload = ["upload", "routing.canary", component.to_str().expect("a path in UTF-8"), "--percent", "0"];
            gateway.policies(&upload).expect(0, &[]);
        }));
        let took = began.elapsed();
        println!("{:<44} {:>8.1} s", "12 MB of JavaScript admitted in", took.as_secs_f64());
        calm.push(measured(&gateway, PAUSE, |_| std::thread::sleep(took.min(Duration::from_secs(10)))));
    }
    let without = row(&format!("nothing compiled, median of {ROUNDS} rounds"), &calm, None);
    let with = row(&format!("12 MB of JavaScript compiled, median of {ROUNDS}"), &compiling, Some(without));
    note("swaps.javascript", with, without);
}

/// A thousand reloads with clients at work.
fn reloads() {
    let gateway = start(live(""));
    let traffic = Traffic::start(&gateway, 1, 1);
    println!(
        "{:<16} {:>12} {:>8} {:>12} {:>12}",
        "after reloads", "memory MiB", "threads", "descriptors", "generations"
    );
    let mut done = 0;
    let mut first = 0;
    for mark in [50, 250, 500, 750, RELOADS] {
        swap(&gateway, &traffic, mark - done, Duration::ZERO);
        done = mark;
        let memory = gateway.process.memory("VmRSS");
        first = if first == 0 { memory } else { first };
        println!(
            "{done:<16} {:>12.1} {:>8} {:>12} {:>12} {:>6.3} of the first",
            mebibytes(memory),
            gateway.process.held("task"),
            gateway.process.held("fd"),
            gateway.metrics().value("api_gateway_live_snapshots", &[]),
            mebibytes(memory) / mebibytes(first),
        );
    }
    figures::note("reloads.memory.ratio", mebibytes(gateway.process.memory("VmRSS")) / mebibytes(first));
    let _ = traffic.end();
}

/// For the report of `make bench`. Without any failure: the traffic ends the run at the first.
fn note(figure: &str, with: f64, without: f64) {
    figures::note(&format!("{figure}.p99.ratio"), with / without);
    figures::note(&format!("{figure}.failed"), 0.0);
}

fn live(top: &str) -> Setup {
    Gateway::setup().top(top).reloading().component("live", builtin::component(POLICIES[0]).expect("built in"))
}

fn start(setup: Setup) -> Gateway {
    setup.after("taskset -cp 0 $$ >/dev/null").start()
}

/// What clients saw while `work` was done.
fn measured(gateway: &Gateway, pause: Duration, work: impl FnOnce(&Traffic)) -> Vec<Duration> {
    let traffic = Traffic::paced(gateway, 2, 2, pause);
    work(&traffic);
    let mut took: Vec<Duration> = traffic.end().into_iter().flat_map(|Seen { took, .. }| took).collect();
    took.sort_unstable();
    took
}

/// Swaps so often, each time until all clients saw it, with at least so much time between two.
fn swap(gateway: &Gateway, traffic: &Traffic, count: usize, every: Duration) {
    let version = gateway.place("routing")["serving"]["version"].as_str().expect("a version").to_owned();
    for number in 0..count {
        let began = Instant::now();
        let policy = POLICIES[(number + 1) % 2];
        gateway.put("live.wasm", builtin::component(policy).expect("built in"));
        traffic.wait_decided_by(&format!("{policy}@{version}"));
        std::thread::sleep(every.saturating_sub(began.elapsed()));
    }
}

/// One line of the report; the median of the rounds' 99th percentiles, in microseconds.
fn row(what: &str, rounds: &[Vec<Duration>], against: Option<f64>) -> f64 {
    let median = |of: &dyn Fn(&Vec<Duration>) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let at = |share: f64| median(&|took| micros(took[((took.len() - 1) as f64 * share) as usize]));
    let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
    let ratio = against.map_or(String::new(), |against| format!("{:.2}", p99 / against));
    let answers = median(&|took| took.len() as f64);
    println!("{what:<44} {answers:>8} {p50:>9.0} {p99:>9.0} {most:>9.0} {ratio:>7}");
    p99
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn pin(process: u32, core: usize) {
    let pinned = std::process::Command::new("taskset").args(["-cp", &core.to_string(), &process.to_string()]).output();
    if !pinned.is_ok_and(|output| output.status.success()) {
        println!("not pinned: there is no taskset, or no core {core}");
    }
}
