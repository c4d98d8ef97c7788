//! A million keys that the gateway keeps itself: what they add to a start and to the memory, and what a change takes. The targets
//! are two seconds and 200 MB. `make bench` runs it.

use std::time::{Duration, Instant};

use serde_json::json;
use wasmgate::accounts::Change;
use wasmgate_accounts::{Key, KeyHash, KeyId, NEVER};
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::http::request;

const KEYS: u64 = 1_000_000;
const CHANGES: usize = 100;

pub(super) fn all() {
    let mut gateway = Gateway::setup().top("state_dir = \"kept\"\n[groups.acme]").server("auth = \"required\"").start();
    let (without, bytes_without);
    (gateway, without) = restarted(gateway);
    bytes_without = resident(&gateway);
    let mut kept = std::fs::read_dir(gateway.path("kept")).expect("a state folder");
    let folder = kept.next().expect("a gateway's folder").expect("a readable one").path();
    let mut log = Vec::with_capacity(200 << 20);
    for number in 0..KEYS {
        log.extend_from_slice(&Change::Key(key(number)).to_line());
    }
    gateway.sigterm();
    let _ = gateway.wait_exit();
    std::fs::write(folder.join("accounts/changes.log"), &log).expect("the log is written");
    gateway.start_again();
    let (gateway, with) = restarted(gateway);
    let bytes = resident(&gateway) - bytes_without;
    println!("{:<28} {:>12} {:>12}", "a million keys", "measured", "target");
    let seconds = with.saturating_sub(without).as_secs_f64();
    println!("{:<28} {:>10.2} s {:>10.2} s", "added to a start", seconds, 2.0);
    println!("{:<28} {:>9.0} MB {:>9} MB", "memory", bytes / 1e6, 200);
    println!("{:<28} {:>9} MB", "file", log.len() / 1_000_000);
    let text = format!("key {}", KEYS / 2);
    let body = json!({"prompt": "hello"}).to_string();
    let headers = [("content-type", "application/json"), ("x-api-key", text.as_str())];
    let _ = gateway.send(request("POST", "/api/v1/chat", &headers, body.as_bytes())).expect(200);
    let mut took: Vec<Duration> = (0..CHANGES)
        .map(|_| {
            let began = Instant::now();
            let headers = [("content-type", "application/json")];
            let _ = gateway.admin_send("POST", "/keys", &headers, b"{\"group\": \"acme\"}").expect(200);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("{:<28} {:>9.2} ms", "a new key, p50, synced", took[CHANGES / 2].as_secs_f64() * 1e3);
}

/// The gateway after a restart, and how long its start took.
fn restarted(mut gateway: Gateway) -> (Gateway, Duration) {
    gateway.sigterm();
    let _ = gateway.wait_exit();
    let began = Instant::now();
    gateway.start_again();
    let _ = gateway.get("/health").expect(200);
    (gateway, began.elapsed())
}

fn resident(gateway: &Gateway) -> f64 {
    gateway.metrics().value("process_resident_memory_bytes", &[])
}

fn key(number: u64) -> Key {
    Key {
        id: KeyId::new(1_795_953_600 + number / 1000, (number % 1000) as u32),
        group: "acme".into(),
        hash: KeyHash::of(format!("key {number}").as_bytes()),
        previous: None,
        expires: NEVER,
        blocked: false,
        name: Some(format!("user {number}").into()),
        labels: None,
    }
}
