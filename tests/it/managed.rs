//! Keys and groups that operators make while the gateway runs: they count for the next request, survive whatever ends the
//! process, and belong beside those of the configuration, which owns its own.

use serde_json::{Map, Value, json};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, request};
use wasmgate_tests::wait::until;

use super::admin::conforms;

const JSON: (&str, &str) = ("content-type", "application/json");
const FILED: &str = "wg-of-the-file";

/// A group `acme` and a key of it in the configuration; requests need a key.
fn setup() -> Setup {
    let hash = wasmgate_accounts::KeyHash::of(FILED.as_bytes());
    let text = format!(
        "[groups.acme]\ndenied_models = [\"claude-sonnet\"]\n[keys.filed]\ngroup = \"acme\"\nsha256 = \"{hash}\""
    );
    Gateway::setup().top("state_dir = \"kept\"").reloading().top(&text)
}

pub(super) fn admin(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.admin_send(method, path, &[JSON], body.as_bytes())
}

pub(super) fn done(gateway: &Gateway, schema: &str, method: &str, path: &str, body: &Value) -> Value {
    let answer = admin(gateway, method, path, body).expect(200).json();
    conforms(schema, &answer);
    answer
}

pub(super) fn group(gateway: &Gateway, body: &Value) -> Value {
    done(gateway, "GroupStatus", "POST", "/groups", body)
}

