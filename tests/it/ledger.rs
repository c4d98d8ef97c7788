//! The ledger: what groups used counts again after a restart, however the process ended, and operators can read it.

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::process::Exit;
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const KEY: &str = "wg-anna-0123456789";
const PATH: &str = "/v1/chat/completions";
/// At a dollar a million input tokens and two a million output tokens: 0.003 dollars.
const USAGE: Usage = Usage { input: 1000, output: 1000 };

fn setup(limits: &str) -> Setup {
    let hash = KeyHash::of(KEY.as_bytes());
    let groups = format!(
        "state_dir = \"kept\"\n[groups.acme]\nlimits = {{ {limits} }}\n[groups.team]\nparent = \"acme\"\n[keys.anna]\n\
         group = \"team\"\nsha256 = \"{hash}\""
    );
    Gateway::setup().top(&groups).routing("enabled = false").cost("enabled = false")
}

fn answers() -> Backend {
    Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)))
}

fn chat(gateway: &Gateway) -> Response {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    gateway.send(request("POST", PATH, &headers, ask(PATH, "only", "hello", false).to_string().as_bytes()))
}

fn wait_written(gateway: &Gateway, count: f64) {
    gateway.wait_metric("api_gateway_ledger_entries_total", &[("result", "written")], count);
}

fn left(gateway: &Gateway, limit: &str) -> f64 {
    match limit {
        "usd" => gateway.metrics().value("api_gateway_budget_left_usd", &[("group", "acme")]),
        _ => gateway.metrics().value("api_gateway_limit_left", &[("group", "acme"), ("limit", limit)]),
    }
}

/// The only segment.
fn segment(gateway: &Gateway) -> String {
    let mut folders = std::fs::read_dir(gateway.path("kept")).unwrap();
    format!("kept/{}/ledger/00000001.ledger", folders.next().unwrap().unwrap().file_name().to_str().unwrap())
}

fn ledger(gateway: &Gateway, arguments: &[&str]) -> Exit {
    let config = gateway.path("wasmgate.toml");
    run(&[&["ledger"], arguments, &["--config", config.to_str().unwrap()]].concat())
}

#[test]
fn what_was_used_counts_after_any_end() {
    let backend = answers();
    let limits = "usd_per_month = 0.01, requests_per_month = 100, tokens_total = 1_000_000, concurrent = 9";
    let mut gateway = setup(limits).model("only", Dialect::OpenAi, &backend).start();
    for (count, signal) in [(1.0, "KILL"), (2.0, "TERM"), (3.0, "KILL")] {
        let _ = chat(&gateway).expect(200);
        wait_written(&gateway, 1.0);
        gateway = gateway.restart(signal);
        assert!((left(&gateway, "usd") - (0.01 - 0.003 * count)).abs() < 1e-9, "{count}");
        assert_eq!(left(&gateway, "requests"), 100.0 - count);
        assert_eq!(left(&gateway, "tokens"), 1e6 - 2000.0 * count);
        assert_eq!(left(&gateway, "concurrent"), 9.0);
    }
    let refused = chat(&gateway).expect(429);
    assert!(refused.text().contains("insufficient_quota"), "{}", refused.text());
    assert_eq!(backend.requests().len(), 3);
    let sum = ledger(&gateway, &["sum"]);
    let line = sum.stdout.lines().find(|line| line.starts_with("team")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["team", "3", "3000", "3000", "0.009000"]);
}

