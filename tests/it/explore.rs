//! Exploration: for a share of a group's requests another model of the ranking is called first, which the decision log knows, and of
//! which a replay learns what another policy's answers would be worth.

use std::ops::ControlFlow;

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_decisions::{Decision, read};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wire::{Dialect, Usage};

const PATH: &str = "/v1/chat/completions";
const EXPLORED: &str = "api_gateway_explored_requests_total";
const LOG: &str = "[decisions]\ndir = \"log\"\n";
/// Three simulated models, of which answers are worth more and more.
const MODELS: &str = r#"
    [backends.sim]
    kind = "sim"
    [backends.sim.sim]
    latency_ms = 0
    tokens_per_second = inf
    [models.small]
    backend = "sim"
    [models.large]
    backend = "sim"
    [models.secret]
    backend = "sim"
"#;
const SCRIPT: &str = "builtin = \"script\"\nsetting_files = { script = \"route.rhai\" }";

/// Ranks all models, in the order of the configuration or with one of them first.
fn ranking(name: &str, first: &str) -> String {
    format!(
        "// name: {name}\n// version: 1.0.0\nfn route(request, candidates) {{\n\
         route_to(prefer(candidates, |candidate| candidate.model == \"{first}\"), \"{first} first\")\n}}\n"
    )
}

/// A group with such settings and a key of it, named as the group.
fn group(name: &str, settings: &str) -> String {
    let hash = KeyHash::of(key(name).as_bytes());
    format!("[groups.{name}]\n{settings}\n[keys.{name}]\ngroup = \"{name}\"\nsha256 = \"{hash}\"\n")
}

fn key(group: &str) -> String {
    format!("wg-{group}-0123456789")
}

/// A gateway that sends everything to `small`, with a policy beside it that prefers `large`.
fn setup(groups: &str) -> Setup {
    let setup = Gateway::setup().top(&format!("state_dir = \"kept\"\n{LOG}{groups}")).models(MODELS).routing(SCRIPT);
    let files = [("route.rhai", ranking("small-first", "small")), ("large.rhai", ranking("large-first", "large"))];
    files.iter().fold(setup, |setup, (name, text)| setup.file(name, text.as_bytes()))
}

fn post(gateway: &Gateway, group: &str, path: &str, body: &Value) -> Response {
    let key = key(group);
    let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes()))
}

/// A chat of its own: conversations that a model answered before are not explored.
fn chat(gateway: &Gateway, group: &str, number: usize) -> Response {
    let messages = json!([{"role": "user", "content": format!("question {number}")}]);
    post(gateway, group, PATH, &json!({"model": "auto", "messages": messages})).expect(200)
}

fn decisions(gateway: &Gateway, count: usize) -> Vec<Decision> {
    gateway.wait_metric("api_gateway_decision_log_lines_total", &[("result", "written")], count as f64);
    let mut found = Vec::new();
    let each = |decision: Decision, _: &_| {
        found.push(decision);
        ControlFlow::Continue(())
    };
    let _ = read(&gateway.path("log"), each).unwrap();
    found
}

fn explored(gateway: &Gateway, group: &str) -> f64 {
    gateway.metrics().value(EXPLORED, &[("group", group)])
}

/// Whether a number of successes is within five standard deviations of what a share of so many trials lets expect: all but one in a
/// million.
fn is_likely(found: usize, trials: usize, share: f64) -> bool {
    let (expected, spread) = (trials as f64 * share, (trials as f64 * share * (1.0 - share)).sqrt());
    (found as f64 - expected).abs() < 5.0 * spread
}

