//! Limits and budgets of groups: who is admitted, what a refusal says, and that what was reserved is settled with what was
//! billed, whatever becomes of a request.

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, Stream, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const KEY: &str = "wg-anna-0123456789";
const PATH: &str = "/v1/chat/completions";
/// At a dollar a million input tokens and two a million output tokens: 0.003 dollars.
const USAGE: Usage = Usage { input: 1000, output: 1000 };

/// The group `team` in `acme`, each with these lines, and its key. No policy decides or estimates.
fn setup(acme: &str, team: &str) -> Setup {
    let hash = KeyHash::of(KEY.as_bytes());
    let groups = format!(
        "[groups.acme]\n{acme}\n[groups.team]\nparent = \"acme\"\n{team}\n[keys.anna]\ngroup = \"team\"\nsha256 = \"{hash}\""
    );
    Gateway::setup().reloading().top(&groups).routing("enabled = false").cost("enabled = false")
}

fn answers() -> Backend {
    Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)))
}

fn bytes(path: &str, model: &str, stream: bool) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    request("POST", path, &headers, ask(path, model, "hello", stream).to_string().as_bytes())
}

fn chat(gateway: &Gateway, model: &str) -> Response {
    gateway.send(bytes(PATH, model, false))
}

fn left(gateway: &Gateway, group: &str, limit: &str, period: &str) -> f64 {
    match limit {
        "usd" => budget(gateway, "left", group, period),
        _ => {
            let labels = [("group", group), ("limit", limit), ("period", period)];
            gateway.metrics().value("api_gateway_limit_left", &labels)
        }
    }
}

/// What the metrics say of a budget, in dollars: its `limit`, or what is `spent`, `reserved` or `left`.
fn budget(gateway: &Gateway, what: &str, group: &str, period: &str) -> f64 {
    gateway.metrics().value(&format!("api_gateway_budget_{what}_usd"), &[("group", group), ("period", period)])
}

fn about(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn a_budget_admits_what_fits_and_refuses_the_rest_by_name() {
    let backend = answers();
    let setup = setup("limits.usd_per_month = 0.01", "limits.usd_total = 5").model("only", Dialect::OpenAi, &backend);
    let gateway = setup.start();
    for spent in [0.0, 0.003, 0.006] {
        let answer = chat(&gateway, "only").expect(200);
        let left: f64 = answer.header("x-wasmgate-budget-left-usd").parse().unwrap();
        assert!(about(left, 0.007 - spent), "what is left after this request: {left}");
        assert!(about(left_of_month(&gateway), 0.007 - spent));
    }
    assert!(about(budget(&gateway, "spent", "acme", "month"), 0.009));
    assert!(about(budget(&gateway, "limit", "acme", "month"), 0.01));
    assert!(about(budget(&gateway, "reserved", "acme", "month"), 0.0));
    let window = |what: &str| gateway.metrics().value(what, &[("group", "acme"), ("period", "month")]);
    let (whole, rest) =
        (window("api_gateway_budget_window_seconds"), window("api_gateway_budget_window_remaining_seconds"));
    assert!((28.0..=31.0).contains(&(whole / 86_400.0)) && rest > 0.0 && rest <= whole, "{whole} {rest}");
    let is_third = |line: &Value| line["budget_left_usd"].as_f64().is_some_and(|left| about(left, 0.001));
    let logged = gateway.wait_for_log("the third request", is_third);
    assert_eq!((&logged["group"], &logged["key"]), (&json!("team"), &json!("anna")));
    let refused = chat(&gateway, "only").expect(429);
    let error = &refused.json()["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("insufficient_quota"), &json!("insufficient_quota")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("\"acme\" may use $0.01 a month; $0.001 is left"), "{message}");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(backend.requests().len(), 3, "no model was called");
    let labels = [("group", "acme"), ("limit", "usd"), ("period", "month")];
    gateway.wait_metric("api_gateway_limit_refusals_total", &labels, 1.0);
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "limit_exceeded")], 1.0);
    assert!(about(gateway.metrics().value("api_gateway_group_cost_total", &[("group", "team")]), 0.009));
    assert!(about(left(&gateway, "team", "usd", "total"), 4.991));
    // What was spent stays spent when the limit changes.
    gateway.edit_config("usd_per_month = 0.01", "usd_per_month = 0.013");
    until("the budget is larger", || about(left_of_month(&gateway), 0.004).then_some(()));
    let _ = chat(&gateway, "only").expect(200);
    let _ = chat(&gateway, "only").expect(429);
}

