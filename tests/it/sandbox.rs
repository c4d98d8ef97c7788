//! Guests that misbehave: each is counted by its class, harms nobody else, and the request is answered all the same.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use wasmgate_tests::gateway::{Gateway, Setup, binary};
use wasmgate_tests::guests::{self, Version};
use wasmgate_tests::http::{post_json, request};
use wasmgate_tests::wire::{CLIENT_PATHS, ask, error_code};

/// Asks once; the failure is counted by `class` and nothing else, and the gateway's default answers.
#[track_caller]
fn fails_as(guest: &str, version: Version, setup: Setup, class: &str) {
    let gateway = setup.guest_at(guest, version).start();
    let response = gateway.chat("hello").expect(200);
    let answer = response.json();
    assert!(response.header("x-wasmgate-policy").starts_with("default@"), "{}", response.header("x-wasmgate-policy"));
    assert_eq!(response.header("x-wasmgate-model"), "tinyllama", "the first in the configuration's order");
    assert_eq!((&answer["routing"]["policy"], &answer["routing"]["tier"]), (&json!("default"), &json!("unknown")));
    assert_eq!(answer["routing"]["complexity"], json!(null));

    gateway.wait_metric("api_gateway_requests_total", &[("status", "success"), ("complexity", "unknown")], 1.0);
    let metrics = gateway.metrics();
    let policy = [("policy", guest), ("version", "1.0.0"), ("mode", "active")];
    let failures = |reason: &str| {
        metrics.value("api_gateway_policy_failures_total", &[policy[0], policy[1], policy[2], ("reason", reason)])
    };
    assert_eq!(failures(class), 1.0, "{version:?}, {class}; the log says {:?}", failure_lines(&gateway));
    assert_eq!(metrics.value("api_gateway_policy_failures_total", &[]), 1.0, "and of no other class");
    let fallback = [("policy", guest), ("outcome", "fallback"), ("model", "tinyllama"), ("backend", "local")];
    assert_eq!(metrics.value("api_gateway_policy_decisions_total", &fallback), 1.0);
    assert_eq!(metrics.value("api_gateway_policy_evaluation_seconds_count", &policy), 1.0, "failed calls count too");

    assert_eq!(gateway.get("/health").expect(200).json()["status"], "healthy");
    let _ = gateway.chat("hello again").expect(200);
}

fn failure_lines(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.log().into_iter().filter(|line| line["message"] == "policy failed");
    lines.map(|line| line.to_string()).collect()
}

macro_rules! failures {
    ($($name:ident: $guest:literal, $limits:literal => $class:literal;)*) => {$(
        #[test]
        fn $name() {
            for &version in guests::versions($guest) {
                fails_as($guest, version, Gateway::setup().limits($limits), $class);
            }
        }
    )*};
}