#[test]
fn a_replay_learns_of_explored_requests_what_another_policy_is_worth() {
    let acme = group("acme", "explore = { percent = 50, among = \"ranking\" }\ndenied_models = [\"secret\"]");
    let gateway = setup(&acme).start();
    // Right in one of two, and in nine of ten.
    let (trials, truth) = (400, [0.5, 0.9]);
    for number in 0..trials {
        let answer = chat(&gateway, "acme", number);
        let id = answer.header("x-wasmgate-request-id");
        let right = match answer.header("x-wasmgate-model") {
            "small" => number % 2 == 0,
            "large" => number % 10 != 3,
            other => panic!("{other} is denied to the group"),
        };
        let said = json!({"request_id": id, "score": u8::from(right), "source": "judge"});
        let _ = post(&gateway, "acme", "/v1/feedback", &said).expect(202);
    }
    let found = decisions(&gateway, 2 * trials);
    assert_eq!(found.len(), trials);
    for decision in &found {
        let chosen = decision.chosen.as_deref().unwrap();
        let expected = if chosen == "small" { (0.75, false) } else { (0.25, true) };
        assert_eq!(
            (decision.propensity, decision.explored, &*decision.verdict.ranking[0]),
            (expected.0, expected.1, "small")
        );
        let exploration = decision.exploration.as_ref().unwrap();
        assert_eq!((exploration.share, exploration.models.join(" ")), (0.5, "small large".to_owned()));
        assert_eq!(decision.outcome.model.as_deref(), Some(chosen));
    }
    let drawn: Vec<&Decision> = found.iter().filter(|decision| decision.explored).collect();
    assert!(is_likely(drawn.len(), trials, 0.25), "{} of {trials}", drawn.len());
    assert_eq!(explored(&gateway, "acme"), drawn.len() as f64);
    let logged = gateway.wait_for_log("a line of an explored request", |line| line["explored"] == true);
    assert_eq!(logged["chosen"], "large");
    let folder = gateway.path("log");
    let folder = folder.to_str().unwrap();
    run(&["explain", &drawn[0].id, "--folder", folder])
        .expect(0, &["chosen    large, explored in place of small, with a probability of 25.00 %", "feedback"]);

    let replay = |policy: &str, more: &[&str]| {
        let policy = gateway.path(policy);
        let asked = ["policy", "replay", policy.to_str().unwrap(), "--log", folder, "--limit", "call_time_ms=5000"];
        run(&[&asked, more].concat())
    };
    let exit = replay("large.rhai", &["--json", "--fail-if", "score<-0.02"]);
    exit.expect(0, &[]);
    let all: Value = serde_json::from_str(&exit.stdout).unwrap();
    let quality = &all["quality"];
    assert_eq!(
        (&quality["decisions"], &quality["changed"], &quality["not_known"]),
        (&json!(400), &json!(400), &json!(null))
    );
    assert_eq!(quality["matched"], json!({"before": trials - drawn.len(), "after": drawn.len()}), "{quality:#}");
    for estimate in quality["estimates"].as_array().unwrap() {
        for (side, truth) in [("before", truth[0]), ("after", truth[1]), ("change", truth[1] - truth[0])] {
            let [expected, low, high] = ["expected", "low", "high"].map(|end| estimate[side][end].as_f64().unwrap());
            assert!(low < expected && expected < high, "{estimate:#}");
            // One in twenty intervals does not hold the truth, and one in a million of two and a half times their width.
            assert!(
                (truth - expected).abs() < 2.5 * (high - expected).max(expected - low),
                "{side} {truth}: {estimate:#}"
            );
        }
    }
    assert!(quality["estimates"][0]["change"]["low"].as_f64() > Some(0.1), "{quality:#}");
    assert!(all["fail_if"][0]["score"].as_f64() > Some(0.1) && all["fail_if"][0]["holds"] == false, "{all:#}");
    replay("large.rhai", &[])
        .expect(0, &["quality    mean score, of 400 decisions", "doubly robust: 0.", "clipped at 200"]);
    replay("large.rhai", &["--fail-if", "score<0.9"]).expect(1, &["score<+0.9 holds: +0."]);
    replay("route.rhai", &["--fail-if", "score<0", "--fail-if", "changed>0%"]).expect(0, &["score<+0 does not hold"]);
}

