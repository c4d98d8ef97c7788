//! Prices: where each model has its own from, that each kind of token and each length of input is billed at its own, and that no
//! file takes a price away or multiplies one without the operator's word.

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, post_json, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::ask;

const KEY: &str = "wg-anna-0123456789";
const PATH: &str = "/v1/chat/completions";

/// A catalogue with this price of input for `gpt-4o`, and more.
fn catalogue(version: &str, input: &str, more: &str) -> String {
    format!(
        r#"
        format = 1
        version = "{version}"
        date = 2026-11-01
        [models.gpt-4o]
        aliases = ["gpt-4o-latest"]
        usd_per_million_tokens = {{ input = {input}, output = 10, cache_read = 0.5, cache_write = 4, reasoning = 20 }}
        above = [{{ input_tokens = 2000, usd_per_million_tokens = {{ input = 6, output = 40 }} }}]
        {more}
        "#
    )
}

/// A cloud model at a backend, by its name there.
fn model(name: &str, lines: &str, backend: &str) -> String {
    format!("[models.{name}]\nbackend = \"{backend}\"\n{lines}\n")
}

fn cloud(url: &str) -> String {
    format!(
        "[backends.cloud]\nkind = \"openai\"\nurl = \"{url}\"\nlocation = \"cloud\"\nprobe_interval_seconds = 0\nretries = {{ attempts = 1 }}\n"
    )
}

fn setup(prices: &str) -> Setup {
    let top = format!("state_dir = \"kept\"\n[prices]\n{prices}");
    Gateway::setup().top(&top).reloading().routing("enabled = false").cost("enabled = false")
}

fn models(gateway: &Gateway) -> Value {
    gateway.get("/api/v1/models").expect(200).json()["models"].clone()
}

fn of<'a>(models: &'a Value, name: &str) -> &'a Value {
    models.as_array().unwrap().iter().find(|model| model["model"] == name).unwrap()
}

fn input(gateway: &Gateway, name: &str) -> Value {
    of(&models(gateway), name)["price"]["input_usd_per_million_tokens"].clone()
}

fn refused(gateway: &Gateway) -> String {
    let status = gateway.admin_get("/policies").expect(200).json();
    status["prices"]["refused"].as_str().unwrap_or_default().to_owned()
}

/// One of each source.
fn of_each_source() -> String {
    let far = "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n[backends.near]\nkind = \"sim\"\n";
    let own = "price = { input_usd_per_million_tokens = 7, output_usd_per_million_tokens = 8 }\nname = \"gpt-4o\"";
    [
        far.to_owned(),
        model("exact", "name = \"gpt-4o\"", "far"),
        model("alias", "name = \"gpt-4o-latest\"", "far"),
        model("named", "name = \"deployment\"\npriced_as = \"gpt-4o\"", "near"),
        model("own", own, "far"),
        model("near", "name = \"gpt-4o\"", "near"),
        model("dark", "name = \"gpt-5o\"", "far"),
    ]
    .concat()
}

#[test]
fn each_model_says_where_its_price_is_from() {
    let expected = [
        ("exact", "exact", json!(2.5)),
        ("alias", "alias", json!(2.5)),
        ("named", "exact", json!(2.5)),
        ("own", "override", json!(7.0)),
        ("near", "local", json!(0.0)),
        ("dark", "unpriced", Value::Null),
    ];
    let with =
        |start: Setup| start.file("prices.toml", catalogue("one", "2.5", "").as_bytes()).models(&of_each_source());
    let gateway = with(setup("file = \"prices.toml\"")).start();
    let (models, metrics) = (models(&gateway), gateway.metrics());
    for (name, source, input) in &expected {
        let model = of(&models, name);
        assert_eq!((&model["price_source"], &model["price"]["input_usd_per_million_tokens"]), (&json!(source), input));
        for (_, other, _) in &expected {
            let found = metrics.find("api_gateway_model_price_source", &[("model", name), ("source", other)]);
            assert_eq!(found.is_some(), other == source, "{name} {other}");
        }
    }
    assert_eq!(of(&models, "exact")["price_version"], "one");
    assert_eq!(of(&models, "exact")["price"]["above"][0]["input_tokens"], 2000);
    let date = [("origin", "file"), ("catalogue", "one")];
    assert_eq!(metrics.value("api_gateway_price_catalogue_timestamp_seconds", &date), 1_793_491_200.0);
    let status = gateway.admin_get("/policies").expect(200).json()["prices"].clone();
    assert_eq!(
        (&status["origin"], &status["version"], &status["date"]),
        (&json!("file"), &json!("one"), &json!("2026-11-01"))
    );
    assert_eq!(status["models"], json!(["exact", "alias", "named"]));

    let checked = with(setup("file = \"prices.toml\"")).check();
    checked.expect(
        0,
        &[
            "model exact: priced by the catalogue one of 2026-11-01 (",
            "prices.toml) (exact)",
            "model alias: priced by",
            "(alias)",
            "model near: free",
            "model dark: unpriced",
        ],
    );
}

