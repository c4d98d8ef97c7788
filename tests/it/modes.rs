//! Active, canary, shadow, disabled: who decides which requests, what is only compared, what is taken out by itself and
//! what only an operator does.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage};

/// `decides` (the first model) decides; another guest is in `place`, a table below `[policies.routing]`.
fn beside(place: &str, guest: &str, more: &str) -> Setup {
    Gateway::setup()
        .reloading()
        .file("other.wasm", &guests::build(guest))
        .component("live", &guests::build("decides"))
        .routing(&format!("{place} = {{ file = \"other.wasm\", {more} }}"))
}

/// A chat by a client that always sends the same header.
fn chat_as(gateway: &Gateway, client: &str) -> Response {
    let headers = [("content-type", "application/json"), ("x-client", client)];
    gateway.send(request("POST", "/api/v1/chat", &headers, b"{\"prompt\": \"hello\"}"))
}

fn policy_of(response: &Response) -> String {
    response.header("x-wasmgate-policy").to_owned()
}

fn comparisons(gateway: &Gateway, result: &str) -> f64 {
    gateway.metrics().value("api_gateway_policy_shadow_comparisons_total", &[("result", result)])
}

#[test]
fn a_shadow_is_compared_and_changes_nothing() {
    for (guest, result, model) in
        [("second", "disagree", "phi2"), ("passes", "agree", "tinyllama"), ("denies", "disagree", "none")]
    {
        let gateway = beside("shadows.next", guest, "").start();
        for _ in 0..5 {
            let response = gateway.chat("hello").expect(200);
            assert_eq!(policy_of(&response), "decides@1.0.0");
            assert_eq!(response.json()["model"], "tinyllama");
        }
        gateway.wait_metric("api_gateway_policy_shadow_comparisons_total", &[("result", result)], 5.0);
        let labels = [("shadow_policy", guest), ("active_model", "tinyllama"), ("shadow_model", model)];
        gateway.wait_metric("api_gateway_policy_shadow_choices_total", &labels, 5.0);
        let metrics = gateway.metrics();
        assert_eq!(metrics.value("api_gateway_policy_decisions_total", &[("mode", "shadow")]), 5.0);
        assert_eq!(metrics.value("api_gateway_requests_total", &[]), 5.0);
        assert_eq!(metrics.value("api_gateway_policy_evaluation_seconds_count", &[("mode", "shadow")]), 5.0);
    }
}

#[test]
fn a_shadow_that_fails_or_hangs_harms_nobody() {
    for guest in ["traps", "spins", "hoards", "floods-log"] {
        let gateway = beside("shadows.next", guest, "limits = { call_time_ms = 20 }").start();
        let _ = gateway.chat("hello").expect(200);
        let failed = if guest == "floods-log" { "agree" } else { "shadow_failed" };
        gateway.wait_metric("api_gateway_policy_shadow_comparisons_total", &[("result", failed)], 1.0);
        assert_eq!(gateway.metrics().value("api_gateway_policy_failures_total", &[("mode", "active")]), 0.0);
    }
}

#[test]
fn what_shadows_have_no_capacity_for_is_skipped_and_counted() {
    // Each call of this shadow takes its whole second; requests come faster than that.
    let gateway = beside("shadows.next", "spins", "limits = { call_time_ms = 1000 }").start();
    let mut sent = 0.0;
    while comparisons(&gateway, "skipped") == 0.0 {
        assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "decides@1.0.0");
        sent += 1.0;
        assert!(sent < 500.0, "nothing is skipped");
    }
}

#[test]
fn a_shadow_of_the_cost_policy_is_compared_too() {
    let gateway = Gateway::setup()
        .file("other.wasm", &guests::build("cost-decides"))
        .cost("shadows.flat = { file = \"other.wasm\" }")
        .start();
    let _ = gateway.chat("hello").expect(200);
    let labels = [("policy", "token-cost"), ("shadow_policy", "cost-decides"), ("result", "disagree")];
    gateway.wait_metric("api_gateway_policy_shadow_comparisons_total", &labels, 1.0);
}

#[test]
fn a_fifth_shadow_is_refused() {
    let mut setup = Gateway::setup();
    for name in ["a", "b", "c", "d", "e"] {
        setup = setup.routing(&format!("shadows.{name}.builtin = \"cheapest-healthy\""));
    }
    setup.refused().expect(2, &["policies.routing.shadows", "5 shadows, expected at most 4"]);
}

