//! `wasmgate policy replay`: a policy is asked again about the requests of a decision log that a gateway wrote.

use std::ops::ControlFlow;

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, run};
use wasmgate_tests::http::request;
use wasmgate_tests::process::Exit;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const PATH: &str = "/v1/chat/completions";
const LOG: &str = "[decisions]\ndir = \"log\"\n";
/// A second model of the backend `cheap`, ten times as dear.
const DEAR: &str = r#"
    [models.dear]
    backend = "cheap"
    name = "backend-model"
    [models.dear.price]
    input_usd_per_million_tokens = 10.0
    output_usd_per_million_tokens = 20.0
"#;
/// Models that no policy names in its defaults: the gateway makes the tiers of `complexity` from them.
const UNNAMED: &str = r#"
    [backends.sim]
    kind = "sim"
    [backends.sim.sim]
    latency_ms = 0
    tokens_per_second = inf
    [models.small]
    backend = "sim"
    [models.large]
    backend = "sim"
"#;
/// Chooses the dear model, without reading text.
const DEAREST: &str = "// name: dearest\n// version: 1.0.0\n\
    fn route(request, candidates) {\n\
        route_to(prefer(candidates, |candidate| candidate.model == \"dear\"), \"the dear one\")\n\
    }\n";

/// Ranks all models, the one that costs first.
const CLOUD: &str = "// name: cloud\n// version: 1.0.0\n\
    fn route(request, candidates) {\n\
        route_to(prefer(candidates, |candidate| candidate.model == \"claude-sonnet\"), \"the dear one\")\n\
    }\n";

/// A gateway whose log has decisions of `cheapest-healthy`: `free` that it made, then `named` for which clients named `dear`. All
/// answers differ in length.
fn logged(free: usize, named: usize) -> Gateway {
    let backend = Backend::start(|request| {
        let output = 500 + u64::try_from(request.number).unwrap() * 37 % 1000;
        Reply::json(200, &Dialect::OpenAi.answer("hi", Usage { input: 1000, output }))
    });
    let setup =
        Gateway::setup().top(LOG).routing("builtin = \"cheapest-healthy\"").file("dearest.rhai", DEAREST.as_bytes());
    let gateway = setup.model("cheap", Dialect::OpenAi, &backend).models(DEAR).start();
    for number in 0..free + named {
        let model = if number < free { "auto" } else { "dear" };
        let _ = gateway.post(PATH, &ask(PATH, model, "hello there", false)).expect(200);
    }
    wait_written(&gateway, free + named);
    gateway
}

fn wait_written(gateway: &Gateway, count: usize) {
    gateway.wait_metric("api_gateway_decision_log_lines_total", &[("result", "written")], count as f64);
}

/// What a replay of the gateway's log says. A loaded machine must not make a policy fail.
fn replay(gateway: &Gateway, policy: &str, more: &[&str]) -> Exit {
    let log = gateway.path("log");
    let asked = ["policy", "replay", policy, "--log", log.to_str().unwrap(), "--limit", "call_time_ms=5000"];
    run(&[&asked, more].concat())
}

fn found(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error} in {}", exit.text()))
}

/// The costs of all requests of the log, in US dollars.
fn spent(gateway: &Gateway) -> Vec<f64> {
    let mut spent = Vec::new();
    let each = |decision: wasmgate_decisions::Decision, _: &_| {
        spent.push(decision.outcome.cost.unwrap() as f64 / 1e9);
        ControlFlow::Continue(())
    };
    wasmgate_decisions::read(&gateway.path("log"), each).unwrap();
    spent
}

fn is_near(found: &Value, expected: f64) -> bool {
    (found.as_f64().unwrap() - expected).abs() < 1e-9
}

