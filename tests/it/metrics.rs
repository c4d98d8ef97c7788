//! The metrics: which there are, from the first scrape on; which labels they have; that strangers cannot add any.

use std::collections::BTreeSet;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::http::request;
use wasmgate_tests::tls::Authority;
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask};

/// The labels of a version in a slot; `place` in the catalogue stands for them.
const PLACE: [&str; 6] = ["hook", "slot", "policy", "version", "revision", "mode"];

/// All metrics: name, type, labels, and whether
/// a series is there before the first request.
const CATALOGUE: &[(&str, &str, &[&str], bool)] = &[
    ("api_gateway_requests_total", "counter", &["model", "backend", "status", "complexity"], true),
    ("api_gateway_request_duration_seconds", "histogram", &["model", "backend"], true),
    ("api_gateway_requests_in_progress", "gauge", &[], true),
    ("api_gateway_requests_in_progress_limit", "gauge", &[], true),
    ("api_gateway_buffered_bytes", "gauge", &[], true),
    ("api_gateway_buffered_bytes_limit", "gauge", &[], true),
    ("api_gateway_cost_total", "counter", &["model"], true),
    ("api_gateway_cost_per_request", "gauge", &["model"], true),
    ("api_gateway_model_latency_seconds", "histogram", &["model"], true),
    ("api_gateway_routing_latency_seconds", "histogram", &[], true),
    ("api_gateway_health", "gauge", &[], true),
    ("ollama_models_loaded", "gauge", &[], true),
    ("api_gateway_policy_decisions_total", "counter", &["place", "model", "backend", "outcome"], true),
    ("api_gateway_policy_evaluation_seconds", "histogram", &["place"], true),
    ("api_gateway_policy_failures_total", "counter", &["place", "reason"], true),
    ("api_gateway_policy_requests_total", "counter", &["place", "status"], true),
    ("api_gateway_policy_estimated_cost_usd_total", "counter", &["place"], true),
    ("api_gateway_policy_billed_cost_usd_total", "counter", &["place"], true),
    ("api_gateway_policy_info", "gauge", &["place", "digest"], true),
    ("api_gateway_policy_instances", "gauge", &["place", "state"], true),
    ("api_gateway_policy_memory_bytes", "gauge", &["place"], true),
    ("api_gateway_policy_reloads_total", "counter", &["hook", "slot", "policy", "result"], true),
    ("api_gateway_policy_last_reload_info", "gauge", &["hook", "slot", "policy", "stage"], true),
    ("api_gateway_policy_last_reload_successful", "gauge", &["hook", "slot", "policy"], true),
    ("api_gateway_policy_last_reload_success_timestamp_seconds", "gauge", &["hook", "slot", "policy"], true),
    ("api_gateway_policy_traffic_ratio", "gauge", &["place"], true),
    ("api_gateway_policy_call_limit_seconds", "gauge", &["place"], true),
    ("api_gateway_policy_breaker_open", "gauge", &["place"], true),
    ("api_gateway_policy_unknown_models", "gauge", &["place"], true),
    (
        "api_gateway_policy_shadow_comparisons_total",
        "counter",
        &["hook", "slot", "policy", "shadow_policy", "shadow_version", "shadow_revision", "result"],
        false,
    ),
    (
        "api_gateway_policy_shadow_choices_total",
        "counter",
        &["hook", "slot", "shadow_policy", "shadow_version", "shadow_revision", "active_model", "shadow_model"],
        false,
    ),
    ("api_gateway_canary_comparison_difference", "gauge", &["place", "measure"], false),
    ("api_gateway_canary_comparison_bound", "gauge", &["place", "measure", "bound"], false),
    ("api_gateway_canary_comparison_requests", "gauge", &["place", "measure", "decided_by"], false),
    ("api_gateway_config_reloads_total", "counter", &["result"], true),
    ("api_gateway_config_last_reload_successful", "gauge", &[], true),
    ("api_gateway_config_last_reload_success_timestamp_seconds", "gauge", &[], true),
    ("api_gateway_live_snapshots", "gauge", &[], true),
    ("api_gateway_oldest_snapshot_draining_seconds", "gauge", &[], true),
    ("api_gateway_tokens_total", "counter", &["model", "type"], true),
    ("api_gateway_estimated_tokens_total", "counter", &["model", "type"], true),
    ("api_gateway_unaccounted_calls_total", "counter", &["model", "reason"], true),
    ("api_gateway_time_to_first_token_seconds", "histogram", &["model"], true),
    ("api_gateway_certificate_expiry_timestamp_seconds", "gauge", &["upstream", "certificate"], false),
    ("api_gateway_upstream_connections", "gauge", &["upstream", "protocol"], true),
    ("api_gateway_upstream_calls", "gauge", &["upstream", "state"], true),
    ("api_gateway_model_priced", "gauge", &["model"], true),
    ("api_gateway_model_price_source", "gauge", &["model", "source"], true),
    ("api_gateway_price_catalogue_timestamp_seconds", "gauge", &["origin", "catalogue"], true),
    ("api_gateway_price_last_reload_successful", "gauge", &[], true),
    ("api_gateway_price_reloads_total", "counter", &["result"], true),
    ("api_gateway_unpriced_calls_total", "counter", &["model"], true),
    ("api_gateway_upstream_up", "gauge", &["upstream"], true),
    ("api_gateway_breaker_state", "gauge", &["upstream", "model", "state"], true),
    ("api_gateway_retries_total", "counter", &["upstream", "reason"], true),
    ("api_gateway_fallbacks_total", "counter", &["from_model", "to_model", "reason"], false),
    ("api_gateway_hedges_total", "counter", &["model", "result"], false),
    ("api_gateway_pinned_requests_total", "counter", &["reason"], true),
    ("api_gateway_skipped_frames_total", "counter", &["upstream"], true),
    ("api_gateway_token_counts_total", "counter", &["source"], true),
    ("api_gateway_dropped_fields_total", "counter", &["field"], true),
    ("api_gateway_group_requests_total", "counter", &["group", "ending"], false),
    ("api_gateway_group_cost_total", "counter", &["group"], false),
    ("api_gateway_group_tokens_total", "counter", &["group", "type"], false),
    ("api_gateway_group_estimated_tokens_total", "counter", &["group", "type"], false),
    ("api_gateway_explored_requests_total", "counter", &["group"], true),
    ("api_gateway_limit_max", "gauge", &["group", "limit", "period"], false),
    ("api_gateway_limit_left", "gauge", &["group", "limit", "period"], false),
    ("api_gateway_limit_refusals_total", "counter", &["group", "limit", "period"], false),
    ("api_gateway_budget_limit_usd", "gauge", &["group", "period"], false),
    ("api_gateway_budget_spent_usd", "gauge", &["group", "period"], false),
    ("api_gateway_budget_reserved_usd", "gauge", &["group", "period"], false),
    ("api_gateway_budget_left_usd", "gauge", &["group", "period"], false),
    ("api_gateway_budget_window_seconds", "gauge", &["group", "period"], false),
    ("api_gateway_budget_window_remaining_seconds", "gauge", &["group", "period"], false),
    ("api_gateway_decision_log_lines_total", "counter", &["result"], true),
    ("api_gateway_feedback_total", "counter", &[], true),
    ("api_gateway_keys", "gauge", &["source"], true),
    ("api_gateway_key_refusals_total", "counter", &["reason"], true),
    ("api_gateway_ledger_entries_total", "counter", &["result"], true),
    ("api_gateway_shared_up", "gauge", &["store"], false),
    ("api_gateway_shared_gateways", "gauge", &["store"], false),
    ("api_gateway_shared_borrows_total", "counter", &["by", "result"], false),
    ("api_gateway_shared_untold_changes", "gauge", &["store"], false),
    ("api_gateway_shared_conflicts_total", "counter", &["store"], false),
    ("api_gateway_ledger_errors_total", "counter", &[], true),
    ("api_gateway_ledger_waiting_records", "gauge", &[], true),
    ("api_gateway_ledger_writer", "gauge", &[], true),
    ("api_gateway_errors_total", "counter", &["backend", "reason"], true),
    ("api_gateway_rejected_requests_total", "counter", &["reason"], true),
    ("api_gateway_abandoned_requests_total", "counter", &["model", "backend", "reason"], true),
    ("api_gateway_log_lines_dropped_total", "counter", &[], true),
    ("api_gateway_series_expected", "gauge", &[], true),
    ("api_gateway_build_info", "gauge", &["version"], true),
    ("process_resident_memory_bytes", "gauge", &[], true),
];

