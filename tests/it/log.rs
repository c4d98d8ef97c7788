//! The log: that no reader of it stops the gateway, that lines are whole whatever is in them and whoever writes at once,
//! that both formats say the same.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Process, Setup};
use wasmgate_tests::http::{Client, post_json, request};
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage, ask};

const DROPPED: &str = "api_gateway_log_lines_dropped_total";

/// A gateway that logs some 16 KiB a request.
fn talkative() -> Setup {
    Gateway::setup().guest("floods-log")
}

/// Asks until lines are dropped; how many requests that took.
fn fill(gateway: &Gateway) -> usize {
    let mut asked = 0;
    until("lines of the log are dropped", || {
        let _ = gateway.chat("hello").expect(200);
        asked += 1;
        (gateway.metrics().value(DROPPED, &[]) > 0.0).then_some(asked)
    })
}

fn parsed(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    lines.iter().map(parse).collect()
}

#[test]
fn a_reader_that_stalls_stops_no_request_and_is_told_what_it_missed() {
    let gateway = talkative().start();
    gateway.process.pause_log();
    assert!(fill(&gateway) > 100, "a gateway of the file's size has room for more");
    for _ in 0..200 {
        let _ = gateway.chat("hello").expect(200);
    }
    let _ = gateway.get("/").expect(200);
    let _ = gateway.admin_get("/policies").expect(200);
    // What operators do is kept though nothing else is.
    let before = gateway.metrics().value(DROPPED, &[]);
    assert!(gateway.admin_send("POST", "/policies/nowhere/promote", &[], b"").status() >= 400);
    assert_eq!(gateway.metrics().value(DROPPED, &[]), before);
    gateway.process.resume_log();
    gateway.wait_for_log("about what was dropped", |line| line["target"] == "log" && line["dropped"].is_u64());
    let next = gateway.chat("hello").expect(200);
    let next = next.header("x-wasmgate-request-id");
    gateway.wait_for_log("the next request's", |line| line["request_id"] == next);
    let dropped = gateway.metrics().value(DROPPED, &[]);
    let lines = parsed(&gateway.log_to_its_end());
    let told: f64 =
        lines.iter().filter(|line| line["target"] == "log").filter_map(|line| line["dropped"].as_f64()).sum();
    assert_eq!(told, dropped);
    assert_eq!(lines.iter().filter(|line| line["target"] == "audit").count(), 1);
}

#[test]
fn a_reader_that_is_gone_stops_no_request() {
    let gateway = talkative().start();
    gateway.process.close_log();
    assert!(fill(&gateway) > 0);
    for _ in 0..100 {
        let _ = gateway.chat("hello").expect(200);
    }
}

#[test]
fn a_reader_that_stalls_does_not_keep_the_process_from_its_end() {
    let gateway = talkative().start();
    gateway.process.pause_log();
    let _ = fill(&gateway);
    gateway.sigterm();
    gateway.process.wait_end();
    gateway.process.resume_log();
}

#[test]
fn lines_are_whole_whoever_writes_at_once_and_all_are_there_at_the_end() {
    let gateway = talkative().start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| drop(gateway.chat("hello").expect(200))));
        }
    });
    let lines = parsed(&gateway.log_to_its_end());
    let count = |is: &dyn Fn(&Value) -> bool| lines.iter().filter(|line| is(line)).count();
    assert_eq!(count(&|line| line["message"] == "request" && line["ending"] == "finished"), 200);
    assert!(count(&|line| line["target"] == "policy") > 0, "longer ones come between");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

#[test]
fn a_second_signal_ends_it_at_once_and_its_lines_are_there() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let slow = Backend::start(move |_| Reply::silent().gate(&waiting).and(Reply::json(500, &json!({}))));
    let mut gateway = Gateway::setup().model("slow", Dialect::OpenAi, &slow).start();
    let mut client = gateway.connect();
    client.send(post_json("/api/v1/chat", &json!({"prompt": "hello"})));
    slow.wait_requests(1);
    gateway.sigterm();
    let _ = gateway.process.wait_line("stopping");
    gateway.sigterm();
    let exit = gateway.wait_exit();
    assert_eq!(exit.code(), Some(1), "{}", exit.text());
    assert!(!exit.text().contains("\"stopped\""), "it did not wait for the request: {}", exit.text());
    gate.open();
}

/// Where a gateway listens, by a line that has the same words in both formats.
fn address(process: &Process) -> SocketAddr {
    // The last line of the start.
    let line = process.wait_line("/metrics");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address: {line}"))
}