failures! {
    unreachable_is_a_trap: "traps", "" => "trap";
    a_stack_overflow_is_a_trap: "overflows", "" => "trap";
    an_exit_is_a_trap: "exits", "" => "trap";
    an_endless_loop_is_a_timeout: "spins", "call_time_ms = 500" => "timeout";
    an_endless_loop_is_a_timeout_in_a_fresh_instance: "spins", "call_time_ms = 500\nisolation = \"per-call\"" => "timeout";
    endless_filling_is_a_timeout: "fills", "call_time_ms = 500" => "timeout";
    endless_growth_is_out_of_memory: "hoards", "" => "out_of_memory";
    endless_growth_of_a_table_is_out_of_memory: "hoards-table", "memory_bytes = 524288" => "out_of_memory";
    a_long_log_line_is_too_much_for_the_host: "shouts", "" => "hostcall_limit";
    a_long_answer_is_too_much_for_the_host: "talks", "" => "hostcall_limit";
    a_long_answer_within_the_hosts_limit_is_invalid: "talks", "hostcall_bytes = 33554432" => "invalid_decision";
    a_candidate_that_was_not_offered_is_invalid: "invents", "" => "invalid_decision";
    a_candidate_twice_is_invalid: "repeats", "" => "invalid_decision";
    no_candidate_at_all_is_invalid: "ranks-none", "" => "invalid_decision";
    a_complexity_that_is_no_number_is_invalid: "nan", "" => "invalid_decision";
    a_complexity_beyond_one_is_invalid: "beyond-one", "" => "invalid_decision";
    a_control_character_is_invalid: "colours", "" => "invalid_decision";
    a_reason_that_is_not_utf8_is_invalid: "mumbles", "" => "invalid_decision";
    a_reason_outside_of_memory_is_invalid: "points-outside", "" => "invalid_decision";
    an_unknown_tier_is_invalid: "unknown-tier", "" => "invalid_decision";
    an_unknown_verdict_is_invalid: "unknown-verdict", "" => "invalid_decision";
    an_infinite_complexity_is_invalid: "infinite", "" => "invalid_decision";
    a_ranking_outside_of_memory_is_invalid: "ranks-outside", "" => "invalid_decision";
    a_ranking_at_no_address_of_one_is_invalid: "ranks-askew", "" => "invalid_decision";
    a_long_ranking_is_too_much_for_the_host: "ranks-much", "" => "hostcall_limit";
    an_answer_outside_of_memory_is_invalid: "answers-outside", "" => "invalid_decision";
    a_reason_that_the_manifest_does_not_have_is_invalid: "codes-nothing", "" => "invalid_decision";
    a_reason_without_its_number_is_invalid: "codes-too-little", "" => "invalid_decision";
    a_reason_with_a_million_numbers_is_too_much: "codes-much", "" => "hostcall_limit";
    a_denial_that_the_manifest_rules_out_is_invalid: "denies-unasked", "" => "invalid_decision";
    models_that_it_cannot_take_are_a_trap: "models-trap", "" => "trap";
    models_that_it_takes_for_ever_are_a_timeout: "models-spin", "call_time_ms = 500" => "timeout";
    models_that_it_takes_into_all_memory_are_out_of_memory: "models-hoard", "" => "out_of_memory";
    endless_questions_for_facts_are_a_timeout: "floods-facts", "call_time_ms = 500" => "timeout";
    facts_kept_without_end_are_out_of_memory: "keeps-facts", "call_time_ms = 10000\nmemory_bytes = 524288" => "out_of_memory";
    a_denial_without_a_proper_code_is_invalid: "shouts-code", "" => "invalid_decision";
    an_error_of_its_own_is_a_guest_error: "gives-up", "" => "guest_error";
}

#[test]
fn a_failing_policy_refuses_where_the_operator_wants_that() {
    let gateway = Gateway::setup().guest("traps").routing("on_failure = \"fail-closed\"").start();
    for path in CLIENT_PATHS {
        let response = gateway.post(path, &ask(path, "auto", "hello", true)).expect(503);
        assert_eq!(error_code(path, &response.json()), "policy_failed");
        assert!(!response.text().contains("unreachable"), "a guest's words stay inside: {}", response.text());
    }
    gateway.wait_metric("api_gateway_errors_total", &[("backend", "none"), ("reason", "internal")], 4.0);
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_policy_failures_total", &[("policy", "traps"), ("reason", "trap")]), 4.0);
    assert_eq!(metrics.value("api_gateway_policy_decisions_total", &[]), 0.0);
}

#[test]
fn a_policy_without_an_opinion_has_not_failed() {
    let gateway = Gateway::setup().guest("passes").routing("on_failure = \"fail-closed\"").start();
    let response = gateway.chat("hello").expect(200);
    assert!(response.header("x-wasmgate-policy").starts_with("default@"));
    gateway.wait_metric("api_gateway_policy_decisions_total", &[("policy", "passes"), ("outcome", "pass")], 1.0);
    assert_eq!(gateway.metrics().value("api_gateway_policy_failures_total", &[]), 0.0);
}

