//! The configuration file: what is wrong with it is said with file, line and key, before a port is bound.

use wasmgate::config::Config;
use wasmgate_policy_host::Profile;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, run};
use wasmgate_tests::tls::Authority;
use wasmgate_tests::wire::{Dialect, Usage, ask};

/// The smallest file that means something.
const SMALLEST: &str = "[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n";

const EXAMPLE: &str = include_str!("../../examples/wasmgate.toml");

#[test]
fn what_is_wrong_is_said_with_file_line_and_key() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "an unknown key at the top",
            "lisen = \"127.0.0.1:0\"\n",
            &["wasmgate.toml:1: lisen: ", "did you mean `listen`?"],
        ),
        (
            "an unknown key in a section",
            "[server]\n\nmax_inflight = 1\n",
            &["wasmgate.toml:3: server.max_inflight: ", "did you mean `max_in_flight`?"],
        ),
        ("an unknown section", "[polices]\n", &["wasmgate.toml:1: polices: ", "did you mean `policies`?"]),
        (
            "a wrong type",
            "[server]\nmax_in_flight = \"many\"\n",
            &["wasmgate.toml:2: server.max_in_flight: ", "the text \"many\""],
        ),
        ("not TOML", "[server\nmax_in_flight = 1\n", &["wasmgate.toml:1: "]),
        (
            "a key twice",
            "listen = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:1\"\n",
            &["wasmgate.toml:2: ", "`listen` is there twice"],
        ),
        ("an address that is none", "listen = \"everywhere\"\n", &["wasmgate.toml:1: listen: ", "127.0.0.1:8080"]),
        (
            "an unknown key of the admin listener",
            "[admin]\nlisen = \"127.0.0.1:0\"\n",
            &["wasmgate.toml:2: admin.lisen: ", "did you mean `listen`?"],
        ),
        (
            "an admin address that is none",
            "[admin]\nlisten = \"everywhere\"\n",
            &["wasmgate.toml:2: admin.listen: ", "127.0.0.1:8081"],
        ),
        (
            "an admin address that others reach, without a token",
            "[admin]\n\nlisten = \"0.0.0.0:0\"\n",
            &["wasmgate.toml:3: admin.listen: ", "0.0.0.0:0", "admin.token_file", "WASMGATE_ADMIN_TOKEN"],
        ),
        (
            "a token's file that is not there",
            "[admin]\ntoken_file = \"nowhere\"\n",
            &["wasmgate.toml:2: admin.token_file: ", "/nowhere: cannot be read"],
        ),
        ("no model", "[backends.b]\nkind = \"sim\"\n", &["models: ", "at least one"]),
        (
            "an unknown backend",
            "[backends.local]\nkind = \"sim\"\n[models.m]\nbackend = \"locl\"\n",
            &["wasmgate.toml:4: models.m.backend: ", "did you mean \"local\"?"],
        ),
        (
            "an unknown kind",
            "[backends.b]\nkind = \"olama\"\n",
            &["wasmgate.toml:2: backends.b.kind: ", "did you mean \"ollama\"?"],
        ),
        (
            "a missing address",
            "[backends.b]\nkind = \"openai\"\n[models.m]\nbackend = \"b\"\n",
            &["backends.b.url: ", "missing"],
        ),
        (
            "an address with a user",
            "[backends.b]\nkind = \"openai\"\nurl = \"http://user:pw@host\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:3: backends.b.url: "],
        ),
        (
            "a missing variable",
            "[backends.b]\nkind = \"openai\"\nurl = \"http://127.0.0.1:1\"\napi_key_env = \"WASMGATE_TEST_NO_KEY\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:4: backends.b.api_key_env: ", "WASMGATE_TEST_NO_KEY"],
        ),
        (
            "a key and its file",
            "[backends.b]\nkind = \"openai\"\nurl = \"http://127.0.0.1:1\"\napi_key_env = \"PATH\"\napi_key_file = \"key\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:5: backends.b.api_key_file: ", "expected only one of them"],
        ),
        (
            "a key's file that is not there",
            "[backends.b]\nkind = \"openai\"\nurl = \"http://127.0.0.1:1\"\napi_key_file = \"key\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:4: backends.b.api_key_file: ", "/key: cannot be read"],
        ),
        (
            "a budget above the whole",
            "[server]\nhedge_budget_percent = 101\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: server.hedge_budget_percent: 101, expected 0 to 100"],
        ),
        (
            "no model for a request",
            "[server]\nmax_models_per_request = 0\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: server.max_models_per_request: 0, expected 1 to 100"],
        ),
        (
            "a fallback that is not there",
            "[backends.b]\nkind = \"sim\"\n[models.mistral]\nbackend = \"b\"\n[models.m]\nbackend = \"b\"\nfallbacks = [\"mistra\"]\n",
            &["wasmgate.toml:7: models.m.fallbacks: there is no [models.mistra], did you mean \"mistral\"?"],
        ),
        (
            "a model as its own fallback",
            "[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\nfallbacks = [\"m\"]\n",
            &["wasmgate.toml:5: models.m.fallbacks: \"m\" is this model itself, expected other models"],
        ),
        (
            "a fallback twice",
            "[backends.b]\nkind = \"sim\"\n[models.a]\nbackend = \"b\"\n[models.m]\nbackend = \"b\"\nfallbacks = [\"a\", \"a\"]\n",
            &["models.m.fallbacks: \"a\" is there twice, expected each model once"],
        ),
        (
            "a deadline before the call",
            "[backends.b]\nkind = \"sim\"\ntimeouts = { hedge_seconds = -1 }\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:3: backends.b.timeouts.hedge_seconds: -1, expected 0 (never), or 0.001 to 86400 seconds"],
        ),
        (
            "a limit out of range",
            "[policies.routing.limits]\ncall_time_ms = 0\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: policies.routing.limits.call_time_ms: 0, expected 1 to 10000"],
        ),
        (
            "a setting and its file",
            "[policies.cost]\nsettings = { a = 1 }\nsetting_files = { a = \"a.txt\" }\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:3: policies.cost.setting_files: ", "`a` is also in `settings`"],
        ),
        (
            "a setting's file that is not there",
            "[policies.routing]\nbuiltin = \"script\"\nsetting_files = { script = \"none.rhai\" }\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["policies.routing: ", "none.rhai", "the file does not exist"],
        ),
        (
            "a policy that does not exist",
            "[policies.cost]\nbuiltin = \"tokencost\"\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: policies.cost.builtin: ", "did you mean \"token-cost\"?"],
        ),
        (
            "two policies for one hook",
            "[policies.routing]\nbuiltin = \"complexity\"\nfile = \"a.wasm\"\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:3: policies.routing.file: ", "`builtin` is also set"],
        ),
        (
            "a secret header as a label",
            "[server]\nlabel_headers = [\"authorization\"]\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: server.label_headers: ", "secrets"],
        ),
        (
            "a reserved name",
            "[backends.b]\nkind = \"sim\"\n[models.auto]\nbackend = \"b\"\n",
            &["wasmgate.toml:3: models.auto: "],
        ),
        (
            "a negative price",
            "[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n[models.m.price]\ninput_usd_per_million_tokens = -1.0\noutput_usd_per_million_tokens = 1.0\n",
            &["wasmgate.toml:6: models.m.price.input_usd_per_million_tokens: "],
        ),
        (
            "a log level that is none",
            "[log]\nlevel = \"lots=of=noise\"\n[backends.b]\nkind = \"sim\"\n[models.m]\nbackend = \"b\"\n",
            &["wasmgate.toml:2: log.level: "],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, text, said) in cases {
        let exit = Gateway::setup().whole(text).check();
        if exit.code() != Some(2) || !said.iter().all(|part| exit.text().contains(part)) {
            wrong.push(format!("{what}: code {:?}, {said:?} expected, said: {}", exit.code(), exit.text().trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_setting_that_the_policy_does_not_know_is_refused_with_the_nearest() {
    for (settings, said) in [
        ("low-bellow = 0.2", "did you mean `low-below`?"),
        ("low-below = \"little\"", "expected a number"),
        ("low-below = 0.9", "low-below"),
    ] {
        Gateway::setup().settings(settings).check().expect(2, &["complexity", said]);
        Gateway::setup().settings(settings).refused().expect(2, &["complexity", said]);
    }
}

#[test]
fn serve_refuses_what_check_refuses() {
    let exit = Gateway::setup().whole("lisen = \"127.0.0.1:0\"\n").refused();
    exit.expect(2, &["wasmgate.toml:1: lisen: ", "did you mean `listen`?"]);
}

#[test]
fn check_says_what_would_serve() {
    let exit = Gateway::setup().check();
    exit.expect(0, &["wasmgate.toml: valid", "2 backends", "3 models", "complexity@", "token-cost@"]);
    Gateway::setup().guest("traps-on-probe").check().expect(2, &["traps-on-probe.wasm", "not probed"]);
    Gateway::setup().whole(SMALLEST).check().expect(0, &["1 backend,", "1 model,"]);
}

#[test]
fn a_missing_file_is_named() {
    let exit = run(&["check", "--config", "/nowhere/wasmgate.toml"]);
    exit.expect(2, &["/nowhere/wasmgate.toml", "cannot be read"]);
}

#[test]
fn the_example_is_what_serves_without_a_file() {
    Gateway::setup().whole(EXAMPLE).check().expect(0, &["valid", "complexity@", "token-cost@"]);
    assert_eq!(wasmgate::config::EMBEDDED, EXAMPLE);
}

fn config(text: &str) -> Config {
    Config::parse(text, "test", std::path::Path::new(".")).unwrap()
}

#[test]
fn the_example_states_the_defaults() {
    let (mut example, smallest) = (config(EXAMPLE), config(SMALLEST));
    // Where they say so is all that may differ.
    example.routing.active.place.clone_from(&smallest.routing.active.place);
    example.cost.active.place.clone_from(&smallest.cost.active.place);
    assert_eq!(example.reload, smallest.reload);
    assert_eq!(example.listen, smallest.listen);
    assert_eq!(format!("{:?}", example.admin), format!("{:?}", smallest.admin));
    assert_eq!(format!("{:?}", example.server), format!("{:?}", smallest.server));
    assert_eq!(format!("{:?}", example.log), format!("{:?}", smallest.log));
    assert_eq!(format!("{:?}", example.routing), format!("{:?}", smallest.routing));
    assert_eq!(format!("{:?}", example.cost), format!("{:?}", smallest.cost));
    assert_eq!(format!("{:?}", example.backends[0].kind), format!("{:?}", smallest.backends[0].kind));
}

/// The text with the limits that it mentions stated.
fn with_limits(text: &str) -> String {
    let limits =
        ["call_time_ms", "memory_bytes", "warm_instances", "hostcall_bytes", "input_bytes", "concurrent_calls"];
    let more = ["isolation", "calls_per_instance", "instance_age_seconds", "instance_memory_bytes"];
    let state = |text: String, limit: &&str| text.replacen(&format!("# {limit} = "), &format!("{limit} = "), 1);
    limits.iter().chain(&more).fold(text.to_owned(), state)
}

#[test]
fn the_limits_that_the_example_mentions_are_those_that_hold() {
    let (stated, held) = (config(&with_limits(EXAMPLE)).routing.active.limits, Profile::Compiled);
    assert_eq!(stated.over(held), Ok(held.limits()));
    let shown = format!("{stated:?}");
    // Grants are a table of their own.
    let (limits, _grants) = shown.split_once(", grants: ").unwrap();
    assert!(!limits.contains("None"), "{stated:?}");
}

#[test]
fn what_the_example_only_mentions_is_known_too() {
    // Each commented line that is a setting, as if its comment sign were taken away.
    let uncommented = EXAMPLE
        .replace("# [backends.ollama]", "[backends.ollama]")
        .replace("# [backends.ollama.timeouts]", "[backends.ollama.timeouts]")
        .replace("# fault = ", "fault = ")
        .replace("# token_file = ", "token_file = ")
        .replace("# metrics_for_clients = ", "metrics_for_clients = ")
        .replace("# name = ", "name = ")
        .replace("# max_output_tokens = ", "max_output_tokens = ")
        .replace("# capabilities = ", "capabilities = ")
        .replace("# kind = \"ollama\"", "kind = \"ollama\"")
        .replace("# fallbacks = ", "fallbacks = ")
        .replace("# labels = { quality", "labels = { quality")
        .replace("# guarded = ", "guarded = ")
        .replace("# url = ", "url = ")
        .replace("# [policies.routing.canary", "[policies.routing.canary")
        // A file that is not there would be refused.
        .replace("# file = \"policies/next.wasm\"", "builtin = \"complexity\"")
        .replace("# percent = ", "percent = ")
        .replace("# sticky_header = ", "sticky_header = ")
        .replace("# window_seconds = ", "window_seconds = ")
        .replace("# min_samples = ", "min_samples = ")
        .replace("# max_failure_ratio = ", "max_failure_ratio = ")
        .replace("# max_error_ratio_above_active = ", "max_error_ratio_above_active = ")
        .replace("# max_mean_call_ms = ", "max_mean_call_ms = ")
        .replace("# [policies.routing.shadows.cheaper]\n# builtin = ", "[policies.routing.shadows.cheaper]\nbuiltin = ")
        .replace("# max_prompt_chars = ", "max_prompt_chars = ")
        .replace("# origins = ", "origins = ")
        .replace("# state_dir = ", "state_dir = ")
        .replace("# cache_dir = ", "cache_dir = ")
        .replace("# location = ", "location = ")
        .replace("# http2 = ", "http2 = ")
        .replace("# api_key_env = ", "api_key_env = ")
        // One of the two.
        .replace("# api_key_file = ", "# or ")
        .replace("# probe_interval_seconds = ", "probe_interval_seconds = ")
        .replacen("# ca_file = ", "ca_file = ", 1)
        // The address of the example has no TLS, so that these would be refused.
        .replace("# ca_file = ", "# or ")
        .replace("# client_cert_file = ", "# or ")
        .replace("# client_key_file = ", "# or ")
        .replace("# proxy = ", "proxy = ")
        .replace("# headers = ", "headers = ")
        .replace("# strict_streams = ", "strict_streams = ")
        .replace("# responses = ", "responses = ")
        .replace("# quirks = ", "quirks = ")
        .replace("# connect_seconds = ", "connect_seconds = ")
        .replace("# head_seconds = ", "head_seconds = ")
        .replace("# first_token_seconds = ", "first_token_seconds = ")
        .replace("# hedge_seconds = ", "hedge_seconds = ")
        .replace("# answer_seconds = ", "answer_seconds = ")
        .replace("# loading_seconds = ", "loading_seconds = ")
        .replace("# [backends.ollama.retries]", "[backends.ollama.retries]")
        .replace("# [backends.ollama.queue]\n# max_in_flight = ", "[backends.ollama.queue]\nmax_in_flight = ")
        .replace("# max_waiting = ", "max_waiting = ")
        .replace("# attempts = ", "attempts = ")
        .replace("# pause_ms = ", "pause_ms = ")
        .replace("# busy_pause_ms = ", "busy_pause_ms = ")
        .replace("# max_wait_seconds = ", "max_wait_seconds = ")
        .replace("# [backends.ollama.breaker]\n# enabled = ", "[backends.ollama.breaker]\nenabled = ")
        .replace("# min_calls = ", "min_calls = ")
        .replace("# failure_ratio = ", "failure_ratio = ")
        .replace("# slow_seconds = ", "slow_seconds = ")
        .replace("# slow_ratio = ", "slow_ratio = ")
        .replace("# retry_seconds = ", "retry_seconds = ")
        .replace("# max_retry_seconds = ", "max_retry_seconds = ")
        .replace("# ramp_seconds = ", "ramp_seconds = ")
        .replace("# idle_seconds = ", "idle_seconds = ")
        .replace("# total_seconds = ", "total_seconds = ")
        // Nor is there this file.
        .replace("# on_failure = ", "on_failure = ")
        .replace("# grants = ", "grants = ")
        .replace("# answer = ", "answer = ")
        .replace("# low-models = ", "low-models = ")
        .replace("# medium-models = ", "medium-models = ")
        .replace("# high-models = ", "high-models = ")
        .replace("# [groups.", "[groups.")
        .replace("# [keys.", "[keys.")
        .replace("# limits = ", "limits = ")
        .replace("# when_spent = ", "when_spent = ")
        .replace("# timezone = ", "timezone = ")
        .replace("# allow_unpriced = ", "allow_unpriced = ")
        .replace("# [prices]", "[prices]")
        .replace("# file = \"prices.json\"", "file = \"prices.json\"")
        .replace("# builtin = true", "builtin = true")
        .replace("# max_change = ", "max_change = ")
        .replace("# accept = ", "accept = ")
        .replace("# priced_as = ", "priced_as = ")
        .replace("# usd_per_month = ", "usd_per_month = ")
        .replace("# requests_per_minute = ", "requests_per_minute = ")
        .replace("# concurrent = ", "concurrent = ")
        .replace("# auth = ", "auth = ")
        .replace("# models = ", "models = ")
        .replace("# labels = ", "labels = ")
        .replace("# parent = ", "parent = ")
        .replace("# denied_models = ", "denied_models = ")
        .replace("# group = ", "group = ")
        .replace("# sha256 = ", "sha256 = ")
        .replace("# created = ", "created = ")
        .replace("# expires_after_days = ", "expires_after_days = ")
        .replace("# previous_sha256 = ", "previous_sha256 = ")
        .replace("# previous_until = ", "previous_until = ")
        .replace("# blocked = ", "blocked = ")
        .replace("# dir = ", "dir = ")
        .replace("# content = ", "content = ")
        .replace("# explore = ", "explore = ")
        .replace("# exact = ", "exact = ")
        .replace("# url = \"redis:", "url = \"redis:")
        .replace("# password_env = ", "password_env = ")
        // A password has one place.
        .replace("# password_file = \"secrets/shared-state\"", "")
        .replace("# script = \"route.rhai\"", "");
    let uncommented = with_limits(&uncommented);
    let settings = |text: &str| text.lines().filter(|line| line.starts_with("# ") && line.contains(" = ")).count();
    // A policy has a file or is built in, and prose may name a setting.
    assert!(settings(&uncommented) <= 2, "a commented setting that this test does not try");
    let setup = Gateway::setup().whole(&uncommented).secret_file("admin-token", "a-token-of-operators");
    let prices = r#"{"format": 1, "version": "1", "date": "2026-11-29", "models": {"phi": {"usd_per_million_tokens": {"input": 1, "output": "2.5"}}}}"#;
    let setup = setup.file("prices.json", prices.as_bytes());
    let setup = setup.file("company-ca.pem", Authority::new("test").pem().as_bytes()).variable("MODELS_TOKEN", "x");
    let setup = setup.variable("SHARED_STATE_PASSWORD", "x");
    setup.variable("OPENAI_API_KEY", "sk-example").check().expect(0, &["3 backends"]);
}

#[test]
fn an_api_key_goes_to_its_backend_and_nowhere_else() {
    const KEY: &str = "sk-very-secret-0123456789";
    for (dialect, source, header, value) in [
        (Dialect::OpenAi, "api_key_env = \"TEST_KEY\"", "authorization", format!("Bearer {KEY}")),
        (Dialect::Anthropic, "api_key_file = \"key\"", "x-api-key", KEY.to_owned()),
    ] {
        let backend = Backend::start(move |request| match request.number {
            0 => Reply::json(200, &dialect.answer("Yes.", Usage { input: 1, output: 1 })),
            // A backend that repeats the key in its error.
            _ => Reply::json(401, &serde_json::json!({"error": {"message": format!("bad key {KEY}"), "code": KEY}})),
        });
        let mut gateway = Gateway::setup()
            .model("only", dialect, &backend)
            .models("[models.keyed]\nbackend = \"keyed\"\n")
            .models(&format!(
                "[backends.keyed]\nkind = {:?}\nurl = {:?}\nprobe_interval_seconds = 0\n{source}\n",
                dialect.kind(),
                backend.url()
            ))
            .variable("TEST_KEY", KEY)
            .file("key", format!("{KEY}\n").as_bytes())
            // All that could print a header; the compiler at this level would print for minutes.
            .variable("WASMGATE_LOG", "info,wasmgate=trace,hyper=trace,hyper_util=trace,reqwest=trace")
            .start();
        let path = dialect.path();
        let answer = gateway.post(path, &ask(path, "keyed", "hello", false)).expect(200);
        assert_eq!(backend.only_request().header(header), value);
        let error = gateway.post(path, &ask(path, "keyed", "hello", false)).expect(502);
        let mut said = vec![answer.text(), error.text(), format!("{:?}{:?}", answer.head, error.head)];
        for page in ["/", "/health", "/metrics", "/api/v1/models", "/api/v1/stats", "/v1/models"] {
            said.push(gateway.get(page).text());
        }
        gateway.wait_for_ending("failed");
        gateway.sigterm();
        said.push(gateway.wait_exit().text());
        for text in said {
            assert!(!text.contains("very-secret"), "{text}");
        }
    }
}

#[test]
fn a_check_says_where_backends_run_and_which_models_cost_nothing() {
    let models = r#"
        [backends.near]
        kind = "openai"
        url = "http://192.168.1.9:8000"
        [backends.far]
        kind = "openai"
        url = "https://api.openai.com/v1"
        [backends.said]
        kind = "openai"
        url = "https://llm.example.com"
        location = "local"
        [backends.ollama]
        kind = "ollama"
        url = "http://ollama.example.com"
        [models.near]
        backend = "near"
        [models.far]
        backend = "far"
        [models.priced]
        backend = "far"
        price = { input_usd_per_million_tokens = 1, output_usd_per_million_tokens = 2 }
        "#;
    let checked = Gateway::setup().models(models).check();
    checked.expect(
        0,
        &[
            "backend near: local (by its address)",
            "backend far: cloud (by its address)",
            "backend said: local (as configured)",
            "backend ollama: local (by its kind)",
            "model near: free",
            "model far: unpriced",
        ],
    );
}

#[test]
fn durations_have_floors() {
    let backend = |lines: &str| {
        let text =
            format!("[backends.b]\nkind = \"openai\"\nurl = \"http://b\"\n{lines}\n[models.m]\nbackend = \"b\"\n");
        Gateway::setup().models(&text).check()
    };
    backend("probe_interval_seconds = 1e-10")
        .expect(2, &["backends.b.probe_interval_seconds: ", "1e-10, expected 0 (no probes), or 0.01 to 86400 seconds"]);
    for key in ["connect", "head", "first_token", "hedge", "loading", "idle", "total"] {
        backend(&format!("timeouts = {{ {key}_seconds = 0.0009 }}")).expect(
            2,
            &[&format!("backends.b.timeouts.{key}_seconds: "), "0.0009, expected ", "0.001 to 86400 seconds"],
        );
    }
    for key in ["window_seconds", "retry_seconds", "max_retry_seconds"] {
        backend(&format!("breaker = {{ {key} = 1e-10 }}"))
            .expect(2, &[&format!("backends.b.breaker.{key}: 1e-10, expected 0.001 to 3600 seconds")]);
    }
    for key in ["head_timeout", "body_timeout", "write_timeout", "drain_timeout", "keep_alive"] {
        Gateway::setup()
            .server(&format!("{key}_seconds = 1e-10"))
            .check()
            .expect(2, &[&format!("server.{key}_seconds: 1e-10, expected "), "0.001 to 86400 seconds"]);
    }
    for key in ["rescan", "drain", "keep_series"] {
        Gateway::setup()
            .top(&format!("[reload]\n{key}_seconds = 1e-10"))
            .check()
            .expect(2, &[&format!("reload.{key}_seconds: "), "expected 0.001 to 86400 seconds"]);
    }
}