#[test]
fn the_page_has_the_content_type_without_which_it_is_refused() {
    let gateway = Gateway::setup().start();
    let response = gateway.get("/metrics").expect(200);
    assert!(response.header("content-type").starts_with("text/plain; version=0.0.4"));
}

#[test]
fn every_series_that_can_be_known_is_there_before_the_first_request() {
    let gateway = Gateway::setup().start();
    let metrics = gateway.metrics();
    for &(name, kind, labels, from_the_start) in CATALOGUE {
        if !from_the_start {
            assert!(metrics.matching(name, &[]).next().is_none());
            continue;
        }
        assert_eq!(metrics.types.get(name).map(String::as_str), Some(kind), "{name}");
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        let first = metrics.matching(&sample, &[]).next().unwrap_or_else(|| panic!("{name} has no series"));
        let expected =
            labels.iter().flat_map(|label| if *label == "place" { &PLACE } else { std::slice::from_ref(label) });
        let expected: BTreeSet<&str> = expected.copied().collect();
        assert_eq!(first.labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{name}");
        if kind == "counter" {
            assert_eq!(metrics.value(name, &[]), 0.0, "{name}");
        }
    }
    for model in ["tinyllama", "phi2", "claude-sonnet", "none"] {
        for status in ["success", "error"] {
            for complexity in ["low", "medium", "high", "unknown"] {
                let labels = [("model", model), ("status", status), ("complexity", complexity)];
                assert_eq!(metrics.value("api_gateway_requests_total", &labels), 0.0);
            }
        }
    }
    let classes =
        ["trap", "timeout", "out_of_memory", "hostcall_limit", "guest_error", "invalid_decision", "saturated", "host"];
    for reason in classes {
        for policy in ["complexity", "token-cost"] {
            let labels = [("policy", policy), ("mode", "active"), ("reason", reason)];
            assert_eq!(metrics.value("api_gateway_policy_failures_total", &labels), 0.0);
        }
    }
}

#[test]
fn no_metric_is_outside_of_the_catalogue() {
    let gateway = Gateway::setup().start();
    let known: BTreeSet<&str> = CATALOGUE.iter().map(|row| row.0).collect();
    let unknown: Vec<String> = gateway
        .metrics()
        .types
        .into_keys()
        .filter(|name| !known.contains(name.as_str()) && !name.starts_with("process_"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_last_bucket_lies_beyond_any_alerts_threshold() {
    let metrics = Gateway::setup().start().metrics();
    for name in ["api_gateway_request_duration_seconds", "api_gateway_model_latency_seconds"] {
        assert!(metrics.find(&format!("{name}_bucket"), &[("le", "300")]).is_some(), "{name}");
    }
}

#[test]
fn strangers_cannot_add_a_series() {
    let gateway = Gateway::setup().start();
    let ask_for = |number: usize| {
        let body = json!({"prompt": "hello", "model": format!("junk-{number}")}).to_string();
        let key = format!("Bearer junk-key-{number}");
        let headers = [("content-type", "application/json"), ("authorization", &*key), ("x-junk", &*key)];
        request("POST", "/api/v1/chat", &headers, body.as_bytes())
    };
    let _ = gateway.send(ask_for(0)).expect(404);
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 1.0);
    let before = gateway.metrics().series();
    let mut client = gateway.connect();
    for batch in 0..100 {
        let requests: Vec<u8> = (0..100).flat_map(|number| ask_for(batch * 100 + number)).collect();
        client.send(requests);
        for _ in 0..100 {
            assert_eq!(client.response().status(), 404);
        }
    }
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "bad_request")], 10_001.0);
    let after = gateway.metrics();
    assert_eq!(after.series(), before);
    assert!(!gateway.get("/metrics").text().contains("junk"));
}