#[test]
fn the_catalogue_that_ships_with_the_gateway_says_so_and_can_be_turned_off() {
    let models = cloud("http://127.0.0.1:1") + &model("gpt-4o-mini", "", "cloud") + &model("unlisted", "", "cloud");
    let checked = setup("").models(&models).check();
    let expected = "model gpt-4o-mini: priced by the catalogue builtin-";
    checked.expect(0, &[expected, "built in: list prices that nobody vouches for", "model unlisted: unpriced"]);
    let off = setup("builtin = false").models(&models).check();
    off.expect(0, &["model gpt-4o-mini: unpriced", "model unlisted: unpriced"]);
    let gateway = setup("").models(&models).start();
    assert_eq!(input(&gateway, "gpt-4o-mini"), 0.15);
    let _ = gateway.process.wait_line("models priced by the catalogue");
    // A backend of another kind is no provider of that name.
    let far = "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n".to_owned() + &model("gpt-4o-mini", "", "far");
    setup("").models(&far).check().expect(0, &["model gpt-4o-mini: unpriced"]);
}

/// What a backend of OpenAI's dialect reports.
fn usage(prompt: u64, cached: u64, written: u64, completion: u64, reasoning: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning}})
}

/// Answers whose usage is that of the request's number.
fn answers(usages: Vec<Value>) -> Backend {
    Backend::start(move |request| {
        let usage = &usages[request.number.min(usages.len() - 1)];
        Reply::json(
            200,
            &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}]}),
        )
    })
}

fn with_key(limits: &str) -> String {
    let hash = KeyHash::of(KEY.as_bytes());
    format!("\n[groups.team]\n{limits}\n[keys.anna]\ngroup = \"team\"\nsha256 = \"{hash}\"")
}

fn chat(gateway: &Gateway, model: &str) -> Response {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    gateway.send(request("POST", PATH, &headers, ask(PATH, model, "hello", false).to_string().as_bytes()))
}

fn entries(gateway: &Gateway) -> Vec<Value> {
    let config = gateway.path("wasmgate.toml");
    let shown = run(&["ledger", "show", "--config", config.to_str().unwrap()]);
    shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wait_written(gateway: &Gateway, count: f64) {
    gateway.wait_metric("api_gateway_ledger_entries_total", &[("result", "written")], count);
}

#[test]
fn each_token_is_billed_at_the_price_of_its_kind_and_of_the_inputs_length() {
    let backend = answers(vec![usage(2000, 300, 200, 100, 40), usage(2001, 300, 200, 100, 40)]);
    let gateway = setup(&("file = \"prices.toml\"".to_owned() + &with_key("limits.usd_total = 5")))
        .file("prices.toml", catalogue("one", "2.5", "").as_bytes())
        .models(&(cloud(&backend.url()) + &model("gpt-4o", "", "cloud")))
        .start();
    // 1500 × 2.5 + 300 × 0.5 + 200 × 4 + 60 × 10 + 40 × 20 millionths of a dollar.
    let short = 3750 + 150 + 800 + 600 + 800;
    // The band has no prices of the cache and of thinking: they follow its input and output.
    let long = 2001 * 6 + 100 * 40;
    for _ in 0..2 {
        let _ = chat(&gateway, "gpt-4o").expect(200);
    }
    wait_written(&gateway, 2.0);
    let calls: Vec<Value> = entries(&gateway).iter().map(|entry| entry["calls"][0].clone()).collect();
    assert_eq!([&calls[0]["cost"], &calls[1]["cost"]], [&json!(short * 1000), &json!(long * 1000)]);
    assert_eq!(calls[0]["price"], json!([2_500_000_000u64, 500_000_000, 4_000_000_000u64, 10_000_000_000u64]));
    assert_eq!(calls[1]["price"], json!([6_000_000_000u64, 6_000_000_000u64, 6_000_000_000u64, 40_000_000_000u64]));
    assert_eq!((&calls[0]["reasoning"], &calls[0]["reasoning_price"]), (&json!(40), &json!(20_000_000_000u64)));
    assert_eq!((&calls[1]["reasoning"], &calls[1]["reasoning_price"]), (&json!(40), &Value::Null));
    assert_eq!(calls[0]["price_version"], "one");
    let spent = f64::from(short + long) / 1e6;
    let metrics = gateway.metrics();
    let left = metrics.value("api_gateway_budget_left_usd", &[("group", "team")]);
    assert!((left - (5.0 - spent)).abs() < 1e-9, "{left}");

    // By other prices, the same tokens cost something else; the ledger stays as it is.
    let config = gateway.path("wasmgate.toml");
    std::fs::write(gateway.path("other.toml"), catalogue("two", "5", "")).unwrap();
    let output = gateway.path("sums.json");
    let paths = [&config, &gateway.path("other.toml"), &output].map(|path| path.to_str().unwrap().to_owned());
    let repriced =
        run(&["ledger", "reprice", "--config", &paths[0], "--prices", &paths[1], "--by", "group", "-o", &paths[2]]);
    let line = repriced.stdout.lines().find(|line| line.starts_with("team")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, ["team", "2", "0.022106", "0.025856", "+0.003750", "0", "0"], "{}", repriced.stdout);
    let sums: Value = serde_json::from_str(&std::fs::read_to_string(&output).unwrap()).unwrap();
    assert_eq!(sums["total"]["repriced_nano_usd"], json!((short + 1500 * 5 / 2 + long) * 1000));
    assert_eq!(sums["catalogue"], "two");
    assert_eq!(entries(&gateway).iter().map(|entry| entry["calls"][0].clone()).collect::<Vec<_>>(), calls);
}

#[test]
fn calls_without_a_price_are_counted_and_a_budget_refuses_them() {
    let backend = answers(vec![usage(10, 0, 0, 10, 0)]);
    let gateway = setup(&("builtin = false".to_owned() + &with_key("limits.usd_total = 5")))
        .models(&(cloud(&backend.url()) + &model("gpt-4o", "", "cloud")))
        .server("auth = \"optional\"")
        .start();
    let refused = chat(&gateway, "gpt-4o").expect(403);
    assert_eq!(refused.json()["error"]["code"], "unpriced_model");
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "unpriced")], 1.0);
    let _ = gateway.send(post_json(PATH, &ask(PATH, "gpt-4o", "hello", false))).expect(200);
    gateway.wait_metric("api_gateway_unpriced_calls_total", &[("model", "gpt-4o")], 1.0);
}