#[test]
fn a_cost_policy_that_fails_leaves_no_estimates() {
    for (guest, class) in [
        ("cost-traps", "trap"),
        ("cost-spins", "timeout"),
        ("cost-forgets-one", "invalid_decision"),
        ("cost-exaggerates", "invalid_decision"),
        ("cost-knows-none", "invalid_decision"),
    ] {
        for version in Version::ALL {
            let limits = "limits = { call_time_ms = 500 }";
            let gateway = Gateway::setup().cost_guest_at(guest, version).cost(limits).start();
            let response = gateway.chat("hello").expect(200);
            let by = response.header("x-wasmgate-policy");
            assert!(by.starts_with("complexity@"), "{guest}, {version:?}: routing goes on");
            assert_eq!(response.json()["routing"]["estimated_cost"], json!(null), "{guest}, {version:?}");
            gateway.wait_metric("api_gateway_policy_failures_total", &[("policy", guest), ("reason", class)], 1.0);
        }
    }
    for version in Version::ALL {
        let gateway = Gateway::setup().cost_guest_at("cost-decides", version).start();
        assert_eq!(gateway.chat("hello").expect(200).json()["routing"]["estimated_cost"], 0.002, "{version:?}");
    }
    let gateway = Gateway::setup().cost_guest("cost-traps").cost("on_failure = \"fail-closed\"").start();
    assert_eq!(error_code("/api/v1/chat", &gateway.chat("hello").expect(503).json()), "policy_failed");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_counted() {
    let gateway = Gateway::setup().guest("floods-log").start();
    let response = gateway.chat("hello").expect(200);
    assert_eq!(response.header("x-wasmgate-policy"), "floods-log@1.0.0", "logging is no failure");
    let second = gateway.chat("hello").expect(200);
    // Its own line is the last of its lines.
    let second = second.header("x-wasmgate-request-id").to_owned();
    gateway.wait_for_log("the second request's", |line| line["request_id"] == second.as_str());
    let lines: Vec<_> = gateway.log().into_iter().filter(|line| line["policy"] == "floods-log").collect();
    let told = lines.iter().filter(|line| line["dropped"] == 500 - 16).count();
    assert_eq!(told, 1, "the first line of the second call tells what the first call lost");
    let lines: Vec<_> =
        lines.iter().filter_map(|line| line["message"].as_str()).filter(|m| m.starts_with("xx")).collect();
    assert_eq!(lines.len(), 32, "16 in each call");
    assert!(lines.iter().all(|line| line.len() == 1024));
}

#[test]
fn a_warm_instance_is_reused_and_replaced_after_its_calls() {
    // What the load's own samples counted went with their instance.
    let gateway = Gateway::setup().guest("counts").limits("calls_per_instance = 3").start();
    assert_eq!(complexities(&gateway, &["a"; 7]), ["0.001", "0.002", "0.003", "0.001", "0.002", "0.003", "0.001"]);
}

#[test]
fn a_fresh_instance_remembers_nothing() {
    let gateway = Gateway::setup().guest("counts").limits("isolation = \"per-call\"").start();
    assert_eq!(complexities(&gateway, &["a"; 5]), ["0.001"; 5]);
}

#[test]
fn an_instance_that_trapped_is_not_used_again() {
    let gateway = Gateway::setup().guest("counts-and-traps").start();
    assert_eq!(complexities(&gateway, &["a", "a", "!", "a", "a"]), ["0.001", "0.002", "", "0.001", "0.002"]);
}

#[test]
fn no_lock_is_held_while_a_guest_runs() {
    let gateway = Gateway::setup().guest("spins-if-asked").limits("call_time_ms = 10000").start();
    let mut slow = gateway.connect();
    slow.send(post_json("/api/v1/chat", &json!({"prompt": "!"})));
    gateway.wait_metric("api_gateway_policy_instances", &[("policy", "spins-if-asked"), ("state", "busy")], 1.0);
    let policy = [("policy", "spins-if-asked")];
    assert_eq!(gateway.metrics().value("api_gateway_policy_instances", &[policy[0], ("state", "idle")]), 0.0);
    assert!(gateway.metrics().value("api_gateway_policy_memory_bytes", &policy) > 0.0, "of the one in a call");
    for _ in 0..3 {
        let response = gateway.chat("a").expect(200);
        assert_eq!(response.header("x-wasmgate-policy"), "spins-if-asked@1.0.0", "decided beside the slow call");
    }
    assert_eq!(gateway.metrics().value("api_gateway_requests_in_progress", &[]), 1.0, "which goes on");
}

#[test]
fn an_instance_is_replaced_beyond_its_memory_mark() {
    let gateway = Gateway::setup().guest("leaves-notes").limits("instance_memory_bytes = 20971520").start();
    assert_eq!(complexities(&gateway, &["a"; 5]), ["0.01", "0.02", "0.03", "0.01", "0.02"]);
}

/// What the policy said to each prompt, as the header has it; empty where the default decided.
fn complexities(gateway: &Gateway, prompts: &[&str]) -> Vec<String> {
    prompts.iter().map(|prompt| gateway.chat(prompt).expect(200).header("x-wasmgate-complexity").to_owned()).collect()
}

#[test]
fn a_policy_sees_the_first_and_the_newest_messages_that_fit() {
    for version in Version::ALL {
        sees_what_fits(&Gateway::setup().guest_at("measures", version).limits("input_bytes = 1024").start());
    }
}

fn sees_what_fits(gateway: &Gateway) {
    let message = |length: usize| json!({"role": "user", "content": "x".repeat(length)});
    let many = [vec![0; 5000], vec![10]].concat();
    // Each message counts 64 bytes; of those that do not fit, the first and the newest are shown.
    for (lengths, shown) in [
        (vec![10, 10], "0.002"),
        (vec![1000, 500, 300, 300], "0.003"),
        (vec![10, 5000], "0.002"),
        (vec![5000], "0.001"),
        (many, "0.015"),
    ] {
        let messages: Vec<_> = lengths.into_iter().map(message).collect();
        let response =
            gateway.post("/v1/chat/completions", &json!({"model": "auto", "messages": messages})).expect(200);
        assert_eq!(response.header("x-wasmgate-complexity"), shown);
    }
}

#[test]
fn wasi_is_there_and_empty() {
    let setup = Gateway::setup().guest("looks-around").limits("isolation = \"per-call\"");
    let gateway = setup.variable("SECRET_OF_THE_HOST", "1").start();
    let seen = complexities(&gateway, &["a", "a", "a"]);
    let first: f64 = seen[0].parse().unwrap();
    assert!(first < 0.001, "variables, arguments, folders or time: {first}");
    assert!(seen.iter().all(|each| *each == seen[0]), "random numbers repeat: {seen:?}");
}

#[test]
fn a_policy_sees_the_headers_that_the_operator_lists_and_no_others() {
    for version in Version::ALL {
        let setup = Gateway::setup().guest_at("reads-labels", version);
        sees_the_listed_headers(&setup.server("label_headers = [\"x-team\", \"x-stage\"]").start());
    }
}

fn sees_the_listed_headers(gateway: &Gateway) {
    let body = json!({"prompt": "hello"}).to_string();
    for (headers, shown) in [
        (vec![("content-type", "application/json")], "0"),
        (vec![("x-team", "a"), ("authorization", "Bearer k"), ("x-other", "b")], "0.001"),
        (vec![("X-Team", "a"), ("x-stage", "b")], "0.002"),
    ] {
        let response = gateway.send(request("POST", "/api/v1/chat", &headers, body.as_bytes())).expect(200);
        assert_eq!(response.header("x-wasmgate-complexity"), shown, "{headers:?}");
    }
}

#[test]
fn spinning_guests_do_not_hold_up_others() {
    let gateway = Gateway::setup().guest("spins").limits("call_time_ms = 10000").start();
    // More than the machine has processors, or the runtime threads.
    let spinning: Vec<_> = (0..16)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"})));
            client
        })
        .collect();
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 16.0);
    assert_eq!(gateway.get("/health").expect(200).json()["status"], "healthy");
    assert_eq!(gateway.metrics().value("api_gateway_requests_in_progress", &[]), 16.0, "answered while they spin");
    drop(spinning);
    // Nobody listens any more: the calls end with their clients, not with their time.
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    gateway.wait_metric("api_gateway_abandoned_requests_total", &[], 16.0);
}

