//! Keys and groups that are made while gateways run which share a server: what is changed at one is known at all, whatever was
//! away meanwhile.

use serde_json::{Value, json};
use wasmgate_accounts::{KeyHash, KeyId};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::redis::Redis;
use wasmgate_tests::wait::until;

use crate::managed::{chat, done, group, key, refused};

/// A gateway with a folder of its own.
fn setup(redis: &Redis) -> Setup {
    let shared = format!("[shared]\nurl = \"{}\"\ndeadline_ms = 5000\nlease_seconds = 1", redis.url());
    Gateway::setup().top("state_dir = \"kept\"").top(&shared).server("auth = \"required\"")
}

fn start(redis: &Redis) -> Gateway {
    setup(redis).start()
}

/// Waits until the gateway exchanges keys, or until it knows that it does not.
fn wait_exchange(gateway: &Gateway, on: bool) {
    let message = match on {
        true => "keys and groups are exchanged with other gateways",
        false => "keys and groups are not exchanged with other gateways",
    };
    let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(message));
    gateway.wait_for_log(message, is_it);
}

fn serves(gateway: &Gateway, key: &str) {
    until("the key is known", || (chat(gateway, key, "auto").status() == 200).then_some(()));
}

fn refuses(gateway: &Gateway, key: &str, said: &str) {
    until(said, || (chat(gateway, key, "auto").status() == 401).then_some(()));
    refused(gateway, key, said);
}

