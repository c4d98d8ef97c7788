//! Policies swapped while clients ask without a pause: nothing fails, no answer mixes two versions, nothing is left of
//! those that were replaced. Here counts are asserted; what swaps cost in time and memory is measured by
//! `tests/benches/swaps.rs`.

use std::fs;

use std::collections::BTreeSet;
use std::time::Duration;

use wasmgate_policy_host::builtin;
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::real;
use wasmgate_tests::traffic::Traffic;
use wasmgate_tests::wait::until;

/// Two policies in Rust, and the model that each chooses for a greeting: the first, and the one that is free.
const POLICIES: [(&str, &str); 2] = [("complexity", "small"), ("cheapest-healthy", "free")];

/// Models that answer at once. Nobody knows the price of the first, so that the file's order makes it the first policy's low tier.
const MODELS: &str = r#"
[backends.far]
kind = "sim"
location = "cloud"
[backends.far.sim]
latency_ms = 0
tokens_per_second = inf
output_tokens = 24
[backends.sim]
kind = "sim"
[backends.sim.sim]
latency_ms = 0
tokens_per_second = inf
output_tokens = 24
[models.small]
backend = "far"
[models.free]
backend = "sim"
"#;

/// A gateway whose routing policy is the file `live.wasm`, the first of the two to begin with; `top` stands first in its
/// configuration.
fn live(top: &str) -> Setup {
    Gateway::setup().top(top).reloading().models(MODELS).component("live", builtin::component(POLICIES[0].0).unwrap())
}

/// `name@version` of one of the two, as the gateway says it.
fn label(which: usize) -> String {
    // All crates of policies have one version.
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/Cargo.toml")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"').to_owned();
    format!("{}@{version}", POLICIES[which].0)
}

/// Puts the other policy in place; which one it is.
fn swap(gateway: &Gateway, swaps: usize) -> usize {
    let which = (swaps + 1) % 2;
    gateway.put("live.wasm", builtin::component(POLICIES[which].0).unwrap());
    which
}

/// Swaps so often, each time waiting until all clients were served by the new version.
fn swaps_under(gateway: &Gateway, traffic: &Traffic, count: usize) {
    for number in 0..count {
        let which = swap(gateway, number);
        traffic.wait_decided_by(&label(which));
    }
}

/// Fails unless each client saw each swap once, and each version with its own model only.
#[track_caller]
fn each_swap_was_seen_once(traffic: Traffic, swaps: usize) {
    let expected: Vec<(String, String)> =
        (0..=swaps).map(|number| (label(number % 2), POLICIES[number % 2].1.to_owned())).collect();
    for seen in traffic.end() {
        assert_eq!(seen.turns, expected);
        assert!(seen.answers > swaps as u64, "{} answers", seen.answers);
    }
}

#[test]
fn a_hundred_swaps_under_load_fail_nothing_and_are_each_seen_once() {
    const SWAPS: usize = 100;
    let gateway = live("").start();
    let traffic = Traffic::start(&gateway, 2, 2);
    traffic.wait_decided_by(&label(0));
    swaps_under(&gateway, &traffic, SWAPS);
    each_swap_was_seen_once(traffic, SWAPS);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_requests_total", &[("status", "error")]), 0.0);
    assert_eq!(metrics.value("api_gateway_policy_failures_total", &[]), 0.0);
    assert_eq!(metrics.value("api_gateway_policy_reloads_total", &[("result", "success")]), SWAPS as f64);
}

#[test]
fn swaps_go_on_while_a_large_policy_in_javascript_is_admitted() {
    let component = real::policy("javascript");
    assert!(fs::metadata(&component).unwrap().len() > 10 << 20, "an engine for JavaScript is in it");
    // Its code is compiled anew: a cache of this test's own is empty. The compiler gets what traffic leaves, so this
    // traffic leaves some.
    let gateway = live("cache_dir = \"cache\"").start();
    let traffic = Traffic::paced(&gateway, 1, 1, Duration::from_millis(1));
    traffic.wait_decided_by(&label(0));
    // Both are in the cache before the compiler is busy.
    swaps_under(&gateway, &traffic, 2);
    let mut swaps = 2;
    std::thread::scope(|scope| {
        let (gateway, component) = (&gateway, component.to_str().unwrap());
        let upload = scope.spawn(move || gateway.policies(&["upload", "routing.canary", component, "--percent", "0"]));
        let mut priorities = BTreeSet::new();
        while !upload.is_finished() {
            let which = swap(gateway, swaps);
            traffic.wait_decided_by(&label(which));
            swaps += 1;
            priorities.extend(gateway.process.children_nice());
        }
        // A compiler that just began has not stepped back yet.
        priorities.remove(&0);
        assert_eq!(priorities, BTreeSet::from([19]), "the compiler has the lowest priority");
        upload.join().unwrap().expect(0, &["complexity-javascript@1.0.0"]);
    });
    assert!(swaps > 3, "only {swaps} swaps, no more than before it was compiled");
    each_swap_was_seen_once(traffic, swaps);
    gateway.policies(&["promote", "routing.canary"]).expect(0, &["complexity-javascript@1.0.0"]);
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "complexity-javascript@1.0.0");
    assert_eq!(gateway.metrics().value("api_gateway_requests_total", &[("status", "error")]), 0.0);
}

#[test]
fn reloads_leave_nothing_behind() {
    // Hosts that kept a little of each version grew by gigabytes in a week of reloads.
    const RELOADS: usize = 60;
    // The runtime's spare threads and connections that are closing come and go.
    const SPARE: usize = 10;
    let gateway = live("").top("keep_series_seconds = 0.1").start();
    let traffic = Traffic::start(&gateway, 1, 1);
    traffic.wait_decided_by(&label(0));
    swaps_under(&gateway, &traffic, 10);
    let held = || [gateway.process.held("task"), gateway.process.held("fd"), gateway.metrics().series().len()];
    let before = held();
    swaps_under(&gateway, &traffic, RELOADS);
    until("as many threads, descriptors and series as before", || {
        held().iter().zip(&before).all(|(now, before)| *now <= before + SPARE).then_some(())
    });
    gateway.wait_metric("api_gateway_live_snapshots", &[], 1.0);
    until("one version for each hook has series", || {
        (gateway.metrics().label_values("digest").len() == 2).then_some(())
    });
    let metrics = gateway.metrics();
    assert_eq!(metrics.matching("api_gateway_policy_instances", &[]).count(), 4, "idle and busy of two policies");
    let instances = metrics.value("api_gateway_policy_instances", &[]);
    assert!(instances <= 8.0, "{instances} instances for two clients");
    let _ = traffic.end();
}