/// Eight models on four backends, and eight loaded versions of policies.
fn large() -> Setup {
    let backends = (0..4).map(|number| {
        let (location, fault) = [("local", "fault = { every = 2, kind = \"error\" }"), ("cloud", "")][number % 2];
        format!("[backends.b{number}]\nkind = \"sim\"\nlocation = \"{location}\"\nsim = {{ latency_ms = 0, tokens_per_second = inf, {fault} }}\n")
    });
    let models = (0..8).map(|number| format!("[models.m{number}]\nbackend = \"b{}\"\n", number % 4));
    let others = ["counts", "denies", "passes", "counts-and-traps"];
    let setup = Gateway::setup()
        .models(&backends.chain(models).collect::<String>())
        .guest("decides")
        .cost("builtin = \"token-cost\"\nshadows.other = { file = \"cost-decides.wasm\" }");
    let setup = setup
        .file("cost-decides.wasm", &guests::build("cost-decides"))
        .file("second.wasm", &guests::build("second"))
        .server("affinity = false")
        .routing("canary = { file = \"second.wasm\", percent = 50, abort = { min_samples = 1_000_000 } }");
    others.iter().fold(setup, |setup, other| {
        let file = format!("{other}.wasm");
        setup.file(&file, &guests::build(other)).routing(&format!("shadows.{other}.file = \"{file}\""))
    })
}