#[test]
fn the_version_that_decided_decides_the_same_again() {
    let gateway = logged(200, 40);
    let exit = replay(&gateway, "cheapest-healthy", &["--json", "--fail-if", "changed>0%", "--fail-if", "cost>+0%"]);
    exit.expect(0, &[]);
    let all = found(&exit);
    let counts = ["records", "asked", "identical", "changed"].map(|key| all[key].as_u64().unwrap());
    assert_eq!(counts, [240, 240, 240, 0], "{all:#}");
    assert_eq!(
        (&all["not_askable"], &all["failures"], &all["largest_differences"]),
        (&json!({}), &json!([]), &json!([]))
    );
    let decider = &all["log"]["deciders"][0];
    assert_eq!((&decider["decisions"], &decider["is_replayed"]), (&json!(240), &json!(true)), "{all:#}");
    let models = json!([{"model": "cheap", "before": 200, "after": 200}, {"model": "dear", "before": 40, "after": 40}]);
    assert_eq!(all["models"], models);
    let spent: f64 = spent(&gateway).iter().sum();
    assert!(
        is_near(&all["cost"]["before"]["expected"], spent) && is_near(&all["cost"]["change"]["high"], 0.0),
        "{all:#}"
    );
    // In words, and the same at each run.
    let words = replay(&gateway, "cheapest-healthy", &[]);
    words.expect(
        0,
        &["240 decisions, 240 asked again", "0 first choices", "the same version", "nothing about the quality"],
    );
    assert_eq!(words.stdout, replay(&gateway, "cheapest-healthy", &[]).stdout);
}

#[test]
fn another_choice_is_counted_and_priced_with_an_interval() {
    let gateway = logged(200, 40);
    let dearest = gateway.path("dearest.rhai");
    let dearest = dearest.to_str().unwrap();
    let exit = replay(&gateway, dearest, &["--json"]);
    exit.expect(0, &[]);
    let all = found(&exit);
    // Where the client named `dear`, that is the choice of both.
    assert_eq!((&all["asked"], &all["changed"]), (&json!(240), &json!(200)), "{all:#}");
    let models = json!([{"model": "cheap", "before": 200, "after": 0}, {"model": "dear", "before": 40, "after": 240}]);
    assert_eq!(all["models"], models);
    // The dear model would have answered at the same length, at ten times the price.
    let spent = spent(&gateway);
    let truly = spent[..200].iter().sum::<f64>() * 10.0 + spent[200..].iter().sum::<f64>();
    let after = &all["cost"]["after"];
    let [low, high] = ["low", "high"].map(|end| after[end].as_f64().unwrap());
    assert!(low < truly && truly < high && high - low < truly / 2.0, "{truly} {after}");
    let largest = all["largest_differences"].as_array().unwrap();
    assert_eq!(
        (largest.len(), &largest[0]["before"]["model"], &largest[0]["after"]["model"]),
        (20, &json!("cheap"), &json!("dear"))
    );
    assert_eq!(largest[0]["after"]["reason"], "the dear one");
    assert!(all["output_tokens"][1]["mean"]["low"].as_f64() < all["output_tokens"][1]["mean"]["high"].as_f64());

    replay(&gateway, dearest, &["--fail-if", "changed>50%"]).expect(1, &["changed>50% holds: +83.33 %"]);
    replay(&gateway, dearest, &["--fail-if", "changed>90%", "--fail-if", "cost>5000%"]).expect(0, &["does not hold"]);
    replay(&gateway, dearest, &["--fail-if", "cost>+2%"]).expect(1, &["cost>+2% holds", "the dear one"]);
    let cheaper = replay(&gateway, "cheapest-healthy", &["--against", dearest, "--json", "--fail-if", "cost>+2%"]);
    cheaper.expect(0, &[]);
    let cheaper = found(&cheaper);
    assert_eq!((&cheaper["changed"], &cheaper["against"]["version"]), (&json!(200), &json!("dearest@1.0.0")));
    assert!(cheaper["cost"]["change"]["high"].as_f64() < Some(0.0), "{cheaper:#}");

    replay(&gateway, dearest, &["--until", "2026-01-01T00:00:00Z"]).expect(2, &["no decisions of that time"]);
    replay(&gateway, dearest, &["--since", "yesterday"]).expect(2, &["2026-11-29T12:00:00Z"]);
    replay(&gateway, dearest, &["--fail-if", "quality<1%"]).expect(2, &["changed>5%"]);
    replay(&gateway, dearest, &["--hook", "cost"]).expect(2, &["expected routing"]);
    run(&["policy", "replay", dearest, "--log", "/nowhere"]).expect(2, &["/nowhere", "decisions.dir"]);
}