#[test]
fn uploads_at_the_same_time_make_no_fifth_shadow() {
    let gateway = Gateway::setup().start();
    fs::write(gateway.path("upload.wasm"), guests::build("second")).unwrap();
    let component = fs::read(gateway.path("upload.wasm")).unwrap();
    let upload = |name: &str| {
        let path = format!("/policies/routing.shadows.{name}");
        let headers = [("content-type", "application/wasm")];
        gateway.admin_send("PUT", &path, &headers, &component).status()
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let uploads = names.map(|name| scope.spawn(move || upload(name)));
        uploads.map(|upload| upload.join().unwrap()).into()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 409, 409, 409, 409]);
    let policies = gateway.admin_get("/policies").expect(200).json()["policies"].clone();
    let serves = |policy: &&Value| policy["slot"].as_str().unwrap().contains("shadows") && policy["state"] == "serving";
    assert_eq!(policies.as_array().unwrap().iter().filter(serves).count(), 4, "{policies}");
}

#[test]
fn a_canary_decides_for_its_share_and_clients_keep_their_version() {
    let setup = beside("canary", "second", "percent = 30, sticky_header = \"x-client\"");
    let gateway = setup.start();
    let clients: Vec<String> = (0..200).map(|number| format!("client-{number}")).collect();
    let with_canary = |gateway: &Gateway| -> BTreeSet<String> {
        let has = |client: &&String| policy_of(&chat_as(gateway, client).expect(200)) == "second@1.0.0";
        clients.iter().filter(has).cloned().collect()
    };
    let first = with_canary(&gateway);
    assert!((35..=85).contains(&first.len()), "{} of 200 at 30 %", first.len());
    assert_eq!(first, with_canary(&gateway), "each client keeps its version");
    let metrics = gateway.metrics();
    let decided = |mode| metrics.value("api_gateway_policy_decisions_total", &[("mode", mode), ("outcome", "route")]);
    assert_eq!(decided("canary") + decided("active"), 400.0);
    assert_eq!(metrics.value("api_gateway_policy_traffic_ratio", &[("policy", "second")]), 0.3);
    // A raised share keeps those whom it had.
    gateway.policies(&["canary", "routing", "60"]).expect(0, &[]);
    let more = with_canary(&gateway);
    assert!(first.is_subset(&more) && more.len() > first.len());
    gateway.policies(&["canary", "routing", "0"]).expect(0, &[]);
    assert!(with_canary(&gateway).is_empty());
    // However well it does, it is never promoted by itself.
    assert_eq!(gateway.place("routing")["serving"]["policy"], "decides");
}

#[test]
fn a_canary_that_traps_is_aborted_after_its_minimum_sample() {
    let abort = "abort = { min_samples = 10 }";
    let gateway = beside("canary", "traps", &format!("percent = 100, {abort}")).start();
    for _ in 0..9 {
        let _ = gateway.chat("hello").expect(200);
    }
    assert_eq!(gateway.place("routing.canary")["state"], "serving", "nine calls are no sample");
    let _ = gateway.chat("hello").expect(200);
    let place = gateway.wait_place("routing.canary", "aborted", |place| place["refused"]["stage"] == "aborted");
    assert_eq!((&place["state"], &place["serving"]), (&json!("empty"), &Value::Null));
    gateway.wait_policy("decides@1.0.0");
    // Not tried again until its file changes.
    gateway.put("other.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
}

#[test]
fn a_canary_is_aborted_by_the_errors_of_its_requests_and_by_its_time() {
    let backend = Backend::start(|_| Reply::json(500, &json!({})));
    let good = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("Yes.", Usage { input: 1, output: 1 })));
    // The second model, which only the canary chooses, fails, and there is nothing to fall back to.
    let gateway = beside("canary", "second", "percent = 50, sticky_header = \"x-client\", abort = { min_samples = 5 }")
        .model("good", Dialect::OpenAi, &good)
        .model("bad", Dialect::OpenAi, &backend)
        .start();
    let mut clients = 0..;
    until("the canary is aborted", || {
        let _ = chat_as(&gateway, &format!("client-{}", clients.next()?));
        (gateway.place("routing.canary")["state"] == "empty").then_some(())
    });
    let reason = gateway.place("routing.canary")["refused"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("requests ended in errors"), "{reason}");

    let slow = "percent = 100, abort = { min_samples = 5, max_mean_call_ms = 0.000001 }";
    let gateway = beside("canary", "second", slow).start();
    for _ in 0..5 {
        let _ = gateway.chat("hello").expect(200);
    }
    let place = gateway.wait_place("routing.canary", "aborted", |place| place["refused"]["stage"] == "aborted");
    assert!(place["refused"]["reason"].as_str().unwrap().contains("mean time of a call"), "{place}");
}

