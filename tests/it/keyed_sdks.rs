//! Official SDKs with keys of the gateway: one that is valid, none, and one that is blocked, expired, replaced or deleted; and how
//! they take a limit that has no room.

use std::process::Command;

use serde_json::{Map, Value, json};
use wasmgate_tests::backend::{Backend, Gate, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::real;
use wasmgate_tests::wait::until;
use wasmgate_tests::wire::{Dialect, Usage};

use super::real::run;

const USAGE: Usage = Usage { input: 10, output: 10 };

fn setup() -> Setup {
    let top = "state_dir = \"kept\"\n[groups.team]\n[groups.busy]\nlimits = { concurrent = 1 }\n[groups.spent]\nlimits = { usd_total = 0 }";
    Gateway::setup().top(top).server("auth = \"required\"").routing("enabled = false").cost("enabled = false")
}

fn admin(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let answer = gateway.admin_send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes());
    answer.expect(200).json()
}

/// A new key: its id and its text.
fn key(gateway: &Gateway, body: &Value) -> (String, String) {
    let made = admin(gateway, "/keys", body);
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

/// What each SDK in Python says of each key.
fn python(gateway: &Gateway, keys: &Value) -> Vec<Value> {
    run("keys_sdk.py", &[&format!("http://{}", gateway.address), "only", &keys.to_string()])
}

/// What each SDK in JavaScript says of each key.
fn javascript(gateway: &Gateway, keys: &Value) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("real/clients/keys.mjs");
    std::fs::copy(script, folder.path().join("keys.mjs")).unwrap();
    // Node.js finds packages beside the script.
    std::os::unix::fs::symlink(real::node_modules(), folder.path().join("node_modules")).unwrap();
    let mut command = Command::new(real::node());
    command.current_dir(folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.arg("keys.mjs").args([&format!("http://{}", gateway.address), "only", &keys.to_string()]);
    let output = command.output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{told}\n{said}", output.status);
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_sdk_says_what_is_wrong_with_a_key_and_asks_once() {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE)));
    let gateway = setup().model("only", Dialect::OpenAi, &backend).start();
    let team = json!({"group": "team"});
    let (_, valid) = key(&gateway, &team);
    let (blocked_id, blocked) = key(&gateway, &team);
    admin(&gateway, &format!("/keys/{blocked_id}/block"), &json!({}));
    let (_, expired) = key(&gateway, &json!({"group": "team", "expires_after_seconds": 1}));
    let rotated = |grace: u64| {
        let (id, older) = key(&gateway, &team);
        let newer = admin(&gateway, &format!("/keys/{id}/rotate"), &json!({"grace_seconds": grace}));
        (older, newer["key"].as_str().unwrap().to_owned())
    };
    let ((replaced, newer), (in_grace, _)) = (rotated(0), rotated(3600));
    let listed = || gateway.admin_get("/keys").expect(200).text();
    until("the key expires", || listed().contains("\"expired\"").then_some(()));
    let refusals = [
        ("none", String::new(), "no API key"),
        ("unknown", "wg-nobody".to_owned(), "not valid"),
        ("blocked", blocked, "blocked"),
        ("expired", expired, "expired"),
        ("replaced", replaced, "replaced by a newer one"),
    ];
    let mut keys: Map<String, Value> = Map::new();
    for (name, text) in [("valid", valid), ("newer", newer), ("in grace", in_grace)] {
        keys.insert(name.to_owned(), text.into());
    }
    keys.extend(refusals.iter().map(|(name, text, _)| ((*name).to_owned(), text.as_str().into())));
    let keys = Value::Object(keys);
    let told = [python(&gateway, &keys), javascript(&gateway, &keys)].concat();
    assert_eq!(told.len(), 5 * 8);
    let mut refused = 0.0;
    for told in &told {
        match refusals.iter().find(|(name, ..)| told["key"] == **name) {
            None => assert_eq!(told["answer"], "hello", "{told}"),
            Some((_, _, said)) => {
                assert_eq!(told["status"], 401, "{told}");
                assert!(told["message"].as_str().unwrap().contains(said), "{told}");
                if told["sdk"] == "openai" || told["sdk"] == "anthropic" {
                    assert_eq!(told["error"], "AuthenticationError", "{told}");
                }
                refused += 1.0;
            }
        }
    }
    // None tried a second time.
    gateway.wait_metric("api_gateway_rejected_requests_total", &[("reason", "unauthorized")], refused);
}

#[test]
fn an_sdk_waits_for_a_limit_that_will_have_room_and_gives_up_at_a_spent_budget() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |request| {
        let answer = Reply::json(200, &Dialect::OpenAi.answer("hello", USAGE));
        if request.number == 0 { Reply::silent().gate(&held).and(answer) } else { answer }
    });
    let gateway = setup().model("only", Dialect::OpenAi, &backend).start();
    let (_, busy) = key(&gateway, &json!({"group": "busy"}));
    let (_, spent) = key(&gateway, &json!({"group": "spent"}));
    let refusals = |group: &str| gateway.metrics().value("api_gateway_limit_refusals_total", &[("group", group)]);
    std::thread::scope(|scope| {
        // A request that takes the only place.
        scope.spawn(|| {
            let body = json!({"model": "only", "messages": [{"role": "user", "content": "hello"}]}).to_string();
            let headers = [("content-type", "application/json"), ("x-api-key", busy.as_str())];
            let request = wasmgate_tests::http::request("POST", "/v1/chat/completions", &headers, body.as_bytes());
            let _ = gateway.send(request).expect(200);
        });
        backend.wait_requests(1);
        let told = scope.spawn(|| python(&gateway, &json!({"busy": busy})));
        until("an SDK is refused", || (refusals("busy") >= 1.0).then_some(()));
        gate.open();
        for told in told.join().unwrap() {
            assert_eq!(told["answer"], "hello", "{told}");
        }
    });
    let told = python(&gateway, &json!({"spent": spent}));
    for told in &told {
        assert_eq!(told["status"], 429, "{told}");
        let said = "\"spent\" may use $0 in total; no model that may cost anything is called for it";
        assert!(told["message"].as_str().unwrap().contains(said), "{told}");
    }
    assert_eq!((told.len(), refusals("spent")), (3, 3.0), "each SDK asked once: a retry would not help");
}