#[test]
fn one_call_more_than_allowed_is_saturated() {
    let gateway = Gateway::setup().guest("spins").limits("call_time_ms = 10000\nconcurrent_calls = 1").start();
    let mut spinning = gateway.connect();
    spinning.send(post_json("/api/v1/chat", &json!({"prompt": "hello"})));
    gateway.wait_metric("api_gateway_policy_instances", &[("policy", "spins"), ("state", "busy")], 1.0);
    let response = gateway.chat("hello").expect(200);
    assert!(response.header("x-wasmgate-policy").starts_with("default@"));
    gateway.wait_metric("api_gateway_policy_failures_total", &[("policy", "spins"), ("reason", "saturated")], 1.0);
}

#[test]
fn memory_stays_bounded_however_often_guests_fail() {
    for guest in ["traps", "talks", "hoards", "floods-log"] {
        let gateway = Gateway::setup().guest(guest).start();
        let ask = |times: usize| {
            for _ in 0..times {
                let _ = gateway.chat("hello").expect(200);
            }
            gateway.process.memory("VmRSS")
        };
        let (early, late) = (ask(50), ask(200));
        assert!(late < early + (32 << 20), "{guest}: {early} bytes after 50 requests, {late} after 250");
    }
}

#[test]
fn what_is_no_policy_is_refused_at_load_with_stage_and_reason() {
    let guest = |name: &str| Some(guests::build(name));
    let twice = [guests::build("passes"), guests::build("passes")].concat();
    let cases = [
        ("missing", None, "observed", "cannot be read"),
        ("empty", Some(vec![]), "parsed", ""),
        ("text", Some(b"not wasm at all".to_vec()), "parsed", ""),
        ("twice", Some(twice), "parsed", ""),
        (
            "core-module",
            Some(guests::build_core("decides")),
            "parsed",
            "a core WebAssembly module, expected a component",
        ),
        ("reaches-out", guest("reaches-out"), "admitted", "`wasi:http/outgoing@0.2.0`"),
        ("cost", guest("cost-decides"), "admitted", "does not export `wasmgate:policy/routing@2.0.0`"),
    ];
    for (name, bytes, stage, reason) in cases {
        let setup = match bytes {
            Some(bytes) => Gateway::setup().component(name, &bytes),
            None => Gateway::setup().routing(&format!("file = \"{name}.wasm\"")),
        };
        setup.refused().expect(2, &[&format!("{name}.wasm"), &format!("not {stage}"), reason]);
    }
}

