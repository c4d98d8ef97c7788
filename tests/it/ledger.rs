//! The ledger: what groups used counts again after a restart, however the process ended, and operators can read it.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wasmgate_accounts::KeyHash;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup, run};
use wasmgate_tests::http::{Response, Stream, request};
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

fn entries(gateway: &Gateway, result: &str) -> f64 {
    gateway.metrics().value("api_gateway_ledger_entries_total", &[("result", result)])
}

/// The folder of the ledger, beside the configuration.
fn folder(gateway: &Gateway) -> String {
    let mut folders = std::fs::read_dir(gateway.path("kept")).unwrap();
    format!("kept/{}/ledger", folders.next().unwrap().unwrap().file_name().to_str().unwrap())
}

/// The only segment.
fn segment(gateway: &Gateway) -> String {
    folder(gateway) + "/00000001.ledger"
}

/// The names of the ledger's files that end so.
fn files(gateway: &Gateway, end: &str) -> Vec<String> {
    let names = std::fs::read_dir(gateway.path(&folder(gateway))).unwrap();
    names.map(|name| name.unwrap().file_name().into_string().unwrap()).filter(|name| name.ends_with(end)).collect()
}

/// All entries, as `ledger show` prints them.
fn shown(gateway: &Gateway, arguments: &[&str]) -> Vec<Value> {
    let shown = ledger(gateway, &[&["show"], arguments].concat());
    shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What all entries cost, in dollars.
fn cost(entries: &[Value]) -> f64 {
    let calls = entries.iter().flat_map(|entry| entry["calls"].as_array().unwrap().iter().map(|call| &call["cost"]));
    let reserved = entries.iter().map(|entry| &entry["reserved"]["money"]);
    calls.chain(reserved).filter_map(Value::as_f64).sum::<f64>() / 1e9
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
fn what_a_group_used_that_moved_or_is_gone_counts_in_the_groups_that_were_above_it() {
    let backend = answers();
    let mut gateway = setup("requests_total = 100").model("only", Dialect::OpenAi, &backend).start();
    let _ = (chat(&gateway).expect(200), chat(&gateway).expect(200));
    wait_written(&gateway, 2.0);
    let another = "[groups.later]\nlimits = { requests_total = 50 }\n";
    for (from, to) in [
        ("[groups.team]\nparent = \"acme\"", &*format!("{another}[groups.team]\nparent = \"later\"")),
        ("[groups.team]\nparent = \"later\"\n[keys.anna]\ngroup = \"team\"", "[keys.anna]\ngroup = \"later\""),
    ] {
        gateway.edit_config(from, to);
        gateway = gateway.restart("KILL");
        assert_eq!(left(&gateway, "requests"), 98.0, "{to}");
        let later = [("group", "later"), ("limit", "requests")];
        assert_eq!(gateway.metrics().value("api_gateway_limit_left", &later), 50.0, "{to}");
    }
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
    assert_eq!(policies(&entries), ["default"; 2]);
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
    for by in ["group", "key", "model", "policy", "day", "group,model,policy,day"] {
        ledger(&gateway, &["sum", "--by", by]).expect(0, &["total", "0.003000"]);
    }
    let by_two = ledger(&gateway, &["sum", "--by", "group,model", "--model", "only"]);
    let rows: Vec<Vec<&str>> = by_two.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["team", "only", "1", "1000", "1000", "0.003000"], "{}", by_two.text());
    assert_eq!(ledger(&gateway, &["show", "--model", "other"]).stdout, "");
    let csv = ledger(&gateway, &["export", "--format", "csv", "--model", "only"]).stdout;
    let [names, row] = csv.lines().collect::<Vec<_>>()[..] else { panic!("{csv}") };
    assert!(names.starts_with("time,request,group,key,ending,policy,model,backend,"), "{names}");
    assert!(row.ends_with(",only,only,1000,0,0,1000,0,,0.003000000,false"), "{row}");
    let json = ledger(&gateway, &["export", "--format", "jsonl"]).stdout;
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["model"], &rows[1]["cost_usd"]), (&Value::Null, &json!("0.003000000")));
    ledger(&gateway, &["verify"]).expect(0, &["2 entries in 1 files, 0 requests in flight"]);
    run(&["ledger", "show", "--since", "yesterday"]).expect(2, &["as in 2026-11-29T12:00:00Z"]);
}