/// Two thousand: what the page of a gateway of this size was planned for.
#[test]
fn the_page_of_a_large_gateway_stays_within_its_bound_whatever_is_sent() {
    let gateway = large().start();
    for number in 0..200 {
        let model = [String::from("auto"), format!("m{}", number % 8), format!("junk-{number}")][number % 3].clone();
        let prompt = ["hello", "! hello"][number % 2];
        let _ = gateway.post("/api/v1/chat", &json!({"prompt": prompt, "model": model, "user": format!("u{number}")}));
        let _ = gateway.post("/v1/chat/completions", &json!({"model": number}));
        let _ = gateway.get(&format!("/junk/{number}?junk={number}"));
    }
    gateway.wait_metric("api_gateway_requests_in_progress", &[], 0.0);
    let metrics = gateway.metrics();
    let loaded = metrics.matching("api_gateway_policy_info", &[]).count();
    assert_eq!((loaded, metrics.label_values("model").len()), (8, 9), "as large as it was meant to be");
    assert!(metrics.samples.len() <= 2000, "{} samples", metrics.samples.len());
}

#[test]
fn labels_come_from_the_configuration_and_closed_sets_alone() {
    let gateway = Gateway::setup().start();
    for prompt in ["hello", "Analyze, design and implement `fn main() {}` from scratch and import it"] {
        let _ = gateway.chat(prompt).expect(200);
    }
    let _ = gateway.post("/api/v1/chat", &json!({"prompt": "x", "model": "nobody"})).expect(404);
    let metrics = gateway.metrics();
    let allowed: &[(&str, &[&str])] = &[
        ("model", &["tinyllama", "phi2", "claude-sonnet", "none"]),
        ("backend", &["local", "cloud", "none"]),
        ("status", &["success", "error"]),
        ("complexity", &["low", "medium", "high", "unknown"]),
        ("policy", &["complexity", "token-cost"]),
        ("hook", &["routing", "cost"]),
        ("slot", &["routing", "cost"]),
        ("mode", &["active"]),
        ("outcome", &["route", "deny", "pass", "fallback"]),
        ("type", &["input", "output"]),
        ("state", &["idle", "busy", "closed", "half_open", "open", "in_flight", "waiting"]),
        ("upstream", &["local-sim", "cloud-sim"]),
    ];
    for (label, values) in allowed {
        let unknown: Vec<_> =
            metrics.label_values(label).into_iter().filter(|value| !values.contains(&value.as_str())).collect();
        assert!(unknown.is_empty(), "{label}: {unknown:?}");
    }
    for revision in metrics.label_values("revision") {
        assert!(revision.len() == 12 && revision.chars().all(|c| c.is_ascii_hexdigit()), "{revision}");
    }
    for version in metrics.label_values("version") {
        assert!(version.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{version}");
    }
}

#[test]
fn usage_is_what_the_backends_reported_and_an_estimate_is_counted_apart() {
    let usage = Usage { input: 1234, output: 56 };
    let backend = Backend::start(move |request| {
        let mut answer = Dialect::OpenAi.answer("four words of text", usage);
        if request.number > 0 {
            answer.as_object_mut().unwrap().remove("usage");
        }
        Reply::json(200, &answer)
    });
    let gateway = Gateway::setup().model("only", Dialect::OpenAi, &backend).start();
    let path = "/v1/chat/completions";
    let _ = gateway.post(path, &ask(path, "only", "hello", false)).expect(200);
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 1.0);
    let first = gateway.metrics();
    let of = |kind| [("model", "only"), ("type", kind)];
    assert_eq!(first.value("api_gateway_tokens_total", &of("input")), 1234.0);
    assert_eq!(first.value("api_gateway_tokens_total", &of("output")), 56.0);
    assert_eq!(first.value("api_gateway_estimated_tokens_total", &[]), 0.0);
    let cost = first.value("api_gateway_cost_total", &[("model", "only")]);
    assert!((cost - (1234.0 + 2.0 * 56.0) / 1e6).abs() < 1e-15, "{cost}");
    assert_eq!(first.value("api_gateway_cost_per_request", &[("model", "only")]), cost);
    let billed = first.value("api_gateway_policy_billed_cost_usd_total", &[("slot", "routing"), ("mode", "active")]);
    assert!((billed - cost).abs() < 1e-15, "{billed} of the policy's requests");

    let _ = gateway.post(path, &ask(path, "only", "hello", false)).expect(200);
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 2.0);
    let second = gateway.metrics();
    assert_eq!(second.rise(&first, "api_gateway_tokens_total", &[]), 0.0, "an estimate is never mixed in");
    assert!(second.value("api_gateway_estimated_tokens_total", &of("input")) > 0.0);
    assert!(second.value("api_gateway_estimated_tokens_total", &of("output")) > 0.0);
}