#[test]
fn nothing_is_explored_unless_the_operator_says_so() {
    let groups = group("acme", "explore = { percent = 50 }")
        + &group("team", "parent = \"acme\"")
        + &group("off", "parent = \"acme\"\nexplore = { percent = 0 }")
        + &group("rival", "");
    let gateway = setup(&groups).start();
    let mut sent = 0;
    for group in ["acme", "team", "off", "rival"] {
        for number in 0..60 {
            let _ = chat(&gateway, group, number);
            sent += 1;
        }
    }
    let found = decisions(&gateway, sent);
    for (group, open) in [("acme", true), ("team", true), ("off", false), ("rival", false)] {
        let of: Vec<&Decision> = found.iter().filter(|decision| decision.group.as_deref() == Some(group)).collect();
        let drawn = of.iter().filter(|decision| decision.explored).count();
        // Two of three draws of one half are of another model.
        assert_eq!((of.len(), of.iter().all(|decision| decision.exploration.is_some() == open)), (60, true), "{group}");
        assert!(if open { is_likely(drawn, 60, 1.0 / 3.0) } else { drawn == 0 }, "{group}: {drawn}");
        assert_eq!(explored(&gateway, group), drawn as f64);
    }
    // What a policy decided is what it ranked first, whatever was explored in its place.
    assert_eq!(gateway.metrics().value("api_gateway_policy_decisions_total", &[("model", "small")]), sent as f64);
    // Without a probability there is no quality, and the report says why.
    let of = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
    run(&["policy", "replay", &of("large.rhai"), "--log", &of("log"), "--fail-if", "score<-0.02"]).expect(
        1,
        &["not known: no decision that was asked again has feedback", "score<-0.02 fails: the log does not tell"],
    );
}

#[test]
fn gateways_without_groups_explore_by_the_decision_logs_setting() {
    let gateway = setup("explore = { percent = 50 }\n").start();
    for number in 0..60 {
        let _ = gateway.chat(&format!("question {number}")).expect(200);
        // What would be recommended is no draw.
        let explained =
            gateway.post("/api/v1/complexity", &json!({"prompt": format!("question {number}")})).expect(200);
        assert_eq!(explained.json()["recommended_model"], "small");
    }
    let drawn = decisions(&gateway, 60).iter().filter(|decision| decision.explored).count();
    assert!(is_likely(drawn, 60, 1.0 / 3.0), "{drawn}");
    assert_eq!(explored(&gateway, "none"), drawn as f64);
}

#[test]
fn the_clients_choice_a_conversation_and_a_failed_policy_are_not_explored() {
    let fails = "fn route(request, candidates) { if request.labels[\"fail\"] == \"yes\" { throw \"no\"; } \
                 route_to(candidates, \"all\") }";
    let acme = group("acme", "explore = { percent = 50 }");
    let setup = Gateway::setup().top(&format!("{LOG}{acme}")).file("route.rhai", fails.as_bytes());
    let setup = setup.server("label_headers = [\"fail\"]").models(MODELS);
    let gateway = setup.routing(&format!("{SCRIPT}\non_failure = \"default-decision\"")).start();
    let ask = |model: &str, messages: Value, header: &str| {
        let key = key("acme");
        let headers = [("content-type", "application/json"), ("x-api-key", &*key), ("fail", header)];
        let body = json!({"model": model, "messages": messages}).to_string();
        let _ = gateway.send(request("POST", PATH, &headers, body.as_bytes())).expect(200);
    };
    for number in 0..30 {
        let question = json!({"role": "user", "content": format!("question {number}")});
        ask("small", json!([question]), "no");
        if number < 3 {
            ask("auto", json!([question]), "yes");
        }
        let answer = json!({"role": "assistant", "content": "well"});
        ask("auto", json!([question, answer, {"role": "user", "content": "and now?"}]), "no");
    }
    for decision in decisions(&gateway, 63) {
        assert_eq!(
            (decision.exploration, decision.explored, decision.propensity),
            (None, false, 1.0),
            "{:?}",
            decision.verdict
        );
    }
    assert_eq!(explored(&gateway, "acme"), 0.0);
}