/// The policies of entries, without versions.
fn policies(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["policy"].as_str()?.split('@').next()).collect()
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
    assert_eq!(entries(&gateway, "torn"), 1.0);
    // The request whose line was cut counts for what it had reserved.
    assert_eq!(left(&gateway, "requests"), 8.0);
    let _ = chat(&gateway).expect(200);
    wait_written(&gateway, 2.0);
    gateway.sigterm();
    let _ = gateway.wait_exit();
    ledger(&gateway, &["verify"]).expect(0, &["3 entries"]);
    let snapshots = files(&gateway, ".sums");
    assert_eq!(snapshots.len(), 1, "the end of a process is worth one");
    let mut damaged = std::fs::read(gateway.path(&name)).unwrap();
    let second = damaged.iter().position(|byte| *byte == b'\n').unwrap();
    damaged[second + 40] ^= 1;
    gateway.put(&name, &damaged);
    ledger(&gateway, &["verify"]).expect(1, &["1 lines are damaged"]);
    // The snapshot knows better.
    gateway.start_again();
    assert_eq!(left(&gateway, "requests"), 7.0);
    gateway.sigterm();
    let _ = gateway.wait_exit();
    for name in files(&gateway, ".sums") {
        std::fs::remove_file(gateway.path(&folder(&gateway)).join(name)).unwrap();
    }
    gateway.start_again();
    let _ = gateway.process.wait_line("lines of the ledger are damaged");
    assert_eq!((entries(&gateway, "damaged"), entries(&gateway, "interrupted")), (1.0, 1.0));
    assert_eq!(left(&gateway, "requests"), 7.0, "of a damaged entry the reservation counts");
}

/// A request in flight when its gateway is killed: nobody knows what it used, so what it had reserved counts, once.
#[test]
fn what_was_in_flight_at_a_kill_counts_for_what_it_had_reserved() {
    let backend = Backend::start(|_| {
        let frames = Dialect::OpenAi.frames(&["some ", "text"], USAGE);
        Reply::stream("text/event-stream").frames(&frames[..3]).stall()
    });
    let mut gateway = setup("usd_total = 0.02").model("only", Dialect::OpenAi, &backend).start();
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    let asked = request("POST", PATH, &headers, ask(PATH, "only", "hello", true).to_string().as_bytes());
    let streams: Vec<Stream> = (0..3).map(|_| Stream::open(gateway.address, &asked)).collect();
    let reserved = 0.02 - left(&gateway, "usd");
    assert!(reserved > 3.0 * 0.003, "each holds more than it will cost: {reserved}");
    until("all three are written", || {
        ledger(&gateway, &["verify"]).stdout.contains("3 requests in flight").then_some(())
    });
    gateway = gateway.restart("KILL");
    drop(streams);
    for _ in 0..2 {
        assert!((left(&gateway, "usd") - (0.02 - reserved)).abs() < 1e-9);
        ledger(&gateway, &["sum"]).expect(0, &["3 interrupted requests had reserved"]);
        let shown = shown(&gateway, &[]);
        assert!(shown.iter().all(|entry| entry["ending"] == "interrupted") && shown.len() == 3, "{shown:?}");
        gateway = gateway.restart("KILL");
    }
    let _ = gateway.process.wait_line("ledger read");
    assert_eq!(entries(&gateway, "interrupted"), 0.0, "they were counted once");
}

/// Random numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The status of an answer; `None` if the gateway died before.
fn try_chat(address: SocketAddr) -> Option<u16> {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY), ("connection", "close")];
    let asked = request("POST", PATH, &headers, ask(PATH, "only", "hello", false).to_string().as_bytes());
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(&asked).ok()?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let whole = read.is_ok() && text.trim_end().ends_with('}');
    text.split_whitespace().nth(1).filter(|_| whole)?.parse().ok()
}