#[test]
fn health_and_loaded_models_are_what_the_probes_found() {
    let models = |url: &str| {
        format!(
            "[backends.ollama]\nkind = \"ollama\"\nurl = \"{url}\"\nprobe_interval_seconds = 0.05\n\
             [models.llama]\nbackend = \"ollama\"\n"
        )
    };
    let gateway = Gateway::setup().models(&models(&Backend::nowhere())).start();
    gateway.wait_metric("api_gateway_upstream_up", &[("upstream", "ollama")], 0.0);
    gateway.wait_metric("api_gateway_health", &[], 0.0);
    assert_eq!(gateway.get("/health").expect(503).json()["status"], "unhealthy");
    assert_eq!(gateway.get("/api/v1/models").expect(200).json()["models"][0]["available"], false);
    let _ = gateway.get("/").expect(200);

    let backend = Backend::with_pages(
        |_| Reply::json(200, &json!({})),
        |path| match path {
            "/api/ps" => Reply::json(200, &json!({"models": [{"name": "a"}, {"name": "b"}]})),
            _ => Reply::json(404, &json!({})),
        },
    );
    let gateway = Gateway::setup().models(&models(&backend.url())).start();
    gateway.wait_metric("ollama_models_loaded", &[], 2.0);
    assert_eq!(gateway.metrics().value("api_gateway_health", &[]), 1.0);
}

#[test]
fn each_request_has_one_line_in_the_log_and_its_prompt_has_none() {
    let gateway = Gateway::setup().start();
    let response = gateway.chat("a prompt about zebras").expect(200);
    let line = gateway.wait_for_ending("finished");
    assert_eq!(line["request_id"], response.header("x-wasmgate-request-id"));
    assert_eq!((&line["model"], &line["location"]), (&json!("tinyllama"), &json!("local")));
    assert_eq!((&line["tier"], &line["dialect"], &line["stream"]), (&json!("low"), &json!("native"), &json!(false)));
    assert_eq!(line["policy"], response.header("x-wasmgate-policy"));
    assert_eq!(line["output_tokens"], 24);
    let _ = gateway.post("/v1/messages", &json!({"zebras": "are not a field"})).expect(400);
    let rejected = gateway.wait_for_ending("rejected");
    assert_eq!(rejected["reason"], "bad_request");
    let lines = gateway.log();
    assert_eq!(lines.iter().filter(|line| line["message"] == "request").count(), 2);
    assert!(!gateway.process.lines().join("\n").contains("a prompt about"), "prompts are never logged");
}