fn act(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Value {
    let schema = if path.contains("rotate") { "CreatedKey" } else { "KeyStatus" };
    done(gateway, schema, method, path, body)
}

fn block(gateway: &Gateway, id: &str) {
    act(gateway, "POST", &format!("/keys/{id}/block"), &Value::Null);
}

fn delete(gateway: &Gateway, id: &str) {
    act(gateway, "DELETE", &format!("/keys/{id}"), &Value::Null);
}

fn untold(gateway: &Gateway) -> f64 {
    gateway.metrics().value("api_gateway_shared_untold_changes", &[("store", "redis")])
}

#[test]
fn what_is_changed_at_one_is_known_at_all_and_a_budget_is_shared() {
    let redis = Redis::start();
    let (one, two) = (start(&redis), start(&redis));
    wait_exchange(&one, true);
    wait_exchange(&two, true);
    group(&one, &json!({"name": "team", "limits": {"requests_total": 4}}));
    let (id, text) = key(&one, &json!({"group": "team", "name": "Anna's laptop"}));
    serves(&two, &text);
    // Four in total, at whichever: the fifth is refused.
    for gateway in [&one, &two, &one] {
        until("there is room", || (chat(gateway, &text, "auto").status() == 200).then_some(()));
    }
    for gateway in [&one, &two] {
        until("the budget is spent", || (chat(gateway, &text, "auto").status() == 429).then_some(()));
    }
    block(&two, &id);
    refuses(&one, &text, "blocked");
    act(&one, "POST", &format!("/keys/{id}/unblock"), &Value::Null);
    done(&one, "GroupStatus", "PATCH", "/groups/team", &json!({"limits": {"requests_total": null}}));
    serves(&two, &text);
    let rotated = act(&two, "POST", &format!("/keys/{id}/rotate"), &json!({"grace_seconds": 0}));
    let newer = rotated["key"].as_str().unwrap();
    serves(&one, newer);
    refuses(&one, &text, "replaced");
    // In the server are hashes and no keys.
    let texts: Vec<String> = redis.ask(&["HVALS", "wasmgate:{accounts}:texts"]);
    let all = texts.join("\n");
    assert!(all.contains(&KeyHash::of(newer.as_bytes()).to_string()) && all.contains("\"team\""), "{all}");
    assert!(!all.contains("wg-") && !all.contains(&newer[3..]), "{all}");
    delete(&two, &id);
    refuses(&one, newer, "not valid");
    done(&one, "GroupStatus", "DELETE", "/groups/team", &Value::Null);
    until("the group is gone", || (two.admin_get("/groups/team").status() == 404).then_some(()));
    assert_eq!((untold(&one), untold(&two)), (0.0, 0.0));
}

#[test]
fn who_was_away_catches_up_and_brings_nothing_back() {
    let mut redis = Redis::start();
    let (one, mut two) = (start(&redis), start(&redis));
    group(&one, &json!({"name": "team"}));
    let keys = [(); 3].map(|()| key(&one, &json!({"group": "team"})));
    keys.iter().for_each(|(_, text)| serves(&two, text));
    let [(deleted, deleted_text), (blocked, blocked_text), (_, kept_text)] = &keys;
    two.process.signal("KILL");
    let _ = two.wait_exit();
    delete(&one, deleted);
    block(&one, blocked);
    let (_, newer) = key(&one, &json!({"group": "team"}));
    // The server forgets everything too, and the one that was away may be the first that tells it.
    redis.kill();
    redis.start_again();
    two.start_again();
    serves(&two, &newer);
    serves(&two, kept_text);
    refuses(&two, deleted_text, "not valid");
    refuses(&two, blocked_text, "blocked");
    for gateway in [&one, &two] {
        until("all is told", || (untold(gateway) == 0.0).then_some(()));
    }
    refused(&one, deleted_text, "not valid");
    refused(&one, blocked_text, "blocked");
    // One that joins learns all of it from the server.
    let three = start(&redis);
    serves(&three, &newer);
    serves(&three, kept_text);
    refuses(&three, blocked_text, "blocked");
    refuses(&three, deleted_text, "not valid");
}

#[test]
fn changes_made_apart_are_told_later_and_what_refuses_more_counts() {
    let mut redis = Redis::start();
    let (one, two) = (start(&redis), start(&redis));
    group(&one, &json!({"name": "team"}));
    let (id, text) = key(&one, &json!({"group": "team"}));
    let (other, other_text) = key(&one, &json!({"group": "team"}));
    serves(&two, &text);
    serves(&two, &other_text);
    redis.kill();
    wait_exchange(&one, false);
    wait_exchange(&two, false);
    block(&one, &id);
    act(&two, "PATCH", &format!("/keys/{id}"), &json!({"name": "renamed"}));
    delete(&two, &other);
    act(&one, "PATCH", &format!("/keys/{other}"), &json!({"name": "renamed"}));
    let (_, own) = key(&two, &json!({"group": "team"}));
    refused(&one, &text, "blocked");
    let _ = chat(&two, &text, "auto").expect(200);
    until("what is not told is counted", || ((untold(&one), untold(&two)) == (2.0, 3.0)).then_some(()));
    let one = one.restart("KILL");
    redis.start_again();
    refuses(&two, &text, "blocked");
    refuses(&one, &other_text, "not valid");
    serves(&one, &own);
    for gateway in [&one, &two] {
        until("all is told", || (untold(gateway) == 0.0).then_some(()));
        refused(gateway, &text, "blocked");
        refused(gateway, &other_text, "not valid");
    }
    let conflicts =
        |gateway: &Gateway| gateway.metrics().value("api_gateway_shared_conflicts_total", &[("store", "redis")]);
    assert!(conflicts(&one) + conflicts(&two) >= 2.0);
}

#[test]
fn gateways_with_keys_of_their_own_unite_them_however_many() {
    const MANY: u64 = 20_000;
    let redis = Redis::start();
    let mut one = Gateway::setup().top("state_dir = \"kept\"").server("auth = \"required\"").start();
    group(&one, &json!({"name": "team"}));
    one.sigterm();
    let _ = one.wait_exit();
    let folder = std::fs::read_dir(one.path("kept")).unwrap().next().unwrap().unwrap().file_name();
    let name = format!("kept/{}/accounts/changes.log", folder.to_str().unwrap());
    let mut lines = std::fs::read_to_string(one.path(&name)).unwrap();
    for number in 1..=MANY {
        let (id, hash) = (KeyId::new(1_700_000_000 + number, 7), KeyHash::of(format!("wg-{number}").as_bytes()));
        let change = format!("{{\"key\":{{\"id\":\"{id}\",\"group\":\"team\",\"sha256\":\"{hash}\"}}}}");
        lines += &format!("{:08x} {:08x} {change}\n", change.len(), crc32fast::hash(change.as_bytes()));
    }
    one.put(&name, lines.as_bytes());
    one.edit_config("[server]", &format!("[shared]\nurl = \"{}\"\n[server]", redis.url()));
    one.start_again();
    let two = start(&redis);
    group(&two, &json!({"name": "second"}));
    let (_, own) = key(&two, &json!({"group": "second"}));
    #[expect(clippy::cast_precision_loss, reason = "a number of keys")]
    let all = (MANY + 1) as f64;
    for gateway in [&one, &two] {
        gateway.wait_metric("api_gateway_keys", &[("source", "api")], all);
        serves(gateway, &own);
        serves(gateway, "wg-1");
        serves(gateway, &format!("wg-{MANY}"));
    }
    until("all is told", || (untold(&one) + untold(&two) == 0.0).then_some(()));
    // What all know is not told again after a restart.
    let before: u64 = redis.ask(&["HGET", "wasmgate:{accounts}:meta", "changed"]);
    let one = one.restart("TERM");
    serves(&one, &own);
    until("all is compared", || (untold(&one) == 0.0).then_some(()));
    assert_eq!(redis.ask::<u64>(&["HGET", "wasmgate:{accounts}:meta", "changed"]), before);
}