/// Killed after any answer, while others are in flight and lines are written: what the backend served never passes the budget, as
/// no answer costs more than was reserved, and the ledger has all that the backend served.
#[test]
fn whenever_it_is_killed_spending_stays_within_the_budget_and_the_ledger_has_it() {
    const CLIENTS: usize = 3;
    let backend = answers();
    // A segment has few requests, so that it is also killed while it begins one, compresses one or takes a snapshot.
    let rotating = setup("usd_total = 0.3").top("[ledger]\nsegment_bytes = 3000");
    let mut gateway = rotating.model("only", Dialect::OpenAi, &backend).start();
    let mut random = Random(23);
    let (mut kills, mut is_spent) = (0, false);
    while !is_spent {
        let target = 1 + usize::try_from(random.below(10)).unwrap();
        let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while let Some(status) = try_chat(gateway.address) {
                        match status {
                            200 => answered.fetch_add(1, Ordering::Relaxed),
                            429 => refused.fetch_add(1, Ordering::Relaxed),
                            other => panic!("{other}"),
                        };
                    }
                });
            }
            // What is left may hold nothing any more while others hold it, so one refusal is no end.
            until("enough answers, or the end of the budget", || {
                let [answered, refused] = [&answered, &refused].map(|count| count.load(Ordering::Relaxed));
                (answered >= target || refused > 50).then_some(())
            });
            gateway.process.signal("KILL");
        });
        is_spent = refused.load(Ordering::Relaxed) > 50;
        kills += 1;
        let _ = gateway.wait_exit();
        ledger(&gateway, &["verify"]).expect(0, &[]);
        gateway.start_again();
    }
    let served = backend.requests().len();
    let kept = shown(&gateway, &[]);
    let ids: HashSet<&str> = kept.iter().map(|entry| entry["request"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), kept.len(), "each request once");
    let answered = kept.iter().filter(|entry| entry["ending"] == "finished").count();
    let interrupted = kept.iter().filter(|entry| entry["ending"] == "interrupted").count();
    assert!(answered <= served && interrupted <= kills * CLIENTS);
    // A request is sent to a model when the kernel has its first line.
    assert!(kept.len() >= served, "{} of {served} after {kills} kills", kept.len());
    let spent = 0.003 * served as f64;
    assert!(spent <= 0.3 + 1e-9 && spent <= cost(&kept) + 1e-9, "{spent} of 0.3, and the ledger has {}", cost(&kept));
    assert!((left(&gateway, "usd") - (0.3 - cost(&kept)).max(0.0)).abs() < 1e-9, "no reservation is left behind");
    assert_eq!(gateway.metrics().value("api_gateway_ledger_waiting_records", &[]), 0.0);
}

#[test]
fn a_gateway_with_limits_starts_only_with_the_ledger_that_says_what_was_used() {
    let backend = answers();
    let setup = |limits| setup(limits).model("only", Dialect::OpenAi, &backend);
    let mut gateway = setup("usd_per_month = 0.01").start();
    let _ = chat(&gateway).expect(200);
    wait_written(&gateway, 1.0);
    // It can be opened and not be read, as a file on a bad disk.
    let (segment, aside) = (gateway.path(&segment(&gateway)), gateway.path("aside"));
    gateway.process.signal("KILL");
    let _ = gateway.wait_exit();
    std::fs::rename(&segment, &aside).unwrap();
    std::fs::create_dir(&segment).unwrap();
    let config = gateway.path("wasmgate.toml");
    let refused = run(&["serve", "--config", config.to_str().unwrap()]);
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("ledger") && refused.stderr.contains("state_dir"), "{}", refused.stderr);
    std::fs::remove_dir(&segment).unwrap();
    std::fs::rename(&aside, &segment).unwrap();
    gateway.start_again();
    assert!((left(&gateway, "usd") - 0.007).abs() < 1e-9);
    // Nothing is refused rightly or wrongly without a limit.
    let unlimited = setup("").file("kept", b"no folder").start();
    let _ = chat(&unlimited).expect(200);
}