fn left_of_month(gateway: &Gateway) -> f64 {
    left(gateway, "acme", "usd", "month")
}

#[test]
fn what_was_reserved_is_settled_with_what_was_billed_whatever_becomes_of_a_request() {
    let backend = Backend::start(|request| match request.json()["messages"][0]["content"].as_str() {
        Some("fails") => Reply::json(500, &json!({})),
        Some("is refused") => Reply::json(400, &json!({"error": {"message": "no"}})),
        Some("breaks off") => {
            let frames = Dialect::OpenAi.frames(&["some ", "text"], USAGE);
            Reply::stream("text/event-stream").frames(&frames[..3]).cut()
        }
        Some("stalls") => {
            let frames = Dialect::OpenAi.frames(&["some ", "text"], USAGE);
            Reply::stream("text/event-stream").frames(&frames[..3]).stall()
        }
        _ => Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)),
    });
    let limits = "limits = { usd_total = 1, tokens_total = 1_000_000, concurrent = 1 }";
    let gateway = setup(limits, "").model("only", Dialect::OpenAi, &backend).start();
    let post = |text: &str, stream: bool| {
        let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
        request("POST", PATH, &headers, ask(PATH, "only", text, stream).to_string().as_bytes())
    };
    let settled = |what: &str| {
        until(what, || {
            let metrics = gateway.metrics();
            let team = [("group", "team")];
            let cost = metrics.value("api_gateway_group_cost_total", &team);
            let tokens = metrics.value("api_gateway_group_tokens_total", &team)
                + metrics.value("api_gateway_group_estimated_tokens_total", &team);
            let is_free = about(left(&gateway, "acme", "concurrent", "total"), 1.0);
            let money = about(left(&gateway, "acme", "usd", "total"), 1.0 - cost);
            (is_free && money && about(left(&gateway, "acme", "tokens", "total"), 1e6 - tokens)).then_some(cost)
        })
    };
    let _ = gateway.send(post("answers", false)).expect(200);
    assert!(about(settled("a whole answer"), 0.003));
    let _ = gateway.send(post("fails", false)).expect(502);
    assert!(about(settled("a failure is free"), 0.003));
    let _ = gateway.send(post("is refused", false)).expect(400);
    assert!(about(settled("a refusal is free"), 0.003));
    let mut cut = Stream::open(gateway.address, &post("breaks off", true));
    while cut.event().is_some() {}
    let after_cut = settled("a stream that broke off");
    assert!(after_cut > 0.003);
    let mut left = Stream::open(gateway.address, &post("stalls", true));
    let _ = left.event();
    // In flight: there is room for one.
    let refused = gateway.send(post("answers", false)).expect(429);
    assert!(refused.text().contains("1 requests at a time"), "{}", refused.text());
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), ("1", ""));
    left.abandon();
    assert!(settled("a stream that its client left") > after_cut);
    let _ = gateway.send(post("answers", false)).expect(200);
}