#[test]
fn missing_data_never_aborts_a_canary() {
    let gateway = beside("canary", "second", "percent = 100, abort = { min_samples = 1 }").start();
    // The active policy has no requests at all to compare with.
    for _ in 0..30 {
        assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    }
    gateway.wait_metric("api_gateway_policy_requests_total", &[("mode", "canary")], 30.0);
    assert_eq!(gateway.place("routing.canary")["state"], "serving");
}

#[test]
fn an_operator_promotes_a_canary_and_goes_back() {
    let gateway = beside("canary", "second", "percent = 0").start();
    gateway.policies(&["promote", "routing.canary"]).expect(0, &["second@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    assert_eq!(gateway.place("routing.canary")["state"], "empty");
    let place = gateway.place("routing");
    assert_eq!(place["refused"]["stage"], "superseded", "the file asks for another, and that is told: {place}");
    // It stays so over a restart, though the files say otherwise.
    let gateway = gateway.restart("TERM");
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    gateway.policies(&["rollback", "routing"]).expect(0, &["decides@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "decides@1.0.0");
    // A new file is what the operator wants now.
    gateway.put("live.wasm", &guests::build("passes"));
    gateway.wait_metric("api_gateway_policy_info", &[("policy", "passes"), ("mode", "active")], 1.0);
}

#[test]
fn a_canary_whose_file_went_bad_keeps_no_gateway_from_starting() {
    let mut gateway = beside("canary", "second", "percent = 0").start();
    gateway.policies(&["promote", "routing.canary"]).expect(0, &["second@1.0.0"]);
    gateway.sigterm();
    gateway.wait_exit().expect(0, &[]);
    fs::write(gateway.path("other.wasm"), b"broken while nobody looked").unwrap();
    gateway.start_again();
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    let place = gateway.place("routing.canary");
    assert_eq!((&place["state"], &place["refused"]["stage"]), (&json!("empty"), &json!("parsed")), "{place}");
    // A configuration that is new names it as a mistake.
    beside("canary", "reaches-out", "percent = 0").refused().expect(2, &["policies.routing.canary", "not admitted"]);
}

#[test]
fn a_share_that_an_operator_set_is_for_that_canary() {
    let gateway = beside("canary", "second", "percent = 0").start();
    gateway.policies(&["canary", "routing", "100"]).expect(0, &["100 %"]);
    gateway.policies(&["promote", "routing.canary"]).expect(0, &["second@1.0.0"]);
    gateway.put("other.wasm", &guests::build("passes"));
    let place = gateway.wait_place("routing.canary", "the next one", |place| place["serving"]["policy"] == "passes");
    assert_eq!(place["share_percent"], 0.0, "the configuration's");
}

#[test]
fn an_operator_promotes_a_shadow() {
    let gateway = beside("shadows.next", "second", "").start();
    gateway.policies(&["promote", "routing.shadows.next"]).expect(0, &["second@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    assert_eq!(gateway.place("routing.shadows.next")["state"], "empty");
}

#[test]
fn an_upload_passes_the_same_stages_and_stays_over_a_restart() {
    let gateway = beside("shadows.next", "passes", "").start();
    let file = |name: &str| {
        fs::write(gateway.path("upload.wasm"), guests::build(name)).unwrap();
        gateway.path("upload.wasm").display().to_string()
    };
    gateway.policies(&["upload", "routing", &file("traps-on-probe")]).expect(2, &["not probed"]);
    gateway.wait_metric("api_gateway_policy_reloads_total", &[("result", "rejected_selftest")], 1.0);
    let history = gateway.place("routing")["history"].clone();
    assert_eq!((&history[0]["event"], &history[0]["by"]), (&json!("rejected"), &json!("operator")), "{history}");
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "decides@1.0.0");
    gateway.policies(&["upload", "routing", &file("second")]).expect(0, &["second@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    // A canary needs no place in the configuration.
    gateway.policies(&["upload", "cost.canary", &file("cost-decides")]).expect(2, &["share in `percent`"]);
    gateway.policies(&["upload", "cost.canary", &file("cost-decides"), "--percent", "100"]).expect(0, &["100 %"]);
    gateway.wait_metric("api_gateway_policy_traffic_ratio", &[("policy", "cost-decides")], 1.0);
}

#[test]
fn an_uploaded_canary_needs_no_configuration_and_leaves_when_it_is_disabled() {
    let gateway = Gateway::setup().component("live", &guests::build("decides")).start();
    fs::write(gateway.path("upload.wasm"), guests::build("second")).unwrap();
    let file = gateway.path("upload.wasm").display().to_string();
    gateway.policies(&["upload", "routing.canary", &file, "--percent", "100"]).expect(0, &["second@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    let gateway = gateway.restart("TERM");
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    gateway.policies(&["disable", "routing.canary"]).expect(0, &[]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "decides@1.0.0");
    let gateway = gateway.restart("TERM");
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "decides@1.0.0");
}

#[test]
fn a_disabled_policy_leaves_decisions_to_the_default_until_it_is_enabled() {
    let gateway = Gateway::setup().reloading().component("live", &guests::build("second")).start();
    gateway.policies(&["disable", "routing"]).expect(0, &["disabled"]);
    fs::write(gateway.path("upload.wasm"), guests::build("decides")).unwrap();
    let file = gateway.path("upload.wasm").display().to_string();
    gateway.policies(&["upload", "routing", &file]).expect(2, &["routing is disabled; `enable` it first"]);
    let response = gateway.chat("hello").expect(200);
    assert!(policy_of(&response).starts_with("default@"), "{}", policy_of(&response));
    assert_eq!(response.json()["model"], "tinyllama");
    let gateway = gateway.restart("TERM");
    assert!(policy_of(&gateway.chat("hello").expect(200)).starts_with("default@"));
    gateway.policies(&["enable", "routing"]).expect(0, &["second@1.0.0"]);
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    // The configuration says it, too.
    let gateway = Gateway::setup().routing("enabled = false").start();
    assert!(policy_of(&gateway.chat("hello").expect(200)).starts_with("default@"));
}

#[test]
fn a_version_that_fails_too_often_is_rolled_back() {
    let gateway = Gateway::setup()
        .reloading()
        .component("live", &guests::build("second"))
        .routing("breaker = { min_calls = 5 }")
        .start();
    gateway.put("live.wasm", &guests::build("traps"));
    let _ = gateway.wait_place("routing", "it decides", |place| place["serving"]["policy"] == "traps");
    // Its failures are nobody's problem.
    gateway.wait_policy("second@1.0.0");
    let place = gateway.place("routing");
    assert_eq!(place["refused"]["stage"], "rolled_back", "{place}");
    assert!(place["refused"]["reason"].as_str().unwrap().contains("calls in 30 s failed"), "{place}");
    gateway.wait_metric("api_gateway_policy_reloads_total", &[("result", "rolled_back")], 1.0);
    // Not tried again, also not after a restart.
    let gateway = gateway.restart("TERM");
    assert_eq!(policy_of(&gateway.chat("hello").expect(200)), "second@1.0.0");
    gateway.put("live.wasm", &guests::build("decides"));
    gateway.wait_policy("decides@1.0.0");
}

#[test]
fn a_canary_whose_file_never_came_does_not_keep_a_restart_from_serving() {
    let gateway = Gateway::setup()
        .reloading()
        .routing("canary = { enabled = false, file = \"later.wasm\", percent = 10 }")
        .start();
    gateway.edit_config("enabled = false", "enabled = true");
    let _ = gateway.process.wait_line("configuration refused");
    let gateway = gateway.restart("TERM");
    let _ = gateway.chat("hello").expect(200);
    assert_eq!(gateway.place("routing.canary")["state"], "empty");
}

#[test]
fn without_an_earlier_version_the_default_decides_until_the_samples_pass() {
    let gateway = Gateway::setup().guest("traps").routing("breaker = { min_calls = 5, retry_seconds = 1 }").start();
    for _ in 0..5 {
        let _ = gateway.chat("hello").expect(200);
    }
    gateway.wait_metric("api_gateway_policy_breaker_open", &[("policy", "traps")], 1.0);
    let response = gateway.chat("hello").expect(200);
    assert!(policy_of(&response).starts_with("default@"));
    let labels = [("policy", "traps"), ("reason", "breaker_open")];
    gateway.wait_metric("api_gateway_policy_failures_total", &labels, 1.0);
    // This one traps on requests alone: the samples pass, it gets another chance.
    gateway.wait_metric("api_gateway_policy_breaker_open", &[("policy", "traps")], 0.0);
    let _ = gateway.process.wait_line("breaker closed");
}

#[test]
fn a_breaker_never_lets_a_request_past_a_policy_that_must_decide() {
    let gateway =
        Gateway::setup().guest("traps").routing("on_failure = \"fail-closed\"\nbreaker = { min_calls = 3 }").start();
    for _ in 0..3 {
        let _ = gateway.chat("hello").expect(503);
    }
    gateway.wait_metric("api_gateway_policy_breaker_open", &[("policy", "traps")], 1.0);
    assert_eq!(gateway.chat("hello").expect(503).json()["error"]["code"], "policy_failed");
}