#[test]
fn operators_read_what_each_request_used_and_nothing_of_prompts() {
    let backend = Backend::start(|request| match request.number {
        0 => Reply::json(500, &json!({})),
        _ => Reply::json(200, &Dialect::OpenAi.answer("an answer", USAGE)),
    });
    let gateway = setup("requests_total = 2").model("only", Dialect::OpenAi, &backend).start();
    let _ = chat(&gateway).expect(502);
    let answer = chat(&gateway).expect(200);
    let _ = chat(&gateway).expect(429);
    wait_written(&gateway, 2.0);
    let shown = ledger(&gateway, &["show", "--group", "team", "--since", "2026-01-01T00:00:00Z"]);
    let entries: Vec<Value> = shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [failed, answered] = &entries[..] else { panic!("{}", shown.text()) };
    assert_eq!((&failed["ending"], &failed["calls"]), (&json!("failed"), &json!([])));
    assert_eq!(answered["request"], answer.header("x-wasmgate-request-id"));
    assert_eq!((&answered["group"], &answered["key"]), (&json!("team"), &json!("anna")));
    let call = json!({"model": "only", "backend": "only", "input": 1000, "output": 1000, "reported": true,
        "price": [1_000_000_000_u64, 1_000_000_000, 1_000_000_000, 2_000_000_000], "cost": 3_000_000});
    assert_eq!(answered["calls"], json!([call]));
    for text in ["hello", "an answer", KEY] {
        assert!(!shown.stdout.contains(text), "{text}");
    }
    assert_eq!(ledger(&gateway, &["show", "--until", "2026-01-01T00:00:00Z"]).stdout, "");
    for by in ["group", "key", "model", "day"] {
        ledger(&gateway, &["sum", "--by", by]).expect(0, &["total", "0.003000"]);
    }
    ledger(&gateway, &["verify"]).expect(0, &["2 entries in 1 files"]);
    run(&["ledger", "show", "--since", "yesterday"]).expect(2, &["as in 2026-11-29T12:00:00Z"]);
}

#[test]
fn a_line_that_was_not_written_to_its_end_is_cut_off_and_a_damaged_one_is_named() {
    let backend = answers();
    let mut gateway = setup("requests_total = 10").model("only", Dialect::OpenAi, &backend).start();
    for _ in 0..2 {
        let _ = chat(&gateway).expect(200);
    }
    wait_written(&gateway, 2.0);
    gateway.process.signal("KILL");
    let _ = gateway.wait_exit();
    let name = segment(&gateway);
    let whole = std::fs::read(gateway.path(&name)).unwrap();
    gateway.put(&name, &whole[..whole.len() - 1]);
    ledger(&gateway, &["verify"]).expect(0, &["1 entries", "no complete line"]);
    gateway.start_again();
    let _ = gateway.process.wait_line("the ledger's last line is not complete");
    assert_eq!(left(&gateway, "requests"), 9.0);
    let _ = chat(&gateway).expect(200);
    wait_written(&gateway, 1.0);
    gateway.sigterm();
    let _ = gateway.wait_exit();
    let mut damaged = std::fs::read(gateway.path(&name)).unwrap();
    damaged[40] ^= 1;
    gateway.put(&name, &damaged);
    ledger(&gateway, &["verify"]).expect(1, &["1 lines are damaged"]);
    gateway.start_again();
    let _ = gateway.process.wait_line("lines of the ledger are damaged");
    assert_eq!(left(&gateway, "requests"), 9.0);
}

#[test]
fn one_gateway_writes_and_without_groups_none_does() {
    let backend = answers();
    let gateway = setup("requests_total = 10").model("only", Dialect::OpenAi, &backend).start();
    let _ = chat(&gateway).expect(200);
    wait_written(&gateway, 1.0);
    let second = gateway.beside();
    let _ = second.process.wait_line("another gateway writes the ledger");
    until("what the first one wrote counts", || (left(&second, "requests") == 9.0).then_some(()));
    let _ = chat(&second).expect(200);
    assert_eq!(second.metrics().value("api_gateway_ledger_entries_total", &[("result", "written")]), 0.0);
    let plain = Gateway::setup().top("state_dir = \"kept\"").start();
    let _ = plain.chat("hello").expect(200);
    let mut folders = std::fs::read_dir(plain.path("kept")).unwrap();
    assert!(!folders.next().unwrap().unwrap().path().join("ledger").exists());
}