#[test]
fn rates_are_shown_in_the_headers_and_errors_of_each_dialect() {
    let backend = answers();
    let limits = "limits = { requests_per_day = 4, requests_per_month = 100, tokens_per_week = 1_000_000 }";
    let gateway = setup(limits, "").model("only", Dialect::OpenAi, &backend).start();
    let openai = chat(&gateway, "only").expect(200);
    let shown = |name: &str| openai.header(name).to_owned();
    assert_eq!((&*shown("x-ratelimit-limit-requests"), &*shown("x-ratelimit-remaining-requests")), ("4", "3"));
    assert_eq!(shown("x-ratelimit-limit-tokens"), "1000000");
    assert!(shown("x-ratelimit-reset-requests").ends_with('s'), "{}", shown("x-ratelimit-reset-requests"));
    let anthropic = gateway.send(bytes("/v1/messages", "only", false)).expect(200);
    assert_eq!(anthropic.header("anthropic-ratelimit-requests-remaining"), "2");
    assert!(anthropic.header("anthropic-ratelimit-requests-reset").ends_with('Z'));
    let _ = gateway.send(bytes("/api/chat", "only", false)).expect(200);
    let _ = gateway.send(bytes("/api/v1/chat", "only", false)).expect(200);
    for (path, pointer, expected) in [
        (PATH, "/error/code", "rate_limit_exceeded"),
        (PATH, "/error/type", "rate_limit_error"),
        ("/v1/messages", "/error/type", "rate_limit_error"),
        ("/api/v1/chat", "/error/code", "rate_limit_exceeded"),
        ("/api/chat", "/code", "rate_limit_exceeded"),
    ] {
        let refused = gateway.send(bytes(path, "only", false)).expect(429);
        let body: Value = refused.json();
        assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(expected), "{path}: {body}");
        assert!(refused.text().contains("4 requests a day"), "{}", refused.text());
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
    }
    assert!(about(left(&gateway, "acme", "requests", "month"), 96.0), "a refused request counts nowhere");
    assert_eq!(backend.requests().len(), 4);
}

#[test]
fn what_is_left_and_why_there_is_nothing_is_said_in_each_dialect() {
    let backend = Backend::start(|request| match request.json()["stream"] == true {
        true => Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["some ", "text"], USAGE)).end(),
        false => Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)),
    });
    let limits = "limits = { usd_per_month = 1, requests_per_day = 1_000, tokens_per_day = 10_000_000 }";
    let gateway = setup(limits, "").model("only", Dialect::OpenAi, &backend).start();
    let spent = setup("limits.usd_per_month = 0.01", "").model("only", Dialect::OpenAi, &backend).start();
    (0..3).for_each(|_| drop(chat(&spent, "only").expect(200)));
    let paths = [
        (PATH, "/error/code", "insufficient_quota"),
        ("/v1/responses", "/error/code", "insufficient_quota"),
        ("/v1/completions", "/error/code", "insufficient_quota"),
        ("/v1/messages", "/error/type", "rate_limit_error"),
        ("/api/chat", "/code", "insufficient_quota"),
        ("/api/generate", "/code", "insufficient_quota"),
        ("/api/v1/chat", "/error/code", "insufficient_quota"),
    ];
    for (path, pointer, expected) in paths {
        for stream in [false, true] {
            let body = match path {
                "/v1/responses" => json!({"model": "only", "input": "hello", "stream": stream}),
                // More than the policy-free expectation of an answer, which is then what is reserved.
                "/v1/messages" => {
                    let messages = json!([{"role": "user", "content": "hello"}]);
                    json!({"model": "only", "max_tokens": 4096, "messages": messages, "stream": stream})
                }
                "/v1/completions" | "/api/generate" => json!({"model": "only", "prompt": "hello", "stream": stream}),
                _ => ask(path, "only", "hello", stream),
            };
            let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
            let asks = request("POST", path, &headers, body.to_string().as_bytes());
            let answer = gateway.send(&asks).expect(200);
            let left: f64 = answer.header("x-wasmgate-budget-left-usd").parse().unwrap();
            assert!(left > 0.9 && left < 1.0, "{path} {stream}: {left}");
            let names: &[&str] = match path {
                "/v1/messages" => &["anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-tokens-reset"],
                _ => &["x-ratelimit-remaining-requests", "x-ratelimit-reset-tokens"],
            };
            assert!(names.iter().all(|name| !answer.header(name).is_empty()), "{path} {stream}: {names:?}");
            let refused = spent.send(&asks).expect(429);
            let body: Value = refused.json();
            assert_eq!(body.pointer(pointer).and_then(Value::as_str), Some(expected), "{path} {stream}: {body}");
            assert_eq!(refused.header("x-should-retry"), "false", "{path} {stream}");
            assert!(refused.header("retry-after").parse::<u64>().is_ok(), "{path} {stream}");
            assert_eq!(refused.header("x-wasmgate-budget-left-usd"), "0.001", "{path} {stream}");
        }
    }
}