#[test]
fn a_full_disk_stops_nobody_and_loses_nothing() {
    let backend = answers();
    let setup = setup("requests_total = 1000").model("only", Dialect::OpenAi, &backend);
    // A write beyond the limit gives a part, then an error, as a full disk does.
    let mut gateway = setup.after("trap '' XFSZ; ulimit -S -f 16").start();
    let errors = |gateway: &Gateway| gateway.metrics().value("api_gateway_ledger_errors_total", &[]);
    let mut sent = 0.0;
    until("the disk is full", || {
        let _ = chat(&gateway).expect(200);
        sent += 1.0;
        (errors(&gateway) > 0.0).then_some(())
    });
    for _ in 0..20 {
        let _ = chat(&gateway).expect(200);
        sent += 1.0;
    }
    let _ = gateway.process.wait_line("the ledger cannot be written; its records wait for the disk");
    assert!(gateway.metrics().value("api_gateway_ledger_waiting_records", &[]) >= 40.0);
    // What the disk took of a line is not there.
    let verified = ledger(&gateway, &["verify"]);
    assert!(!verified.text().contains("damaged"), "{}", verified.text());
    gateway.process.limit_files("unlimited");
    gateway.wait_metric("api_gateway_ledger_waiting_records", &[], 0.0);
    let _ = gateway.process.wait_line("the ledger is written again");
    assert_eq!((entries(&gateway, "written"), entries(&gateway, "lost")), (sent, 0.0));
    ledger(&gateway, &["verify"]).expect(0, &[&format!("{sent} entries")]);
    gateway = gateway.restart("KILL");
    assert_eq!(left(&gateway, "requests"), 1000.0 - sent);
}

#[test]
fn a_ledger_begins_new_files_and_a_start_reads_the_last() {
    let backend = answers();
    let keeps = "[ledger]\nsegment_bytes = 2048\nmax_bytes = 6000";
    let mut gateway = setup("usd_total = 5").top(keeps).model("only", Dialect::OpenAi, &backend).start();
    for _ in 0..60 {
        let _ = chat(&gateway).expect(200);
    }
    wait_written(&gateway, 60.0);
    until("old files are deleted", || (shown(&gateway, &[]).len() < 60).then_some(()));
    assert!(!files(&gateway, ".ledger.zst").is_empty());
    gateway = gateway.restart("KILL");
    assert!((left(&gateway, "usd") - (5.0 - 60.0 * 0.003)).abs() < 1e-9, "also what was deleted counts");
    let read = gateway.wait_for_log("what was read", |line| line["message"] == "ledger read");
    assert!(read["segments"].as_u64() <= Some(2) && read["bytes"].as_u64() < Some(6000), "{read}");
    ledger(&gateway, &["verify"]).expect(0, &["0 requests in flight"]);
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
    let writes = |gateway: &Gateway| gateway.metrics().value("api_gateway_ledger_writer", &[]);
    assert_eq!((entries(&second, "written"), writes(&second), writes(&gateway)), (0.0, 0.0, 1.0));
    let _ = chat(&gateway).expect(200);
    until("it reads along", || (left(&second, "requests") == 7.0).then_some(()));
    gateway.sigterm();
    let _ = second.process.wait_line("this one took the ledger over");
    second.wait_metric("api_gateway_ledger_entries_total", &[("result", "written")], 1.0);
    assert_eq!((writes(&second), left(&second, "requests"), shown(&gateway, &[]).len()), (1.0, 7.0, 3));
    let plain = Gateway::setup().top("state_dir = \"kept\"").start();
    let _ = plain.chat("hello").expect(200);
    let mut folders = std::fs::read_dir(plain.path("kept")).unwrap();
    assert!(!folders.next().unwrap().unwrap().path().join("ledger").exists());
}