#[test]
fn what_fails_at_load_is_refused_at_each_version_of_the_contract() {
    for (guest, stage, reason) in [
        ("traps-at-start", "configured", "trap: wasm trap: wasm `unreachable` instruction executed; in "),
        ("spins-at-start", "configured", "timeout"),
        ("traps-in-configure", "configured", "trap"),
        ("refuses-settings", "configured", "setting budget should be above 0"),
        ("badly-named", "configured", "lower-case letters, digits and `-`"),
        ("talks-of-itself", "configured", "hostcall_limit"),
        ("traps-on-probe", "probed", "trap: the sample of a short question, round 1"),
        ("reads-ascii", "probed", "trap: the sample of many scripts, round 1"),
        ("tires", "probed", "trap: the sample of many scripts, round 2"),
        ("allocates-nowhere", "probed", "invalid_decision: the sample of a short question, round 1"),
        ("allocates-askew", "probed", "invalid_decision: the sample of a short question, round 1"),
        ("allocates-never", "probed", "timeout: the sample of a short question, round 1"),
        ("allocates-and-logs", "probed", "trap: the sample of a short question, round 1"),
        ("models-never", "probed", "trap: the sample of a short question, round 1"),
        ("unknown-reads", "configured", "invalid_decision"),
        ("promises-much", "configured", "the manifest has 300 reasons, expected at most 256"),
        ("names-no-header", "configured", "the labels that it reads are not up to 64 names of headers"),
    ] {
        for &version in guests::versions(guest) {
            let exit = Gateway::setup().guest_at(guest, version).refused();
            exit.expect(2, &[&format!("{guest}.wasm"), &format!("not {stage}"), reason]);
            assert!(!exit.text().contains("error while executing"), "frames come before the reason: {}", exit.text());
            assert!(!exit.text().contains('\u{1b}'), "its words reach a terminal: {}", exit.text());
        }
    }
    // What the gateway writes all to one place is of no use to the guest, and no harm to the gateway.
    for version in Version::ALL {
        let gateway = Gateway::setup().guest_at("allocates-code", version).start();
        assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "allocates-code@1.0.0");
    }
}

#[test]
fn a_policy_whose_memory_limit_is_too_small_is_refused_at_load() {
    Gateway::setup()
        .guest("decides")
        .limits("memory_bytes = 65536")
        .refused()
        .expect(2, &["not configured", "out_of_memory"]);
}

#[test]
fn the_compiler_is_a_process_that_refuses_in_words() {
    let (status, code, _) = compile(&guests::build("decides"));
    assert_eq!((status, &code[..4]), (Some(0), &b"\x7fELF"[..]));
    // What it makes is for the gateway's own cache: from an operator it is refused.
    let refused = Gateway::setup().component("compiled", &code).refused();
    refused.expect(2, &["not parsed", "machine code compiled ahead of time"]);
    for (wasm, reason) in [(b"not wasm".to_vec(), "magic"), (guests::build_core("decides"), "component")] {
        let (status, code, words) = compile(&wasm);
        assert_eq!((status, code.len()), (Some(1), 0), "{words}");
        assert!(words.contains(reason), "{words}");
    }
}

/// Exit code, standard output and standard error of the gateway as compiler.
fn compile(wasm: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut command = Command::new(binary());
    command.arg("compile-component").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(wasm).unwrap();
    let output = process.wait_with_output().unwrap();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn policies_are_compiled_in_a_process_of_their_own() {
    let gateway =
        Gateway::setup().top("cache_dir = \"cache\"").guest("decides").variable("WASMGATE_LOG", "debug").start();
    let lines = gateway.log();
    let said =
        |words: &str| lines.iter().filter(|line| line["message"].as_str().is_some_and(|m| m.contains(words))).count();
    assert_eq!((said("a policy was compiled"), said("compiling in-process")), (2, 0), "{lines:?}");
}