#[test]
fn a_stream_that_begins_with_comments_says_what_is_left() {
    let backend = Backend::start(|_| Reply::silent().stall());
    let gateway = setup("limits = { usd_per_month = 1, requests_per_day = 9 }", "")
        .server("keep_alive_seconds = 0.05")
        .model("only", Dialect::OpenAi, &backend)
        .start();
    let stream = Stream::open(gateway.address, &bytes(PATH, "only", true));
    assert_eq!(stream.head.header("x-ratelimit-remaining-requests"), Some("8"));
    let left: f64 = stream.head.header("x-wasmgate-budget-left-usd").unwrap().parse().unwrap();
    assert!(left > 0.9 && left < 1.0, "what it may cost is reserved: {left}");
}

#[test]
fn a_spent_budget_leaves_local_models_or_the_policys_choice() {
    let local = setup("limits.usd_total = 0\nwhen_spent = \"local-only\"", "").start();
    let _ = chat(&local, "claude-sonnet").expect(429);
    assert_eq!(chat(&local, "auto").expect(200).header("x-wasmgate-model"), "tinyllama");
    let spent = setup("limits.usd_total = 0", "").start();
    let _ = chat(&spent, "tinyllama").expect(429);
    // The built-in policy for it, which prefers the model that costs.
    let hash = KeyHash::of(KEY.as_bytes());
    let groups = format!(
        "[groups.acme]\nlimits.usd_per_month = 0.001\nwhen_spent = \"policy\"\n[keys.anna]\ngroup = \"acme\"\nsha256 = \"{hash}\""
    );
    let guarded = Gateway::setup().top(&groups).routing("builtin = \"budget-guard\"");
    let guarded = guarded.settings("models = [\"claude-sonnet\"]\nlocal-below = 0.5").start();
    assert_eq!(chat(&guarded, "auto").expect(200).header("x-wasmgate-model"), "claude-sonnet");
    until("half of the budget is spent", || {
        (chat(&guarded, "auto").expect(200).header("x-wasmgate-model") != "claude-sonnet").then_some(())
    });
    let _ = chat(&guarded, "claude-sonnet").expect(200);
}