/// Bytes of requests with what could break a line, in all that a line may quote.
fn hostile() -> Vec<Vec<u8>> {
    let values = [
        "quotes \" and \\ and \\\"",
        "line\nfeed\r\nand {\"message\":\"request\",\"ending\":\"finished\"}",
        "controls \u{0}\u{1}\u{1b}[31m\u{7f}\u{9b}",
        "separators \u{2028}\u{2029}\u{85} and \u{202e}turned",
        "🦀 and \u{feff} and \u{ffff}",
    ];
    let mut requests = Vec::new();
    for value in values {
        for path in ["/v1/chat/completions", "/v1/messages", "/api/chat", "/api/v1/chat", "/v1/embeddings"] {
            requests.push(post_json(path, &ask(path, value, value, false)));
            requests.push(post_json(path, &json!({ value: value })));
        }
        let plain: Vec<u8> = value.bytes().filter(|byte| !matches!(byte, 0 | b'\n' | b'\r')).collect();
        let mut bytes =
            b"POST /api/v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-type: ".to_vec();
        bytes.extend_from_slice(&plain);
        bytes.extend_from_slice(b" \xff\xfe\xc3\r\nx-request-id: ");
        bytes.extend_from_slice(&plain);
        bytes.extend_from_slice(b"\xff\r\n\r\n{}");
        requests.push(bytes);
    }
    requests.push(request("GET", "/%0a%0d%22%5c%00", &[], b""));
    requests.push(request(
        "POST",
        "/api/v1/chat",
        &[("content-type", "application/json")],
        b"{\"prompt\": \"\xff\xfe\"}",
    ));
    requests
}

#[test]
fn nothing_that_strangers_send_breaks_a_line() {
    for format in ["json", "text"] {
        // Its folder must outlive the start.
        let setup = Gateway::setup().argument("--log-format").argument(format);
        let mut process = setup.spawn();
        let address = address(&process);
        let requests = hostile();
        let before = process.lines().len();
        for bytes in &requests {
            let _ = Client::connect(address).send(bytes).response();
        }
        process.signal("TERM");
        let _ = process.wait_exit();
        let lines = &process.lines()[before..];
        let is_whole = |line: &&String| match format {
            "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line["timestamp"].is_string()),
            _ => line.starts_with("20") && line.contains('Z') && !line.chars().any(|c| c.is_control()),
        };
        let broken: Vec<_> = lines.iter().filter(|line| !is_whole(line)).collect();
        assert!(broken.is_empty(), "{format}: {broken:?}");
        let marks = if format == "json" { "\"message\":\"request\"" } else { "INFO request: request " };
        let told = lines.iter().filter(|line| line.contains(marks)).count();
        // Heads that are no HTTP have no line.
        assert!((requests.len() - 5..=requests.len()).contains(&told), "{told} of {}: {lines:#?}", requests.len());
    }
}

/// The names of the fields of a line of text.
fn names(line: &str) -> BTreeSet<String> {
    let (mut names, mut name, mut quoted, mut escaped) = (BTreeSet::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '=' if !quoted => drop(names.insert(std::mem::take(&mut name))),
            ' ' if !quoted => name.clear(),
            _ => name.push(c),
        }
    }
    names
}

#[test]
fn both_formats_have_the_same_fields() {
    let good = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("well", Usage { input: 3, output: 1 })));
    let start = |format| {
        let setup = Gateway::setup().model("good", Dialect::OpenAi, &good);
        setup.guest("decides").argument("--log-format").argument(format)
    };
    let line = |format| {
        let setup = start(format);
        let process = setup.spawn();
        let post = post_json("/api/v1/chat", &json!({"prompt": "hello"}));
        let _ = Client::connect(address(&process)).send(post).response().expect(200);
        process.wait_line(if format == "json" { "\"message\":\"request\"" } else { "INFO request: request " })
    };
    let json: Value = serde_json::from_str(&line("json")).unwrap();
    let all: BTreeSet<String> = json.as_object().unwrap().keys().cloned().collect();
    let head = ["timestamp", "level", "message", "target"].map(str::to_owned);
    assert!(head.iter().all(|name| all.contains(name)), "{json}");
    let fields: BTreeSet<String> = all.iter().filter(|name| !head.contains(name)).cloned().collect();
    assert!(fields.len() > 20, "{json}");
    let text = line("text");
    assert_eq!(names(&text), fields, "{text}");
}

#[test]
fn the_filter_of_the_log_knows_the_lines_of_requests() {
    for (filter, logged) in [("info,request=off", 0), ("info,request=warn", 0), ("off,request=info", 1), ("info", 1)] {
        let gateway = Gateway::setup().variable("WASMGATE_LOG", &format!("{filter},wasmgate=info")).start();
        let _ = gateway.chat("hello").expect(200);
        let _ = gateway.admin_send("POST", "/policies/nowhere/promote", &[], b"");
        let lines = parsed(&gateway.log_to_its_end());
        let count = |target: &str| lines.iter().filter(|line| line["target"] == target).count();
        assert_eq!(count("request"), logged, "{filter}: {lines:?}");
        assert_eq!(count("audit"), 1, "{filter}: {lines:?}");
    }
}
