//! What a client sends must not be a way past a policy, nor a way to take an operator's version out: what a policy sees is
//! bounded in everything, failures that a request brings about cost no version its traffic, a policy that can deny fails
//! closed, and no import keeps a worker busy.

use std::fs;

use serde_json::{Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::http::Response;
use wasmgate_tests::wire::error_code;

/// A script that denies conversations with a word.
const DENIES: &str = r#"script = '''
fn route(request, candidates) {
    if has(request.conversation, "password") { return deny("no_secrets", "ask without it"); }
    route_to(candidates, "fine")
}
'''"#;

fn chat(gateway: &Gateway, texts: &[&str]) -> Response {
    let messages: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    gateway.post("/v1/chat/completions", &json!({"model": "auto", "messages": messages}))
}

#[test]
fn a_denial_holds_for_a_request_of_any_size_that_the_limits_let_in() {
    let gateway =
        Gateway::setup().routing("builtin = \"script\"").settings(DENIES).limits("call_time_ms = 5000").start();
    let large = "\u{7ffb}".repeat(90_000);
    let many = vec![""; 4000];
    for rest in [&[&*large][..], &many] {
        for texts in [[&["the password"][..], rest].concat(), [rest, &["the password"]].concat()] {
            let response = chat(&gateway, &texts).expect(403);
            assert_eq!(error_code("/v1/chat/completions", &response.json()), "no_secrets");
        }
        let _ = chat(&gateway, rest).expect(200);
    }
    assert_eq!(gateway.metrics().value("api_gateway_policy_failures_total", &[]), 0.0);
}

#[test]
fn a_policy_is_told_what_it_is_not_shown() {
    let script = r#"script = '''
fn route(request, candidates) {
    let hints = request.hints;
    let out = hints["messages-left-out"];
    let cut = hints["bytes-cut"];
    deny("shown", if out == () { "all" } else { `without ${out}, cut by ${cut}` })
}
'''"#;
    let gateway = Gateway::setup()
        .routing("builtin = \"script\"")
        .settings(script)
        .limits("input_bytes = 1024\ncall_time_ms = 5000")
        .start();
    let told = |texts: &[&str]| chat(&gateway, texts).expect(403).json()["error"]["message"].to_string();
    assert!(told(&["a", "b"]).contains("all"));
    let (long, told_of) = ("x".repeat(700), "without 2, cut by 508");
    let said = told(&[&long, "b", "c", &long]);
    assert!(said.contains(told_of), "{said}");
}

/// The version before traps on an exclamation mark; the one that serves never comes back from it.
fn both_fail_if_asked(breaker: &str) -> Gateway {
    let gateway = Gateway::setup()
        .reloading()
        .component("live", &guests::build("counts-and-traps"))
        .limits("call_time_ms = 20")
        .routing(&format!("breaker = {{ {breaker} }}"))
        .start();
    gateway.put("live.wasm", &guests::build("spins-if-asked"));
    let _ = gateway.wait_place("routing", "it decides", |place| place["serving"]["policy"] == "spins-if-asked");
    gateway
}

#[test]
fn a_request_that_fails_in_the_earlier_version_too_rolls_nothing_back() {
    let gateway = both_fail_if_asked("min_calls = 5");
    for _ in 0..10 {
        let _ = gateway.chat("! spin").expect(200);
    }
    let line = gateway.process.wait_line("policy keeps its traffic");
    assert!(line.contains("calls in 30 s failed") && line.contains("counts-and-traps@1.0.0"), "{line}");
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-policy"), "spins-if-asked@1.0.0");
    let place = gateway.place("routing");
    assert_eq!((&place["state"], &place["refused"]), (&json!("serving"), &Value::Null), "{place}");
    assert_eq!(gateway.metrics().value("api_gateway_policy_breaker_open", &[]), 0.0);
    // A version that fails what the one before decides still loses its traffic.
    gateway.put("live.wasm", &guests::build("traps"));
    let _ = gateway.wait_place("routing", "it decides", |place| place["serving"]["policy"] == "traps");
    gateway.wait_policy("spins-if-asked@1.0.0");
    assert_eq!(gateway.place("routing")["refused"]["stage"], "rolled_back");
}

#[test]
fn a_request_that_fails_in_the_active_version_too_aborts_no_canary() {
    let gateway = Gateway::setup()
        .file("other.wasm", &guests::build("spins-if-asked"))
        .component("live", &guests::build("counts-and-traps"))
        .routing("canary = { file = \"other.wasm\", percent = 100, abort = { min_samples = 5 }, limits = { call_time_ms = 20 } }")
        .start();
    for _ in 0..10 {
        let _ = gateway.chat("! spin").expect(200);
    }
    let _ = gateway.process.wait_line("policy keeps its traffic");
    assert_eq!(gateway.place("routing.canary")["state"], "serving");
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-policy"), "spins-if-asked@1.0.0");
}

#[test]
fn requests_far_larger_than_the_samples_open_no_breaker_and_move_no_mean() {
    let setup =
        Gateway::setup().guest("spins-if-asked").limits("call_time_ms = 20").routing("breaker = { min_calls = 5 }");
    let gateway = setup.start();
    let large = format!("!{}", "x".repeat(33 << 10));
    for _ in 0..10 {
        let _ = gateway.chat(&large).expect(200);
    }
    let policy = [("policy", "spins-if-asked")];
    gateway.wait_metric("api_gateway_policy_failures_total", &policy, 10.0);
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-policy"), "spins-if-asked@1.0.0", "it is still called");
    // Ordinary requests count, as there is no earlier version to compare with.
    for _ in 0..5 {
        let _ = gateway.chat("! spin").expect(200);
    }
    gateway.wait_metric("api_gateway_policy_breaker_open", &policy, 1.0);

    let abort = "abort = { min_samples = 5, max_mean_call_ms = 0.000001 }";
    let gateway = Gateway::setup()
        .file("other.wasm", &guests::build("second"))
        .component("live", &guests::build("decides"))
        .routing(&format!("canary = {{ file = \"other.wasm\", percent = 100, {abort} }}"))
        .start();
    for _ in 0..10 {
        let _ = gateway.chat(&large).expect(200);
    }
    gateway.wait_metric("api_gateway_policy_requests_total", &[("mode", "canary")], 10.0);
    assert_eq!(gateway.place("routing.canary")["state"], "serving");
}

/// A request above 32 KiB on which `spins-if-asked` runs into its time limit.
fn large() -> String {
    format!("!{}", "x".repeat(40 << 10))
}

#[test]
fn a_version_that_fails_only_large_requests_is_found_by_comparison() {
    let start = |earlier: &str| {
        let gateway = Gateway::setup()
            .reloading()
            .component("live", &guests::build(earlier))
            .limits("call_time_ms = 20")
            .routing("breaker = { min_calls = 5 }")
            .start();
        gateway.put("live.wasm", &guests::build("spins-if-asked"));
        let _ = gateway.wait_place("routing", "it decides", |place| place["serving"]["policy"] == "spins-if-asked");
        for _ in 0..20 {
            let _ = gateway.chat("hello").expect(200);
        }
        for _ in 0..5 {
            let _ = gateway.chat(&large()).expect(200);
        }
        gateway
    };
    // Ordinary requests succeed, and the version before decides the large ones.
    let gateway = start("decides");
    gateway.wait_policy("decides@1.0.0");
    let refused = gateway.place("routing")["refused"].clone();
    assert_eq!(refused["stage"], "rolled_back", "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("of requests above 32 KiB: 5 of 5 calls"), "{refused}");
    // The version before fails them too: they say nothing about this one.
    let gateway = start("counts-and-traps");
    let line = gateway.process.wait_line("policy keeps its traffic");
    assert!(line.contains("of requests above 32 KiB"), "{line}");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "spins-if-asked@1.0.0");
    assert_eq!(gateway.place("routing")["refused"], Value::Null);
}

#[test]
fn a_canary_that_fails_only_large_requests_is_found_by_comparison() {
    for (active, state) in [("decides", "empty"), ("counts-and-traps", "serving")] {
        let gateway = Gateway::setup()
            .file("other.wasm", &guests::build("spins-if-asked"))
            .component("live", &guests::build(active))
            .routing("canary = { file = \"other.wasm\", percent = 100, abort = { min_samples = 5 }, limits = { call_time_ms = 20 } }")
            .start();
        for _ in 0..5 {
            let _ = gateway.chat(&large()).expect(200);
        }
        let said = if state == "empty" { "canary aborted" } else { "policy keeps its traffic" };
        let line = gateway.process.wait_line(said);
        assert!(line.contains("of requests above 32 KiB: 5 of 5 calls failed"), "{line}");
        assert_eq!(gateway.place("routing.canary")["state"], state);
    }
}

#[test]
fn a_request_that_names_a_failing_model_aborts_no_canary() {
    let broken = wasmgate_tests::backend::Backend::start(|_| wasmgate_tests::backend::Reply::json(500, &json!({})));
    let good = wasmgate_tests::backend::Backend::start(|_| {
        let usage = wasmgate_tests::wire::Usage { input: 1, output: 1 };
        wasmgate_tests::backend::Reply::json(200, &wasmgate_tests::wire::Dialect::OpenAi.answer("Yes.", usage))
    });
    let gateway = Gateway::setup()
        .file("other.wasm", &guests::build("decides"))
        .component("live", &guests::build("passes"))
        .routing("canary = { file = \"other.wasm\", percent = 100, abort = { min_samples = 1, max_error_ratio_above_active = 0.0 } }")
        .model("good", wasmgate_tests::wire::Dialect::OpenAi, &good)
        .model("broken", wasmgate_tests::wire::Dialect::OpenAi, &broken)
        .start();
    for _ in 0..5 {
        let failed = gateway.post("/api/v1/chat", &json!({"model": "broken", "prompt": "hello"}));
        assert!(failed.status() >= 500, "{}", failed.status());
        let _ = gateway.chat("hello").expect(200);
    }
    assert_eq!(gateway.place("routing.canary")["state"], "serving");
}

#[test]
fn a_policy_that_can_deny_fails_closed_unless_the_operator_says_otherwise() {
    let start = |more: &str| Gateway::setup().guest("denies-if-asked").routing(more).start();
    let gateway = start("");
    let _ = gateway.chat("! trap").expect(200);
    let denied = gateway.chat("? deny").expect(403);
    assert_eq!(denied.json()["error"]["code"], "not_this");
    let refused = gateway.chat("! trap").expect(503);
    assert_eq!(refused.json()["error"]["code"], "policy_failed", "it has denied, so it can");
    let gateway = start("on_failure = \"default-decision\"");
    let _ = gateway.chat("? deny").expect(403);
    let _ = gateway.chat("! trap").expect(200);
    // A script says before its first request that it can.
    let spins = "script = 'fn route(request, candidates) { if request.prompt == \"?\" { return deny(\"no\", \"no\"); } loop {} }'";
    let spinning = |more: &str| -> Setup { Gateway::setup().routing(&format!("builtin = \"script\"\n{more}")) };
    let samples = spins.replace("loop {}", "if request.prompt == \"!\" { loop {} } route_to(candidates, \"\")");
    let gateway = spinning("").settings(&samples).limits("call_time_ms = 5000").start();
    assert_eq!(gateway.chat("!").expect(503).json()["error"]["code"], "policy_failed");
    let never = samples.replace("return deny(\"no\", \"no\");", "return pass();");
    let gateway = spinning("").settings(&never).limits("call_time_ms = 5000").start();
    let _ = gateway.chat("!").expect(200);
    // What an operator chose, `check` comments.
    let chosen = spinning("on_failure = \"default-decision\"").settings(&samples);
    chosen.check().expect(0, &["policies.routing: on_failure is \"default-decision\", but routing can deny"]);
}

/// The contract has no field for it, so the gateway learns it once and remembers it.
#[test]
fn a_policy_that_has_denied_fails_closed_after_a_restart_and_in_its_later_versions() {
    let gateway = Gateway::setup().reloading().guest("denies-if-asked").start();
    let can_deny = |gateway: &Gateway| gateway.place("routing")["can_deny"].clone();
    let line = gateway.process.wait_line("does not say whether it can deny requests");
    assert!(line.contains("denies-if-asked in routing"), "{line}");
    assert_eq!(can_deny(&gateway), "unknown");
    let _ = gateway.chat("! trap").expect(200);
    let _ = gateway.chat("? deny").expect(403);
    let _ = gateway.process.wait_line("no setting of it says that it can");
    assert_eq!(can_deny(&gateway), "has_denied");
    gateway.policies(&["list"]).expect(0, &["can deny requests: it has denied one"]);
    let gateway = gateway.restart("TERM");
    assert_eq!(can_deny(&gateway), "has_denied");
    let _ = gateway.chat("! trap").expect(503);
    // Another policy in its place is not taken for it.
    let traps = guests::build("counts-and-traps");
    fs::write(gateway.path("upload.wasm"), traps).unwrap();
    let file = gateway.path("upload.wasm").display().to_string();
    gateway.policies(&["upload", "routing", &file]).expect(0, &[]);
    assert_eq!(can_deny(&gateway), "unknown");
    gateway.policies(&["rollback", "routing"]).expect(0, &[]);
    let _ = gateway.chat("! trap").expect(503);
    // Neither is a built-in policy, nor a script, unless it calls `deny`.
    assert_eq!(can_deny(&Gateway::setup().start()), "no");
    let script = "script = 'fn route(request, candidates) { deny(\"no\", \"no\") }'";
    let gateway = Gateway::setup().routing("builtin = \"script\"").settings(script).start();
    assert_eq!(can_deny(&gateway), "declared");
    let chosen = Gateway::setup().guest("denies-if-asked").routing("on_failure = \"default-decision\"").check();
    assert!(!chosen.stdout.contains("warning"), "{}", chosen.stdout);
    Gateway::setup().guest("decides").check().expect(0, &["policies.routing: decides in routing does not say"]);
}

#[test]
fn limits_that_contradict_and_settings_without_effect_are_said() {
    let largest = "policies.routing.limits: input_bytes is 262144, but the limits in [server] let in requests of ";
    Gateway::setup()
        .server("max_prompt_chars = 100000")
        .limits("input_bytes = 262144")
        .check()
        .expect(0, &["valid", largest]);
    Gateway::setup()
        .server("max_prompt_chars = 1000000")
        .check()
        .expect(0, &["policies.cost.limits: input_bytes is 1048576"]);
    let budget = "policies.routing: budget-guard decides by tenants or budgets, and no group is configured";
    Gateway::setup().routing("builtin = \"budget-guard\"").check().expect(0, &[budget]);
    let script = "script = 'fn route(request, candidates) { if request.budget == () { pass() } else { pass() } }'";
    let reads = Gateway::setup().routing("builtin = \"script\"").settings(script);
    reads.check().expect(0, &["policies.routing: script decides by tenants or budgets"]);
    // The gateway says so too when it starts.
    let gateway = Gateway::setup().routing("builtin = \"budget-guard\"").start();
    let _ = gateway.process.wait_line("decides by tenants or budgets");
}

#[test]
fn each_import_refuses_or_bounds_its_largest_argument() {
    let gateway = Gateway::setup().guest("asks-for-much").limits("call_time_ms = 1000").start();
    let outcomes = [
        ("r", None),
        ("R", Some("invalid_decision")),
        ("i", Some("invalid_decision")),
        ("w", Some("hostcall_limit")),
        ("z", Some("invalid_decision")),
        ("s", None),
        ("e", None),
        ("k", None),
        ("p", Some("hostcall_limit")),
        ("n", Some("hostcall_limit")),
        ("l", Some("hostcall_limit")),
    ];
    for (letter, class) in outcomes {
        let response = gateway.chat(letter).expect(200);
        let label = if class.is_some() { "default@" } else { "asks-for-much@1.0.0" };
        assert!(response.header("x-wasmgate-policy").starts_with(label), "{letter}: {:?}", gateway.log().last());
    }
    for class in ["invalid_decision", "hostcall_limit"] {
        let count = outcomes.iter().filter(|(_, expected)| *expected == Some(class)).count();
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        gateway.wait_metric("api_gateway_policy_failures_total", &[("reason", class)], count as f64);
    }
}
