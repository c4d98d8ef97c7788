//! How a canary's requests compare with the active version's: what `policies show`, the admin API and the metrics say of it.

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::guests;
use wasmgate_tests::http::request;
use wasmgate_tests::wire::{Dialect, Usage};

const REQUESTS: &str = "api_gateway_canary_comparison_requests";
const DIFFERENCE: &str = "api_gateway_canary_comparison_difference";
const BOUND: &str = "api_gateway_canary_comparison_bound";

/// `decides` (the first model) decides, and the guest decides half of the clients as canary. Nothing but an operator ends it.
fn canary(guest: &str) -> Setup {
    Gateway::setup()
        .component("live", &guests::build("decides"))
        .file("other.wasm", &guests::build(guest))
        .routing("canary = { file = \"other.wasm\", percent = 50, sticky_header = \"x-client\", abort = { min_samples = 1_000_000 } }")
}

/// One chat of each of so many clients. The lot is the same at each run.
fn chats(gateway: &Gateway, clients: std::ops::Range<usize>) {
    let mut connection = gateway.connect();
    for client in clients {
        let client = format!("client-{client}");
        let headers = [("content-type", "application/json"), ("x-client", &*client)];
        connection.send(request("POST", "/api/v1/chat", &headers, b"{\"prompt\": \"hello\"}"));
        let _ = connection.response();
    }
}

/// A backend that answers with so many tokens at each side, and with an error where it is told to.
fn answering(tokens: u64, fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> Backend {
    Backend::start(move |request| match fails(request.number) {
        true => Reply::json(500, &json!({})),
        false => Reply::json(200, &Dialect::OpenAi.answer("Yes.", Usage { input: tokens, output: tokens })),
    })
}

fn measure(gateway: &Gateway, measure: &str) -> Value {
    let comparison = &gateway.place("routing.canary")["comparison"];
    let measures = comparison["measures"].as_array().unwrap_or_else(|| panic!("no comparison: {comparison}"));
    measures.iter().find(|measured| measured["measure"] == measure).unwrap().clone()
}

#[test]
fn a_canary_whose_choice_fails_and_costs_more_is_found_out() {
    let (cheap, dear) = (answering(100, |_| false), answering(1000, |number| number % 3 == 0));
    let gateway =
        canary("second").model("cheap", Dialect::OpenAi, &cheap).model("dear", Dialect::OpenAi, &dear).start();
    chats(&gateway, 0..20);
    gateway.policies(&["show", "routing.canary"]).expect(0, &["at a share of 50 %", "not enough requests yet"]);
    assert_eq!(measure(&gateway, "failures")["standing"], "not_enough");
    assert!(gateway.metrics().find(REQUESTS, &[("measure", "failures"), ("decided_by", "canary")]).is_some());
    assert!(gateway.metrics().matching(DIFFERENCE, &[]).next().is_none());

    chats(&gateway, 20..600);
    let shown = gateway.policies(&["show", "routing.canary"]);
    shown.expect(0, &["failed requests: the canary is worse by", "cost of a request: the canary is worse by $"]);
    let failures = measure(&gateway, "failures");
    assert_eq!(failures["standing"], "worse");
    let requests = ["canary", "active"].map(|of| failures[of]["requests"].as_u64().unwrap());
    assert!(requests.iter().sum::<u64>() == 600 && requests[0] > 250 && requests[1] > 250, "{requests:?}");
    assert!((failures["canary"]["mean"].as_f64().unwrap() - 1.0 / 3.0).abs() < 0.01, "{failures}");
    assert_eq!(failures["active"]["mean"], 0.0);
    // 1,000 tokens at each side cost 0.003 dollars, and a third of the requests cost nothing; 100 tokens cost 0.0003.
    let cost = measure(&gateway, "cost");
    let [low, high] = ["low", "high"].map(|end| cost[end].as_f64().unwrap());
    assert!(cost["standing"] == "worse" && low < 0.0017 && 0.0017 < high, "{cost}");
    let metrics = gateway.metrics();
    let labels = [("measure", "cost"), ("slot", "routing.canary"), ("policy", "second"), ("mode", "canary")];
    assert!((metrics.value(DIFFERENCE, &labels) - cost["difference"].as_f64().unwrap()).abs() < 1e-9);
    assert!(metrics.value(BOUND, &[("measure", "cost"), ("bound", "low")]) > 0.0);
    assert_eq!(metrics.value(REQUESTS, &[("measure", "failures"), ("decided_by", "canary")]), requests[0] as f64);

    // Another share begins anew: traffic of another time would be compared.
    gateway
        .policies(&["canary", "routing", "40"])
        .expect(0, &["at a share of 40 %", "not enough requests yet: 0 of the canary"]);
    gateway.policies(&["disable", "routing.canary"]).expect(0, &[]);
    assert_eq!(gateway.place("routing.canary")["comparison"], Value::Null);
    let metrics = gateway.metrics();
    for name in [REQUESTS, DIFFERENCE, BOUND] {
        assert!(metrics.matching(name, &[]).next().is_none(), "{name} is still there");
    }
}

#[test]
fn a_canary_that_chooses_the_same_is_not_said_to_differ() {
    let model = answering(100, |_| false);
    let other = answering(1000, |_| false);
    // It has no opinion, so the default decides for it: the first model too.
    let gateway =
        canary("passes").model("cheap", Dialect::OpenAi, &model).model("dear", Dialect::OpenAi, &other).start();
    chats(&gateway, 0..400);
    gateway.policies(&["show", "routing.canary"]).expect(0, &["cost of a request: no difference found so far"]);
    for name in ["failures", "cost"] {
        let measured = measure(&gateway, name);
        assert_eq!(measured["standing"], "no_difference", "{measured}");
        assert!(measured["low"].as_f64() < Some(0.0) && measured["high"].as_f64() > Some(0.0), "{measured}");
    }
    assert_ne!(measure(&gateway, "latency")["standing"], "not_enough");
}

#[test]
fn a_canary_that_fails_has_what_became_of_its_requests_and_models_without_a_price_are_named() {
    let (cheap, dear) = (answering(100, |_| false), answering(1000, |_| false));
    let setup = canary("traps").model("cheap", Dialect::OpenAi, &cheap).model("dear", Dialect::OpenAi, &dear);
    let gateway = setup.routing("breaker = { enabled = false }").start();
    chats(&gateway, 0..200);
    // The default decided for it, and these requests are its own.
    let failures = measure(&gateway, "failures");
    assert!(failures["canary"]["requests"].as_u64() > Some(70), "{failures}");
    assert_eq!(failures["standing"], "no_difference");

    let url = cheap.url();
    let unpriced = format!(
        "[backends.own]\nkind = \"openai\"\nurl = \"{url}\"\nlocation = \"cloud\"\nprobe_interval_seconds = 0\n\
         [models.own]\nbackend = \"own\"\n"
    );
    let gateway = canary("second").models(&unpriced).model("dear", Dialect::OpenAi, &dear).start();
    chats(&gateway, 0..10);
    assert_eq!(measure(&gateway, "cost")["standing"], "unpriced");
    gateway.policies(&["show", "routing.canary"]).expect(0, &["cost of a request: not compared, because"]);
}
