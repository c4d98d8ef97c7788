//! Random sequences of what files, operators and the night do to a running gateway, a few of them: thousands run against
//! the state machine alone (`gateway/src/lifecycle/place/tests.rs`). Whatever happens, requests are answered, by one
//! version that passed all stages.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::guests;

/// Components that files may hold; the last three do not pass all stages.
const CONTENTS: [&str; 6] = ["decides", "second", "measures", "traps-on-probe", "reaches-out", "no component"];

#[derive(Debug, Clone)]
enum Happening {
    /// A file gets this content: of the active policy, or of its canary.
    File {
        canary: bool,
        content: usize,
    },
    Gone {
        canary: bool,
    },
    Operator(&'static [&'static str]),
    Upload {
        canary: bool,
        content: usize,
    },
    Restart(&'static str),
}

fn happening() -> impl Strategy<Value = Happening> {
    let content = || 0..CONTENTS.len();
    let operator: Vec<&[&str]> = vec![
        &["rollback", "routing"],
        &["promote", "routing.canary"],
        &["canary", "routing", "100"],
        &["canary", "routing", "0"],
        &["retry", "routing"],
        &["disable", "routing"],
        &["enable", "routing"],
        &["disable", "routing.canary"],
        &["enable", "routing.canary"],
    ];
    prop_oneof![
        4 => (any::<bool>(), content()).prop_map(|(canary, content)| Happening::File { canary, content }),
        1 => any::<bool>().prop_map(|canary| Happening::Gone { canary }),
        4 => proptest::sample::select(operator).prop_map(Happening::Operator),
        2 => (any::<bool>(), content()).prop_map(|(canary, content)| Happening::Upload { canary, content }),
        1 => Just(Happening::Restart("TERM")),
        1 => Just(Happening::Restart("KILL")),
    ]
}

fn component(content: usize) -> Vec<u8> {
    match CONTENTS[content] {
        "no component" => b"no component".to_vec(),
        guest => guests::build(guest),
    }
}

/// The digest of what serves, or would serve if the slot were enabled.
fn digest(gateway: &Gateway) -> Value {
    let place = gateway.place("routing");
    let version = if place["serving"].is_null() { &place["kept"] } else { &place["serving"] };
    version["digest"].clone()
}

fn happens(gateway: Gateway, happening: &Happening) -> Gateway {
    let file = |canary: &bool| if *canary { "other.wasm" } else { "live.wasm" };
    match happening {
        Happening::File { canary, content } => gateway.put(file(canary), &component(*content)),
        // It may be gone already.
        Happening::Gone { canary } => drop(fs::remove_file(gateway.path(file(canary)))),
        Happening::Operator(command) => {
            let exit = gateway.policies(command);
            // Done, or refused because it makes no sense as things stand.
            assert!(matches!(exit.code(), Some(0 | 2)), "{command:?}: {}", exit.text());
        }
        Happening::Upload { canary, content } => {
            gateway.put("upload.wasm", &component(*content));
            let path = gateway.path("upload.wasm").display().to_string();
            let exit = gateway.policies(&["upload", if *canary { "routing.canary" } else { "routing" }, &path]);
            assert!(matches!(exit.code(), Some(0 | 2)), "{}", exit.text());
        }
        Happening::Restart(signal) => {
            let mut served = digest(&gateway);
            // What files ask for must not be newer than what the next process remembers.
            drop(fs::remove_file(gateway.path("live.wasm")));
            gateway.process.signal(signal);
            if *signal == "TERM" {
                // What was being admitted may have come to serve in the last moment.
                let _ = gateway.process.wait_line("\"stopped\"");
                let lines = gateway.process.json_lines();
                let mut placed = lines.iter().filter(|line| line["message"] == "policy placed");
                let last = placed.rfind(|line| line["slot"] == "routing");
                served = last.map_or(served, |line| line["digest"].clone());
            }
            let gateway = gateway.restart("KILL");
            let serves = digest(&gateway);
            // A kill may come before the last change is on the disk.
            assert!(*signal == "KILL" || served == serves, "{served} served, {serves} serves after the restart");
            return gateway;
        }
    }
    gateway
}

/// What holds at any moment.
fn holds(gateway: &Gateway) {
    let answer = gateway.chat("hello").expect(200);
    let policy = answer.header("x-wasmgate-policy").to_owned();
    let good = CONTENTS[..3].iter().any(|name| policy == format!("{name}@1.0.0"));
    assert!(good || policy.starts_with("default@"), "{policy} decides");
    let metrics = gateway.metrics();
    for mode in ["active", "canary"] {
        let in_place = metrics.matching("api_gateway_policy_info", &[("mode", mode)]).count();
        // One for routing, one for cost.
        assert!(in_place <= 2, "{in_place} versions are {mode}");
    }
    assert_eq!(metrics.value("api_gateway_requests_total", &[("status", "error")]), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_requests_are_answered_by_a_version_that_passed(happenings in vec(happening(), 4..16)) {
        let mut gateway = Gateway::setup()
            .reloading()
            .file("other.wasm", &component(1))
            .component("live", &component(0))
            .routing("canary = { file = \"other.wasm\", percent = 50 }")
            .start();
        for happening in &happenings {
            gateway = happens(gateway, happening);
            holds(&gateway);
        }
    }
}