#[test]
fn what_the_log_does_not_tell_has_no_figure_and_fails_its_condition() {
    let gateway = logged(20, 10);
    let dearest = gateway.path("dearest.rhai");
    let exit = replay(&gateway, dearest.to_str().unwrap(), &["--json", "--fail-if", "cost>+2%"]);
    exit.expect(1, &[]);
    let all = found(&exit);
    assert_eq!((&all["no_cost"][0]["model"], &all["no_cost"][0]["decisions"]), (&json!("dear"), &json!(20)), "{all:#}");
    assert_eq!(all["output_tokens"][1], json!({"model": "dear", "records": 10, "mean": null}));
    assert_eq!((&all["fail_if"][0]["holds"], &all["cost"]["decisions"]), (&json!(null), &json!(10)));
    replay(&gateway, dearest.to_str().unwrap(), &["--fail-if", "cost>+2%"]).expect(1, &["the log does not tell"]);
}

#[test]
fn a_policy_that_reads_text_is_asked_only_where_the_text_was_kept() {
    for (content, asked, reason) in
        [("none", 0, Some("text_not_kept")), ("redacted", 0, Some("text_not_whole")), ("full", 5, None)]
    {
        let setup = Gateway::setup().top(&format!("{LOG}content = \"{content}\"\n"));
        let gateway = setup.routing("builtin = \"complexity\"").models(UNNAMED).start();
        for prompt in ["hello", "what is a heron?", "design and implement a class", "analyze it", "build a boat"] {
            let _ = gateway.chat(prompt).expect(200);
        }
        wait_written(&gateway, if content == "none" { 5 } else { 10 });
        let exit = replay(&gateway, "complexity", &["--json"]);
        exit.expect(0, &[]);
        let all = found(&exit);
        assert_eq!(
            [&all["asked"], &all["identical"], &all["records"]],
            [&json!(asked), &json!(asked), &json!(5)],
            "{all:#}"
        );
        assert_eq!(all["not_askable"], reason.map_or(json!({}), |reason| json!({reason: 5})));
        assert_eq!(all["policy"]["reads_text"], true);
    }
}

#[test]
fn what_a_spent_budget_chose_is_not_taken_for_the_policys_choice() {
    let hash = KeyHash::of(b"wg-acme-0123456789");
    let groups = format!(
        "[groups.acme]\nlimits.usd_total = 0\nwhen_spent = \"local-only\"\n[keys.acme]\ngroup = \"acme\"\nsha256 = \"{hash}\"\n"
    );
    let setup = Gateway::setup().top(&format!("{LOG}{groups}")).file("dearest.rhai", CLOUD.as_bytes());
    let gateway = setup.routing("file = \"dearest.rhai\"").start();
    let headers = [("content-type", "application/json"), ("x-api-key", "wg-acme-0123456789")];
    for _ in 0..3 {
        let asked = ask(PATH, "auto", "hello", false).to_string();
        let answer = gateway.send(request("POST", PATH, &headers, asked.as_bytes())).expect(200);
        assert_eq!(answer.header("x-wasmgate-model"), "tinyllama");
    }
    wait_written(&gateway, 3);
    let exit = replay(&gateway, gateway.path("dearest.rhai").to_str().unwrap(), &["--json"]);
    exit.expect(0, &[]);
    let all = found(&exit);
    assert_eq!((&all["asked"], &all["not_askable"]), (&json!(0), &json!({"overridden": 3})), "{all:#}");
}