/// A new key: its id and its text.
pub(super) fn key(gateway: &Gateway, body: &Value) -> (String, String) {
    let made = done(gateway, "CreatedKey", "POST", "/keys", body);
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

pub(super) fn chat(gateway: &Gateway, key: &str, model: &str) -> Response {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    gateway.send(request("POST", "/v1/chat/completions", &[JSON, ("x-api-key", key)], body.to_string().as_bytes()))
}

#[track_caller]
pub(super) fn refused(gateway: &Gateway, key: &str, said: &str) {
    let answer = chat(gateway, key, "auto").expect(401).text();
    assert!(answer.contains(said) && answer.contains("invalid_api_key"), "{answer}");
}

#[test]
fn what_is_changed_counts_for_the_next_request_and_after_any_end() {
    let mut gateway = setup().start();
    group(&gateway, &json!({"name": "team", "parent": "acme", "labels": {"plan": "gold"}}));
    let (anna, anna_text) = key(&gateway, &json!({"group": "team", "name": "Anna's laptop"}));
    let (bert, bert_text) = key(&gateway, &json!({"group": "team", "expires_after_seconds": 1}));
    let (cleo, cleo_text) = key(&gateway, &json!({"group": "acme"}));
    let _ = chat(&gateway, &anna_text, "auto").expect(200);
    let line =
        gateway.wait_for_log("a request with the key", |line| line["key"] == *anna && line["target"] == "request");
    assert_eq!(line["group"], "team");
    let rotated =
        done(&gateway, "CreatedKey", "POST", &format!("/keys/{anna}/rotate"), &json!({"grace_seconds": 3600}));
    let newer = rotated["key"].as_str().unwrap();
    let _ = chat(&gateway, newer, "auto").expect(200);
    let _ = chat(&gateway, &anna_text, "auto").expect(200);
    let again = done(&gateway, "CreatedKey", "POST", &format!("/keys/{anna}/rotate"), &json!({"grace_seconds": 0}));
    let newest = again["key"].as_str().unwrap();
    refused(&gateway, newer, "replaced by a newer one");
    refused(&gateway, &anna_text, "not valid");
    let blocked = done(&gateway, "KeyStatus", "POST", &format!("/keys/{cleo}/block"), &Value::Null);
    assert_eq!(blocked["state"], "blocked");
    refused(&gateway, &cleo_text, "blocked");
    until("the key expires", || chat(&gateway, &bert_text, "auto").text().contains("expired").then_some(()));
    for (number, signal) in ["KILL", "TERM", "KILL"].into_iter().enumerate() {
        gateway = gateway.restart(signal);
        let _ = chat(&gateway, newest, "auto").expect(200);
        refused(&gateway, newer, "replaced by a newer one");
        refused(&gateway, &bert_text, "expired");
        match number {
            0 => {
                refused(&gateway, &cleo_text, "blocked");
                done(&gateway, "KeyStatus", "POST", &format!("/keys/{cleo}/unblock"), &Value::Null);
            }
            1 => {
                let _ = chat(&gateway, &cleo_text, "auto").expect(200);
                done(&gateway, "KeyStatus", "DELETE", &format!("/keys/{cleo}"), &Value::Null);
                refused(&gateway, &cleo_text, "not valid");
            }
            _ => refused(&gateway, &cleo_text, "not valid"),
        }
        let _ = chat(&gateway, FILED, "auto").expect(200);
    }
    let listed = done(&gateway, "KeyPage", "GET", "/keys", &Value::Null);
    let mut ids: Vec<&str> = listed["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "filed");
    // Those of one second are in no order.
    ids.sort_unstable();
    let mut expected = ["filed", &anna, &bert];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let longer =
        done(&gateway, "KeyStatus", "PATCH", &format!("/keys/{bert}"), &json!({"expires_after_seconds": null}));
    assert_eq!((&longer["state"], &longer["expires"]), (&json!("valid"), &Value::Null));
    let _ = chat(&gateway, &bert_text, "auto").expect(200);
}

#[test]
fn a_group_gives_its_keys_what_it_has_and_they_move_to_another() {
    let gateway = setup().start();
    group(&gateway, &json!({"name": "team/a", "parent": "acme", "models": ["phi2", "claude-sonnet"]}));
    let (id, text) = key(&gateway, &json!({"group": "team/a"}));
    let _ = chat(&gateway, &text, "phi2").expect(200);
    for model in ["tinyllama", "claude-sonnet"] {
        let _ = chat(&gateway, &text, model).expect(404);
    }
    // The part of a path that is a name has its slashes coded.
    let limited = done(&gateway, "GroupStatus", "PATCH", "/groups/team%2Fa", &json!({"limits": {"requests_total": 2}}));
    assert_eq!(
        (&limited["models"], &limited["limits"]["requests_total"]),
        (&json!(["phi2", "claude-sonnet"]), &json!(2))
    );
    // A limit that comes later counts what was used before.
    for status in [200, 429] {
        let _ = chat(&gateway, &text, "phi2").expect(status);
    }
    group(&gateway, &json!({"name": "free"}));
    done(&gateway, "KeyStatus", "PATCH", &format!("/keys/{id}"), &json!({"group": "free"}));
    let _ = chat(&gateway, &text, "claude-sonnet").expect(200);
    // What was used of a limit stays used.
    done(
        &gateway,
        "GroupStatus",
        "PATCH",
        "/groups/team%2Fa",
        &json!({"limits": {"requests_total": 3}, "models": null}),
    );
    done(&gateway, "KeyStatus", "PATCH", &format!("/keys/{id}"), &json!({"group": "team/a"}));
    for status in [200, 429] {
        let _ = chat(&gateway, &text, "tinyllama").expect(status);
    }
    gateway.wait_metric("api_gateway_group_requests_total", &[("group", "free"), ("ending", "finished")], 1.0);
}

#[test]
fn a_group_keeps_no_more_labels_however_many_changes_bring_them() {
    let gateway = setup().start();
    group(&gateway, &json!({"name": "team"}));
    let labels = |from: usize| (from..from + 32).map(|at| (format!("label-{at}"), json!("x"))).collect::<Map<_, _>>();
    let patch = |from: usize| admin(&gateway, "PATCH", "/groups/team", &json!({"labels": labels(from)}));
    let _ = (patch(0).expect(200), patch(32).expect(200));
    let refused = patch(64).expect(400).text();
    assert!(refused.contains("labels: 96 labels, expected at most 64"), "{refused}");
    let _ = patch(32).expect(200);
}

#[test]
fn policies_see_the_labels_of_a_key_before_those_of_its_group() {
    let script = "script = '''\nfn route(request, candidates) {\n    deny(\"seen\", `${request.tenant} \
                  ${request.labels[\"plan\"]} ${request.labels[\"region\"]}`)\n}\n'''";
    let gateway = setup().routing("builtin = \"script\"").settings(script).start();
    group(&gateway, &json!({"name": "team", "labels": {"plan": "gold", "region": "eu"}}));
    let (_, text) = key(&gateway, &json!({"group": "team", "labels": {"plan": "trial"}}));
    let answer =
        gateway.send(request("POST", "/api/v1/chat", &[JSON, ("x-api-key", &text)], b"{\"prompt\": \"hello\"}"));
    assert_eq!(answer.expect(403).json()["error"]["message"], "team trial eu");
}

#[test]
fn the_configuration_owns_its_keys_and_groups() {
    let gateway = setup().start();
    for (method, path, body) in [
        ("POST", "/keys/filed/block", Value::Null),
        ("POST", "/keys/filed/rotate", json!({"grace_seconds": 0})),
        ("PATCH", "/keys/filed", json!({"name": "x"})),
        ("DELETE", "/keys/filed", Value::Null),
        ("PATCH", "/groups/acme", json!({"labels": {}})),
        ("DELETE", "/groups/acme", Value::Null),
    ] {
        let answer = admin(&gateway, method, path, &body).expect(409).json();
        conforms("Error", &answer);
        assert!(answer["error"]["message"].as_str().unwrap().contains("in the configuration file"), "{answer}");
    }
    let shown = done(&gateway, "KeyStatus", "GET", "/keys/filed", &Value::Null);
    assert_eq!((&shown["source"], &shown["group"]), (&json!("configuration"), &json!("acme")));
    let shown = done(&gateway, "GroupStatus", "GET", "/groups/acme", &Value::Null);
    assert_eq!((&shown["denied_models"], &shown["keys"]), (&json!(["claude-sonnet"]), &json!(1)));
    for (method, path, body, status, code) in [
        ("GET", "/keys/key-0000000000000000", Value::Null, 404, "unknown_key"),
        ("GET", "/groups/nobody", Value::Null, 404, "unknown_group"),
        ("POST", "/keys", json!({"group": "acm"}), 400, "bad_request"),
        ("POST", "/keys", json!({"grup": "acme"}), 400, "bad_request"),
        ("POST", "/groups", json!({"name": "a", "limits": {"usd_per_day": "5"}}), 400, "bad_request"),
        ("POST", "/groups", json!({"name": "acme"}), 409, "conflict"),
    ] {
        let answer = admin(&gateway, method, path, &body).expect(status).json();
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    group(&gateway, &json!({"name": "team", "parent": "acme"}));
    let (id, _) = key(&gateway, &json!({"group": "team"}));
    let _ = admin(&gateway, "DELETE", "/groups/team", &Value::Null).expect(409);
    done(&gateway, "KeyStatus", "DELETE", &format!("/keys/{id}"), &Value::Null);
    done(&gateway, "GroupStatus", "DELETE", "/groups/team", &Value::Null);
    let names = done(&gateway, "GroupList", "GET", "/groups", &Value::Null);
    assert_eq!(names["groups"].as_array().unwrap().len(), 1);
}

#[test]
fn a_configuration_without_the_parent_refuses_the_keys_and_loses_none() {
    let gateway = setup().start();
    group(&gateway, &json!({"name": "team", "parent": "acme"}));
    let (id, text) = key(&gateway, &json!({"group": "team"}));
    let (_, direct) = key(&gateway, &json!({"group": "acme"}));
    gateway.edit_config("acme", "renamed");
    let is_said = |line: &Value| line["group"] == "team" && line["reason"] == "there is no group \"acme\"";
    let line = gateway.wait_for_log("whose keys are refused", is_said);
    assert_eq!((&line["level"], &line["keys"]), (&json!("WARN"), &json!(1)));
    gateway.wait_for_log("the other", |line| line["group"] == "acme" && line["keys"] == 1);
    refused(&gateway, &text, "suspended: its group \\\"team\\\"");
    refused(&gateway, &direct, "suspended: its group \\\"acme\\\"");
    assert_eq!(done(&gateway, "KeyStatus", "GET", &format!("/keys/{id}"), &Value::Null)["state"], "suspended");
    let gateway = gateway.restart("TERM");
    refused(&gateway, &text, "suspended");
    gateway.edit_config("renamed", "acme");
    until("the key is valid again", || (chat(&gateway, &text, "auto").status() == 200).then_some(()));
    let _ = chat(&gateway, &direct, "auto").expect(200);
}

#[test]
fn keys_are_in_no_log_no_metric_and_no_file() {
    let gateway = setup().start();
    let (id, text) = key(&gateway, &json!({"group": "acme", "name": "Anna's laptop"}));
    let rotated = done(&gateway, "CreatedKey", "POST", &format!("/keys/{id}/rotate"), &json!({"grace_seconds": 9}));
    let newer = rotated["key"].as_str().unwrap().to_owned();
    for text in [&text, &newer] {
        let _ = chat(&gateway, text, "auto").expect(200);
    }
    done(&gateway, "KeyStatus", "DELETE", &format!("/keys/{id}"), &Value::Null);
    refused(&gateway, &text, "not valid");
    let listed = admin(&gateway, "GET", "/keys", &Value::Null).text();
    let page = gateway.admin_get("/metrics").expect(200).text();
    let folder = std::fs::read_dir(gateway.path("kept")).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::read_to_string(folder.join("accounts/changes.log")).unwrap();
    assert!(kept.contains(&wasmgate_accounts::KeyHash::of(text.as_bytes()).to_string()));
    let _ = gateway.wait_for_log("the last action", |line| line["action"] == "delete_key");
    let lines: Vec<Value> = gateway.log().into_iter().filter(|line| line["target"] == "audit").collect();
    let told: Vec<_> = lines.iter().map(|line| [&line["action"], &line["key"], &line["outcome"]]).collect();
    let action = |name: &str| [json!(name), json!(id), json!("done")];
    let expected = [action("create_key"), action("rotate_key"), action("delete_key")];
    assert_eq!(told, expected.each_ref().map(|line| line.each_ref()));
    assert!(lines[0]["detail"].as_str().unwrap().contains("\"group\":\"acme\""), "{lines:?}");
    let log = gateway.log_to_its_end().join("\n");
    for text in [&text, &newer] {
        for place in [&listed, &page, &kept, &log] {
            assert!(!place.contains(&text[3..]));
        }
    }
}

#[test]
fn a_key_given_where_an_id_or_a_group_belongs_is_found_or_refused_and_never_repeated() {
    let gateway = setup().start();
    let (id, text) = key(&gateway, &json!({"group": "acme"}));
    let unknown = format!("wg-{}", "0123456789abcdef".repeat(4));
    for (method, path, body) in [
        ("POST", format!("/keys/{unknown}/block"), Value::Null),
        ("POST", format!("/keys/%77g-{}/block", &unknown[3..]), Value::Null),
        ("DELETE", format!("/keys/{unknown}"), Value::Null),
        ("DELETE", format!("/keys/{text}/rotate"), Value::Null),
        ("POST", format!("/keys/{text}/nothing"), Value::Null),
        ("PATCH", format!("/groups/{text}"), json!({"parent": unknown})),
        ("PATCH", format!("/keys/{id}"), json!({"group": text})),
        ("POST", "/keys".to_owned(), json!({"group": unknown, "name": text})),
    ] {
        let answer = admin(&gateway, method, &path, &body);
        assert!((400..=405).contains(&answer.status()), "{method} {path}: {}", answer.text());
        assert!(!answer.text().contains(&text[3..]) && !answer.text().contains(&unknown[3..]), "{}", answer.text());
    }
    let blocked = done(&gateway, "KeyStatus", "POST", &format!("/keys/{text}/block"), &Value::Null);
    assert_eq!(blocked["id"], json!(id));
    refused(&gateway, &text, "blocked");
    let line = gateway.wait_for_log("what was done", |line| line["action"] == "block_key" && line["outcome"] == "done");
    assert_eq!(line["key"], json!(id));
    let log = gateway.log_to_its_end().join("\n");
    assert!(!log.contains(&text[3..]) && !log.contains(&unknown[3..]), "{log}");
}

#[test]
fn one_gateway_keeps_the_keys_and_another_takes_over() {
    let mut gateway = setup().start();
    let (_, text) = key(&gateway, &json!({"group": "acme"}));
    let second = gateway.beside();
    let _ = chat(&second, &text, "auto").expect(200);
    let answer = admin(&second, "POST", "/keys", &json!({"group": "acme"})).expect(503).json();
    assert_eq!(answer["error"]["code"], "not_saved");
    assert!(answer["error"]["message"].as_str().unwrap().contains("another gateway"), "{answer}");
    let (_, later) = key(&gateway, &json!({"group": "acme"}));
    gateway.process.signal("KILL");
    let _ = gateway.wait_exit();
    until("the second knows what the first made", || (chat(&second, &later, "auto").status() == 200).then_some(()));
    let _ = key(&second, &json!({"group": "acme"}));
}

#[test]
fn a_change_that_was_not_written_to_its_end_is_said_and_does_not_count() {
    let mut gateway = setup().start();
    let (_, first) = key(&gateway, &json!({"group": "acme"}));
    let (_, second) = key(&gateway, &json!({"group": "acme"}));
    gateway.process.signal("KILL");
    let _ = gateway.wait_exit();
    let folder = std::fs::read_dir(gateway.path("kept")).unwrap().next().unwrap().unwrap().file_name();
    let name = format!("kept/{}/accounts/changes.log", folder.to_str().unwrap());
    let whole = std::fs::read(gateway.path(&name)).unwrap();
    gateway.put(&name, &whole[..whole.len() - 1]);
    gateway.start_again();
    let _ = gateway.process.wait_line("the last change of keys or groups is not complete");
    let _ = chat(&gateway, &first, "auto").expect(200);
    refused(&gateway, &second, "not valid");
    let (_, third) = key(&gateway, &json!({"group": "acme"}));
    gateway = gateway.restart("KILL");
    let _ = chat(&gateway, &third, "auto").expect(200);
}

#[test]
fn without_keys_in_the_file_a_key_is_of_use_and_can_be_required() {
    let gateway = Gateway::setup().top("state_dir = \"kept\"").start();
    group(&gateway, &json!({"name": "team", "limits": {"requests_total": 1}}));
    let (id, text) = key(&gateway, &json!({"group": "team"}));
    for status in [200, 429] {
        let _ = chat(&gateway, &text, "auto").expect(status);
    }
    // The operator did not say that requests need one. Only a key of the gateway's form must be valid.
    for other in ["", "sk-of-a-provider"] {
        let _ = chat(&gateway, other, "auto").expect(200);
    }
    done(&gateway, "KeyStatus", "POST", &format!("/keys/{id}/block"), &Value::Null);
    refused(&gateway, &text, "blocked");
    let gateway = Gateway::setup().top("state_dir = \"kept\"").server("auth = \"required\"").start();
    gateway.wait_for_log("the hint", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("wasmgate keys new"))
    });
    let _ = gateway.chat("hello").expect(401);
    group(&gateway, &json!({"name": "team"}));
    let (_, text) = key(&gateway, &json!({"group": "team"}));
    let _ = chat(&gateway, &text, "auto").expect(200);
}

#[test]
fn the_first_group_has_a_ledger_at_once() {
    let gateway = Gateway::setup().top("state_dir = \"kept\"").start();
    assert_eq!(gateway.metrics().value("api_gateway_ledger_writer", &[]), 0.0);
    group(&gateway, &json!({"name": "team", "limits": {"requests_total": 2}}));
    gateway.wait_metric("api_gateway_ledger_writer", &[], 1.0);
    let (_, text) = key(&gateway, &json!({"group": "team"}));
    let _ = chat(&gateway, &text, "auto").expect(200);
    gateway.wait_metric("api_gateway_ledger_entries_total", &[("result", "written")], 1.0);
    let gateway = gateway.restart("KILL");
    for status in [200, 429] {
        let _ = chat(&gateway, &text, "auto").expect(status);
    }
}