#[test]
fn a_policy_that_reads_tenants_sees_the_tightest_limit_of_each_measure() {
    let text = "let seen = request.limits.map(|limit| `${limit.measure} ${limit.left} of ${limit.most} ${limit.ends_in != ()}`);
        route_to(candidates, `${seen}`)";
    let script = format!("fn route(request, candidates) {{ {text} }}");
    let hash = KeyHash::of(KEY.as_bytes());
    let groups = format!(
        "[groups.acme.limits]\nrequests_total = 9\nusd_per_day = 1\nconcurrent = 4\n[groups.team]\nparent = \"acme\"\n\
         limits.requests_per_day = 5\n[keys.anna]\ngroup = \"team\"\nsha256 = \"{hash}\""
    );
    let setup = Gateway::setup().top(&groups).file("route.rhai", script.as_bytes()).routing("file = \"route.rhai\"");
    let gateway = setup.start();
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    let asked = request("POST", "/api/v1/complexity", &headers, br#"{"prompt": "hello"}"#);
    let expected = "[\"requests 5 of 5 true\", \"money 1000000000 of 1000000000 true\", \"concurrent 4 of 4 false\"]";
    assert_eq!(gateway.send(asked).expect(200).json()["reasoning"], expected);
}

#[test]
fn a_budget_of_nothing_is_shown_to_policies_as_what_it_is() {
    let script = "script = 'fn route(request, candidates) { if request.budget != () && request.budget.limit == 0 { return deny(\"no_money\", \"none\"); } pass() }'";
    let limits = "limits.usd_total = 0\nwhen_spent = \"policy\"";
    let hash = KeyHash::of(KEY.as_bytes());
    let groups = format!("[groups.acme]\n{limits}\n[keys.anna]\ngroup = \"acme\"\nsha256 = \"{hash}\"");
    let gateway = Gateway::setup().top(&groups).routing("builtin = \"script\"").settings(script).start();
    let refused = chat(&gateway, "auto").expect(403);
    assert_eq!(refused.json()["error"]["code"], "no_money", "{}", refused.text());
}

#[test]
fn a_limit_that_returns_or_comes_later_knows_what_its_period_has_used() {
    let backend = answers();
    let setup = setup("timezone = \"UTC\"\nlimits.usd_per_month = 1", "").model("only", Dialect::OpenAi, &backend);
    let gateway = setup.start();
    for _ in 0..2 {
        let _ = chat(&gateway, "only").expect(200);
    }
    until("two are settled", || about(left_of_month(&gateway), 0.994).then_some(()));
    let has_limit = |gateway: &Gateway| gateway.metrics().find("api_gateway_budget_left_usd", &[("group", "acme")]);
    gateway.edit_config("limits.usd_per_month = 1", "");
    until("the limit is gone", || has_limit(&gateway).is_none().then_some(()));
    let _ = chat(&gateway, "only").expect(200);
    gateway.edit_config("timezone = \"UTC\"", "timezone = \"UTC\"\nlimits.usd_per_month = 1");
    until("the limit is back", || has_limit(&gateway).map(|_| ()));
    until("three are settled", || about(left_of_month(&gateway), 0.991).then_some(()));
    gateway.edit_config("limits.usd_per_month = 1", "limits.usd_total = 1");
    gateway.wait_metric("api_gateway_budget_limit_usd", &[("group", "acme"), ("period", "total")], 1.0);
    assert!(about(left(&gateway, "acme", "usd", "total"), 0.991));
}

#[test]
fn a_model_without_a_price_is_not_for_a_budget_unless_the_operator_allows_it() {
    let models = "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n[models.dark]\nbackend = \"far\"\n";
    let gateway = setup("limits.usd_total = 5", "").models(models).start();
    for model in ["dark", "auto"] {
        let refused = chat(&gateway, model).expect(403);
        assert_eq!(refused.json()["error"]["code"], "unpriced_model", "{}", refused.text());
    }
    let allowed = setup("limits.usd_total = 5\nallow_unpriced = true", "").models(models).start();
    let _ = chat(&allowed, "dark").expect(200);
}

#[test]
fn embeddings_count_too() {
    let answer = json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1000, "total_tokens": 1000}});
    let backend = Backend::start(move |_| Reply::json(200, &answer));
    let limits = "limits = { usd_total = 0.0015, requests_total = 9 }";
    let gateway = setup(limits, "").model("only", Dialect::OpenAi, &backend).start();
    let embed = || {
        let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
        let body = json!({"model": "only", "input": "text ".repeat(400)}).to_string();
        gateway.send(request("POST", "/v1/embeddings", &headers, body.as_bytes()))
    };
    let _ = embed().expect(200);
    until("a thousand tokens are billed", || about(left(&gateway, "acme", "usd", "total"), 0.0005).then_some(()));
    let refused = embed().expect(429);
    assert!(refused.text().contains("insufficient_quota"), "{}", refused.text());
    assert!(about(left(&gateway, "acme", "requests", "total"), 8.0));
}

#[test]
fn each_mistake_in_limits_is_named() {
    for (text, said) in [
        (
            "[groups.a.limits]\nusd_per_mont = 5",
            "groups.a.limits.usd_per_mont: unknown key `usd_per_mont`, did you mean `usd_per_month`?",
        ),
        ("[groups.a.limits]\nrequests_per_day = 0", "groups.a.limits.requests_per_day: 0, expected 1 to 1000000000000"),
        ("[groups.a.limits]\nusd_per_day = -1", "groups.a.limits.usd_per_day: -1"),
        ("[groups.a]\ntimezone = \"Europe/Bonn\"", "groups.a.timezone: \"Europe/Bonn\" is not a time zone"),
        ("[groups.a]\nwhen_spent = \"local\"", "groups.a.when_spent: "),
        ("[budgets]\nreserve_factor = 0.5", "budgets.reserve_factor: 0.5, expected 1 to 100"),
    ] {
        Gateway::setup().top(text).check().expect(2, &[said]);
    }
    let zones =
        "[groups.a]\ntimezone = \"America/New_York\"\nlimits = { usd_per_month = 5 }\n[groups.b]\nparent = \"a\"";
    Gateway::setup().top(zones).check().expect(0, &["valid"]);
}