#[test]
fn a_search_of_the_log_for_errors_finds_the_requests_that_failed_and_no_others() {
    let bad = Backend::start(|_| Reply::json(500, &json!({})));
    let gateway = Gateway::setup().model("bad", Dialect::OpenAi, &bad).start();
    let failed = gateway.chat("hello").expect(502);
    let _ = gateway.post("/v1/messages", &json!({"not": "a request"})).expect(400);
    gateway.wait_for_ending("rejected");
    let good = Gateway::setup().start();
    let _ = good.chat("hello").expect(200);
    good.wait_for_ending("finished");
    let lines = [gateway.process.lines(), good.process.lines()].concat();
    let found: Vec<_> = lines.iter().filter(|line| line.contains("error")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("\"status\":\"error\"") && found[0].contains(failed.header("x-wasmgate-request-id")));
}

/// A backend with root certificates of its own.
const SECURE: &str = "[backends.secure]\nkind = \"openai\"\nurl = \"https://localhost:1\"\nca_file = \"ca.pem\"\n\
                      probe_interval_seconds = 0\n";

#[test]
fn every_metric_is_in_the_table_with_its_type_and_every_row_is_a_metric() {
    let usage = Usage { input: 1, output: 1 };
    let bad = Backend::start(|_| Reply::json(500, &json!({})));
    let good = Backend::start(move |_| Reply::json(200, &Dialect::OpenAi.answer("hello", usage)));
    let gateway = Gateway::setup()
        .model("first", Dialect::OpenAi, &bad)
        .models("[models.first.timeouts]\nhedge_seconds = 1\n")
        .model("second", Dialect::OpenAi, &good)
        .server("affinity = false")
        .routing("shadows.cheapest.builtin = \"cheapest-healthy\"\ncanary = { builtin = \"latency-aware\", percent = 50 }")
        .top("[groups.team]\nlimits = { usd_per_month = 5, requests_per_day = 9 }\n[shared]\nurl = \"redis://127.0.0.1:1\"")
        .models(SECURE)
        .file("ca.pem", Authority::new("test").pem().as_bytes())
        .start();
    // A model must be hedged, a fallback and a shadow's choice must happen for their series to be there.
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_fallbacks_total", &[], 1.0);
    // Some for the canary and some for the active policy, so that they can be compared.
    until("a comparison of canary and active policy", || {
        let _ = gateway.chat("hello").expect(200);
        gateway.metrics().find("api_gateway_canary_comparison_difference", &[]).map(|_| ())
    });
    until("a shadow's choice", || gateway.metrics().find("api_gateway_policy_shadow_choices_total", &[]).map(|_| ()));

    let page = gateway.get("/metrics").expect(200).text();
    let typed =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter(|line| !line.starts_with("process_"));
    let metrics: BTreeSet<String> = typed.map(str::to_owned).collect();

    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/README.md");
    let document = std::fs::read_to_string(document).unwrap();
    let (_, document) = document.split_once("## Every metric of the gateway").unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let table: BTreeSet<String> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            format!("{name} {}", rest.split(" | ").next().unwrap())
        })
        .collect();
    assert_eq!(metrics, table);
}

#[test]
fn the_limits_that_alerts_compare_with_are_those_of_the_configuration() {
    let server = "max_in_flight = 7\nmax_buffered_bytes = 300_000_000";
    let models = "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n[models.unpriced]\nbackend = \"far\"\n\
                  [models.priced]\nbackend = \"far\"\nprice = { input_usd_per_million_tokens = 1, \
                  output_usd_per_million_tokens = 2 }\n";
    let gateway = Gateway::setup().server(server).models(models).limits("call_time_ms = 40").start();
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("api_gateway_requests_in_progress_limit", &[]), 7.0);
    assert_eq!(metrics.value("api_gateway_buffered_bytes_limit", &[]), 300_000_000.0);
    let limit = metrics.value("api_gateway_policy_call_limit_seconds", &[("policy", "complexity")]);
    assert!((limit - 0.04).abs() < 1e-9, "{limit}");
    assert_eq!(metrics.value("api_gateway_model_priced", &[("model", "unpriced")]), 0.0);
    assert_eq!(metrics.value("api_gateway_model_priced", &[("model", "priced")]), 1.0);
}