#[test]
fn a_file_that_multiplies_a_price_or_loses_one_is_refused_until_the_operator_accepts_it() {
    let models = model("exact", "name = \"gpt-4o\"", "far") + "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n";
    let first = catalogue("one", "2.5", "");
    let mut gateway = setup("file = \"prices.toml\"").models(&models).file("prices.toml", first.as_bytes()).start();
    let successful = "api_gateway_price_last_reload_successful";
    let write = |gateway: &Gateway, text: &str| std::fs::write(gateway.path("prices.toml"), text).unwrap();
    assert_eq!((input(&gateway, "exact"), gateway.metrics().value(successful, &[])), (json!(2.5), 1.0));

    // A change that is small is applied.
    write(&gateway, &catalogue("two", "5", ""));
    until("the new price", || (input(&gateway, "exact") == 5.0).then_some(()));

    let lost = "format = 1\nversion = \"x\"\ndate = 2026-11-02\n[models.other]\nusd_per_million_tokens = { input = 1, output = 1 }";
    let announced = "changes = [{ from = 2099-01-01, usd_per_million_tokens = { input = 5, output = 1000 } }]";
    for (text, expected) in [
        (catalogue("x", "50", ""), "gpt-4o: input would cost $50 in place of $5 a million tokens"),
        (catalogue("x", "0", ""), "gpt-4o: input would cost $0 in place of $5"),
        (
            catalogue("x", "5", announced),
            "gpt-4o: output would cost $1000 in place of $10 a million tokens from 2099-01-01 on",
        ),
        (lost.to_owned(), "gpt-4o would have no price any more"),
        (catalogue("x", "five", ""), "this is not TOML"),
        (catalogue("x", "-5", ""), "-5 is below 0"),
        (String::new(), "format: missing"),
    ] {
        write(&gateway, &text);
        until(expected, || refused(&gateway).contains(expected).then_some(()));
        assert_eq!(
            (input(&gateway, "exact"), gateway.metrics().value(successful, &[])),
            (json!(5.0), 0.0),
            "{expected}"
        );
    }
    assert!(gateway.metrics().value("api_gateway_price_reloads_total", &[("result", "rejected")]) >= 7.0);
    std::fs::remove_file(gateway.path("prices.toml")).unwrap();
    until("missing", || refused(&gateway).contains("the file does not exist").then_some(()));

    // Back to what is in force, the refusal ends.
    write(&gateway, &catalogue("two", "5", ""));
    until("no refusal", || refused(&gateway).is_empty().then_some(()));

    // A restart takes a refused file no more than a reload does.
    write(&gateway, &catalogue("three", "50", ""));
    until("refused", || refused(&gateway).contains("$50").then_some(()));
    gateway = gateway.restart("TERM");
    assert_eq!(input(&gateway, "exact"), 5.0);
    let reason = refused(&gateway);
    assert!(reason.contains("$50"), "{reason}");
    gateway = gateway.restart("KILL");
    assert_eq!(input(&gateway, "exact"), 5.0);

    // The refusal says what accepts this file, and no other.
    let (_, accept) = reason.split_once("set accept = \"").unwrap();
    let accept = accept.split('"').next().unwrap();
    let config = gateway.path("wasmgate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[prices]", &format!("[prices]\naccept = \"{accept}\""))).unwrap();
    until("the accepted price", || (input(&gateway, "exact") == 50.0).then_some(()));
    assert_eq!(refused(&gateway), "");
    write(&gateway, &catalogue("four", "5000", ""));
    until("refused", || refused(&gateway).contains("$5000").then_some(()));
    assert_eq!(input(&gateway, "exact"), 50.0);
}