#[test]
fn what_cannot_be_called_or_paid_is_not_explored() {
    let failing = Backend::start(|_| Reply::json(500, &json!({})));
    let usage = Usage { input: 11, output: 3 };
    let answering = Backend::start(move |_| Reply::json(200, &Dialect::OpenAi.answer("hi", usage)));
    let dear = "[backends.broken.breaker]\nmin_calls = 1\nretry_seconds = 3600\n[models.dear]\nbackend = \"well\"\nname = \"m\"\n\
                [models.dear.price]\ninput_usd_per_million_tokens = 1000\noutput_usd_per_million_tokens = 90000\n\
                [models.narrow]\nbackend = \"well\"\nname = \"m\"\ncontext_window = 1\nprice = { input_usd_per_million_tokens = 0, \
                output_usd_per_million_tokens = 0 }\n";
    let acme = group("acme", "explore = { percent = 50 }\nlimits.usd_per_month = 1");
    let rules = "fn route(request, candidates) { route_to(candidates, \"in order\") }";
    let setup = Gateway::setup().top(&format!("{LOG}{acme}")).file("route.rhai", rules.as_bytes());
    let setup = setup.model("well", Dialect::OpenAi, &answering).model("spare", Dialect::OpenAi, &answering);
    let gateway = setup.model("broken", Dialect::OpenAi, &failing).models(dear).routing(SCRIPT).start();
    let key = key("acme");
    let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
    let named = json!({"model": "broken", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    let _ = gateway.send(request("POST", PATH, &headers, named.as_bytes()));
    for number in 0..40 {
        let _ = chat(&gateway, "acme", number);
    }
    let mut found = decisions(&gateway, 41);
    found.retain(|decision| decision.request.requested == "auto");
    assert_eq!(found.len(), 40);
    for decision in &found {
        assert_eq!(decision.verdict.ranking.len(), 5, "{:?}", decision.verdict);
        assert_eq!(decision.exploration.as_ref().unwrap().models, ["well", "spare"]);
    }
    assert!(is_likely(found.iter().filter(|decision| decision.explored).count(), 40, 0.25));
}

#[test]
fn what_is_wrong_in_the_setting_is_named() {
    for (settings, said) in [
        ("explore = { percent = 51 }", "groups.acme.explore.percent: 51, expected 0 (never), or 0.01 to 50"),
        ("explore = { percent = -1 }", "groups.acme.explore.percent: -1, expected 0 (never), or 0.01 to 50"),
        ("explore = { percent = 5, among = \"all\" }", "groups.acme.explore.among"),
        ("explore = { among = \"ranking\" }", "groups.acme.explore"),
        ("explore = { percent = 5, seed = 1 }", "unknown key `seed`"),
    ] {
        setup(&group("acme", settings)).check().expect(2, &[said]);
    }
    let without = Gateway::setup().top(&group("acme", "explore = { percent = 5 }")).models(MODELS);
    without.check().expect(0, &["no decision log is kept, without which none is"]);
}

#[test]
fn operators_set_it_while_the_gateway_runs() {
    let gateway = setup(&group("acme", "")).start();
    let send = |method: &str, path: &str, body: &Value| {
        gateway.admin_send(method, path, &[("content-type", "application/json")], body.to_string().as_bytes())
    };
    let made = send("POST", "/groups", &json!({"name": "team", "explore": {"percent": 50}})).expect(200).json();
    super::admin::conforms("GroupStatus", &made);
    assert_eq!(made["explore"]["percent"], 50);
    let key = send("POST", "/keys", &json!({"group": "team"})).expect(200).json()["key"].as_str().unwrap().to_owned();
    let ask = |number: usize| {
        let headers = [("content-type", "application/json"), ("x-api-key", &*key)];
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": format!("question {number}")}]});
        let _ = gateway.send(request("POST", PATH, &headers, body.to_string().as_bytes())).expect(200);
    };
    (0..30).for_each(ask);
    let wrong = send("PATCH", "/groups/team", &json!({"explore": {"percent": 90}})).expect(400).text();
    assert!(wrong.contains("explore.percent: 90, expected 0 (never), or 0.01 to 50"), "{wrong}");
    let _ = send("PATCH", "/groups/team", &json!({"explore": null})).expect(200);
    (30..60).for_each(ask);
    let open: Vec<bool> = decisions(&gateway, 60).iter().map(|decision| decision.exploration.is_some()).collect();
    assert_eq!(open, [[true; 30], [false; 30]].concat());
}