#[test]
fn a_gateway_does_not_begin_with_a_file_that_is_wrong() {
    for (name, text, expected) in [
        ("prices.toml", "format = 2", "format: 2, expected 1"),
        ("prices.json", "{\"format\": 1", "this is not JSON"),
        ("other", "", "the file does not exist"),
    ] {
        let start = || setup("file = \"prices.toml\"").file(name, text.as_bytes());
        let start = || match name {
            "prices.json" => setup("file = \"prices.json\"").file(name, text.as_bytes()),
            _ => start(),
        };
        let exit = start().refused();
        exit.expect(2, &["prices: ", expected]);
        start().check().expect(2, &["prices: ", expected]);
    }
    for (lines, expected) in [
        ("max_change = 1", "prices.max_change: 1, expected "),
        ("file = \"prices.toml\"\naccept = \"yes\"", "prices.accept: \"yes\", expected the 16 digits"),
        ("accept = \"3f786850e387550f\"", "prices.accept: `file` is not set"),
    ] {
        let file = catalogue("one", "1", "");
        setup(lines).file("prices.toml", file.as_bytes()).check().expect(2, &[expected]);
    }
}

#[test]
fn a_dated_price_holds_from_its_day_on() {
    let change =
        |from: &str| format!("changes = [{{ from = {from}, usd_per_million_tokens = {{ input = 3, output = 10 }} }}]");
    let models = model("exact", "name = \"gpt-4o\"", "far") + "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n";
    for (from, expected) in [("2020-01-01", 3.0), ("2099-01-01", 2.5)] {
        let file = catalogue("one", "2.5", &change(from));
        let gateway = setup("file = \"prices.toml\"").models(&models).file("prices.toml", file.as_bytes()).start();
        assert_eq!(input(&gateway, "exact"), expected, "{from}");
    }
}

#[test]
fn a_public_catalogue_is_imported_with_a_report_and_then_in_force() {
    let public = json!({
        "sample_spec": {"mode": "one of"},
        "gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": "1e-05", "litellm_provider": "openai"},
        "picture": {"output_cost_per_image": 0.04, "litellm_provider": "openai"},
        "spoken": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "input_cost_per_audio_token": 1e-4},
    });
    let setup = setup("file = \"prices.json\"").file("public.json", public.to_string().as_bytes());
    let setup = setup.models(
        &(model("exact", "name = \"gpt-4o\"", "far") + "[backends.far]\nkind = \"sim\"\nlocation = \"cloud\"\n"),
    );
    let folder = setup.written().parent().unwrap().to_owned();
    let paths = ["public.json", "prices.json", "wasmgate.toml"].map(|name| folder.join(name).display().to_string());
    let import =
        |format: &str, more: &[&str]| run(&[&["prices", "import", format, &paths[0], "-o", &paths[1]], more].concat());
    import("litellm", &["--date", "2026-11-20", "--edition", "mine"]).expect(
        0,
        &[
            "approximate: spoken: not kept: input_cost_per_audio_token",
            "left out: picture: it is not priced by tokens of input: output_cost_per_image",
            "catalogue mine of 2026-11-20: 1 exact, 1 approximate, 1 left out",
        ],
    );
    let gateway = setup.start();
    assert_eq!(
        (input(&gateway, "exact"), &of(&models(&gateway), "exact")["price_version"]),
        (json!(2.5), &json!("mine"))
    );
    import("models-dev", &[]).expect(2, &["no entry has a price that the catalogue can keep"]);
    import("litellm", &["--date", "yesterday"]).expect(2, &["expected a date as in 2026-11-29"]);
    import("litellm", &["--edition", "a b"]).expect(2, &["is no version"]);
}
